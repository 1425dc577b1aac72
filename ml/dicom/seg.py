"""DICOM segmentations of hips, ours or another program's, as they are read; `ml.dicom.seg_write` makes them."""

import logging
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.sr.codedict import codes

from ml.dicom.assemble import layout_of
from ml.dicom.errors import RefusedFileError
from ml.dicom.header import Frame
from ml.dicom.parse import parse
from ml.dicom.pixels import Loaded
from ml.dicom.volume import Volume
from ml.labels import find_label

logging.getLogger("highdicom").setLevel(logging.WARNING)  # it tells of every module that it copies

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
SIDES = {"24028007": "right", "7771000": "left"}
NEAR_MM = 0.5  # a mask's slice may lie so far from its image's
SAME_GRID = 0.01  # and its steps differ by so much of a step

# Kind and place of each label (domain: SNOMED CT as in PS3.16); (category, type, region, structure).
CODES = {
    "femur": (codes.SCT.AnatomicalStructure, codes.SCT.Femur, codes.SCT.Hip, None),
    "femoral_head": (codes.SCT.AnatomicalStructure, codes.SCT.HeadOfFemur, codes.SCT.Hip, None),
    "bme": (codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Edema, codes.SCT.Hip, codes.SCT.BoneMarrow),
    "synovitis": (codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Effusion, codes.SCT.HipJoint, None),
}
_BY_CODE = {kind.value: label for label, (_, kind, _, _) in CODES.items()} | {
    "310651003": "femur",
    "409774005": "synovitis",
    "23583003": "synovitis",
}


@dataclass(frozen=True)
class Segment:
    """One segment as read: `label` and `side` empty where they are not named or not known; `name` as in the file."""

    number: int
    name: str
    label: str
    side: str
    tracking_uid: str
    algorithm_type: str


@dataclass(frozen=True)
class SegFrame:
    """One stored frame: the segment it belongs to, its place, and the image it was drawn on ("" where not said)."""

    segment: int
    place: Frame
    source_uid: str
    mask: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Seg:
    """A segmentation object as read."""

    uid: str
    study_uid: str
    frame_of_reference_uid: str
    source_uids: frozenset[str]
    segments: tuple[Segment, ...]
    frames: tuple[SegFrame, ...]

    @cached_property
    def by_segment(self) -> dict[int, list[SegFrame]]:
        """Frames by segment number."""
        found: dict[int, list[SegFrame]] = {segment.number: [] for segment in self.segments}
        for frame in self.frames:
            found[frame.segment].append(frame)
        return found

    def mask_of(self, segment: Segment, volume: Volume) -> npt.NDArray[np.bool_]:
        """The segment on the grid of a volume, bool (slice, row, column).

        Raises
        ------
        RefusedFileError
            A frame of it does not lie on a slice of the volume.
        """
        mask = np.zeros(volume.pixels.shape, bool)
        for frame in self.by_segment[segment.number]:
            index, plane = lay(frame.place, frame.mask, volume)
            mask[index] |= plane
        return mask


def lay(place: Frame, plane: npt.NDArray[np.bool_], volume: Volume) -> tuple[int, npt.NDArray[np.bool_]]:
    """The slice of a volume that an image lies on, and the image turned as that slice is.

    Raises
    ------
    RefusedFileError
        It lies on none: tilted, of another size or spacing, or beside the slices.
    """
    layout = layout_of(place)
    turned = layout.source.from_source(plane)
    steps = np.stack([layout.row_step_mm, layout.column_step_mm], axis=1)
    step_mm = np.linalg.norm(volume.affine[:3, 1:3], axis=0)
    if turned.shape != volume.pixels.shape[1:]:
        raise RefusedFileError(f"has slices of {_size(turned.shape)}, its image has {_size(volume.pixels.shape[1:])}")
    if (np.linalg.norm(steps - volume.affine[:3, 1:3], axis=0) > SAME_GRID * step_mm).any():
        raise RefusedFileError("has pixels of another size or direction than its image")
    origins = volume.to_lps([(k, 0, 0) for k in range(len(volume.pixels))])
    away_mm = np.linalg.norm(origins - layout.origin_mm, axis=1)
    index = int(away_mm.argmin())
    if away_mm[index] > NEAR_MM:
        raise RefusedFileError(f"lies {away_mm[index]:.1f} mm from the nearest slice of its image")
    return index, turned


def is_seg(dataset: Dataset) -> bool:
    """Whether a data set is a segmentation."""
    return str(dataset.get("SOPClassUID", "")) == SEGMENTATION


def read_seg(dataset: Dataset) -> Seg:
    """The segments and frames of a segmentation object; fractional ones are cut at a half.

    Raises
    ------
    RefusedFileError
        It is none, it is damaged, or its frames do not say where they lie.
    """
    import highdicom

    if not is_seg(dataset):
        raise RefusedFileError("is no segmentation")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seg = highdicom.seg.Segmentation.from_dataset(dataset, copy=True)
            return _read(seg)
    except RefusedFileError:
        raise
    except Exception as error:  # highdicom raises almost anything on malformed input
        raise RefusedFileError(f"is a segmentation that can't be read ({type(error).__name__})") from error


def from_bytes(data: bytes) -> Seg:
    """`read_seg` of a file's bytes."""
    return read_seg(parse(data))


def _read(seg: Dataset) -> Seg:
    segments = tuple(_segment(item) for item in seg.SegmentSequence)
    numbers = {segment.number for segment in segments}
    planes = _planes(seg)
    shared = (seg.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    frames, sources = [], set()
    for number, group in enumerate(seg.get("PerFrameFunctionalGroupsSequence") or [], start=1):
        places = [group, shared]
        which = _macro(places, "SegmentIdentificationSequence").get("ReferencedSegmentNumber")
        if which not in numbers:
            raise RefusedFileError(f"has a frame {number} of no segment")
        source = _source_uid(places)
        sources.add(source)
        frames.append(SegFrame(int(which), _place(seg, places, number), source, planes[number - 1]))
    sources |= {
        str(item.ReferencedSOPInstanceUID)
        for series in seg.get("ReferencedSeriesSequence") or []
        for item in series.get("ReferencedInstanceSequence") or []
    }
    return Seg(
        uid=str(seg.SOPInstanceUID),
        study_uid=str(seg.StudyInstanceUID),
        frame_of_reference_uid=str(seg.get("FrameOfReferenceUID", "")),
        source_uids=frozenset(sources - {""}),
        segments=segments,
        frames=tuple(frames),
    )


def _planes(seg: Dataset) -> npt.NDArray[np.bool_]:
    kind = str(seg.get("SegmentationType", ""))
    if kind not in ("BINARY", "FRACTIONAL"):
        raise RefusedFileError("is a segmentation that is neither binary nor fractional")
    values = np.asarray(seg.pixel_array)
    values = values.reshape(-1, seg.Rows, seg.Columns)
    if kind == "FRACTIONAL":
        return np.asarray(values > float(seg.MaximumFractionalValue) / 2)
    return np.asarray(values > 0)


def _segment(item: Dataset) -> Segment:
    name = str(item.get("SegmentLabel", ""))
    found = find_label(name)
    kinds = item.get("SegmentedPropertyTypeCodeSequence") or [Dataset()]
    label = found[0] if found else _BY_CODE.get(str(kinds[0].get("CodeValue", "")), "")
    side = (found[1] if found else "") or _side_of(item, kinds[0])
    return Segment(
        number=int(item.SegmentNumber),
        name=name,
        label=label,
        side=side,
        tracking_uid=str(item.get("TrackingUID", "")),
        algorithm_type=str(item.get("SegmentAlgorithmType", "")),
    )


def _side_of(item: Dataset, kind: Dataset) -> str:
    regions = item.get("AnatomicRegionSequence") or [Dataset()]
    modifiers = [
        *(kind.get("SegmentedPropertyTypeModifierCodeSequence") or []),
        *(regions[0].get("AnatomicRegionModifierSequence") or []),
    ]
    sides = {SIDES[str(code.get("CodeValue"))] for code in modifiers if str(code.get("CodeValue")) in SIDES}
    return "".join(sides) if len(sides) == 1 else ""


def _macro(places: Iterable[Dataset], keyword: str) -> Dataset:
    for place in places:
        for item in place.get(keyword) or []:
            return Dataset(item)
    return Dataset()


def _source_uid(places: Sequence[Dataset]) -> str:
    for place in places:
        for derivation in place.get("DerivationImageSequence") or []:
            for source in derivation.get("SourceImageSequence") or []:
                return str(source.ReferencedSOPInstanceUID)
    return ""


def _place(seg: Dataset, places: Sequence[Dataset], number: int) -> Frame:
    position = _macro(places, "PlanePositionSequence").get("ImagePositionPatient")
    orientation = _macro(places, "PlaneOrientationSequence").get("ImageOrientationPatient")
    spacing = _macro(places, "PixelMeasuresSequence").get("PixelSpacing")
    if position is None or orientation is None or spacing is None:
        raise RefusedFileError("does not say where its frames lie")
    x = [float(v) for v in (*position, *orientation, *spacing)]
    return Frame(
        name="segmentation",
        uid=str(seg.SOPInstanceUID),
        series_uid=str(seg.SeriesInstanceUID),
        study_uid=str(seg.StudyInstanceUID),
        number=number,
        rows=int(seg.Rows),
        columns=int(seg.Columns),
        position_mm=(x[0], x[1], x[2]),
        row_direction=(x[3], x[4], x[5]),
        column_direction=(x[6], x[7], x[8]),
        pixel_spacing_mm=(x[9], x[10]),
        source=Loaded(lambda: seg),
    )


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape)
