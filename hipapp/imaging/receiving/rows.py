"""The rows of one received study: made once, added to, attached to its visit or held for a person."""

from collections import defaultdict
from dataclasses import replace

from django.utils import timezone

from hipapp.clinic.models import Patient, Visit
from hipapp.core import crypto
from hipapp.core.storage import delete_content
from hipapp.imaging.matching import (
    DIFFERENT_PERSONS,
    are_different,
    forget_identity,
    keep_identity,
    kept_identity,
    mismatches,
)
from hipapp.imaging.models import Instance, Study, UidLink, Upload
from hipapp.imaging.receiving.files import StoredFile, read_stored_frames
from hipapp.imaging.stacks import sort_study, write_series
from ml.dicom.header import Frame

CONFLICT = (
    "has the same SOP Instance UID as a stored image but other pixels. The stored one was kept; "
    "if this one is right, ask the scanner's people for a new UID"
)


def write_study(upload: Upload, files: list[StoredFile]) -> Study:
    """Make or add to the study of these files, sort it, attach or hold it; says in each file's outcome what became of it.

    Runs inside the transaction of the receiving job.
    """
    study, is_new = _lock(upload, files)
    if not is_new and not _may_be_added(study, files):
        return study
    fresh = _without_known(study, files)
    _add_instances(study, fresh)
    _add_links(study, fresh)
    if fresh:
        write_series(study, sort_study(_all_frames(study, fresh)))
    if is_new:
        place_study(study, upload, files)
    for file in files:
        file.outcome.study = str(study.pk)
    return study


def place_study(study: Study, upload: Upload, files: list[StoredFile]) -> None:
    """Attach a new study to the visit or patient of its upload, hold it on a contradiction, or leave it unassigned."""
    patient = upload.visit.patient if upload.visit else upload.patient
    identity = files[0].identity
    reasons = [DIFFERENT_PERSONS] if are_different(file.identity for file in files) else []
    reasons += sorted({concern for file in files for concern in file.concerns})
    if patient is not None:
        reasons += mismatches(identity, patient)
    study.intended_visit, study.intended_patient = upload.visit, patient
    if reasons:
        study.state, study.held_reasons = Study.State.HELD, reasons
        for file in files:
            file.outcome.outcome, file.outcome.reason = "held", f"the study waits for a person: {', '.join(reasons)}"
    elif patient is not None:
        study.visit = upload.visit or visit_of_day(study, patient)
    if study.visit is None:
        keep_identity(study, identity)
    else:
        study.intended_visit = study.intended_patient = None
        forget_identity(study)
    study.save()


def visit_of_day(study: Study, patient: Patient) -> Visit | None:
    """The patient's visit on the day of the study, made where there is none; None where the files name no day."""
    if study.acquired_at is None:
        return None
    day = timezone.localdate(study.acquired_at)
    visit, _ = Visit.objects.get_or_create(patient=patient, visit_on=day, defaults={"label": "MRI"})
    return visit


def _lock(upload: Upload, files: list[StoredFile]) -> tuple[Study, bool]:
    first = files[0]
    acquired = [file.acquired_at for file in files if file.acquired_at]
    study, is_new = Study.objects.get_or_create(
        centre=upload.centre,
        study_uid=first.study_uid,
        defaults={
            "upload": upload,
            "description": first.description,
            "acquired_at": min(acquired) if acquired else None,
        },
    )
    return Study.objects.select_for_update().get(pk=study.pk), is_new


def _may_be_added(study: Study, files: list[StoredFile]) -> bool:
    """Whether later files of a stored study name the same person and show none; refuses all of them where they don't."""
    patient, kept = (study.visit.patient if study.visit else None), kept_identity(study)
    reasons = sorted({concern for file in files for concern in file.concerns})
    if patient is not None:
        for identity in {replace(file.identity, acquired_at=None) for file in files}:
            reasons += [why for why in mismatches(identity, patient) if why not in reasons]
    if kept is not None and are_different([kept, *(file.identity for file in files)]):
        reasons.append(DIFFERENT_PERSONS)
    for file in files if reasons else []:
        file.outcome.outcome = "refused"
        file.outcome.reason = f"belongs to a study that is stored already, but {', '.join(reasons)}"
    return not reasons


def _without_known(study: Study, files: list[StoredFile]) -> list[StoredFile]:
    """Files whose image the study doesn't have; the others are marked duplicate or conflict."""
    known = dict(study.instances.values_list("sop_uid", "pixel_sha256"))
    fresh = []
    for file in files:
        if file.sop_uid not in known:
            known[file.sop_uid] = file.pixel_sha256
            fresh.append(file)
        elif known[file.sop_uid] == file.pixel_sha256:
            file.outcome.outcome, file.outcome.reason = "duplicate", "is stored already"
        else:
            file.outcome.outcome, file.outcome.reason = "conflict", CONFLICT
    return fresh


def _add_instances(study: Study, files: list[StoredFile]) -> None:
    Instance.objects.bulk_create(
        Instance(study=study, sop_uid=file.sop_uid, pixel_sha256=file.pixel_sha256, path=file.path, n_bytes=file.n_bytes)
        for file in files
    )


def _add_links(study: Study, files: list[StoredFile]) -> None:
    originals: dict[str, str] = {}
    for file in files:
        originals.update(file.originals)
    data_key = crypto.new_data_key()
    UidLink.objects.bulk_create(
        (
            UidLink(study=study, uid=uid, data_key=data_key, ciphertext=crypto.seal(data_key, {"uid": original}))
            for uid, original in originals.items()
        ),
        ignore_conflicts=True,
    )


def _all_frames(study: Study, fresh: list[StoredFile]) -> list[Frame]:
    by_path = {file.path: file.frames for file in fresh}
    paths = study.instances.values_list("path", flat=True)
    return [frame for path in paths for frame in (by_path.get(path) or read_stored_frames(path))]


def delete_leftovers(files: list[StoredFile]) -> None:
    """Delete the contents of files that were stored but then refused, unless a row needs the same content."""
    paths = {file.path for file in files if file.outcome.outcome in ("refused", "conflict")}
    for path in paths - set(Instance.objects.filter(path__in=paths).values_list("path", flat=True)):
        delete_content(path)


def by_study(files: list[StoredFile]) -> dict[str, list[StoredFile]]:
    """Files grouped by their study, in the order in which they came."""
    groups: dict[str, list[StoredFile]] = defaultdict(list)
    for file in files:
        groups[file.study_uid].append(file)
    return dict(groups)
