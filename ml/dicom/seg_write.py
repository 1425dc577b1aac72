"""DICOM segmentations of hips, made over their images; `ml.dicom.seg` reads them."""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.sr.codedict import codes

from ml.dicom.errors import RefusedFileError
from ml.dicom.seg import CODES
from ml.dicom.volume import Volume

DUMMY_DATE, DUMMY_TIME = "19000101", "000000"  # what has no date says so with one that nobody takes for real
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

    category, kind, region, structure = CODES[outline.label]
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
