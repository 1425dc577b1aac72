"""Results of `python -m ml crossval` brought into the database."""

import hashlib
import json
from pathlib import Path
from typing import Any

from django.db import transaction

from hipapp.core.errors import DomainError
from hipapp.imaging.models import CrossValidation

RESULT = "result.json"
FORMAT = 1
MAX_BYTES = 8 << 20
TABLES = ("networks", "overall", "folds", "by_label", "tests", "notes", "labels", "missing")


class CrossValidationError(DomainError):
    """A folder holds no result, or one that can't be read."""


def import_cross_validation(folder: Path, takes_incomplete: bool = False) -> tuple[CrossValidation, bool]:
    """The row of a folder's result, and whether it is new.

    Raises
    ------
    CrossValidationError
        There is no `result.json`, it is not one of ours, or folds are missing and `takes_incomplete` is false.
    """
    path = folder / RESULT
    if not path.is_file():
        raise CrossValidationError(f"{folder} has no {RESULT}; `python -m ml crossval` writes it.", code="no_result")
    if path.stat().st_size > MAX_BYTES:
        raise CrossValidationError(f"{path} is larger than {MAX_BYTES >> 20} MB; it is no result of ours.", code="too_large")
    content = path.read_bytes()
    try:
        result = json.loads(content)
        values = _values(result)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CrossValidationError(f"{path} can't be read: {type(error).__name__} {error}.", code="damaged") from error
    if not values["is_complete"] and not takes_incomplete:
        missing = ", ".join(str(name) for name in result["missing"][:6])
        raise CrossValidationError(
            f"Folds are missing ({missing}). Run the command again until all are done, or say --incomplete.", code="incomplete"
        )
    with transaction.atomic():
        return CrossValidation.objects.get_or_create(sha256=hashlib.sha256(content).hexdigest(), defaults=values)


def _values(result: dict[str, Any]) -> dict[str, Any]:
    if result["format"] != FORMAT:
        raise ValueError(f"its format is {result['format']}, this version reads {FORMAT}")
    for name in TABLES:
        if not isinstance(result[name], list):
            raise TypeError(f"{name} is no list")
    for row in (*result["overall"], *result["by_label"], *result["folds"]):
        row["network"], row["name"]
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
