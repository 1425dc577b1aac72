"""NIfTI images with masks: one file a label, or one file with several labels and a table of what they mean."""

import json
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError

from ml.datasets.annotated import Annotated, LeftOutError, Plane, Remark
from ml.datasets.format import DataSetError
from ml.datasets.table import LabelMap, Row, fit_name
from ml.dicom import limits
from ml.dicom.header import SEQUENCE_KEYWORDS, SEQUENCE_NUMBERS
from ml.dicom.sequence import describe_sequence
from ml.dicom.series import DIRECTIONS, PLANE_TOLERANCE_DEG
from ml.dicom.volume import SourceSlice, Volume
from ml.labels import BITS, find_label

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAME_PLACE = 0.1  # of the smallest step: so far a mask's corner may lie from its image's
SHEARED = 0.02  # cosine between rows and columns
ACQUIRED = 1.5  # the slice spacing of another plane is at least so many times larger
HOUNSFIELD = -200.0  # intensities below are no MR
Key = tuple[str, str]
IMAGE, MULTI = ("", ""), ("*", "")
IMAGE_NAMES = ("image", "img", "t2", "stir")
MULTI_NAMES = ("labels", "label", "seg", "segmentation")
_SECONDS = ("RepetitionTime", "EchoTime", "InversionTime")  # as BIDS has them; DICOM has ms


@dataclass(frozen=True)
class _Evidence:
    """Words and numbers of an acquisition, by DICOM keyword."""

    words: dict[str, tuple[str, ...]]
    numbers: dict[str, float]


@dataclass(frozen=True)
class _Grid:
    """An array laid in the order of a coronal Volume, with its affine (index → LPS mm)."""

    values: npt.NDArray
    affine: npt.NDArray[np.float64]


def rows_of(folder: Path) -> list[Row]:
    """Images and masks of a folder by their names.

    `PATIENT_VISIT.nii.gz` (or `PATIENT_VISIT_image.nii.gz`) is an image, `PATIENT_VISIT_bme.nii.gz`,
    `PATIENT_VISIT_femoral_head_right.nii.gz` are masks of it, `PATIENT_VISIT_labels.nii.gz` a multi-label one; a name without
    a visit is visit V1. In folders `PATIENT/VISIT/` the files are called `image.nii.gz`, `bme.nii.gz` and so on.

    Raises
    ------
    DataSetError
        There is no NIfTI file, a name has more parts than patient and visit, or two images have the same.
    """
    images: dict[Key, Path] = {}
    masks: dict[Key, dict[tuple[str, str], Path]] = {}
    multis: dict[Key, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.name.endswith((".nii", ".nii.gz"))):
        key, label = _parts(folder, path)
        if label == MULTI:
            multis[key] = path
        elif label != IMAGE:
            masks.setdefault(key, {})[label] = path
        elif key in images:
            raise DataSetError(f"{path} and {images[key]} are both the image of {' '.join(key)}; name them in a --table")
        else:
            images[key] = path
    keys = sorted({*images, *masks, *multis})
    if not keys:
        raise DataSetError(f"there are no NIfTI files in {folder}")
    return [
        Row(images.get(key, folder / "_".join(key)), *key, "", masks.get(key, {}), multis.get(key), sequence="", line=0)
        for key in keys
    ]


def _parts(folder: Path, path: Path) -> tuple[Key, tuple[str, str]]:
    """(patient, visit) of a file's name, and the (label, side) that it is a mask of: ("", "") for an image."""
    parts = [*path.relative_to(folder).parent.parts, *path.name.split(".nii")[0].split("_")]
    label = IMAGE
    if parts[-1].lower() in IMAGE_NAMES:
        parts = parts[:-1]
    elif parts[-1].lower() in MULTI_NAMES:
        parts, label = parts[:-1], MULTI
    else:
        for n in range(min(len(parts), 5), 0, -1):
            if named := find_label(" ".join(parts[-n:])):
                parts, label = parts[:-n], named
                break
    if not 1 <= len(parts) <= 2:
        what = "names no patient" if not parts else "has more parts than PATIENT_VISIT_LABEL"
        raise DataSetError(f"{path} {what}; rename it, or name the files in a --table")
    return (fit_name(parts[0]), fit_name(parts[1]) if len(parts) > 1 else "V1"), label


def read_rows(rows: list[Row], label_map: LabelMap | None, any_sequence: bool) -> Iterator[Annotated | Remark]:
    """Each row's image with its masks, or why it is left out."""
    for row in rows:
        name = f"{row.file.name} ({row.patient} {row.visit})"
        try:
            yield _read(row, name, label_map, any_sequence)
        except LeftOutError as error:
            yield Remark("left out", name, str(error))


def read_volume(path: Path) -> Volume:
    """A NIfTI image as a coronal Volume; its geometry is its affine and nothing else.

    Raises
    ------
    LeftOutError
        It can't be read, has no place in space, is not one grey volume, not coronal, or not MR.
    """
    grid = _grid(path, np.float32)
    pixels = np.asarray(grid.values, np.float32)
    if not np.isfinite(pixels).any() or pixels.size == 0:
        raise LeftOutError("has no intensities")
    pixels = np.where(np.isfinite(pixels), pixels, np.nanmin(np.where(np.isfinite(pixels), pixels, np.nan)))
    if float(pixels.min()) < HOUNSFIELD:
        raise LeftOutError(f"has intensities down to {pixels.min():.0f}: that is no MR (CT?)")
    if float(pixels.max()) <= float(pixels.min()):
        raise LeftOutError("has the same intensity everywhere")
    affine = grid.affine
    row_mm, column_mm = (float(np.linalg.norm(affine[:3, axis])) for axis in (1, 2))
    normal = _normal(affine)
    slice_mm = abs(float(affine[:3, 0] @ normal))
    if any(mm > ACQUIRED * slice_mm for mm in (row_mm, column_mm)):
        kind = "axial" if row_mm > column_mm else "sagittal"
        spacing = f"{slice_mm:.1f} × {row_mm:.1f} × {column_mm:.1f} mm"
        raise LeftOutError(f"is an {kind} stack ({spacing} front to back, up and down, across), not a coronal one")
    off_deg = float(np.degrees(np.arccos(min(1.0, abs(float(normal @ np.array(DIRECTIONS["coronal"][0])))))))
    if off_deg > PLANE_TOLERANCE_DEG:
        raise LeftOutError(f"is tilted {off_deg:.0f}° off the coronal plane ({PLANE_TOLERANCE_DEG:.0f}° at most)")
    sources = tuple(SourceSlice("") for _ in range(len(pixels)))
    return Volume(np.ascontiguousarray(pixels), (slice_mm, row_mm, column_mm), affine, sources)


def _read(row: Row, name: str, label_map: LabelMap | None, any_sequence: bool) -> Annotated:
    if not row.masks and row.multi is None:
        raise LeftOutError("has no mask beside it")
    volume = read_volume(row.file)
    sequence, remarks = _sequence(row, name, any_sequence)
    masks: dict[str, dict[str, Plane]] = {}
    for (label, side), path in row.masks.items():
        values = _mask_values(path, volume)
        kinds = np.unique(values)
        if len(kinds) > 2 or (len(kinds) == 2 and kinds[0] != 0):
            shown = ", ".join(f"{k:g}" for k in kinds[:5])
            raise LeftOutError(f"has a mask, {path.name}, with the values {shown}: one label a file, or give a --label-map")
        masks.setdefault(side, {})[label] = values > 0
    if row.multi is not None:
        _add_multi(masks, row, label_map, volume)
    if row.side:
        masks = {row.side: {label: mask for of_side in masks.values() for label, mask in of_side.items()}}
    return Annotated(name, row.patient, row.visit, volume, masks, "nifti", sequence=sequence, remarks=tuple(remarks))


def _add_multi(masks: dict[str, dict[str, Plane]], row: Row, label_map: LabelMap | None, volume: Volume) -> None:
    assert row.multi is not None
    if label_map is None:
        raise LeftOutError(f"has a multi-label mask, {row.multi.name}: give a --label-map that says what its values mean")
    values = _mask_values(row.multi, volume)
    unknown = sorted(set(np.unique(values).astype(int).tolist()) - {0} - set(label_map))
    if unknown:
        raise LeftOutError(f"has a mask, {row.multi.name}, with the value {unknown[0]}, which the label map does not name")
    for value, named in label_map.items():
        for label, side in named:
            own = masks.setdefault(side, {})
            own[label] = own.get(label, np.zeros(values.shape, bool)) | (values == value)


def _mask_values(path: Path, volume: Volume) -> npt.NDArray:
    """Values of a mask on the image's grid."""
    try:
        grid = _grid(path, None)
    except LeftOutError as error:
        raise LeftOutError(f"has a mask, {path.name}, that {error}") from error
    shape = volume.pixels.shape
    if grid.values.shape != shape:
        sizes = [" × ".join(map(str, s)) for s in (grid.values.shape, shape)]
        raise LeftOutError(f"has a mask, {path.name}, of {sizes[0]} voxels, the image has {sizes[1]}")
    corners = np.array([(s, r, c, 1) for s in (0, shape[0] - 1) for r in (0, shape[1] - 1) for c in (0, shape[2] - 1)], float)
    away_mm = float(np.linalg.norm(corners @ (grid.affine - volume.affine).T, axis=1).max())
    if away_mm > SAME_PLACE * min(volume.spacing_mm):
        raise LeftOutError(f"has a mask, {path.name}, that lies up to {away_mm:.1f} mm away from the image")
    values = grid.values
    if not np.isfinite(values).all() or not np.array_equal(values, np.rint(values)) or values.min() < 0:
        raise LeftOutError(f"has a mask, {path.name}, whose values are no whole numbers from 0 on")
    return values


def _grid(path: Path, dtype: type | None) -> _Grid:
    """The array of a NIfTI file in the order of a coronal Volume."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = nib.load(path)
            if not isinstance(image, nib.Nifti1Pair):
                raise LeftOutError("is no NIfTI file")
            if int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0:
                raise LeftOutError("does not say where in the body it lies (sform and qform are unset)")
            if math.prod(image.shape) * 4 > limits.MAX_VOLUME_BYTES:
                raise LeftOutError(f"needs more than {limits.MAX_VOLUME_BYTES // limits.MIB} MiB")
            values = np.asanyarray(image.dataobj)
    except FileNotFoundError as error:
        raise LeftOutError("is not there") from error
    except (ImageFileError, OSError, ValueError, EOFError, MemoryError, OverflowError) as error:
        raise LeftOutError(f"can't be read as NIfTI ({type(error).__name__})") from error
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3 or values.dtype.kind not in "iufb":
        raise LeftOutError(f"is no single grey volume (shape {values.shape}, {values.dtype})")
    affine = RAS_TO_LPS @ np.asarray(image.affine, np.float64)
    steps = affine[:3, :3]
    if not np.isfinite(affine).all() or abs(np.linalg.det(steps)) < 1e-6:
        raise LeftOutError("has an affine that is no placement in space")
    return _canonical(values if dtype is None else values.astype(dtype), affine)


def _canonical(values: npt.NDArray, affine: npt.NDArray[np.float64]) -> _Grid:
    """Axes exchanged and turned so that slices run front to back, rows down, columns from the patient's right to left."""
    units = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    wanted = np.array(DIRECTIONS["coronal"], np.float64)  # (slice, row, column) × LPS
    alike = np.abs(wanted @ units)  # (volume axis, file axis)
    order = max(_ORDERS, key=lambda o: sum(alike[axis, o[axis]] for axis in range(3)))
    values = values.transpose(order)
    moved = affine.copy()
    moved[:3, :3] = affine[:3, order]
    for axis in range(3):
        if float(moved[:3, axis] @ wanted[axis]) < 0:
            moved[:3, 3] += moved[:3, axis] * (values.shape[axis] - 1)
            moved[:3, axis] *= -1
            values = np.flip(values, axis)
    across = np.abs(_unit(moved[:3, 1]) @ _unit(moved[:3, 2]))
    if across > SHEARED:
        raise LeftOutError("has rows and columns that are not at right angles (a sheared affine)")
    return _Grid(values, moved)


_ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def _unit(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector))


def _normal(affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return _unit(np.cross(affine[:3, 1], affine[:3, 2]))


def _sequence(row: Row, name: str, any_sequence: bool) -> tuple[str, list[Remark]]:
    """How the image was acquired, from the table or a BIDS file beside it, and what is to be said of it."""
    words, numbers = _sidecar(row.file)
    if words.get("Modality", ("MR",))[0].upper() not in ("MR", ""):
        raise LeftOutError(f"is no MR image (modality {words['Modality'][0][:16]} in the JSON file beside it)")
    if row.sequence:
        words["SeriesDescription"] = (row.sequence,)
    if not words and not numbers:
        return "", [Remark("marked", name, "does not say how it was acquired: taken as fluid-sensitive and fat-suppressed")]
    described = describe_sequence(_Evidence({k: v for k, v in words.items() if k in SEQUENCE_KEYWORDS}, numbers))
    if not described.problem:
        return described.words, []
    if not any_sequence:
        raise LeftOutError(f"is no fluid-sensitive, fat-suppressed sequence: {described.problem} (--any-sequence keeps it)")
    return described.words, [Remark("marked", name, f"was kept although {described.problem}")]


def _sidecar(path: Path) -> tuple[dict[str, tuple[str, ...]], dict[str, float]]:
    """Words and numbers of the JSON file that dcm2niix writes beside an image; times in ms."""
    file = path.with_name(path.name.split(".nii")[0] + ".json")
    if not file.is_file():
        return {}, {}
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LeftOutError(f"has a JSON file beside it that can't be read ({type(error).__name__})") from error
    if not isinstance(values, dict):
        return {}, {}
    words: dict[str, tuple[str, ...]] = {}
    for key in (*SEQUENCE_KEYWORDS, "Modality"):
        value = values.get(key)
        if isinstance(value, str) and value:
            words[key] = tuple(re.split(r"[_\\]", value)) if key in ("ScanningSequence", "ScanOptions") else (value,)
        elif isinstance(value, list):
            words[key] = tuple(str(one) for one in value)
    numbers = {key: float(values[key]) for key in SEQUENCE_NUMBERS if isinstance(values.get(key), (int, float))}
    return words, {key: value * 1000 if key in _SECONDS else value for key, value in numbers.items()}


def write_nifti(volume: Volume, masks: npt.NDArray[np.uint8], labels: tuple[str, ...]) -> dict[str, bytes]:
    """A volume and its labels as NIfTI files, `image.nii.gz` and `LABEL.nii.gz`, with the affine in RAS.

    Arrays are (column, row, slice) with their affine: left, inferior, posterior growing, and no header text.
    """
    affine = RAS_TO_LPS @ volume.affine[:, [2, 1, 0, 3]]
    files = {"image.nii.gz": _gz(volume.pixels.astype(np.float32), affine)}
    for label in labels:
        files[f"{label}.nii.gz"] = _gz(((masks & BITS[label]) > 0).astype(np.uint8), affine)
    return files


def _gz(values: npt.NDArray, affine: npt.NDArray[np.float64]) -> bytes:
    import gzip

    image = nib.Nifti1Image(np.ascontiguousarray(values.transpose(2, 1, 0)), affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1, strip_shears=True)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), 6, mtime=0)
