"""Intraclass correlation: six forms, with F intervals."""

import math
from dataclasses import dataclass

import numpy.typing as npt
from scipy import stats

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.estimate import Estimate
from scoring.statistics.rows import Floats, complete_rows

# McGraw & Wong's name: (the Shrout & Fleiss synonym, one-way / absolute / consistency, of the mean of k readers).
FORMS = ("1,1", "1,k", "A,1", "A,k", "C,1", "C,k")
SHROUT_FLEISS = {"2,1": "A,1", "2,k": "A,k", "3,1": "C,1", "3,k": "C,k"}
ROUNDING = 1e-13
BANDS = ((0.9, "excellent"), (0.75, "good"), (0.5, "moderate"))


@dataclass(frozen=True)
class MeanSquares:
    """Mean squares of an n × k table: rows (targets), columns (readers), error, and within rows."""

    rows: float
    columns: float
    error: float
    within: float
    n: int
    k: int


def icc(table: npt.ArrayLike, form: str = "A,1", level: float = 0.95) -> Estimate:
    """Intraclass correlation of a target × reader table with its F interval.

    Parameters
    ----------
    table : float, shape (target, reader)
        NaN means missing; a target with a missing reading is dropped and counted (see `icc_mixed` for unbalanced
        tables).
    form : "1,1", "1,k", "A,1", "A,k", "C,1" or "C,k"
        McGraw & Wong's names; Shrout & Fleiss's "2,1", "2,k", "3,1", "3,k" are understood. A is absolute agreement, C
        consistency, 1 one reader, k the mean of the readers.
    level : float, 0–1

    Returns
    -------
    Estimate
        p is that of the F test against 0. NaN with a warning when the targets do not differ at all.

    Raises
    ------
    ScoringError
        For an unknown form, fewer than 2 readers or fewer than 2 complete targets.

    References
    ----------
    Shrout PE, Fleiss JL. Psychol Bull 1979;86:420. McGraw KO, Wong SP. Psychol Methods 1996;1:30 (table 7: intervals).
    """
    form = SHROUT_FLEISS.get(form, form)
    checks.choice("form", form, FORMS)
    level = checks.level(level)
    complete, n_dropped = complete_rows("table", table)
    squares = mean_squares(complete)
    name = f"ICC({form})"
    parts = {
        "ms_rows": squares.rows,
        "ms_columns": squares.columns,
        "ms_error": squares.error,
        "ms_within": squares.within,
        "k": float(squares.k),
    }
    estimate = _coefficient(squares, form)
    if math.isnan(estimate):
        warning = ("the readings do not vary in a way that this coefficient could measure: it is not defined",)
        return Estimate(name, math.nan, n_used=squares.n, n_dropped=n_dropped, level=level, warnings=warning, parts=parts)
    low, high = _interval(squares, form[0], level)
    f, df_error = _f_test(squares, form[0])
    if form[-1] == "k":
        low, high = _spearman_brown(low, squares.k), _spearman_brown(high, squares.k)
    return Estimate(
        name,
        estimate,
        low,
        high,
        p=float(stats.f.sf(f, squares.n - 1, df_error)),
        n_used=squares.n,
        n_dropped=n_dropped,
        level=level,
        method="F interval (McGraw & Wong 1996); p of the F test against 0",
        parts=parts,
    )


def icc_band(value: float) -> str:
    """ "poor" below 0.5, "moderate" below 0.75, "good" up to 0.9, "excellent" above (Koo & Li 2016)."""
    value = checks.number("icc", value, high=1.0)
    if value > BANDS[0][0]:
        return BANDS[0][1]
    return next((band for limit, band in BANDS[1:] if value >= limit), "poor")


def mean_squares(table: Floats) -> MeanSquares:
    """Mean squares of the two-way analysis of variance of a complete (target, reader) table."""
    n, k = table.shape
    if k < 2:
        raise ScoringError("table", f"{k} reader(s)", "at least 2 readers (columns)")
    if n < 2:
        raise ScoringError("table", f"{n} complete target(s)", "at least 2 targets (rows) without missing values")
    grand = table.mean()
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    residual = table - rows[:, None] - columns[None, :] + grand
    noise = (ROUNDING * float(abs(table).max())) ** 2
    return MeanSquares(
        rows=_square(rows - grand, k / (n - 1), noise),
        columns=_square(columns - grand, n / (k - 1), noise),
        error=_square(residual, 1 / ((n - 1) * (k - 1)), noise),
        within=_square(table - rows[:, None], 1 / (n * (k - 1)), noise),
        n=n,
        k=k,
    )


def _square(deviations: Floats, factor: float, noise: float) -> float:
    """A mean square; what is only rounding of the arithmetic counts as 0, so that equal readings give exactly 0."""
    if float((deviations**2).max()) <= noise:
        return 0.0
    return float((deviations**2).sum()) * factor


def _coefficient(squares: MeanSquares, form: str) -> float:
    """The coefficient; NaN where its denominator is not positive, so that it is no share of a variance."""
    n, k, error = squares.n, squares.k, squares.within if form[0] == "1" else squares.error
    readers = k * (squares.columns - error) / n if form[0] == "A" else 0.0
    denominator = squares.rows + (k - 1) * error + readers if form[-1] == "1" else squares.rows + readers / k
    total = squares.rows + squares.columns + squares.error + squares.within
    return (squares.rows - error) / denominator if denominator > ROUNDING * total else math.nan


def _f_test(squares: MeanSquares, kind: str) -> tuple[float, float]:
    """F of rows against what is left, with the degrees of freedom of the latter."""
    n, k = squares.n, squares.k
    if kind == "1":
        return _ratio(squares.rows, squares.within), n * (k - 1)
    return _ratio(squares.rows, squares.error), (n - 1) * (k - 1)


def _interval(squares: MeanSquares, kind: str, level: float) -> tuple[float, float]:
    upper_tail = 1.0 - (1.0 - level) / 2.0
    n, k = squares.n, squares.k
    if kind == "A":
        return _absolute_interval(squares, _coefficient(squares, "A,1"), upper_tail)
    f, df_error = _f_test(squares, kind)
    if math.isinf(f):
        return 1.0, 1.0
    low = f / stats.f.ppf(upper_tail, n - 1, df_error)
    high = f * stats.f.ppf(upper_tail, df_error, n - 1)
    return float((low - 1) / (low + k - 1)), float((high - 1) / (high + k - 1))


def _absolute_interval(squares: MeanSquares, single: float, upper_tail: float) -> tuple[float, float]:
    """McGraw & Wong's interval of ICC(A,1), with Satterthwaite's degrees of freedom."""
    n, k = squares.n, squares.k
    if single >= 1.0:
        return 1.0, 1.0
    a = k * single / (n * (1 - single))
    b = 1 + k * single * (n - 1) / (n * (1 - single))
    combined = a * squares.columns + b * squares.error
    if combined == 0.0:
        return math.nan, math.nan
    degrees = combined**2 / ((a * squares.columns) ** 2 / (k - 1) + (b * squares.error) ** 2 / ((n - 1) * (k - 1)))
    f_low = float(stats.f.ppf(upper_tail, n - 1, degrees))
    f_high = float(stats.f.ppf(upper_tail, degrees, n - 1))
    others = k * squares.columns + (k * n - k - n) * squares.error
    low = n * (squares.rows - f_low * squares.error) / (f_low * others + n * squares.rows)
    high = n * (f_high * squares.rows - squares.error) / (others + n * f_high * squares.rows)
    return low, high


def _spearman_brown(single: float, k: int) -> float:
    """Reliability of the mean of k readers from that of one; minus infinity at the lower end of the scale."""
    denominator = 1 + (k - 1) * single
    return -math.inf if denominator <= 0 else k * single / denominator


def _ratio(numerator: float, denominator: float) -> float:
    if denominator == 0.0:
        return math.inf if numerator else math.nan
    return numerator / denominator
