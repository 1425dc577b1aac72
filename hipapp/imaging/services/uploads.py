"""An upload from its first byte to its studies: started, filled, finished by a person; received by a job."""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

from django.conf import settings
from django.db import transaction

from hipapp.accounts.models import Centre, User
from hipapp.accounts.permissions import Act, centres_for, record_access, require
from hipapp.clinic.models import Patient, Visit
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from hipapp.imaging.models import Sender, Study, Upload
from hipapp.imaging.receiving import spool
from hipapp.imaging.receiving.files import Outcome, StoredFile, read_files
from hipapp.imaging.receiving.returned import know_returned
from hipapp.imaging.receiving.rows import by_study, delete_leftovers, write_study
from hipapp.imaging.services.quiet import score_now, score_when_quiet
from hipapp.jobs.models import Job
from hipapp.jobs.services import order_job
from hipapp.jobs.shell import LostJobError, Progress

log = logging.getLogger(__name__)
GONE = "The files of this upload are not here any more. Please upload them again; images that were stored are not stored twice."
OTHER_STUDY = "belongs to another study than the one that the address names"
NO_FILES = "There are no files in this upload. Choose files, a folder or a zip."
OUTCOME_WORDS = {
    "accepted": "stored",
    "held": "stored but held",
    "duplicate": "here already",
    "conflict": "in conflict",
    "refused": "refused",
}
PROGRESS_EVERY_S = 0.5
Say = Callable[[float, str], None]


@transaction.atomic
def start_upload(
    user: User,
    *,
    centre: Centre | None = None,
    visit: Visit | None = None,
    patient: Patient | None = None,
    door: str = Upload.Door.BROWSER,
    is_whole: bool = True,
) -> Upload:
    """An empty upload. With `patient` and no `visit`, the visit will be the one on the day of the study.

    Parameters
    ----------
    is_whole : whether the sender says that the studies are complete, so that they are scored at once; else they are scored when
        nothing more has come for a while

    Raises
    ------
    DomainError
        No centre is named and the person has several, or visit, patient and centre don't belong together.
    ForbiddenError
        The person may not upload at the centre.
    """
    patient = visit.patient if visit else patient
    centre = centre or (patient.centre if patient else _only_centre(user))
    require(user, Act.UPLOAD, centre)
    if patient is not None and patient.centre_id != centre.pk:
        raise ConflictError("The patient belongs to another centre than the upload.", code="other_centre", field="visit")
    return Upload.objects.create(user=user, centre=centre, visit=visit, patient=patient, door=door, is_whole=is_whole)


def start_sender_upload(sender: Sender) -> Upload:
    """An empty upload of what a DICOM sender brings in one association."""
    return Upload.objects.create(centre=sender.centre, sender=sender, door=Upload.Door.DICOM, is_whole=False)


def start_command_upload(centre: Centre, visit: Visit | None = None) -> Upload:
    """An empty upload of the command line, which whoever runs the installation may use for any centre.

    Raises
    ------
    ConflictError
        The visit is one of another centre.
    """
    if visit is not None and visit.patient.centre_id != centre.pk:
        raise ConflictError("The visit belongs to another centre than the upload.", code="other_centre", field="visit")
    return Upload.objects.create(centre=centre, visit=visit, door=Upload.Door.COMMAND)


def add_files(upload: Upload, incoming: Path) -> Upload:
    """Take over the files that a request spooled."""
    with transaction.atomic():
        locked = Upload.objects.select_for_update().get(pk=upload.pk)
        if locked.state != Upload.State.RECEIVING:
            raise ConflictError("This upload is complete: start a new one for more files.", code="upload_complete")
        locked.n_files = spool.adopt(incoming, locked.pk)
        locked.save(update_fields=["n_files"])
    return locked


def finish_upload(upload: Upload, user: User | None) -> Job:
    """Say that all files are here, and order the job that reads them; a second call gives the same job.

    Raises
    ------
    DomainError
        There are no files, or one that was begun is not complete.
    """
    with transaction.atomic():
        locked = Upload.objects.select_for_update().get(pk=upload.pk)
        if locked.job is not None:
            return locked.job
        _count_files(locked)
        job = order_job(
            "imaging.receive",
            arguments={"upload_id": str(locked.pk)},
            centre=locked.centre,
            user=user,
            subject=("upload", locked.pk),
            unique_key=f"receive:{locked.pk}",
        )
        locked.job, locked.state = job, Upload.State.PROCESSING
        locked.save(update_fields=["job", "state", "n_files", "n_bytes"])
        if user is not None:
            record_access(user, "upload", "upload", locked.pk)
    return job


def _count_files(upload: Upload) -> None:
    upload.n_files, n_parts, upload.n_bytes = spool.count(spool.folder_of(upload.pk))
    if n_parts:
        raise ConflictError(
            f"{n_parts} {'file is' if n_parts == 1 else 'files are'} not complete yet: send the rest, or delete what was begun.",
            code="files_incomplete",
            field="files",
        )
    if not upload.n_files:
        raise DomainError(NO_FILES, code="no_files", field="files")


def take_upload(
    user: User,
    incoming: Path,
    *,
    centre: Centre | None = None,
    visit: Visit | None = None,
    patient: Patient | None = None,
    is_whole: bool = True,
) -> Upload:
    """An upload whose files came in one request: started, filled and finished."""
    upload = start_upload(user, centre=centre, visit=visit, patient=patient, door=Upload.Door.API, is_whole=is_whole)
    try:
        add_files(upload, incoming)
        finish_upload(upload, user)
    except Exception:
        cancel_upload(upload)
        raise
    upload.refresh_from_db()
    return upload


def cancel_upload(upload: Upload) -> None:
    """Throw away an upload whose files are not all here."""
    n = Upload.objects.filter(pk=upload.pk, state=Upload.State.RECEIVING).update(state=Upload.State.FAILED)
    if not n:
        raise ConflictError("The upload is complete; cancel its job instead.", code="upload_complete")
    spool.discard(spool.folder_of(upload.pk))


def receive_upload(upload_id: str, progress: Progress) -> str:
    """Read the spooled files of an upload into studies; the sentence the job ends with.

    All rows are written in one transaction, so that a killed attempt leaves nothing but stored contents, which the next
    attempt finds again. The spool is emptied when the work is done, cancelled, or was tried for the last time.
    """
    sweep_stale()
    upload = Upload.objects.select_related("centre", "visit__patient", "patient", "user").get(pk=upload_id)
    folder = spool.folder_of(upload.pk)
    try:
        if upload.state != Upload.State.DONE:
            if not folder.is_dir():
                raise DomainError(GONE, code="files_gone")
            _receive(upload, folder, progress)
    except Exception as error:
        if _is_over(error, progress):
            give_up(upload)
        raise
    spool.discard(folder)
    upload.refresh_from_db()
    return summary(upload)


def receive_now(
    upload: Upload, user: User | None, say: Say = lambda percent, message: None, *, only_study_uid: str | None = None
) -> Upload:
    """As `finish_upload` and its job, but in this process: the caller waits and has the report.

    Parameters
    ----------
    only_study_uid : the (remapped) UID of the only study that is taken; files of others are refused

    Raises
    ------
    DomainError
        There are no files.
    """
    with transaction.atomic():
        locked = Upload.objects.select_for_update(of=("self",)).get(pk=upload.pk)
        if locked.state != Upload.State.RECEIVING:
            raise ConflictError("This upload is complete: start a new one for more files.", code="upload_complete")
        _count_files(locked)
        locked.save(update_fields=["n_files", "n_bytes"])
        if user is not None:
            record_access(user, "upload", "upload", locked.pk)
    try:
        _receive(locked, spool.folder_of(locked.pk), say, only_study_uid)
    except Exception:
        give_up(locked)
        raise
    spool.discard(spool.folder_of(locked.pk))
    locked.refresh_from_db()
    return locked


def write_received(upload: Upload, outcomes: list[Outcome], stored: list[StoredFile]) -> None:
    """Write the rows of files that a sender's door has read one by one as they came, and empty the spool of them."""
    Upload.objects.filter(pk=upload.pk).update(n_files=len(outcomes))
    _write(upload, outcomes, stored)
    spool.discard(spool.folder_of(upload.pk))


def finish_left(older_than_s: float, except_for: Collection[uuid.UUID] = ()) -> int:
    """Finish what senders delivered in associations whose end nobody could note down; gives how many uploads.

    For files that were acknowledged to a scanner while the database went away, or before the receiver was killed.
    Those `except_for` are being filled just now.
    """
    limit = time.time() - older_than_s
    n = 0
    for upload in Upload.objects.filter(door=Upload.Door.DICOM, state=Upload.State.RECEIVING).exclude(pk__in=except_for):
        folder = spool.folder_of(upload.pk)
        touched = folder.stat().st_mtime if folder.is_dir() else upload.created_at.timestamp()
        if touched > limit:
            continue
        if spool.count(folder)[0]:
            finish_upload(upload, None)
            n += 1
        else:
            give_up(upload)
    return n


def summary(upload: Upload) -> str:
    """What an upload brought, in one sentence."""
    counts = Counter(str(row["outcome"]) for row in upload.report)
    n_studies = len({row["study"] for row in upload.report if row["study"]})
    parts = [f"{counts[key]} {word}" for key, word in OUTCOME_WORDS.items() if counts[key]]
    return f"{n_studies} {'study' if n_studies == 1 else 'studies'}; files: {', '.join(parts) or 'none'}"


def sweep_stale() -> None:
    """Throw away files that were never finished or whose job is long over."""
    for folder in spool.stale_folders():
        if folder.name.startswith(spool.INCOMING):
            spool.discard(folder)
            continue
        key = _uuid(folder.name)
        upload = Upload.objects.filter(pk=key).select_related("job").first() if key else None
        if upload is None or upload.job is None or upload.job.is_final:
            spool.discard(folder)
            if upload is not None and upload.state != Upload.State.DONE:
                Upload.objects.filter(pk=upload.pk).update(state=Upload.State.FAILED)


def _receive(upload: Upload, folder: Path, say: Say, only_study_uid: str | None = None) -> None:
    outcomes, stored = _read(upload, folder, say)
    for file in stored:
        if only_study_uid and file.study_uid != only_study_uid:
            file.outcome.outcome, file.outcome.reason = "refused", OTHER_STUDY
    say(85, "Sorting the images into series")
    _write(upload, outcomes, stored)


def give_up(upload: Upload) -> None:
    """End an upload that nothing came of, and throw away its files."""
    Upload.objects.filter(pk=upload.pk).exclude(state=Upload.State.DONE).update(state=Upload.State.FAILED)
    spool.discard(spool.folder_of(upload.pk))


def _read(upload: Upload, folder: Path, progress: Say) -> tuple[list[Outcome], list[StoredFile]]:
    outcomes, stored = [], []
    said_at = 0.0
    for found in read_files(folder, upload.centre):
        outcome = found.outcome if isinstance(found, StoredFile) else found
        outcomes.append(outcome)
        if isinstance(found, StoredFile):
            stored.append(found)
        if time.monotonic() - said_at > PROGRESS_EVERY_S:
            said_at = time.monotonic()
            progress(80 * outcome.n / max(upload.n_files, 1), f"Reading file {outcome.n} of {upload.n_files}")
    return outcomes, stored


def _write(upload: Upload, outcomes: list[Outcome], stored: list[StoredFile]) -> None:
    with transaction.atomic():
        locked = Upload.objects.select_for_update().get(pk=upload.pk)
        if locked.state == Upload.State.DONE:
            return
        know_returned(locked.centre, outcomes)
        notes = []
        for files in by_study(file for file in stored if file.outcome.outcome != "refused").values():
            study, is_changed = write_study(upload, files)
            if upload.is_whole:
                score_now(study, upload.user, parent=locked.job)
            elif is_changed:
                score_when_quiet(study)
            notes += _notes(study, upload)
        transaction.on_commit(lambda: delete_leftovers(stored))
        locked.report = [outcome.row() for outcome in [*outcomes, *notes]]
        locked.state = Upload.State.DONE
        locked.save(update_fields=["report", "state"])


def _notes(study: Study, upload: Upload) -> list[Outcome]:
    patient = upload.visit.patient if upload.visit else upload.patient
    if patient is None or study.state == Study.State.HELD:
        return []
    reason = ""
    if study.visit is None:
        reason = "The files name no day of the study: choose the visit."
    elif study.visit.patient_id != patient.pk or (upload.visit and study.visit_id != upload.visit.pk):
        reason = "The study was here already, attached to another visit. It was left there; move it on its page if that is wrong."
    return [Outcome(0, 0, "note", reason, str(study.pk))] if reason else []


def _is_over(error: Exception, progress: Progress) -> bool:
    """Whether no further attempt will need the files."""
    if isinstance(error, LostJobError):
        return Job.objects.filter(pk=progress.job_id, state=Job.State.CANCELLED).exists()
    return isinstance(error, DomainError) or progress.attempt >= settings.JOB_MAX_ATTEMPTS


def _only_centre(user: User) -> Centre:
    centres = list(centres_for(user, Act.UPLOAD)[:2])
    if not centres:
        raise ForbiddenError("Your role doesn't allow you to upload studies. Ask an administrator.", code="forbidden")
    if len(centres) > 1:
        raise DomainError("Say for which centre this upload is.", code="centre_needed", field="centre")
    return centres[0]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
