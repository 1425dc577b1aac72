"""Proportions with Wilson intervals, and the diagnostic figures made of them."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.estimate import Estimate
from scoring.statistics.rows import complete_pairs


@dataclass(frozen=True)
class Diagnosis:
    """Agreement of a yes/no call with the truth; each share is NaN where its denominator is empty."""

    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    accuracy: Estimate


def proportion(n_positive: int, n: int, level: float = 0.95, name: str = "proportion", n_dropped: int = 0) -> Estimate:
    """A share with its Wilson interval; NaN with a warning when there is nothing to take a share of.

    Parameters
    ----------
    n_positive, n : int, 0 ≤ n_positive ≤ n
    level : float, 0–1

    References
    ----------
    Wilson EB. J Am Stat Assoc 1927;22:209.
    """
    level = checks.level(level)
    total = checks.number("n", n, 0)
    positive = checks.number("n_positive", n_positive, 0, total)
    parts = {"n_positive": positive}
    if not total:
        warning = ("nothing to take a share of: not defined",)
        return Estimate(name, math.nan, n_used=0, n_dropped=n_dropped, level=level, warnings=warning, parts=parts)
    low, high = proportion_confint(positive, total, alpha=1 - level, method="wilson")
    return Estimate(
        name,
        positive / total,
        max(0.0, float(low)),
        min(1.0, float(high)),
        n_used=int(total),
        n_dropped=n_dropped,
        level=level,
        method="Wilson interval",
        parts=parts,
    )


def diagnose(truth: npt.ArrayLike, predicted: npt.ArrayLike, level: float = 0.95) -> Diagnosis:
    """Sensitivity, specificity, predictive values and accuracy with Wilson intervals.

    Parameters
    ----------
    truth, predicted : 0 or 1 (or booleans), same length
        NaN means missing; the row is dropped and counted.

    Raises
    ------
    ScoringError
        When a value is neither 0 nor 1, or lengths differ.
    """
    a, b, n_dropped = complete_pairs(truth, predicted)
    for field, values in (("truth", a), ("predicted", b)):
        wrong = values[(values != 0) & (values != 1)]
        if wrong.size:
            raise ScoringError(field, float(wrong[0]), "0 or 1")
    is_true, is_called = a == 1, b == 1

    def share(name: str, hits: npt.NDArray[np.bool_], base: npt.NDArray[np.bool_]) -> Estimate:
        return proportion(int((hits & base).sum()), int(base.sum()), level, name, n_dropped)

    return Diagnosis(
        sensitivity=share("sensitivity", is_called, is_true),
        specificity=share("specificity", ~is_called, ~is_true),
        ppv=share("positive predictive value", is_true, is_called),
        npv=share("negative predictive value", ~is_true, ~is_called),
        accuracy=share("accuracy", is_true == is_called, np.ones_like(is_true)),
    )


def mean_of_cases(values: npt.ArrayLike, name: str = "mean", level: float = 0.95) -> Estimate:
    """Mean of a measure over cases with its t interval; NaN cases (empty against empty) are dropped and counted.

    Parameters
    ----------
    values : float, shape (n,)
        For example the Dice of every hip. Infinite values are refused: say how many there are and leave them out
        knowingly.
    """
    level = checks.level(level)
    given = checks.finite_or_missing("values", values, 1)
    known = given[~np.isnan(given)]
    n, n_dropped = len(known), int(np.isnan(given).sum())
    if n < 2:
        warning = ("fewer than 2 cases: no interval",)
        mean = float(known[0]) if n else math.nan
        return Estimate(name, mean, n_used=n, n_dropped=n_dropped, level=level, warnings=warning)
    mean, sd = float(known.mean()), float(known.std(ddof=1))
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * sd / math.sqrt(n)
    return Estimate(name, mean, mean - half, mean + half, math.nan, n, n_dropped, level, "t interval", parts={"sd": sd})
