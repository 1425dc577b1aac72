"""Comparisons with cut-offs that hold although decimal items have no exact binary form (5 → 3 is exactly 40 %)."""

TOLERANCE = 1e-9


def at_least(value: float, limit: float) -> bool:
    """value ≥ limit, within 1e-9."""
    return value >= limit - TOLERANCE


def above(value: float, limit: float) -> bool:
    """value > limit, by more than 1e-9."""
    return value > limit + TOLERANCE
