"""Checks of arguments: each gives the value back in its final type or raises `ScoringError` naming the field."""

import math
from collections.abc import Collection, Mapping, Sequence
from numbers import Real

import numpy as np
import numpy.typing as npt

from scoring.errors import ScoringError

LARGEST = 1e20
SMALLEST = 1e-18


def number(field: str, value: object, low: float = -math.inf, high: float = math.inf, unit: str = "") -> float:
    """`value` as a float within [low, high]; NaN, infinities, text and booleans are refused."""
    allowed = describe_range(low, high, unit)
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise ScoringError(field, value, allowed)
    result = float(value)
    if not math.isfinite(result) or not low <= result <= high:
        raise ScoringError(field, value, allowed)
    return result


def optional_number(field: str, value: object, low: float = -math.inf, high: float = math.inf, unit: str = "") -> float | None:
    """As `number`, but None (not answered) stays None."""
    return None if value is None else number(field, value, low, high, unit)


def describe_range(low: float, high: float, unit: str = "") -> str:
    """A range in words, for errors and documentation."""
    tail = f" {unit}" if unit else ""
    if math.isinf(low) and math.isinf(high):
        return f"a finite number{tail}"
    if math.isinf(high):
        return f"a number of at least {low:g}{tail}"
    return f"a number from {low:g} to {high:g}{tail}"


def choice(field: str, value: object, allowed: Collection[object]) -> None:
    """Refuse a value that is not one of `allowed`."""
    if (isinstance(value, float) and math.isnan(value)) or value not in allowed:
        raise ScoringError(field, value, "one of " + ", ".join(str(option) for option in allowed))


def boolean(field: str, value: object) -> bool:
    """`value` as a bool; anything that is not a truth value is refused."""
    if not isinstance(value, bool | np.bool_):
        raise ScoringError(field, value, "true or false")
    return bool(value)


def items(names: Sequence[str], values: Sequence[object], low: float, high: float) -> Mapping[str, float | None]:
    """Questionnaire items by name, each None (not answered) or a number within [low, high]."""
    return {name: optional_number(name, value, low, high) for name, value in zip(names, values, strict=True)}


def spacing(spacing_mm: Sequence[float], n_axes: int) -> tuple[float, ...]:
    """Voxel spacing in mm, one positive number an axis."""
    values = tuple(spacing_mm)
    if len(values) != n_axes:
        raise ScoringError("spacing_mm", spacing_mm, f"{n_axes} numbers, one per axis")
    for value in values:
        if number("spacing_mm", value) <= 0:
            raise ScoringError("spacing_mm", spacing_mm, "numbers greater than 0 mm")
    return tuple(float(value) for value in values)


def finite_or_missing(field: str, values: npt.ArrayLike, n_axes: int) -> npt.NDArray[np.float64]:
    """A float64 array of `n_axes` axes in which NaN means missing; infinities, text and absurd sizes are refused.

    Sizes below 1e-18 count as 0. Both limits keep fourth powers and their ratios within the range of float64, so that no
    statistic overflows on the way; no score of this field comes near them.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ScoringError(field, values, f"numbers in {n_axes} dimension(s), NaN or None for missing") from error
    if array.ndim != n_axes:
        raise ScoringError(field, f"an array of shape {array.shape}", f"an array of {n_axes} dimension(s)")
    if np.isinf(array).any():
        raise ScoringError(field, "inf", "finite numbers, NaN for missing")
    largest = float(np.nanmax(np.abs(array), initial=0.0))
    if largest > LARGEST:
        raise ScoringError(field, largest, f"numbers of at most {LARGEST:g} in size")
    return np.where(np.abs(array) < SMALLEST, 0.0, array)


def level(value: object) -> float:
    """A confidence level strictly between 0 and 1."""
    result = number("level", value, 0.0, 1.0)
    if result in (0.0, 1.0):
        raise ScoringError("level", value, "a number between 0 and 1, for example 0.95")
    return result
