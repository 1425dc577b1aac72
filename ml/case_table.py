"""The per-case table of a cross-validation: a row a network, hip and label, kept as CSV."""

import csv
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ml.whole import whole

STARTED = "_started"  # follows the network's key where training started from a bundle


@dataclass(frozen=True)
class Row:
    """One label of one hip, as one network outlined it that never saw the patient. Distances in mm, volumes in mL.

    NaN (empty in the file) where a measure is not defined: Dice of empty against empty, for example.
    """

    network: str
    fold: int
    case: str
    patient: str
    visit: str
    side: str
    involvement: str
    source: str
    n_slices: int
    label: str
    dice: float
    hd95_mm: float
    assd_mm: float
    truth_ml: float
    predicted_ml: float
    volume_error_ml: float
    volume_error_percent: float
    n_lesions: int
    n_lesions_found: int
    lesion_sensitivity: float
    n_false_lesions: int
    ece: float


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV; what is not defined is empty."""
    names = [field.name for field in fields(Row)]
    with whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            values = asdict(row)
            writer.writerow({name: "" if value != value else value for name, value in values.items()})


def read_rows(path: Path) -> list[Row]:
    """The rows that `write_rows` wrote."""
    kinds = {field.name: field.type for field in fields(Row)}
    with path.open(newline="", encoding="utf-8") as file:
        return [Row(**{name: _value(text, kinds[name]) for name, text in line.items()}) for line in csv.DictReader(file)]


def _value(text: str, kind: Any) -> Any:
    if kind is float:
        return float(text) if text else math.nan
    return int(text) if kind is int else text
