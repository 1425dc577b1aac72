"""Two readers or methods on one scale: Lin's concordance, Bland–Altman limits, and kappa with raw agreement."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats
from statsmodels.stats.inter_rater import cohens_kappa

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.estimate import Estimate
from scoring.statistics.measurement_error import limits_multiplier
from scoring.statistics.proportions import proportion
from scoring.statistics.rows import Floats, complete_pairs

WEIGHTS = {"none": None, "linear": "linear", "quadratic": "quadratic"}


@dataclass(frozen=True)
class BlandAltman:
    """Bias and limits of agreement, each with its interval, in the unit of the score; differences are x − y."""

    bias: Estimate
    lower: Estimate
    upper: Estimate
    sd: float


@dataclass(frozen=True)
class Kappa:
    """Kappa with the raw agreement that must stand beside it, and the prevalence-adjusted kappa."""

    kappa: Estimate
    raw_agreement: Estimate
    prevalence_adjusted: float


def lin_ccc(x: npt.ArrayLike, y: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Lin's concordance correlation coefficient, −1 to 1.

    Parameters
    ----------
    x, y : float, same length
        Rows with a missing value are dropped and counted.
    level : float, 0–1

    Returns
    -------
    Estimate
        `parts` has Pearson's r (precision) and the bias correction (accuracy). NaN with a warning below 3 rows or where
        nothing varies.

    References
    ----------
    Lin LI. Biometrics 1989;45:255 (variances with n), interval on Fisher's z as corrected in Biometrics 2000;56:324.
    """
    level = checks.level(level)
    a, b, n_dropped = complete_pairs(x, y)
    n = len(a)
    name, note = "Lin's CCC", "interval and p against 0: Fisher z of the CCC (Lin 1989, 2000)"
    spread = (a.std(), b.std()) if n else (0.0, 0.0)
    if n < 3 or not min(spread) > 0:
        warning = ("fewer than 3 complete rows, or a column that does not vary: not defined",)
        return Estimate(name, math.nan, n_used=n, n_dropped=n_dropped, level=level, method=note, warnings=warning)
    shift = float(a.mean() - b.mean())
    covariance = float(((a - a.mean()) * (b - b.mean())).mean())
    ccc = 2 * covariance / float(spread[0] ** 2 + spread[1] ** 2 + shift**2)
    r = min(max(covariance / float(spread[0] * spread[1]), -1.0), 1.0)
    low, high, p = _ccc_interval(ccc, r, shift / math.sqrt(float(spread[0] * spread[1])), n, level)
    parts = {"pearson": r, "bias_correction": ccc / r if r else math.nan}
    return Estimate(name, ccc, low, high, p, n_used=n, n_dropped=n_dropped, level=level, method=note, parts=parts)


def bland_altman(x: npt.ArrayLike, y: npt.ArrayLike, level: float = 0.95, limits: float = 0.95) -> BlandAltman:
    """Bias of x against y and limits of agreement, with intervals.

    Parameters
    ----------
    x, y : float, same length
        Rows with a missing value are dropped and counted.
    level : float, 0–1
        Of the intervals.
    limits : float, 0–1
        Share of differences between the limits: 0.95 is ± 1.96 SD, 0.80 is ± 1.28 SD.

    Raises
    ------
    ScoringError
        When fewer than 3 rows are complete.

    References
    ----------
    Bland JM, Altman DG. Stat Methods Med Res 1999;8:135 (SE of a limit: SD · √(1/n + z²/(2(n − 1)))).
    """
    level = checks.level(level)
    z = limits_multiplier(limits)
    a, b, n_dropped = complete_pairs(x, y)
    n = len(a)
    if n < 3:
        raise ScoringError("x", f"{n} complete rows", "at least 3 complete rows")
    difference = a - b
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    t = float(stats.t.ppf(0.5 + level / 2, n - 1))
    se_bias, se_limit = sd / math.sqrt(n), sd * math.sqrt(1 / n + z**2 / (2 * (n - 1)))
    p = math.nan if sd == 0 else float(2 * stats.t.sf(abs(bias) / se_bias, n - 1))

    def estimate(name: str, value: float, se: float, p_value: float = math.nan) -> Estimate:
        note = f"limits for {100 * limits:g} % of differences; t interval"
        return Estimate(name, value, value - t * se, value + t * se, p_value, n, n_dropped, level, note, parts={"se": se})

    return BlandAltman(
        bias=estimate("bias", bias, se_bias, p),
        lower=estimate("lower limit of agreement", bias - z * sd, se_limit),
        upper=estimate("upper limit of agreement", bias + z * sd, se_limit),
        sd=sd,
    )


def weighted_kappa(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    weights: str = "quadratic",
    categories: Sequence[float] | None = None,
    level: float = 0.95,
) -> Kappa:
    """Kappa of two readers' grades, with raw agreement.

    Parameters
    ----------
    first, second : numbers, same length
        Grades; rows with a missing one are dropped and counted.
    weights : "none", "linear" or "quadratic"
    categories : rising numbers, optional
        All grades there are; those that occur unless given.
    level : float, 0–1

    Raises
    ------
    ScoringError
        For an unknown weight, or a grade that is not among the categories.
    """
    a, b, n_dropped = complete_pairs(first, second)
    grades = np.unique(np.concatenate([a, b])) if categories is None else np.asarray(categories, np.float64)
    for field, values in (("first", a), ("second", b)):
        unknown = values[~np.isin(values, grades)]
        if unknown.size:
            raise ScoringError(field, float(unknown[0]), "one of " + ", ".join(f"{grade:g}" for grade in grades))
    table = np.zeros((len(grades), len(grades)))
    np.add.at(table, (np.searchsorted(grades, a), np.searchsorted(grades, b)), 1.0)
    return kappa_from_table(table, weights, level, n_dropped)


def kappa_from_table(table: npt.ArrayLike, weights: str = "quadratic", level: float = 0.95, n_dropped: int = 0) -> Kappa:
    """Kappa of a square table of counts (first reader in rows), with raw agreement; see `weighted_kappa`.

    Returns
    -------
    Kappa
        NaN with a warning when both readers used one and the same grade only.

    References
    ----------
    Cohen J. Psychol Bull 1968;70:213. Fleiss JL, Cohen J, Everitt BS. Psychol Bull 1969;72:323 (standard error). Byrt
    T et al. J Clin Epidemiol 1993;46:423 (prevalence-adjusted kappa).
    """
    checks.choice("weights", weights, tuple(WEIGHTS))
    level = checks.level(level)
    counts = _square_counts(table)
    n = int(counts.sum())
    agreed = float(np.trace(counts))
    raw = proportion(int(agreed), n, level, "raw agreement", n_dropped)
    k = len(counts)
    adjusted = (k * agreed / n - 1) / (k - 1) if k > 1 else math.nan
    name = "Cohen's kappa" if weights == "none" else f"kappa, {weights} weights"
    note = "normal interval and p, standard errors of Fleiss, Cohen & Everitt 1969"
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    if k < 2 or float(np.trace(expected)) >= n:
        warning = ("both readers used one grade only: kappa is not defined",)
        kappa = Estimate(name, math.nan, n_used=n, n_dropped=n_dropped, level=level, method=note, warnings=warning)
        return Kappa(kappa, raw, adjusted)
    with np.errstate(divide="ignore", invalid="ignore"):
        result = cohens_kappa(counts, wt=WEIGHTS[weights])
    value, se = float(result.kappa), float(result.std_kappa)
    half = float(special.ndtri(0.5 + level / 2)) * se if se > 0 or value == 1.0 else math.nan
    p = float(2 * special.ndtr(-abs(value) / result.std_kappa0)) if result.std_kappa0 > 0 else math.nan
    kappa = Estimate(name, value, _within(value - half), _within(value + half), p, n, n_dropped, level, note)
    return Kappa(kappa, raw, adjusted)


def _within(limit: float) -> float:
    """A limit of kappa within −1 to 1; NaN stays NaN."""
    return math.nan if math.isnan(limit) else min(max(limit, -1.0), 1.0)


def _ccc_interval(ccc: float, r: float, shift: float, n: int, level: float) -> tuple[float, float, float]:
    """Limits, and p against 0; the variance is that of Lin 2000."""
    if abs(ccc) >= 1.0:
        return ccc, ccc, 0.0
    if r == 0.0:
        return math.nan, math.nan, math.nan
    square = ccc**2
    variance = (
        (1 - r**2) * square / ((1 - square) * r**2)
        + 2 * ccc**3 * (1 - ccc) * shift**2 / (r * (1 - square) ** 2)
        - ccc**4 * shift**4 / (2 * r**2 * (1 - square) ** 2)
    ) / (n - 2)
    se, middle = math.sqrt(max(variance, sys.float_info.min)), math.atanh(ccc)
    half = float(special.ndtri(0.5 + level / 2)) * se
    return math.tanh(middle - half), math.tanh(middle + half), float(2 * special.ndtr(-abs(middle) / se))


def _square_counts(table: npt.ArrayLike) -> Floats:
    counts = checks.finite_or_missing("table", table, 2)
    if counts.shape[0] != counts.shape[1] or not counts.size:
        raise ScoringError("table", f"an array of shape {counts.shape}", "a square table of counts")
    if np.isnan(counts).any() or (counts < 0).any() or (counts != np.floor(counts)).any():
        raise ScoringError("table", counts.tolist(), "whole numbers of at least 0")
    if not counts.sum():
        raise ScoringError("table", "no counts", "at least one pair of grades")
    return counts
