"""Missing values: complete rows only, and always counted."""

import numpy as np
import numpy.typing as npt

from scoring import checks
from scoring.errors import ScoringError

Floats = npt.NDArray[np.float64]


def complete_pairs(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats, int]:
    """Two columns without the rows in which either is NaN or None, and the number of rows dropped."""
    a, b = checks.finite_or_missing("x", x, 1), checks.finite_or_missing("y", y, 1)
    if a.shape != b.shape:
        raise ScoringError("y", f"{len(b)} values", f"as many values as x, {len(a)}")
    keep = ~(np.isnan(a) | np.isnan(b))
    return a[keep], b[keep], int(len(a) - keep.sum())


def complete_rows(field: str, table: npt.ArrayLike) -> tuple[Floats, int]:
    """A (row, column) table without the rows that have a missing value, and the number of rows dropped."""
    array = checks.finite_or_missing(field, table, 2)
    keep = ~np.isnan(array).any(axis=1)
    return array[keep], int(len(array) - keep.sum())


def present(field: str, values: npt.ArrayLike) -> tuple[Floats, int]:
    """A column without its missing values, and their number."""
    array = checks.finite_or_missing(field, values, 1)
    keep = ~np.isnan(array)
    return array[keep], int(len(array) - keep.sum())
