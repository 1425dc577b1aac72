"""Pain on a visual analogue scale, brought to 0–10."""

from scoring import checks
from scoring.errors import ScoringError
from scoring.result import IndexResult

POINTS_PER_UNIT = {"0-10": 1.0, "cm": 1.0, "mm": 0.1}
MAX_POINTS = 10.0


def vas(value: float | None, unit: str | None = None) -> IndexResult:
    """Pain from 0 to 10.

    Parameters
    ----------
    value : float or None
        0–10 (0-10, cm) or 0–100 (mm).
    unit : "0-10", "cm", "mm" or None
        None means nobody said: 0-10 is assumed, and a value above 10 is refused rather than guessed.

    Returns
    -------
    IndexResult
        `form` is the unit that was entered.

    Raises
    ------
    ScoringError
        For an unknown unit or a value outside its range.

    Notes
    -----
    A missing value stays missing.

    References
    ----------
    Huskisson EC. Lancet 1974;2:1127.
    """
    if unit is not None:
        checks.choice("unit", unit, tuple(POINTS_PER_UNIT))
    factor = POINTS_PER_UNIT[unit or "0-10"]
    given = checks.optional_number("value", value, 0.0)
    form = unit or "0-10"
    if given is None:
        return IndexResult("vas", None, missing=("value",), missing_rule="not answered: no value", form=form)
    if given > MAX_POINTS / factor:
        hint = "; with unit=mm up to 100" if unit is None else ""
        raise ScoringError("value", value, checks.describe_range(0.0, MAX_POINTS / factor, form) + hint)
    return IndexResult("vas", given * factor, form=form, parts={"entered": given, "unit": form})
