"""From a data set to `Frame`s: geometry and sequence of each image in it, checked, with nothing of the person."""

import json
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.tag import BaseTag, Tag

from ml.dicom import limits
from ml.dicom.errors import RefusedFileError, UnplacedFileError
from ml.dicom.look import Look
from ml.dicom.parse import parse as parse
from ml.dicom.pixels import PixelSource
from ml.dicom.syntaxes import DECODERS, is_compressed, name_of

MR_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.4": "MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.4.1": "Enhanced MR Image Storage",
    "1.2.840.10008.5.1.4.1.1.4.4": "Legacy Converted Enhanced MR Image Storage",
}
DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
_PIXELS = 0x7FE00010
_MODALITY_WORDS = (
    "ANN AR AU BDUS BI BMD CR CT CTPROTOCOL DG DOC DX ECG EEG EMG EPS ES FID GM HC HD IO IVOCT IVUS KO LEN LP LS MG MR "
    "M3D NM OAM OCT OP OPM OPT OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD "
    "RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XC"
)
_MOSAICS = {"MOSAIC", "VFRAME"}  # Image Type, value 3 or later: Siemens; United Imaging
_MODALITIES = frozenset(_MODALITY_WORDS.split())

# Macros of the enhanced object whose attributes are looked up as if they lay on the top level (PS3.3 C.8.13.5,
# C.7.6.16.2).
_MACROS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "FrameContentSequence",
    "MRImageFrameTypeSequence",
    "MRTimingAndRelatedParametersSequence",
    "MREchoSequence",
    "MRModifierSequence",
    "MRDiffusionSequence",
    "MRFOVGeometrySequence",
    "TemporalPositionSequence",
    "ContrastBolusUsageSequence",
)

SEQUENCE_KEYWORDS = (
    "ImageType",
    "FrameType",
    "ComplexImageComponent",
    "AcquisitionContrast",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "SequenceName",
    "PulseSequenceName",
    "EchoPulseSequence",
    "InversionRecovery",
    "SpectrallySelectedSuppression",
    "SpectrallySelectedExcitation",
    "SeriesDescription",
    "ProtocolName",
    "ContrastBolusAgent",
    "ContrastBolusAgentAdministered",
    "Manufacturer",
    "ManufacturerModelName",
    "MRAcquisitionType",
    "BodyPartExamined",
    "PatientPosition",
    "AcquisitionMatrix",
)
SEQUENCE_NUMBERS = (
    "RepetitionTime",
    "EchoTime",
    "EffectiveEchoTime",
    "InversionTime",
    "InversionTimes",
    "FlipAngle",
    "EchoTrainLength",
    "MagneticFieldStrength",
    "SliceThickness",
    "SpacingBetweenSlices",
    "DiffusionBValue",
    "MRAcquisitionFrequencyEncodingSteps",
    "MRAcquisitionPhaseEncodingStepsInPlane",
)
ORDER_NUMBERS = (
    "InstanceNumber",
    "EchoNumbers",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "AcquisitionNumber",
    "SeriesNumber",
    "TriggerTime",
)


@dataclass(frozen=True)
class Frame:
    """One image: a classic object or one frame of a multi-frame object.

    `row_direction` is the LPS direction in which the column index grows, `column_direction` that of the row index;
    `pixel_spacing_mm` is (between rows, between columns), as in the file.
    """

    name: str
    uid: str
    series_uid: str
    study_uid: str
    number: int | None  # 1-based frame number of a multi-frame object
    rows: int
    columns: int
    position_mm: tuple[float, float, float]
    row_direction: tuple[float, float, float]
    column_direction: tuple[float, float, float]
    pixel_spacing_mm: tuple[float, float]
    source: PixelSource
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    look: Look | None = None  # where somebody has looked at the pixels already

    @property
    def normal(self) -> np.ndarray:
        """LPS unit vector across the slice."""
        (a, b, c), (d, e, f) = self.row_direction, self.column_direction
        return np.array([b * f - c * e, c * d - a * f, a * e - b * d])  # np.cross takes ten times as long, for each of thousands


def frame_values(frame: Frame) -> dict[str, object]:
    """A frame without name and source, for JSON."""
    values = {key: value for key, value in frame.__dict__.items() if key not in ("name", "source")}
    if frame.look is not None:
        values["look"] = {**frame.look.__dict__, "sample": frame.look.sample.tolist()}
    return values


def frame_from(values: dict[str, Any], name: str, source: PixelSource) -> Frame:
    """The frame that `frame_values` gave, with the name and source that it has here."""
    vectors = ("position_mm", "row_direction", "column_direction", "pixel_spacing_mm")
    words = _words(json.dumps(values["words"]))
    changed: dict[str, Any] = {key: tuple(values[key]) for key in vectors}
    if values["look"] is not None:
        changed["look"] = Look(**{**values["look"], "sample": np.array(values["look"]["sample"], np.float32)})
    return Frame(**{**values, **changed, "words": words}, name=name, source=source)


@lru_cache(maxsize=256)
def _words(text: str) -> dict[str, tuple[str, ...]]:
    """The words of a frame: one object for all the images of a series, which have the same ones."""
    return {keyword: tuple(found) for keyword, found in json.loads(text).items()}


def frames_of(name: str, dataset: Dataset, source: PixelSource) -> list[Frame]:
    """The images of one data set.

    Parameters
    ----------
    name : str
        The file's name, for messages.
    source : PixelSource
        Gives the pixels when they are needed.

    Raises
    ------
    RefusedFileError
        Not an MR image, no pixels, no geometry, sizes beyond the bounds or that don't agree with the pixel data.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check(dataset)
            shared = [_merged(group) for group in (dataset.get("SharedFunctionalGroupsSequence") or [])[:1]]
            return [_frame(name, dataset, shared, number, source) for number in _frame_numbers(dataset)]
    except (RefusedFileError, MemoryError):
        raise
    except Exception as error:
        raise RefusedFileError(f"has a damaged header ({type(error).__name__})") from error


def check_image(dataset: Dataset) -> None:
    """What `frames_of` asks of a data set as a whole: an MR image with sound sizes, pixels and UIDs; raises as it does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check(dataset)
    except (RefusedFileError, MemoryError):
        raise
    except Exception as error:
        raise RefusedFileError(f"has a damaged header ({type(error).__name__})") from error


def _check(dataset: Dataset) -> None:
    _check_class(dataset)
    _check_pixels(dataset)
    _uids(dataset)
    if _MOSAICS & set(texts([dataset], "ImageType")):
        raise RefusedFileError(
            "is a mosaic: one picture tiled of many slices, which do not say where they lie; "
            "have the scanner send the slices as images of their own"
        )


def texts(places: Iterable[Dataset], keyword: str) -> tuple[str, ...]:
    """The first non-empty value of an attribute in `places` as stripped texts; () where there is none that can be read."""
    tag = _tag(keyword)
    for place in places:
        if tag not in place.keys():  # noqa: SIM118 - Dataset makes a new Tag for each question to itself
            continue
        try:
            value = place[tag].value
        except Exception:  # noqa: BLE001 - an unreadable value counts as a missing one
            continue
        if value is None or value == "" or (hasattr(value, "__len__") and len(value) == 0):
            continue
        many = value if not isinstance(value, str) and hasattr(value, "__iter__") else (value,)
        return tuple(str(v).strip() for v in many)
    return ()


def numbers(places: Iterable[Dataset], keyword: str) -> tuple[float, ...]:
    """As `texts`, as finite numbers; () where one of them is none."""
    try:
        found = tuple(float(v) for v in texts(places, keyword))
    except ValueError:
        return ()
    return found if all(math.isfinite(v) for v in found) else ()


@cache
def _tag(keyword: str) -> BaseTag:
    """Looking up by tag is several times as fast as by keyword, and a study has some 100,000 look-ups."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no DICOM keyword")
    return Tag(tag)


def _check_class(dataset: Dataset) -> None:
    meta = getattr(dataset, "file_meta", None)
    sop_class = next(iter(texts([dataset], "SOPClassUID") or texts([meta or Dataset()], "MediaStorageSOPClassUID")), "")
    if sop_class == DICOMDIR_CLASS:
        raise RefusedFileError("is the index of a disc (DICOMDIR), not an image")
    modality = next(iter(texts([dataset], "Modality")), "")
    # Only words of the standard are quoted: whatever else stands there may be a name.
    told = modality if modality in _MODALITIES else "unknown" if modality else "missing"
    kind = name_of(sop_class) if sop_class else "no SOP class"
    if sop_class not in MR_CLASSES or modality not in ("MR", ""):
        raise RefusedFileError(f"is no MR image (modality {told}, {kind})")


def _whole(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    found = numbers([dataset], keyword)
    if not found and default is not None:
        return default
    if len(found) != 1 or found[0] != int(found[0]) or found[0] < 1:
        raise RefusedFileError(f"has no usable {keyword}")
    return int(found[0])


def _check_pixels(dataset: Dataset) -> None:
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax not in DECODERS:
        raise RefusedFileError(f"has pixels in {name_of(syntax)}, which can't be read")
    rows, columns = _whole(dataset, "Rows", 0), _whole(dataset, "Columns", 0)
    if _PIXELS not in dataset or not rows or not columns:
        raise RefusedFileError("is an MR object without pixel data")
    n_frames = _whole(dataset, "NumberOfFrames", 1)
    if rows > limits.MAX_ROWS or columns > limits.MAX_COLUMNS or n_frames > limits.MAX_FRAMES:
        raise RefusedFileError(
            f"declares {n_frames} frames of {rows} × {columns}; at most {limits.MAX_FRAMES} of "
            f"{limits.MAX_ROWS} × {limits.MAX_COLUMNS} are read"
        )
    if _whole(dataset, "SamplesPerPixel", 1) != 1:
        raise RefusedFileError("is a colour image (a screen capture?), not MR intensities")
    bits = _whole(dataset, "BitsAllocated")
    stored = _whole(dataset, "BitsStored", bits)
    if bits not in (8, 16, 32) or stored > bits:
        raise RefusedFileError(f"has {stored} bits stored in {bits} allocated, which can't be read")
    _check_length(dataset, rows * columns * n_frames * bits // 8, n_frames)


def _check_length(dataset: Dataset, expected_bytes: int, n_frames: int) -> None:
    value = dataset.get_item(_PIXELS).value  # raw, not decoded
    actual = len(value) if value is not None else 0
    if is_compressed(str(dataset.file_meta.TransferSyntaxUID)):
        if actual < 8 * (n_frames + 1):  # an offset table and one fragment a frame have 8 bytes of header each
            raise RefusedFileError(f"has pixel data too short for its {n_frames} frames: the file is cut off or damaged")
    elif actual < expected_bytes:
        raise RefusedFileError(f"has {actual} bytes of pixels where {expected_bytes} are declared: it is cut off or damaged")


def _frame_numbers(dataset: Dataset) -> list[int | None]:
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    n_frames = _whole(dataset, "NumberOfFrames", 1)
    if groups is None:
        if n_frames > 1:
            raise UnplacedFileError("has several frames but says for none of them where it lies")
        return [None]
    if len(groups) != n_frames:
        raise RefusedFileError(f"declares {n_frames} frames but describes {len(groups)}")
    return list(range(1, n_frames + 1))


def _merged(group: Dataset) -> Dataset:
    """The attributes of a functional group's macros, side by side."""
    merged = Dataset()
    for macro in _MACROS:
        for item in (group.get(macro) or [])[:1]:
            merged.update(item)
    return merged


def _unit(vector: tuple[float, ...]) -> tuple[float, float, float]:
    x, y, z = vector
    length = math.sqrt(x * x + y * y + z * z)
    if not 0.9 < length < 1.1:
        raise RefusedFileError("has an Image Orientation that is no pair of unit vectors")
    return x / length, y / length, z / length


def _uids(dataset: Dataset) -> list[str]:
    uids = []
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        uid = next(iter(texts([dataset], keyword)), "")
        if not uid or len(uid) > 64:
            raise RefusedFileError(f"has no valid {keyword}")
        uids.append(uid)
    return uids


def _frame(name: str, dataset: Dataset, shared: list[Dataset], number: int | None, source: PixelSource) -> Frame:
    own = [] if number is None else [_merged(dataset.PerFrameFunctionalGroupsSequence[number - 1])]
    places = [*own, *shared, dataset]  # of an enhanced object the frame's own word goes first
    position = numbers(places, "ImagePositionPatient")
    orientation = numbers(places, "ImageOrientationPatient")
    spacing = numbers(places, "PixelSpacing")
    if len(position) != 3 or len(orientation) != 6:
        raise UnplacedFileError("does not say where in the body it lies (Image Position or Orientation is missing)")
    if len(spacing) != 2 or not all(0.01 < s < 100 for s in spacing):
        raise RefusedFileError("has no usable Pixel Spacing")
    along_row, along_column = _unit(orientation[:3]), _unit(orientation[3:])
    if abs(float(np.dot(along_row, along_column))) > 0.02:
        raise RefusedFileError("has an Image Orientation whose axes are not at right angles")
    uid, series_uid, study_uid = _uids(dataset)
    ordering = {k: numbers(places, k) for k in ORDER_NUMBERS}
    described = {k: numbers(places, k) for k in SEQUENCE_NUMBERS}
    return Frame(
        name=name,
        uid=uid,
        series_uid=series_uid,
        study_uid=study_uid,
        number=number,
        rows=_whole(dataset, "Rows"),
        columns=_whole(dataset, "Columns"),
        position_mm=(position[0], position[1], position[2]),
        row_direction=along_row,
        column_direction=along_column,
        pixel_spacing_mm=(spacing[0], spacing[1]),
        source=source,
        words={k: found for k in SEQUENCE_KEYWORDS if (found := texts(places, k))},
        numbers={k: found[0] for k, found in {**ordering, **described}.items() if found},
    )
