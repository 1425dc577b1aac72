"""Tables that say which file is whose: `--table cases.csv` and `--label-map labels.csv`."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from ml.datasets.format import DataSetError
from ml.labels import LABELS, find_label

COLUMNS = ("file", "patient", "visit", "side", "sequence", "mask")


@dataclass(frozen=True)
class Row:
    """One line of the table of cases.

    Attributes
    ----------
    file : the image (NIfTI), or a folder, file or archive of DICOM
    patient, visit : pseudonyms
    side : "right" or "left" where all masks of the row are of one hip, else ""
    masks : (label, side) → file; side "" where the mask does not say
    multi : a file with several labels, read by the label map
    sequence : how the image was acquired, in words, as a series description
    line : of the table, for messages
    """

    file: Path
    patient: str
    visit: str
    side: str
    masks: dict[tuple[str, str], Path]
    multi: Path | None
    sequence: str
    line: int


LabelMap = dict[int, tuple[tuple[str, str], ...]]  # value → (label, side)s


def read_table(path: Path) -> list[Row]:
    """The rows of a table of cases; files are named relative to the table.

    Raises
    ------
    DataSetError
        The table can't be read; the text says which line and column.
    """
    rows = []
    for line, values in _lines(path, {"file", "patient"}):
        masks: dict[tuple[str, str], Path] = {}
        for column, value in values.items():
            if not column.startswith("mask_") or not value:
                continue
            found = find_label(column.removeprefix("mask_").replace("_", " "))
            if found is None:
                raise DataSetError(f"{path}: column {column} names no label; known are {', '.join(LABELS)}, with _right or _left")
            masks[found] = path.parent / value
        unknown = [c for c in values if c and c not in COLUMNS and not c.startswith("mask_")]
        if unknown:
            raise DataSetError(f"{path}: column {unknown[0]} is not known; known are {', '.join(COLUMNS)}, mask_LABEL")
        side = values.get("side", "").lower()
        side = {"r": "right", "l": "left", "both": ""}.get(side, side)
        if side not in ("", "right", "left"):
            raise DataSetError(f"{path}, line {line}: side is {side!r}; right, left or nothing is expected")
        if not values["file"] or not values["patient"]:
            raise DataSetError(f"{path}, line {line}: file and patient must be given")
        rows.append(
            Row(
                file=path.parent / values["file"],
                patient=fit_name(values["patient"]),
                visit=fit_name(values.get("visit", "") or "V1"),
                side=side,
                masks={(label, own or side): file for (label, own), file in masks.items()},
                multi=path.parent / values["mask"] if values.get("mask") else None,
                sequence=values.get("sequence", ""),
                line=line,
            )
        )
    if not rows:
        raise DataSetError(f"{path} has no rows")
    return rows


def read_label_map(path: Path) -> LabelMap:
    """What each value of a multi-label file means: columns `value` and `label`, optionally `side`.

    A value may have several labels (`femur+femoral_head`) or none (an empty label: known, and not used).
    """
    found: LabelMap = {}
    for line, values in _lines(path, {"value", "label"}):
        try:
            value = int(values["value"])
        except ValueError as error:
            raise DataSetError(f"{path}, line {line}: {values['value']!r} is no whole number") from error
        labels = []
        for word in filter(None, re.split(r"[+;|]", values["label"])):
            named = find_label(word)
            if named is None:
                raise DataSetError(f"{path}, line {line}: {word!r} is no label; known are {', '.join(LABELS)}")
            labels.append((named[0], named[1] or {"r": "right", "l": "left"}.get(values.get("side", ""), values.get("side", ""))))
        if any(side not in ("", "right", "left") for _, side in labels):
            raise DataSetError(f"{path}, line {line}: side must be right, left or nothing")
        found[value] = (*found.get(value, ()), *labels)
    if not found:
        raise DataSetError(f"{path} has no rows")
    return found


def fit_name(text: str) -> str:
    """A patient or visit as it may stand in a file name: letters, digits, `-` and `.`."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text.strip()).strip("-.") or "X"


def _lines(path: Path, needed: set[str]) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise DataSetError(f"{path} can't be read as a table: {error}") from error
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text.split("\n", 1)[0], ",;\t")
    except csv.Error:
        dialect = csv.excel
    reader = csv.DictReader(text.splitlines(), dialect=dialect)
    try:
        columns = {(name or "").strip().lower() for name in reader.fieldnames or ()}
        if missing := needed - columns:
            raise DataSetError(f"{path} lacks the column {', '.join(sorted(missing))}")
        return [
            (reader.line_num, {(key or "").strip().lower(): (value or "").strip() for key, value in row.items() if key})
            for row in reader
        ]
    except csv.Error as error:
        raise DataSetError(f"{path}, line {reader.reader.line_num}: {error}") from error
