"""Erasing a study, or a patient with all that is known of them: asked for with a reason, confirmed, done by a job, wholly."""

import re
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.deletion import ProtectedError
from django.utils import timezone

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, record_access, require
from hipapp.clinic.identity import open_identity
from hipapp.clinic.models import Patient
from hipapp.core.erasure import erase_rows
from hipapp.core.errors import ConflictError, DomainError
from hipapp.core.storage import delete_content, still_named
from hipapp.imaging.models import Erasure, Instance, OriginalFile, Study, Upload
from hipapp.imaging.policy import policy_of
from hipapp.imaging.receiving import spool
from hipapp.imaging.services.studies import required_reason
from hipapp.jobs.models import Job
from hipapp.jobs.services import cancel_job, order_job
from hipapp.jobs.shell import Progress

Kind, State = Erasure.Kind, Erasure.State
SPOOL = "spool:"  # in Erasure.paths, an upload's folder in the spool


def ask_erasure(user: User, subject: Study | Patient, *, reason: str) -> Erasure:
    """Note that a study or patient is to be erased, and why; nothing happens until it is confirmed.

    Raises
    ------
    ForbiddenError, DomainError (no reason, or one that names the patient), ConflictError (an erasure is open already)
    """
    require(user, Act.ERASE, subject.centre)
    reason = required_reason(reason, "erased")
    _check_no_name(reason, _patient_of(subject))
    kind = Kind.STUDY if isinstance(subject, Study) else Kind.PATIENT
    with transaction.atomic():
        if isinstance(subject, Study):
            Study.objects.select_for_update().get(pk=subject.pk)
        else:
            Patient.objects.select_for_update().get(pk=subject.pk)
        if open_erasure(subject) is not None:
            raise ConflictError("An erasure of this was asked for already.", code="erasure_open")
        erasure = Erasure.objects.create(
            centre=subject.centre, kind=kind, subject_id=str(subject.pk), reason=reason, asked_by=user
        )
        record_access(user, "ask-erasure", kind, subject.pk)
    return erasure


def open_erasure(subject: Study | Patient) -> Erasure | None:
    """The erasure of this that was asked for or is under way."""
    kind = Kind.STUDY if isinstance(subject, Study) else Kind.PATIENT
    rows = Erasure.objects.filter(kind=kind, subject_id=str(subject.pk), state__in=(State.ASKED, State.CONFIRMED))
    return rows.select_related("asked_by", "job").first()


def confirm_erasure(erasure: Erasure, user: User, *, typed: str) -> Job:
    """The second word: orders the job that erases. `typed` is the name of what goes, as `name_of` gives it.

    Raises
    ------
    ForbiddenError, ConflictError (not waiting, or the centre wants a second person), DomainError (another name was typed)
    """
    require(user, Act.ERASE, erasure.centre)
    with transaction.atomic():
        locked = _lock_asked(erasure)
        if policy_of(locked.centre).needs_second_person and locked.asked_by_id == user.pk:
            raise ConflictError("Your centre wants another person to confirm than the one who asked.", code="second_person")
        name = name_of(locked)
        if typed.strip() != name:
            raise DomainError(f"Type {name} to erase it.", code="wrong_name", field="name")
        locked.job = order_job(
            "imaging.erase",
            arguments={"erasure_id": str(locked.pk)},
            centre=locked.centre,
            user=user,
            subject=("erasure", locked.pk),
            unique_key=f"erase:{locked.pk}",
        )
        locked.state, locked.confirmed_by, locked.confirmed_at = State.CONFIRMED, user, timezone.now()
        locked.save()
        record_access(user, "confirm-erasure", locked.kind, locked.subject_id)
    return locked.job


def withdraw_erasure(erasure: Erasure, user: User) -> None:
    """Take back an erasure that nobody has confirmed."""
    require(user, Act.ERASE, erasure.centre)
    with transaction.atomic():
        locked = _lock_asked(erasure)
        locked.state = State.WITHDRAWN
        locked.save()
        record_access(user, "withdraw-erasure", locked.kind, locked.subject_id)


def name_of(erasure: Erasure) -> str:
    """What a person types to confirm: the patient's study code, or the first letters of the study's key."""
    if erasure.kind == Kind.STUDY:
        return erasure.subject_id[:8]
    return Patient.objects.values_list("study_code", flat=True).get(pk=erasure.subject_id)


def studies_of(erasure: Erasure) -> QuerySet[Study]:
    """The studies that go: of a patient also those that wait to be attached to them."""
    if erasure.kind == Kind.STUDY:
        return Study.objects.filter(pk=erasure.subject_id)
    key = erasure.subject_id
    return Study.objects.filter(Q(visit__patient=key) | Q(intended_patient=key) | Q(intended_visit__patient=key)).order_by("pk")


def erase(erasure_id: str, progress: Progress) -> str:
    """Do what was confirmed; the sentence the job ends with.

    All rows go in one transaction, which leaves the paths of their contents on the order; then the contents go. A killed
    attempt has done nothing, or leaves the paths to the next one.

    Raises
    ------
    DomainError
        Something refers to the rows that may not be deleted with them; nothing was erased.
    """
    progress(10, "Erasing the rows")
    erasure = _erase_rows(erasure_id)
    if erasure.state == State.CONFIRMED:
        progress(60, "Erasing the stored files")
        _erase_contents(erasure)
        with transaction.atomic():
            erasure.paths, erasure.state, erasure.finished_at = [], State.DONE, timezone.now()
            erasure.save()
    n_studies, n_files = erasure.counts.get("studies", 0), erasure.counts.get("files", 0)
    return f"Erased: {n_studies} {'study' if n_studies == 1 else 'studies'} with {n_files} stored files"


def _erase_rows(erasure_id: str) -> Erasure:
    with transaction.atomic():
        erasure = Erasure.objects.select_for_update(of=("self",)).select_related("centre").get(pk=erasure_id)
        if erasure.state != State.CONFIRMED:
            return erasure
        studies = list(studies_of(erasure).select_for_update(of=("self",)).values_list("pk", flat=True))
        patient = Patient.objects.filter(pk=erasure.subject_id) if erasure.kind == Kind.PATIENT else None
        if not studies and (patient is None or not patient.exists()):
            return erasure  # an earlier attempt has done this part
        _end_jobs([str(key) for key in studies])
        paths = _paths(studies) + (_end_uploads(patient) if patient is not None else [])
        try:
            counts = erase_rows(Study.objects.filter(pk__in=studies))
            if patient is not None:
                counts |= erase_rows(patient)
        except ProtectedError as error:
            names = sorted({str(row._meta.verbose_name) for row in error.protected_objects})
            raise DomainError(
                f"Nothing was erased: it is still in use by {', '.join(names)}. Take it out there first.", code="protected"
            ) from error
        erasure.paths = sorted({*erasure.paths, *paths})
        erasure.counts = {
            "studies": len(studies),
            "files": sum(not path.startswith(SPOOL) for path in paths),
            "rows": sum(counts.values()),
        }
        erasure.save()
    return erasure


def _erase_contents(erasure: Erasure) -> None:
    kept = still_named(erasure.paths)
    for path in erasure.paths:
        if path.startswith(SPOOL):
            spool.discard(spool.folder_of(path.removeprefix(SPOOL)))
        elif path not in kept:
            delete_content(path)


def _paths(studies: list[UUID]) -> list[str]:
    originals = OriginalFile.objects.filter(instance__study__in=studies).values_list("path", flat=True)
    return [*Instance.objects.filter(study__in=studies).values_list("path", flat=True), *originals]


def _end_jobs(studies: list[str]) -> None:
    """Cancel what still works on the studies, and forget what their jobs said."""
    jobs = Job.objects.filter(subject_type="study", subject_id__in=studies)
    for job in jobs.filter(state__in=(Job.State.QUEUED, Job.State.RUNNING)):
        cancel_job(job)
    jobs.update(message="")


def _end_uploads(patient: QuerySet[Patient]) -> list[str]:
    """Stop the uploads for this patient that are under way; gives their folders."""
    states = (Upload.State.RECEIVING, Upload.State.PROCESSING)
    uploads = Upload.objects.filter(Q(patient__in=patient) | Q(visit__patient__in=patient), state__in=states)
    folders = []
    for upload in uploads.select_related("job"):
        folders.append(f"{SPOOL}{upload.pk}")
        if upload.job is not None and not upload.job.is_final:
            cancel_job(upload.job)
    uploads.update(state=Upload.State.FAILED)
    return folders


def _lock_asked(erasure: Erasure) -> Erasure:
    locked = Erasure.objects.select_for_update(of=("self",)).select_related("centre").get(pk=erasure.pk)
    if locked.state != State.ASKED:
        raise ConflictError(f"This erasure doesn't wait any more: {locked.get_state_display().lower()}.", code="not_asked")
    return locked


def _patient_of(subject: Study | Patient) -> Patient | None:
    if isinstance(subject, Patient):
        return subject
    return subject.visit.patient if subject.visit else subject.intended_patient


def _check_no_name(reason: str, patient: Patient | None) -> None:
    """The reason outlives the patient, so it may not name them."""
    known = open_identity(patient) if patient is not None else None
    if known is None:
        return
    said = set(re.findall(r"\w+", reason.casefold()))
    names = {word for word in re.findall(r"\w+", known.name.casefold()) if len(word) > 2}
    number = "".join(known.record_number.split()).casefold()
    is_born_told = known.birth_on is not None and known.birth_on.isoformat() in reason
    if said & names or (len(number) > 2 and number in "".join(reason.split()).casefold()) or is_born_told:
        raise DomainError(
            "The reason is kept for ever: write it without name, record number and birth date.", code="names", field="reason"
        )
