"""The rows of one received study: made once, added to, attached to its visit or held for a person."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from django.utils import timezone

from hipapp.clinic.models import Patient, Visit
from hipapp.core import crypto
from hipapp.core.storage import delete_content, still_named
from hipapp.imaging.dicom.allowlist import METHOD_TEXT
from hipapp.imaging.matching import (
    DIFFERENT_PERSONS,
    are_different,
    forget_identity,
    keep_identity,
    kept_identity,
    mismatches,
)
from hipapp.imaging.models import DeidentificationReport, Instance, OriginalFile, Study, UidLink, Upload
from hipapp.imaging.receiving.files import StoredFile, read_stored_frames
from hipapp.imaging.stacks import sort_study, write_series

MAX_REPORTED = 10_000  # attributes in one report; a file made to flood it is counted as "others"
_PRIVATE = re.compile(r"\(([0-9a-fA-F]{3}[13579bdfBDF]),[0-9a-fA-F]{4}\)")
CONFLICT = (
    "has the same SOP Instance UID as a stored image but other pixels. The stored one is in use; "
    "a person decides on the page of waiting studies which of the two is right"
)
CONFLICT_ELSEWHERE = (
    "has the same SOP Instance UID as a stored image of another study but other pixels. "
    "A person decides on the page of waiting studies whether it is used"
)
STORED_ELSEWHERE = "is stored already, in a study with another Study Instance UID"
SET_ASIDE = "was stored before and set aside by a person: another file with the same UID is in use"


def write_study(upload: Upload, files: list[StoredFile]) -> tuple[Study, bool]:
    """Make or add to the study of these files, attach or hold it; says in each file's outcome what became of it.

    Gives the study and whether it got new images. An image is stored once in a centre: files whose SOP Instance UID and pixels
    another study has are duplicates, and where all of them are, that study is given. Where the upload brings whole studies they
    are sorted into series at once; else that is done when the study has been quiet (`services.quiet`). Runs inside the
    transaction of the receiving.
    """
    files, taken, other = _without_stored_elsewhere(upload, files)
    if not files and other is not None:
        return other, False
    study, is_new = _lock(upload, files)
    if not is_new and not _may_be_added(study, files):
        return study, False
    fresh, contrary = _without_known(study, files, taken)
    _add_instances(study, fresh, Instance.State.CURRENT)
    _add_instances(study, contrary, Instance.State.CONFLICT)
    _add_links(study, fresh)
    _add_originals(study, [*fresh, *contrary])
    _add_report(study, [*fresh, *contrary])
    if upload.is_whole and (fresh or study.scoring_due_at):
        sort_series(study, fresh)
    if is_new:
        place_study(study, upload, files)
    else:
        _hold_for_pictures(study, [*fresh, *contrary])
    for file in files:
        file.outcome.study = str(study.pk)
    return study, bool(fresh)


def sort_series(study: Study, fresh: Iterable[StoredFile] = ()) -> None:
    """Sort all images in use into series and choose the one to score; the frames of `fresh` files are not read again."""
    by_path = {file.path: file.frames for file in fresh}
    paths = study.instances.filter(state=Instance.State.CURRENT).values_list("path", flat=True)
    frames = (frame for path in paths for frame in (by_path.get(path) or read_stored_frames(path)))
    write_series(study, sort_study(list(frames)))


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


def _hold_for_pictures(study: Study, files: list[StoredFile]) -> None:
    """Hold a stored study whose later images may show a name: off its visit, until a person has looked."""
    concerns = sorted({concern for file in files for concern in file.concerns})
    if not concerns:
        return
    if study.visit is not None:
        study.intended_visit, study.intended_patient, study.visit = study.visit, study.visit.patient, None
        keep_identity(study, files[0].identity)
    study.state = Study.State.HELD
    study.held_reasons = [*study.held_reasons, *(why for why in concerns if why not in study.held_reasons)]
    study.save()
    for file in files:
        if file.outcome.outcome == "accepted":
            file.outcome.outcome, file.outcome.reason = "held", f"the study waits for a person: {', '.join(concerns)}"


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
    """Whether later files of a stored study name the same person; refuses all of them where they don't."""
    patient, kept = (study.visit.patient if study.visit else None), kept_identity(study)
    reasons: list[str] = []
    if patient is not None:
        for identity in {replace(file.identity, acquired_at=None) for file in files}:
            reasons += [why for why in mismatches(identity, patient) if why not in reasons]
    if kept is not None and are_different([kept, *(file.identity for file in files)]):
        reasons.append(DIFFERENT_PERSONS)
    for file in files if reasons else []:
        file.outcome.outcome = "refused"
        file.outcome.reason = f"belongs to a study that is stored already, but {', '.join(reasons)}"
    return not reasons


def _without_stored_elsewhere(upload: Upload, files: list[StoredFile]) -> tuple[list[StoredFile], set[str], Study | None]:
    """Files of one study whose image no other study of the centre has; the others are marked duplicate.

    Gives also the SOP Instance UIDs that other studies use for other pixels, and the study of the last duplicate.
    """
    stored = Instance.objects.filter(
        study__centre=upload.centre, sop_uid__in={file.sop_uid for file in files}, state=Instance.State.CURRENT
    ).select_related("study")
    here = {row.sop_uid for row in stored if row.study.study_uid == files[0].study_uid}
    elsewhere: dict[str, dict[str, Study]] = defaultdict(dict)
    for row in stored:
        if row.sop_uid not in here:
            elsewhere[row.sop_uid][row.pixel_sha256] = row.study
    rest, other = [], None
    for file in files:
        found = elsewhere.get(file.sop_uid, {}).get(file.pixel_sha256)
        if found is None:
            rest.append(file)
            continue
        other = found
        file.outcome.outcome, file.outcome.reason, file.outcome.study = "duplicate", STORED_ELSEWHERE, str(found.pk)
    return rest, set(elsewhere), other


def _without_known(study: Study, files: list[StoredFile], taken: set[str]) -> tuple[list[StoredFile], list[StoredFile]]:
    """Files whose image the study doesn't have, and files that contradict a stored image; the rest is marked duplicate.

    `taken` are the SOP Instance UIDs that other studies use for other pixels.
    """
    State = Instance.State
    rows = study.instances.values_list("sop_uid", "pixel_sha256", "state")
    in_use = {uid: pixels for uid, pixels, state in rows if state == State.CURRENT}
    aside = {(uid, pixels): state for uid, pixels, state in rows if state != State.CURRENT}
    fresh, contrary = [], []
    for file in files:
        key = (file.sop_uid, file.pixel_sha256)
        is_elsewhere = file.sop_uid not in in_use and file.sop_uid in taken
        if file.sop_uid not in in_use and not is_elsewhere:
            in_use[file.sop_uid] = file.pixel_sha256
            fresh.append(file)
        elif in_use.get(file.sop_uid) == file.pixel_sha256:
            file.outcome.outcome, file.outcome.reason = "duplicate", "is stored already"
        elif aside.get(key) == State.REPLACED:
            file.outcome.outcome, file.outcome.reason = "duplicate", SET_ASIDE
        else:
            file.outcome.outcome, file.outcome.reason = "conflict", CONFLICT_ELSEWHERE if is_elsewhere else CONFLICT
            if key not in aside:
                aside[key] = State.CONFLICT
                contrary.append(file)
    return fresh, contrary


def _add_instances(study: Study, files: list[StoredFile], state: str) -> None:
    Instance.objects.bulk_create(
        Instance(
            study=study,
            series_uid=file.series_uid,
            sop_uid=file.sop_uid,
            state=state,
            attributes=file.attributes,
            pixel_sha256=file.pixel_sha256,
            path=file.path,
            n_bytes=file.n_bytes,
        )
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


def _add_originals(study: Study, files: list[StoredFile]) -> None:
    instances = {instance.path: instance for instance in study.instances.filter(path__in=[file.path for file in files])}
    OriginalFile.objects.bulk_create(
        OriginalFile(
            instance=instances[file.path], data_key=file.original.data_key, path=file.original.path, n_bytes=file.original.n_bytes
        )
        for file in files
        if file.original
    )


def _add_report(study: Study, files: list[StoredFile]) -> None:
    """Count what was removed from these files; attributes of one private group count as one."""
    if not files:
        return
    report, _ = DeidentificationReport.objects.get_or_create(study=study)
    report.n_files += len(files)
    report.method = METHOD_TEXT
    for column, action in ((report.removed, "removed"), (report.replaced, "replaced")):
        for file in files:
            for name in {_reported(name) for name, done in file.removed.items() if done == action}:
                key = name if name in column or len(column) < MAX_REPORTED else "others"
                column[key] = column.get(key, 0) + 1
    report.save()


def _reported(name: str) -> str:
    """The name under which an attribute is counted."""
    prefix, dot, last = name.rpartition(".")
    found = _PRIVATE.fullmatch(last)
    return f"{prefix}{dot}private ({found.group(1)},xxxx)" if found else name


def delete_leftovers(files: list[StoredFile]) -> None:
    """Delete the contents of files that were stored but then not taken, unless a row needs the same content.

    A duplicate has a content of its own where its header differs from that of the image that is stored already.
    """
    paths = {file.original.path for file in files if file.original}
    paths |= {file.path for file in files if file.outcome.outcome in ("refused", "conflict", "duplicate")}
    for path in paths - still_named(paths):
        delete_content(path)


def by_study(files: Iterable[StoredFile]) -> dict[str, list[StoredFile]]:
    """Files grouped by their study, in the order in which they came."""
    groups: dict[str, list[StoredFile]] = defaultdict(list)
    for file in files:
        groups[file.study_uid].append(file)
    return dict(groups)
