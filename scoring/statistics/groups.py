"""Two groups, or pairs, compared: t, Welch, Mann–Whitney, χ² and Fisher, and which of them to take, with the reason."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats
from scipy.stats import contingency
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.estimate import Estimate
from scoring.statistics.rows import Floats, complete_pairs, present

LARGE_GROUP = 30
SHAPIRO_MAX = 5000
SHAPIRO_ALPHA = 0.05
MIN_EXPECTED = 5.0
SMALL_CELL_SHARE = 0.2


@dataclass(frozen=True)
class Comparison:
    """The test that was chosen, and why, in words."""

    test: Estimate
    reason: str


def unpaired_t(first: npt.ArrayLike, second: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Difference of means (first − second) with Student's pooled t; missing values are dropped and counted.

    Returns
    -------
    Estimate
        NaN with a warning when a group has fewer than 2 values or nothing varies.

    References
    ----------
    Student. Biometrika 1908;6:1.
    """
    return _t_test("unpaired t", first, second, level, is_pooled=True)


def welch_t(first: npt.ArrayLike, second: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Difference of means (first − second) without assuming equal variances; see `unpaired_t`.

    References
    ----------
    Welch BL. Biometrika 1947;34:28.
    """
    return _t_test("Welch t", first, second, level, is_pooled=False)


def paired_t(first: npt.ArrayLike, second: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Mean difference (first − second) of pairs with Student's t; pairs with a missing value are dropped and counted.

    Parameters
    ----------
    first, second : float, shape (n,)
        Two measurements of each unit. Units must be independent of each other: one row a patient, not one a hip.

    Returns
    -------
    Estimate
        NaN with a warning for fewer than 2 pairs, or when every pair differs by the same amount.

    References
    ----------
    Student. Biometrika 1908;6:1.
    """
    level = checks.level(level)
    a, b, n_dropped = complete_pairs(first, second)
    difference = a - b
    n = len(difference)
    if n < 2 or np.ptp(difference) == 0:
        warning = "fewer than 2 pairs, or the differences don't vary: not defined"
        mean = float(difference.mean()) if n else math.nan
        return Estimate("paired t", mean, n_used=n, n_dropped=n_dropped, level=level, warnings=(warning,))
    described = DescrStatsW(difference)
    t, p, degrees = described.ttest_mean(0.0)
    low, high = described.tconfint_mean(1 - level)
    parts = {"t": float(t), "df": float(degrees), "sd": float(difference.std(ddof=1))}
    note = "mean of the differences, first − second"
    return Estimate(
        "paired t", float(difference.mean()), float(low), float(high), float(p), n, n_dropped, level, note, parts=parts
    )


def mann_whitney(first: npt.ArrayLike, second: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Probability that a value of the first group exceeds one of the second (ties half), with the Mann–Whitney p.

    Returns
    -------
    Estimate
        0.5 means no difference. Interval: DeLong's variance on the logit. NaN with a warning for an empty group.

    References
    ----------
    Mann HB, Whitney DR. Ann Math Stat 1947;18:50. DeLong ER et al. Biometrics 1988;44:837.
    """
    level = checks.level(level)
    a, b, n_dropped = _two_groups(first, second)
    name, note = (
        "Mann–Whitney",
        "probability of superiority; interval: DeLong on the logit; p: exact or normal, as scipy chooses",
    )
    n = len(a) + len(b)
    if not len(a) or not len(b):
        return _undefined(name, n, n_dropped, level, "a group is empty: not defined")
    test = stats.mannwhitneyu(a, b, alternative="two-sided")
    value = float(test.statistic) / (len(a) * len(b))
    low, high = _superiority_interval(a, b, value, level)
    parts = {"u": float(test.statistic), "n_first": float(len(a)), "n_second": float(len(b))}
    return Estimate(name, value, low, high, float(test.pvalue), n, n_dropped, level, note, parts=parts)


def chi_square(table: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Association in a table of counts: Cramér's V with Pearson's χ² (no continuity correction).

    Parameters
    ----------
    table : whole numbers ≥ 0, shape (r, c), at least 2 × 2
        Empty rows and columns are left out.

    Returns
    -------
    Estimate
        Interval from inverting the non-central χ². NaN with a warning when one row or column is left.

    References
    ----------
    Cramér H. Mathematical Methods of Statistics. 1946. Smithson M. Confidence Intervals. 2003.
    """
    level = checks.level(level)
    counts = _counts(table)
    n = int(counts.sum())
    if min(counts.shape) < 2:
        return _undefined("χ²", n, 0, level, "one row or column only: not defined")
    test = contingency.chi2_contingency(counts, correction=False)
    statistic, degrees = float(test.statistic), int(test.dof)
    size = n * (min(counts.shape) - 1)
    limits = [_noncentrality(statistic, degrees, tail) for tail in ((1 + level) / 2, (1 - level) / 2)]
    low, high = (min(1.0, math.sqrt(limit / size)) for limit in limits)
    value = min(1.0, math.sqrt(statistic / size))
    parts = {"chi2": statistic, "df": float(degrees), "min_expected": float(test.expected_freq.min())}
    return Estimate("χ²", value, low, high, float(test.pvalue), n, 0, level, "Cramér's V; non-central χ² interval", (), parts)


def fisher_exact(table: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Conditional odds ratio of a 2 × 2 table with its exact interval and Fisher's p.

    Raises
    ------
    ScoringError
        When the table is not 2 × 2 counts.

    References
    ----------
    Fisher RA. J R Stat Soc 1935;98:39.
    """
    level = checks.level(level)
    given = checks.finite_or_missing("table", table, 2)
    if given.shape != (2, 2):
        raise ScoringError("table", f"an array of shape {given.shape}", "a 2 × 2 table of counts")
    counts = _counts(table)
    n = int(counts.sum())
    if counts.shape != (2, 2):
        return _undefined("Fisher's exact test", n, 0, level, "a row or column is empty: not defined")
    whole = counts.astype(np.int64)
    ratio = contingency.odds_ratio(whole, kind="conditional")
    interval = ratio.confidence_interval(level)
    p = float(stats.fisher_exact(whole).pvalue)
    note = "conditional odds ratio, exact interval"
    return Estimate(
        "Fisher's exact test", float(ratio.statistic), float(interval.low), float(interval.high), p, n, 0, level, note
    )


def compare_values(first: npt.ArrayLike, second: npt.ArrayLike, level: float = 0.95) -> Comparison:
    """Welch's t for large or normal groups, Mann–Whitney otherwise; the reason says which and why.

    Notes
    -----
    Both groups of at least 30: Welch, because means of that many are near enough normal. Smaller: Welch when
    Shapiro–Wilk finds no departure from the normal in either (p ≥ 0.05), else Mann–Whitney. Student's pooled t is
    never chosen: it is right only where variances are equal, and Welch loses next to nothing there.
    """
    a, b, _ = _two_groups(first, second)
    smallest = min(len(a), len(b))
    if smallest >= LARGE_GROUP:
        return Comparison(welch_t(first, second, level), f"Welch t: both groups have at least {LARGE_GROUP} values")
    if smallest < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        reason = "Mann–Whitney: a group has fewer than 3 values or does not vary"
        return Comparison(mann_whitney(first, second, level), reason)
    worst = min(float(stats.shapiro(group[:SHAPIRO_MAX]).pvalue) for group in (a, b))
    if worst >= SHAPIRO_ALPHA:
        return Comparison(
            welch_t(first, second, level),
            f"Welch t: small groups without departure from the normal (Shapiro–Wilk p {worst:.3f})",
        )
    return Comparison(mann_whitney(first, second, level), f"Mann–Whitney: small and not normal (Shapiro–Wilk p {worst:.3f})")


def compare_counts(table: npt.ArrayLike, level: float = 0.95) -> Comparison:
    """χ², or Fisher's exact test for a 2 × 2 table with small expected counts; the reason says which and why.

    Notes
    -----
    Cochran's rule: χ² when no expected count is below 1 and at most a fifth are below 5.

    References
    ----------
    Cochran WG. Biometrics 1954;10:417.
    """
    counts = _counts(table)
    if min(counts.shape) < 2:
        return Comparison(chi_square(table, level), "no test: one row or column only")
    expected = contingency.expected_freq(counts)
    small = float((expected < MIN_EXPECTED).mean())
    is_sparse = expected.min() < 1 or small > SMALL_CELL_SHARE
    if not is_sparse:
        return Comparison(chi_square(table, level), f"χ²: smallest expected count {expected.min():.1f}")
    if counts.shape == (2, 2):
        return Comparison(fisher_exact(counts, level), f"Fisher: smallest expected count {expected.min():.1f}")
    return Comparison(
        chi_square(table, level),
        f"χ², to be read with care: {100 * small:.0f} % of expected counts are below 5 and the table is larger than 2 × 2",
    )


def _two_groups(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Floats, Floats, int]:
    a, n_dropped_a = present("first", first)
    b, n_dropped_b = present("second", second)
    return a, b, n_dropped_a + n_dropped_b


def _undefined(name: str, n: int, n_dropped: int, level: float, warning: str) -> Estimate:
    return Estimate(name, math.nan, n_used=n, n_dropped=n_dropped, level=level, warnings=(warning,))


def _t_test(name: str, first: npt.ArrayLike, second: npt.ArrayLike, level: float, is_pooled: bool) -> Estimate:
    level = checks.level(level)
    a, b, n_dropped = _two_groups(first, second)
    n = len(a) + len(b)
    if min(len(a), len(b)) < 2 or (np.ptp(a) == 0 and np.ptp(b) == 0):
        return _undefined(name, n, n_dropped, level, "a group has fewer than 2 values, or nothing varies: not defined")
    both, usevar = CompareMeans(DescrStatsW(a), DescrStatsW(b)), "pooled" if is_pooled else "unequal"
    t, p, degrees = both.ttest_ind(usevar=usevar)
    low, high = both.tconfint_diff(1 - level, usevar=usevar)
    parts = {"t": float(t), "df": float(degrees), "n_first": float(len(a)), "n_second": float(len(b))}
    return Estimate(
        name,
        float(a.mean() - b.mean()),
        float(low),
        float(high),
        float(p),
        n,
        n_dropped,
        level,
        "difference of means, first − second",
        parts=parts,
    )


def _superiority_interval(a: Floats, b: Floats, value: float, level: float) -> tuple[float, float]:
    if not 0.0 < value < 1.0 or min(len(a), len(b)) < 2:
        return math.nan, math.nan
    pooled = stats.rankdata(np.concatenate([a, b]))
    over = (pooled[: len(a)] - stats.rankdata(a)) / len(b)
    under = (pooled[len(a) :] - stats.rankdata(b)) / len(a)
    variance = float(over.var(ddof=1)) / len(a) + float(under.var(ddof=1)) / len(b)
    half = float(special.ndtri(0.5 + level / 2)) * math.sqrt(variance) / (value * (1 - value))
    middle = float(special.logit(value))
    return float(special.expit(middle - half)), float(special.expit(middle + half))


def _counts(table: npt.ArrayLike) -> Floats:
    """A table of counts without its empty rows and columns."""
    counts = checks.finite_or_missing("table", table, 2)
    if np.isnan(counts).any() or (counts < 0).any() or (counts != np.floor(counts)).any():
        raise ScoringError("table", counts.tolist(), "whole numbers of at least 0")
    kept = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if not kept.size:
        raise ScoringError("table", counts.tolist(), "at least one count above 0")
    return np.asarray(kept)


def _noncentrality(statistic: float, degrees: int, share: float) -> float:
    """The non-centrality at which χ² stays below `statistic` with probability `share`; 0 where even 0 is too much."""
    if stats.chi2.cdf(statistic, degrees) <= share:
        return 0.0
    top = statistic + 10 * math.sqrt(statistic) + 50
    return float(optimize.brentq(lambda value: float(stats.ncx2.cdf(statistic, degrees, value)) - share, 1e-12, top))
