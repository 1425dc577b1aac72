"""DICOM images with DICOM segmentations over them: which belongs to which, and whether it lies on it."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ml.datasets.annotated import Annotated, LeftOutError, Plane, Remark
from ml.datasets.format import DataSetError
from ml.datasets.table import Row, fit_name
from ml.dicom.archive import Item, walk
from ml.dicom.assemble import build_volume
from ml.dicom.errors import RefusedFileError, UnscorableError
from ml.dicom.header import Frame, frames_of
from ml.dicom.parse import parse
from ml.dicom.pixels import Loaded
from ml.dicom.seg import Seg, is_seg, read_seg
from ml.dicom.sequence import describe_sequence
from ml.dicom.series import PLANE_TOLERANCE_DEG, Series, stack
from ml.labels import LABELS


@dataclass
class _Pool:
    """What a folder held: image frames, segmentations, and of whom and where each study is."""

    frames: list[Frame] = field(default_factory=list)
    segs: list[tuple[str, Seg]] = field(default_factory=list)
    patients: dict[str, tuple[str, bool]] = field(default_factory=dict)  # study → (Patient ID, is it a pseudonym)
    places: dict[str, str] = field(default_factory=dict)  # SOP Instance UID → Frame of Reference UID
    refused: list[Remark] = field(default_factory=list)


def read_rows(rows: list[Row], any_sequence: bool) -> Iterator[Annotated | Remark]:
    """The images of each row's folder, file or archive that have outlines."""
    for row in rows:
        name = f"{row.file.name} ({row.patient} {row.visit})"
        try:
            pool = _read_pool(row.file)
        except FileNotFoundError:
            yield Remark("left out", name, "is not there")
            continue
        yield from _annotated(pool, any_sequence, {study: (row.patient, row.visit) for study in pool.patients})


def read_folder(folder: Path, any_sequence: bool) -> Iterator[Annotated | Remark]:
    """All images of a folder that have outlines.

    A Patient ID is taken as the pseudonym where the file says that its identity was removed; else patients are numbered,
    so that no record number gets into a file's name. The studies of a patient are the visits V1, V2, … in the order of their
    UIDs' first appearance.

    Raises
    ------
    DataSetError
        There is no segmentation in the folder.
    """
    pool = _read_pool(folder)
    if not pool.segs:
        raise DataSetError(f"there is no DICOM segmentation in {folder}")
    return _annotated(pool, any_sequence, _names(pool))


def _read_pool(path: Path) -> _Pool:
    pool = _Pool()
    for item in walk(path):
        if not isinstance(item, Item):
            pool.refused.append(Remark("left out", *item))
            continue
        try:
            _add(pool, item)
        except RefusedFileError as refusal:
            pool.refused.append(Remark("left out", item.name, str(refusal)))
        except OSError as error:
            pool.refused.append(Remark("left out", item.name, f"can't be read ({error.strerror or type(error).__name__})"))
    return pool


def _add(pool: _Pool, item: Item) -> None:
    dataset = parse(item.read())
    if is_seg(dataset):
        pool.segs.append((item.name, read_seg(dataset)))
        return
    frames = frames_of(item.name, dataset, Loaded(lambda: parse(item.read())))
    pool.frames += frames
    is_removed = str(dataset.get("PatientIdentityRemoved", "")).upper() == "YES"
    pool.patients.setdefault(frames[0].study_uid, (str(dataset.get("PatientID", "")), is_removed))
    pool.places[frames[0].uid] = str(dataset.get("FrameOfReferenceUID", ""))


def _names(pool: _Pool) -> dict[str, tuple[str, str]]:
    """(patient, visit) of each study."""
    numbers = {key: n for n, key in enumerate(dict.fromkeys(pool.patients.values()), start=1)}
    visits: dict[str, int] = defaultdict(int)
    named = {}
    for study, (patient_id, is_removed) in pool.patients.items():
        patient = fit_name(patient_id) if is_removed and patient_id else f"P{numbers[patient_id, is_removed]:04d}"
        visits[patient] += 1
        named[study] = (patient, f"V{visits[patient]}")
    return named


def _annotated(pool: _Pool, any_sequence: bool, names: dict[str, tuple[str, str]]) -> Iterator[Annotated | Remark]:
    yield from pool.refused
    by_stack: dict[int, list[tuple[str, Seg]]] = defaultdict(list)
    stacks = stack(pool.frames)
    for name, seg in pool.segs:
        at = _stack_of(seg, stacks, pool)
        if at is None:
            yield Remark("left out", name, "is a segmentation of images that are not here")
        else:
            by_stack[at].append((name, seg))
    for at, found in enumerate(stacks):
        patient, visit = names[found.frames[0].study_uid]
        label = f"“{found.description[:64]}” " if found.description else ""
        name = f"{label}({patient} {visit})"
        if at not in by_stack:
            if any(key in by_stack for key in range(len(stacks))):
                continue  # other series of an annotated study need no word
            yield Remark("left out", name, "has no segmentation")
            continue
        try:
            yield _read(found, by_stack[at], pool, (name, patient, visit), any_sequence)
        except LeftOutError as error:
            yield Remark("left out", name, str(error))


def _stack_of(seg: Seg, stacks: list[Series], pool: _Pool) -> int | None:
    """The stack that a segmentation names; else the one stack in its frame of reference."""
    shared: list[int] = [len(seg.source_uids & {frame.uid for frame in one.frames}) for one in stacks]
    most = max(shared, default=0)
    if most:
        return shared.index(most)
    if seg.source_uids:
        return None
    places = [{pool.places[frame.uid] for frame in one.frames} for one in stacks]
    same = [at for at, found in enumerate(places) if seg.frame_of_reference_uid in found - {""}]
    coronal = [at for at in same if stacks[at].plane == "coronal"]
    return (coronal or same)[0] if len(coronal or same) == 1 else None


def _read(found: Series, segs: list[tuple[str, Seg]], pool: _Pool, names: tuple[str, str, str], any_sequence: bool) -> Annotated:
    name, patient, visit = names
    if found.plane != "coronal":
        raise LeftOutError(f"is {found.plane}, not coronal (within {PLANE_TOLERANCE_DEG:.0f}°)")
    sequence = describe_sequence(found.frames[0])
    remarks = []
    if sequence.problem:
        if not any_sequence:
            raise LeftOutError(f"is no fluid-sensitive, fat-suppressed sequence: {sequence.problem} (--any-sequence keeps it)")
        remarks.append(Remark("marked", name, f"was kept although {sequence.problem}"))
    try:
        volume, warnings = build_volume(found)
    except UnscorableError as error:
        raise LeftOutError(f"can't be read as one stack: {error.message}") from error
    remarks += [Remark("marked", name, warning) for warning in warnings]
    masks: dict[str, dict[str, Plane]] = {}
    for file, seg in segs:
        try:
            remarks += _add_seg(masks, file, seg, volume, {pool.places[frame.uid] for frame in found.frames})
        except RefusedFileError as refusal:
            remarks.append(Remark("left out", file, f"does not lie on its image: it {refusal}"))
    if not masks:
        reasons = "; ".join(f"{one.what} {one.why}" for one in remarks if one.kind == "left out")
        raise LeftOutError(f"has no outline that can be used: {reasons}")
    uids = frozenset(frame.uid for frame in found.frames)
    return Annotated(name, patient, visit, volume, masks, "dicom", uids, sequence.words, tuple(remarks))


def _add_seg(masks: dict[str, dict[str, Plane]], file: str, seg: Seg, volume, places: set[str]) -> list[Remark]:  # type: ignore[no-untyped-def]
    """Add the labels of a segmentation to the masks; what is not known or comes twice is left out and said."""
    known = places - {""}
    if known and seg.frame_of_reference_uid and seg.frame_of_reference_uid not in known:
        raise RefusedFileError("lies in another frame of reference")
    remarks = []
    planes = [(segment, seg.mask_of(segment, volume)) for segment in seg.segments if segment.label]
    remarks += [
        Remark("left out", f"{file}, segment “{segment.name[:64]}”", f"is none of the labels {', '.join(LABELS)}")
        for segment in seg.segments
        if not segment.label
    ]
    for segment, plane in planes:
        own = masks.setdefault(segment.side, {})
        if segment.label in own:
            why = "is outlined a second time; the first was taken: leave one of them in the folder"
            remarks.append(Remark("left out", f"{file}, segment “{segment.name[:64]}”", why))
        else:
            own[segment.label] = plane
    return remarks
