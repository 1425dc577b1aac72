"""The data set folder: `dataset.json` and one file of arrays per hip, written once and read back with its hashes."""

import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.dataset import CANVAS, Stack
from ml.labels import LABELS
from ml.whole import whole

FORMAT = 1
DESCRIPTION, REPORT, CASES = "dataset.json", "report.md", "cases"
INVOLVEMENTS = ("none", "bme", "synovitis", "both", "unknown")
SOURCES = ("phantom", "dicom", "nifti")


class DataSetError(ValueError):
    """A data set folder is missing, incomplete, damaged or of another format."""


@dataclass(frozen=True)
class Case:
    """One hip of one visit.

    Attributes
    ----------
    id : `PATIENT_VISIT_SIDE`, unique in the data set
    patient, visit : pseudonyms; folds are made by patient
    side : "right" or "left", the patient's; the arrays always show a right hip
    labels : the labels of `ml.labels.LABELS` that were annotated; the others' bits are 0 and mean nothing
    path : the file of arrays
    sha256 : of that file
    n_slices : slices in the file
    spacing_mm : (slice, row, column) of the original image
    involvement : "none", "bme", "synovitis" or "both", of the lesions that were annotated; "unknown" where neither was
    volumes_ml : volume of each annotated label as it lies in the file
    source : "phantom", "dicom" or "nifti"; only phantoms know their tissues
    """

    id: str
    patient: str
    visit: str
    side: str
    labels: tuple[str, ...]
    path: Path
    sha256: str
    n_slices: int
    spacing_mm: tuple[float, float, float]
    involvement: str
    volumes_ml: dict[str, float]
    source: str

    def load(self) -> Stack:
        """Images, masks and tissues (all 0 where they are not known) of the hip.

        Raises
        ------
        DataSetError
            The file is missing or is not the one that the data set names.
        """
        with np.load(io.BytesIO(self._bytes())) as file:
            images, masks = file["images"], file["masks"]
            tissues = file["tissues"] if "tissues" in file else np.zeros_like(masks)
        return Stack(images, masks, tissues)

    def load_positions(self) -> npt.NDArray[np.float32]:
        """Signed distance in mm of each slice from the head's centre, positive behind it, shape (slice,)."""
        with np.load(io.BytesIO(self._bytes())) as file:
            return np.asarray(file["positions_mm"], np.float32)

    def _bytes(self) -> bytes:
        if not self.path.is_file():
            raise DataSetError(f"{self.path} is missing; prepare the data set again")
        data = self.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise DataSetError(f"{self.path} is not the file that {DESCRIPTION} names (its SHA-256 differs)")
        return data


@dataclass(frozen=True)
class DataSet:
    """Hips with truth.

    Attributes
    ----------
    folder, name : where it lies, what it is called
    labels : annotated in at least one case, in the order of `ml.labels.LABELS`
    fingerprint : SHA-256 over the hashes of the case files in the order of their ids
    cases : in the order of their ids
    left_out : what was not used, and why
    """

    folder: Path
    name: str
    made_by: str
    labels: tuple[str, ...]
    fingerprint: str
    cases: tuple[Case, ...]
    left_out: tuple[dict[str, str], ...]


def write_case(
    folder: Path,
    *,
    patient: str,
    visit: str,
    side: str,
    labels: Iterable[str],
    stack: Stack,
    positions_mm: npt.NDArray[np.float32],
    volumes_ml: dict[str, float],
    spacing_mm: tuple[float, float, float],
    source: str,
) -> Case:
    """Write the arrays of one hip into the folder's `cases`.

    Parameters
    ----------
    patient, visit : letters, digits, `-` and `.`: they become part of a file name
    stack : images float16 (slice, 184, 216), masks and tissues uint8
    volumes_ml : of each annotated label

    Raises
    ------
    ValueError
        Shapes or words that the format does not know.
    """
    annotated = tuple(label for label in LABELS if label in set(labels))
    if stack.images.shape[1:] != CANVAS or not stack.images.shape == stack.masks.shape == stack.tissues.shape:
        raise ValueError(f"a case has slices of {CANVAS}, these are {stack.images.shape[1:]}")
    if side not in ("right", "left") or source not in SOURCES:
        raise ValueError(f"side {side!r} or source {source!r} is not known")
    name = f"{patient}_{visit}_{side}"
    arrays: dict[str, npt.NDArray] = {
        "images": stack.images.astype(np.float16),
        "masks": stack.masks,
        "positions_mm": np.asarray(positions_mm, np.float32),
    }
    if source == "phantom":
        arrays["tissues"] = stack.tissues
    path = folder / CASES / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    with whole(path) as partial:
        partial.write_bytes(buffer.getvalue())
    return Case(
        id=name,
        patient=patient,
        visit=visit,
        side=side,
        labels=annotated,
        path=path,
        sha256=hashlib.sha256(buffer.getvalue()).hexdigest(),
        n_slices=len(stack.images),
        spacing_mm=(float(spacing_mm[0]), float(spacing_mm[1]), float(spacing_mm[2])),
        involvement=involvement(volumes_ml),
        volumes_ml={label: round(float(volumes_ml[label]), 4) for label in annotated},
        source=source,
    )


def involvement(volumes_ml: dict[str, float]) -> str:
    """The word for what is inflamed, of the lesions that have a volume; "unknown" where neither has."""
    known = [label for label in ("bme", "synovitis") if label in volumes_ml]
    if not known:
        return "unknown"
    present = [label for label in known if volumes_ml[label] > 0]
    return {0: "none", 1: present[0] if present else "none", 2: "both"}[len(present)]


def write(folder: Path, name: str, made_by: str, cases: Iterable[Case], left_out: Iterable[dict[str, str]] = ()) -> DataSet:
    """Write `dataset.json` over cases that `write_case` wrote into the folder.

    Raises
    ------
    DataSetError
        Two cases have the same id, or there is none.
    """
    ordered = tuple(sorted(cases, key=lambda case: case.id))
    ids = [case.id for case in ordered]
    if not ids:
        raise DataSetError("no hip is left for the data set")
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise DataSetError(f"two hips have the id {twice}; give them different patients or visits")
    labels = tuple(label for label in LABELS if any(label in case.labels for case in ordered))
    data = DataSet(folder, name, made_by, labels, fingerprint(ordered), ordered, tuple(left_out))
    description = {
        "format": FORMAT,
        "name": name,
        "made_by": made_by,
        "labels": list(labels),
        "fingerprint": data.fingerprint,
        "cases": [_row(folder, case) for case in ordered],
        "left_out": list(data.left_out),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return data


def fingerprint(cases: Iterable[Case]) -> str:
    """SHA-256 over the hashes of the case files in the order of their ids."""
    hashes = [case.sha256 for case in sorted(cases, key=lambda case: case.id)]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def read(folder: Path | str) -> DataSet:
    """The data set of a folder; arrays are read, and their hashes checked, when a case is loaded.

    Raises
    ------
    DataSetError
        The folder is no data set, or its description does not agree with itself.
    """
    folder = Path(folder)
    path = folder / DESCRIPTION
    if not path.is_file():
        raise DataSetError(f"{folder} is no data set: it has no {DESCRIPTION}; `python -m ml prepare` makes one")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        if description["format"] != FORMAT:
            raise DataSetError(f"{path} has format {description['format']}; this version reads {FORMAT}")
        data = DataSet(
            folder=folder,
            name=str(description["name"]),
            made_by=str(description["made_by"]),
            labels=tuple(description["labels"]),
            fingerprint=str(description["fingerprint"]),
            cases=tuple(_case(folder, row) for row in description["cases"]),
            left_out=tuple(description["left_out"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataSetError):
            raise
        raise DataSetError(f"{path} can't be read: {type(error).__name__} {error}") from error
    if fingerprint(data.cases) != data.fingerprint:
        raise DataSetError(f"{path} was changed: its fingerprint is not that of its cases")
    return data


def _row(folder: Path, case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "patient": case.patient,
        "visit": case.visit,
        "side": case.side,
        "labels": list(case.labels),
        "file": case.path.relative_to(folder).as_posix(),
        "sha256": case.sha256,
        "n_slices": case.n_slices,
        "spacing_mm": [round(value, 6) for value in case.spacing_mm],
        "involvement": case.involvement,
        "volumes_ml": case.volumes_ml,
        "source": case.source,
    }


def _case(folder: Path, row: dict[str, Any]) -> Case:
    return Case(
        id=row["id"],
        patient=row["patient"],
        visit=row["visit"],
        side=row["side"],
        labels=tuple(row["labels"]),
        path=folder / row["file"],
        sha256=row["sha256"],
        n_slices=int(row["n_slices"]),
        spacing_mm=tuple(row["spacing_mm"]),
        involvement=row["involvement"],
        volumes_ml=dict(row["volumes_ml"]),
        source=row["source"],
    )
