"""Correction of p values for many tests, and the stars that are printed beside them."""

import math

import numpy as np
import numpy.typing as npt

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.rows import Floats

METHODS = ("holm", "benjamini-hochberg", "bonferroni")
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
NOT_SIGNIFICANT = "-"


def adjust(p: npt.ArrayLike, method: str = "holm") -> Floats:
    """Adjusted p values in the order given.

    Parameters
    ----------
    p : float 0–1, shape (m,)
        NaN (no test was possible) stays NaN and does not count among the m tests.
    method : "holm", "benjamini-hochberg" or "bonferroni"

    References
    ----------
    Holm S. Scand J Stat 1979;6:65. Benjamini Y, Hochberg Y. J R Stat Soc B 1995;57:289.
    """
    checks.choice("method", method, METHODS)
    values = checks.finite_or_missing("p", p, 1)
    tested = ~np.isnan(values)
    known = np.asarray(p, np.float64)[tested]  # as given: a p value may well be smaller than what counts as 0 elsewhere
    if known.size and (known.min() < 0 or known.max() > 1):
        raise ScoringError("p", float(known.min() if known.min() < 0 else known.max()), "numbers from 0 to 1")
    adjusted = np.full_like(values, np.nan)
    adjusted[tested] = _adjust_known(known, method)
    return adjusted


def stars(p: float, is_three_star_used: bool = True) -> str:
    """ "*" below 0.05, "**" below 0.01, "***" below 0.001, "-" otherwise (the article's legend), "" for NaN."""
    if math.isnan(p):
        return ""
    p = checks.number("p", p, 0.0, 1.0)
    legend = STARS if is_three_star_used else STARS[1:]
    return next((mark for limit, mark in legend if p < limit), NOT_SIGNIFICANT)


def _adjust_known(p: Floats, method: str) -> Floats:
    m = len(p)
    if method == "bonferroni":
        return np.minimum(p * m, 1.0)
    order = np.argsort(p)
    if method == "holm":
        ordered = np.maximum.accumulate(p[order] * np.arange(m, 0, -1))
    else:
        ordered = np.minimum.accumulate((p[order] * m / np.arange(1, m + 1))[::-1])[::-1]
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(ordered, 1.0)
    return adjusted
