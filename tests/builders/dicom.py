"""Small DICOM files with known properties: a coronal stack laid out in any orientation, classic or enhanced."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

STUDY_UID = "1.2.826.0.1.3680043.8.498.1"
SERIES_UID = "1.2.826.0.1.3680043.8.498.1.1"
MR = UID("1.2.840.10008.5.1.4.1.1.4")
ENHANCED_MR = UID("1.2.840.10008.5.1.4.1.1.4.1")
STIR = {"ScanningSequence": ["SE", "IR"], "RepetitionTime": 3550, "EchoTime": 51, "InversionTime": 145}
T1 = {"ScanningSequence": "SE", "RepetitionTime": 600, "EchoTime": 12}
T2 = {"ScanningSequence": "SE", "RepetitionTime": 4000, "EchoTime": 90}


@dataclass(frozen=True)
class Stack:
    """A coronal stack in the canonical order of `ml.dicom.Volume`, from which files are made.

    `rotation` turns the canonical axes (+y, -z, +x) in LPS space.
    """

    pixels: np.ndarray
    spacing_mm: tuple[float, float, float] = (4.4, 1.5, 1.25)
    origin_mm: tuple[float, float, float] = (-60.0, -20.0, 50.0)
    rotation: np.ndarray | None = None

    @property
    def axes(self) -> np.ndarray:
        """LPS unit vectors of (slice, row, column), as rows."""
        canonical = np.array([[0.0, 1, 0], [0, 0, -1], [1, 0, 0]])
        return canonical if self.rotation is None else canonical @ self.rotation.T

    @property
    def affine(self) -> np.ndarray:
        affine = np.eye(4)
        affine[:3, :3] = (self.axes * np.array(self.spacing_mm)[:, None]).T
        affine[:3, 3] = self.origin_mm
        return affine


def random_stack(shape: tuple[int, int, int] = (6, 12, 16), seed: int = 0, **kwargs: object) -> Stack:
    pixels = np.random.default_rng(seed).integers(0, 4000, shape).astype(np.uint16)
    return Stack(pixels, **kwargs)  # type: ignore[arg-type]


def classic(
    stack: Stack,
    *,
    transpose: bool = False,
    flip_rows: bool = False,
    flip_columns: bool = False,
    series_uid: str = SERIES_UID,
    study_uid: str = STUDY_UID,
    **tags: object,
) -> list[Dataset]:
    """One MR object a slice; rows and columns in the file laid out as asked, the geometry saying so."""
    datasets = []
    for i, plane in enumerate(stack.pixels):
        dataset = _base(MR, f"{series_uid}.{i + 1}", series_uid, study_uid)
        array, position, orientation, spacing = _layout(stack, i, plane, transpose, flip_rows, flip_columns)
        dataset.InstanceNumber = i + 1
        dataset.ImagePositionPatient = position
        dataset.ImageOrientationPatient = orientation
        dataset.PixelSpacing = spacing
        dataset.SliceThickness = "4"
        _set_tags(dataset, {"SeriesDescription": "cor stir", **STIR, **tags})
        set_pixels(dataset, array)
        datasets.append(dataset)
    return datasets


def enhanced(
    stack: Stack, *, order: Sequence[int] | None = None, slopes: Sequence[float] | None = None, **layout: bool
) -> Dataset:
    """The stack as one Enhanced MR object, its frames in `order`, each with its own rescale slope where `slopes` is given."""
    order = range(len(stack.pixels)) if order is None else order
    dataset = _base(ENHANCED_MR, f"{SERIES_UID}.100", SERIES_UID, STUDY_UID)
    dataset.SeriesDescription = "cor stir"
    arrays, groups = [], []
    flags = {k: layout.get(k, False) for k in ("transpose", "flip_rows", "flip_columns")}
    for i in order:
        array, position, orientation, spacing = _layout(stack, i, stack.pixels[i], **flags)
        group = Dataset()
        group.PlanePositionSequence = [_item(ImagePositionPatient=position)]
        slope = 1.0 if slopes is None else slopes[i]
        group.PixelValueTransformationSequence = [_item(RescaleSlope=slope, RescaleIntercept=0, RescaleType="US")]
        groups.append(group)
        arrays.append(array)
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=orientation)]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=spacing, SliceThickness="4")]
    shared.MRTimingAndRelatedParametersSequence = [_item(RepetitionTime=3550, EchoTrainLength=12)]
    shared.MREchoSequence = [_item(EffectiveEchoTime=51.0)]
    shared.MRModifierSequence = [_item(InversionRecovery="YES", InversionTimes=145.0)]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.NumberOfFrames = len(groups)
    set_pixels(dataset, np.stack(arrays))
    return dataset


def set_pixels(dataset: Dataset, array: np.ndarray) -> None:
    """Native 16-bit pixels, signed or unsigned as the array is."""
    dataset.Rows, dataset.Columns = array.shape[-2:]
    dataset.SamplesPerPixel = 1
    if "PhotometricInterpretation" not in dataset:
        dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    dataset.add_new(0x7FE00010, "OW", np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())


def to_bytes(dataset: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """The file; `syntax` is the one that the data set is already in, native or encapsulated."""
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def named(datasets: Iterable[Dataset]) -> list[tuple[str, Dataset]]:
    return [(f"{i}.dcm", dataset) for i, dataset in enumerate(datasets)]


def _base(sop_class: UID, uid: str, series_uid: str, study_uid: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, uid
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series_uid, study_uid
    dataset.Modality = "MR"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    dataset.Manufacturer = "Builder"
    return dataset


def _item(**values: object) -> Dataset:
    item = Dataset()
    _set_tags(item, values)
    return item


def _set_tags(dataset: Dataset, tags: dict[str, object]) -> None:
    """Sets attributes by keyword; None leaves one out."""
    for keyword, value in tags.items():
        if value is not None:
            setattr(dataset, keyword, value)


def _layout(
    stack: Stack, index: int, plane: np.ndarray, transpose: bool, flip_rows: bool, flip_columns: bool
) -> tuple[np.ndarray, list[float], list[float], list[float]]:
    """Pixel array, position, orientation and spacing of a slice whose file has its rows and columns turned."""
    _, down, across = stack.axes
    row_mm, column_mm = stack.spacing_mm[1:]
    origin = np.array(stack.origin_mm) + index * stack.spacing_mm[0] * stack.axes[0]
    array = plane
    if flip_rows:
        origin, down, array = origin + (array.shape[0] - 1) * row_mm * down, -down, array[::-1]
    if flip_columns:
        origin, across, array = origin + (array.shape[1] - 1) * column_mm * across, -across, array[:, ::-1]
    if transpose:
        down, across, row_mm, column_mm, array = across, down, column_mm, row_mm, array.T
    position = [float(f"{v:.8g}") for v in origin]
    orientation = [float(f"{v:.8g}") for v in (*across, *down)]
    return array, position, orientation, [row_mm, column_mm]
