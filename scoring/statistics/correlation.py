"""Correlation of two columns: Pearson, Spearman and Kendall, each with its interval and p."""

import math

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.estimate import Estimate
from scoring.statistics.rows import Floats, complete_pairs

METHODS = ("pearson", "spearman", "kendall")
TITLES = {"pearson": "Pearson r", "spearman": "Spearman rho", "kendall": "Kendall tau-b"}
NOTES = {
    "pearson": "interval: Fisher z, SE 1/√(n − 3); p: t test with n − 2",
    "spearman": "interval: Bonett & Wright 2000, SE √((1 + r²/2)/(n − 3)); p: t test with n − 2",
    "kendall": "interval: Fieller 1957, SE √(0.437/(n − 4)); p: exact or normal, as scipy chooses",
}
MIN_ROWS = 3


def correlate(x: npt.ArrayLike, y: npt.ArrayLike, method: str = "spearman", level: float = 0.95) -> Estimate:
    """Correlation of two columns by `method`; rows with a missing value in either are dropped and counted.

    Parameters
    ----------
    x, y : float, same length
        NaN or None means missing.
    method : "pearson", "spearman" or "kendall"
        Spearman by default: the scores of this field are bounded and skewed.
    level : float, 0–1

    Returns
    -------
    Estimate
        NaN with a warning when fewer than 3 rows are complete or a column does not vary.

    Raises
    ------
    ScoringError
        For an unknown method, unequal lengths or infinite values.

    References
    ----------
    Fisher RA. Metron 1921;1:3. Bonett DG, Wright TA. Psychometrika 2000;65:23. Fieller EC et al. Biometrika
    1957;44:470.
    """
    checks.choice("method", method, METHODS)
    level = checks.level(level)
    a, b, n_dropped = complete_pairs(x, y)
    n = len(a)
    title, note = TITLES[method], NOTES[method]
    problem = _problem(a, b)
    if problem:
        return Estimate(title, math.nan, n_used=n, n_dropped=n_dropped, level=level, method=note, warnings=(problem,))
    r, p = _kendall(a, b) if method == "kendall" else _linear(a, b, method)
    low, high = interval(np.float64(r), np.float64(n), method, level)
    return Estimate(title, r, float(low), float(high), p, n, n_dropped, level, note)


def pearson(x: npt.ArrayLike, y: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Pearson's r with Fisher's interval; see `correlate`."""
    return correlate(x, y, "pearson", level)


def spearman(x: npt.ArrayLike, y: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Spearman's rho, ties by mid-ranks, with Bonett & Wright's interval; see `correlate`."""
    return correlate(x, y, "spearman", level)


def kendall(x: npt.ArrayLike, y: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Kendall's tau-b with Fieller's interval; see `correlate`."""
    return correlate(x, y, "kendall", level)


def interval(r: npt.ArrayLike, n: npt.ArrayLike, method: str, level: float = 0.95) -> tuple[Floats, Floats]:
    """Confidence limits of correlations `r` found on `n` rows, element by element; NaN where n is too small.

    Parameters
    ----------
    r : float, −1 to 1
    n : int
    method : "pearson", "spearman" or "kendall"
    level : float, 0–1
    """
    checks.choice("method", method, METHODS)
    z_level = float(special.ndtri(0.5 + checks.level(level) / 2))
    r, n = np.asarray(r, np.float64), np.asarray(n, np.float64)
    if np.any(np.abs(r) > 1):
        raise ScoringError("r", r, "correlations from -1 to 1")
    degrees = n - (4 if method == "kendall" else 3)
    variance = {"pearson": np.ones_like(r), "spearman": 1 + r**2 / 2, "kendall": np.full_like(r, 0.437)}[method]
    with np.errstate(divide="ignore", invalid="ignore"):
        half = z_level * np.sqrt(variance / np.where(degrees > 0, degrees, np.nan))
        z = np.arctanh(r)
        return np.tanh(z - half), np.tanh(z + half)


def linear_p(r: npt.ArrayLike, n: npt.ArrayLike) -> Floats:
    """Two-sided p of correlations `r` on `n` rows by the t test with n − 2 degrees of freedom; NaN below 3 rows."""
    r, n = np.asarray(r, np.float64), np.asarray(n, np.float64)
    half_degrees = np.where(n >= MIN_ROWS, n / 2 - 1, np.nan)
    return np.asarray(2 * special.betainc(half_degrees, half_degrees, (1 - np.abs(r)) / 2))


def unit_columns(columns: Floats) -> Floats:
    """Rows of `columns` (variable, row) centred and scaled to length 1; NaN where a variable does not vary.

    Divided by the largest deviation first, so that squares neither overflow nor vanish.
    """
    centred = columns - columns.mean(axis=1, keepdims=True)
    largest = np.max(np.abs(centred), axis=1, keepdims=True)
    is_flat = np.ptp(columns, axis=1, keepdims=True) == 0
    centred /= np.where(is_flat, np.nan, largest)
    centred /= np.sqrt(np.einsum("vr,vr->v", centred, centred))[:, None]
    return np.asarray(centred)


def mid_ranks(rows: Floats) -> Floats:
    """Ranks within each row, from 1 on; equal values share their mean rank, as Spearman's rho takes them.

    Parameters
    ----------
    rows : shape (row, value)
    """
    return np.asarray(stats.rankdata(rows, axis=1), np.float64)


def _problem(a: Floats, b: Floats) -> str:
    if len(a) < MIN_ROWS:
        return f"only {len(a)} complete row(s); at least {MIN_ROWS} are needed"
    for name, column in (("x", a), ("y", b)):
        if np.ptp(column) == 0:
            return f"{name} does not vary: a correlation is not defined"
    return ""


def _linear(a: Floats, b: Floats, method: str) -> tuple[float, float]:
    pair = np.stack([a, b])
    if method == "spearman":
        pair = mid_ranks(pair)
    first, second = unit_columns(pair)
    r = float(np.clip(first @ second, -1.0, 1.0))
    return r, float(linear_p(r, len(a)))


def _kendall(a: Floats, b: Floats) -> tuple[float, float]:
    result = stats.kendalltau(a, b, variant="b")
    return float(np.clip(result.statistic, -1.0, 1.0)), float(result.pvalue)
