"""Results of `python -m ml crossval` brought into the database."""

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

from django.db import transaction

from hipapp.core.errors import DomainError
from hipapp.core.storage import put_content
from hipapp.imaging.models import CrossValidation

RESULT, CASES = "result.json", "cases.csv"
FORMAT = 1
MAX_BYTES = {RESULT: 16 << 20, CASES: 128 << 20}
TABLES = ("networks", "cases", "overall", "folds", "by_label", "tests", "notes", "labels", "missing")


class CrossValidationError(DomainError):
    """A folder holds no result, or one that can't be read."""


def import_cross_validation(folder: Path, takes_incomplete: bool = False) -> tuple[CrossValidation, bool]:
    """The row of a folder's result, and whether it is new.

    Raises
    ------
    CrossValidationError
        There is no `result.json` with its `cases.csv`, they are not of ours, or folds are missing and `takes_incomplete` is
        false.
    """
    content = _read(folder / RESULT)
    try:
        result = json.loads(content)
        values = _values(result)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CrossValidationError(f"{folder / RESULT} can't be read: {type(error).__name__} {error}.", code="damaged") from error
    if not values["is_complete"] and not takes_incomplete:
        missing = ", ".join(str(name) for name in result["missing"][:6])
        raise CrossValidationError(
            f"Folds are missing ({missing}). Run the command again until all are done, or say --incomplete.", code="incomplete"
        )
    table = _read(folder / CASES)
    _refuse_other_hips(table, result, folder / CASES)
    values["cases"] = put_content(table, "comparisons", ".csv")
    with transaction.atomic():
        return CrossValidation.objects.get_or_create(sha256=hashlib.sha256(content).hexdigest(), defaults=values)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise CrossValidationError(f"{path.parent} has no {path.name}; `python -m ml crossval` writes it.", code="no_result")
    most = MAX_BYTES[path.name]
    if path.stat().st_size > most:
        raise CrossValidationError(f"{path} is larger than {most >> 20} MB; it is no result of ours.", code="too_large")
    return path.read_bytes()


def _refuse_other_hips(table: bytes, result: dict[str, Any], path: Path) -> None:
    try:
        rows = list(csv.DictReader(io.StringIO(table.decode())))
        found = {row["network"] for row in rows}, {row["case"] for row in rows}
    except (UnicodeDecodeError, KeyError, csv.Error) as error:
        raise CrossValidationError(f"{path} is no per-case table: {type(error).__name__} {error}.", code="damaged") from error
    if found != ({row["network"] for row in result["networks"]}, {row["case"] for row in result["cases"]}):
        raise CrossValidationError(f"{path} is of other hips or networks than {RESULT}.", code="other_cases")


def _values(result: dict[str, Any]) -> dict[str, Any]:
    if result["format"] != FORMAT:
        raise ValueError(f"its format is {result['format']}, this version reads {FORMAT}")
    if "cases" not in result:
        raise ValueError("it was written by an earlier version; run `python -m ml crossval` again, which writes the tables anew")
    for name in TABLES:
        if not isinstance(result[name], list):
            raise TypeError(f"{name} is no list")
    for row in (*result["overall"], *result["by_label"], *result["folds"]):
        row["network"], row["name"]
    for case in result["cases"]:
        case["case"], case["involvement"], case["fold"]
    data = result["data_set"]
    return {
        "data_set": str(data["name"])[:200],
        "fingerprint": _hash(data["fingerprint"]),
        "splits_sha256": _hash(result["splits_sha256"]),
        "n_patients": int(data["n_patients"]),
        "n_hips": int(data["n_hips"]),
        "n_folds": int(result["n_folds"]),
        "is_complete": result["is_complete"] is True,
        "result": result,
    }


def _hash(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 64:
        raise ValueError(f"{value!r} is no SHA-256")
    return value
