"""DICOM segmentations of hips: `write_seg` makes one over its images, `read_seg` reads one, ours or another program's."""

import io
import logging
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
DUMMY_DATE, DUMMY_TIME = "19000101", "000000"  # what has no date says so with one that nobody takes for real
SIDES = {"24028007": "right", "7771000": "left"}
NEAR_MM = 0.5  # a mask's slice may lie so far from its image's
SAME_GRID = 0.01  # and its steps differ by so much of a step

# Kind and place of each label (domain: SNOMED CT as in PS3.16); (category, type, region, structure).
_CODES = {
    "femur": (codes.SCT.AnatomicalStructure, codes.SCT.Femur, codes.SCT.Hip, None),
    "femoral_head": (codes.SCT.AnatomicalStructure, codes.SCT.HeadOfFemur, codes.SCT.Hip, None),
    "bme": (codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Edema, codes.SCT.Hip, codes.SCT.BoneMarrow),
    "synovitis": (codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Effusion, codes.SCT.HipJoint, None),
}
_BY_CODE = {kind.value: label for label, (_, kind, _, _) in _CODES.items()} | {
    "310651003": "femur",
    "409774005": "synovitis",
    "23583003": "synovitis",
}
_WORDS = {"femur": "Femur", "femoral_head": "Femoral head", "bme": "Bone marrow edema", "synovitis": "Synovitis/effusion"}
COLOURS = {"femur": (0x56, 0xB4, 0xE9), "femoral_head": (0, 0x9E, 0x73), "bme": (0xD5, 0x5E, 0), "synovitis": (0xF0, 0xE4, 0x42)}


@dataclass(frozen=True)
class Outline:
    """One label of one hip, as it is to be written.

    `mask` is bool (slice, row, column) of the Volume, empty where the label was looked for and is not there;
    `algorithm_type` AUTOMATIC, SEMIAUTOMATIC or MANUAL; `algorithm` (name, version) of the network, or of the network that
    a person corrected; None where it was drawn by hand.
    """

    label: str
    side: str
    mask: npt.NDArray[np.bool_]
    tracking_uid: str
    algorithm_type: str
    algorithm: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """As it stands in the file, e.g. `Femoral head, right`."""
        return f"{_WORDS[self.label]}, {self.side}"


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


def write_seg(
    images: Sequence[Dataset],
    volume: Volume,
    outlines: Sequence[Outline],
    *,
    uid: str,
    series_uid: str,
    series_number: int,
    creator: str,
    description: str,
    product: str,
    version: str,
) -> Dataset:
    """One segmentation object over the images of a volume, a segment for each outline.

    Parameters
    ----------
    images : the data sets of the volume's slices in any order, without identity: who they are of is taken over
    outlines : at least one; empty ones are kept as segments without frames
    creator : who drew them, a role or a program, never a name
    product, version : this software

    Raises
    ------
    RefusedFileError
        The volume's slices come from several multi-frame objects.
    """
    import highdicom

    sources, positions = _sources(images, volume)
    planes = [_on_source(outline.mask, volume, positions, sources) for outline in outlines]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of segments without frames
        seg = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=np.stack(planes, axis=-1).astype(np.uint8),  # (frame, row, column, segment)
            segmentation_type="BINARY",
            segment_descriptions=[_describe(outline, number) for number, outline in enumerate(outlines, start=1)],
            series_instance_uid=series_uid,
            series_number=series_number,
            sop_instance_uid=uid,
            instance_number=1,
            manufacturer=product,
            manufacturer_model_name=product,
            software_versions=version,
            device_serial_number=version,
            content_label="HIP_OUTLINES",
            content_description=description[:64],
            content_creator_name=f"{creator}^",
            omit_empty_frames=any(outline.mask.any() for outline in outlines),
        )
    for item, outline in zip(seg.SegmentSequence, outlines, strict=True):
        _set_side(item, outline.side)
        item.RecommendedDisplayCIELabValue = _cielab(COLOURS[outline.label])
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = f"{uid[:62]}.1"  # highdicom makes another each time
    seg.SeriesDescription = description[:64]
    strip_dates(seg, sources[0])
    return seg


def strip_dates(made: Dataset, image: Dataset) -> None:
    """Take the day of making out of a derived object, and carry over what its image says of de-identification."""
    for keyword in ("SeriesDate", "SeriesTime", "InstanceCreationDate", "InstanceCreationTime", "TimezoneOffsetFromUTC"):
        if keyword in made:
            delattr(made, keyword)
    for equipment in made.get("ContributingEquipmentSequence") or []:
        if "ContributionDateTime" in equipment:
            del equipment.ContributionDateTime
    made.ContentDate, made.ContentTime = DUMMY_DATE, DUMMY_TIME
    for keyword in ("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence", "PatientAge"):
        if keyword in image:
            made[keyword] = image[keyword]
    if "PatientIdentityRemoved" in image:
        made.LongitudinalTemporalInformationModified = "REMOVED"


def to_bytes(dataset: Dataset) -> bytes:
    """A data set as a DICOM file."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


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


def _sources(images: Sequence[Dataset], volume: Volume) -> tuple[list[Dataset], list[int]]:
    """The images of a volume in its order, and for each of their frames the slice it is (-1: none)."""
    by_uid = {str(image.SOPInstanceUID): image for image in images}
    wanted = list(dict.fromkeys(volume.uids))
    sources = [_with_reference(by_uid[uid], volume) for uid in wanted]
    if any(source.frame is not None for source in volume.sources):
        if len(sources) > 1:
            raise RefusedFileError("lies in several multi-frame objects; one segmentation can't be made over them")
        positions = [-1] * int(sources[0].NumberOfFrames)
        for index, source in enumerate(volume.sources):
            positions[(source.frame or 1) - 1] = index
        return sources, positions
    return sources, list(range(len(volume.sources)))


def _with_reference(image: Dataset, volume: Volume) -> Dataset:
    """An image that has what a segmentation takes over; scanners that leave it out exist."""
    lacking = [k for k in ("FrameOfReferenceUID", "PatientName", "PatientID", "PatientBirthDate", "PatientSex") if k not in image]
    lacking += [k for k in ("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName") if k not in image]
    if not lacking:
        return image
    whole = Dataset()
    whole.update(image)
    whole.file_meta = image.file_meta
    for keyword in lacking:
        setattr(whole, keyword, f"{image.SeriesInstanceUID}.1"[:64] if keyword == "FrameOfReferenceUID" else "")
    return whole


def _on_source(
    mask: npt.NDArray[np.bool_], volume: Volume, positions: Sequence[int], sources: Sequence[Dataset]
) -> npt.NDArray[np.bool_]:
    """A mask of the volume as it lies on the source frames, (frame, row, column)."""
    shape = int(sources[0].Rows), int(sources[0].Columns)
    planes = np.zeros((len(positions), *shape), bool)
    for at, index in enumerate(positions):
        if index >= 0:
            planes[at] = volume.sources[index].to_source(mask[index])
    return planes


def _describe(outline: Outline, number: int) -> Any:
    import highdicom

    category, kind, region, structure = _CODES[outline.label]
    algorithm = None
    if outline.algorithm is not None and outline.algorithm_type != "MANUAL":
        name, version = outline.algorithm
        algorithm = highdicom.AlgorithmIdentificationSequence(
            name=name, family=codes.DCM.ArtificialIntelligence, version=version, source="hipapp"
        )
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=outline.name,
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type=outline.algorithm_type,
        algorithm_identification=algorithm,
        tracking_uid=outline.tracking_uid,
        tracking_id=outline.name,
        anatomic_regions=[region],
        primary_anatomic_structures=[structure] if structure else None,
    )


def _set_side(item: Dataset, side: str) -> None:
    code = codes.SCT.Right if side == "right" else codes.SCT.Left
    for sequence, keyword in (
        (item.SegmentedPropertyTypeCodeSequence, "SegmentedPropertyTypeModifierCodeSequence"),
        (item.AnatomicRegionSequence, "AnatomicRegionModifierSequence"),
    ):
        modifier = Dataset()
        modifier.CodeValue, modifier.CodingSchemeDesignator, modifier.CodeMeaning = code.value, "SCT", code.meaning
        setattr(sequence[0], keyword, [modifier])


def _cielab(colour: tuple[int, int, int]) -> list[int]:
    """A display colour as DICOM stores it (PS3.3 C.10.7.1.1): CIELab scaled to 16 bits."""
    import highdicom

    return [int(v) for v in highdicom.color.CIELabColor.from_rgb(*colour).value]


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape)
