"""How strongly a score moves: standardised response mean, Kazis's effect size, Guyatt's responsiveness."""

import math

import numpy.typing as npt
from scipy import special, stats

from scoring import checks
from scoring.statistics.estimate import Estimate
from scoring.statistics.rows import Floats, complete_pairs, present

BANDS = ((0.8, "large"), (0.5, "moderate"), (0.2, "small"))


def srm(baseline: npt.ArrayLike, follow_up: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Standardised response mean: mean change ÷ SD of change; negative when the score falls.

    Parameters
    ----------
    baseline, follow_up : float, same length
        Rows with a missing value are dropped and counted.
    level : float, 0–1

    Returns
    -------
    Estimate
        p of the paired t test. NaN with a warning below 3 rows or when nothing changes differently.

    References
    ----------
    Liang MH et al. Med Care 1990;28:632. Interval: normal, SE √(1/n + SRM²/(2(n − 1))).
    """
    before, after, n_dropped = complete_pairs(baseline, follow_up)
    change = after - before
    return _effect("SRM", change, change, level, n_dropped, "mean change ÷ SD of change")


def kazis(baseline: npt.ArrayLike, follow_up: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Kazis's effect size: mean change ÷ SD at baseline; negative when the score falls.

    References
    ----------
    Kazis LE et al. Med Care 1989;27:S178. Interval: normal, delta method.
    """
    before, after, n_dropped = complete_pairs(baseline, follow_up)
    return _effect("Kazis effect size", after - before, before, level, n_dropped, "mean change ÷ SD at baseline")


def guyatt(change: npt.ArrayLike, change_of_stable: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Guyatt's responsiveness: mean change of treated patients ÷ SD of change of stable ones.

    Parameters
    ----------
    change, change_of_stable : float
        Follow-up − baseline of each group; NaN is dropped and counted.

    References
    ----------
    Guyatt G et al. J Chronic Dis 1987;40:171. Interval: normal, delta method.
    """
    treated, n_dropped = present("change", change)
    stable, n_dropped_stable = present("change_of_stable", change_of_stable)
    note = "mean change of treated ÷ SD of change of stable patients"
    return _effect("Guyatt responsiveness", treated, stable, level, n_dropped + n_dropped_stable, note)


def responsiveness_band(value: float) -> str:
    """ "trivial" below 0.2, "small" below 0.5, "moderate" below 0.8, "large" from 0.8, whatever the sign."""
    size = abs(checks.number("responsiveness", value))
    return next((band for limit, band in BANDS if size >= limit), "trivial")


def _effect(name: str, change: Floats, scale: Floats, level: float, n_dropped: int, note: str) -> Estimate:
    """Mean of `change` over SD of `scale`, with the delta-method interval; p is that of the t test of the change."""
    level = checks.level(level)
    n = len(change)
    sd = float(scale.std(ddof=1)) if len(scale) > 1 else 0.0
    spread = float(change.std(ddof=1)) if n > 1 else 0.0
    if n < 3 or len(scale) < 3 or not sd > 0:
        warning = ("fewer than 3 rows, or no spread to divide by: not defined",)
        return Estimate(name, math.nan, n_used=n, n_dropped=n_dropped, level=level, method=note, warnings=warning)
    mean = float(change.mean())
    value = mean / sd
    se = math.sqrt((spread / sd) ** 2 / n + value**2 / (2 * (len(scale) - 1)))
    half = float(special.ndtri(0.5 + level / 2)) * se
    p = float(2 * stats.t.sf(abs(mean) / (spread / math.sqrt(n)), n - 1)) if spread > 0 else math.nan
    parts = {"mean_change": mean, "sd": sd, "se": se, "n_scale": float(len(scale))}
    return Estimate(name, value, value - half, value + half, p, n, n_dropped, level, note, parts=parts)
