"""Measurement error of readers in the unit of the score: SEM, SDD, SDC, and who changed beyond it."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from scoring import checks
from scoring.statistics.agreement import mean_squares
from scoring.statistics.estimate import Estimate
from scoring.statistics.proportions import proportion
from scoring.statistics.rows import complete_rows, present


@dataclass(frozen=True)
class ChangeBeyond:
    """Shares of patients that improved, worsened or did neither by more than a smallest detectable change."""

    improved: Estimate
    worsened: Estimate
    unchanged: Estimate
    sdc: float


def limits_multiplier(share: float) -> float:
    """Normal multiplier of limits that hold `share` of differences, to four decimals: 0.95 → 1.9600, 0.80 → 1.2816.

    Rounded as the literature prints it, so that limits and SDC agree with published tables to their last digit.
    """
    return round(float(special.ndtri(0.5 + checks.level(share) / 2)), 4)


def sem(table: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Standard error of measurement of one reading: √ of the error mean square; SD of differences ÷ √2 for two readers.

    Parameters
    ----------
    table : float, shape (target, reader)
        Targets with a missing reading are dropped and counted.
    level : float, 0–1

    Raises
    ------
    ScoringError
        For fewer than 2 readers or complete targets.

    References
    ----------
    Stratford PW, Goldsmith CH. Phys Ther 1997;77:745. Interval from χ² of the error sum of squares.
    """
    return _from_error("SEM", table, level, factor=1.0, note="√ of the error mean square; χ² interval")


def sdd(table: npt.ArrayLike, share: float = 0.95, level: float = 0.95) -> Estimate:
    """Smallest detectable difference between two single readings at one time point: z · √2 · SEM.

    Parameters
    ----------
    table : float, shape (target, reader)
    share : float, 0–1
        Share of differences that stay below: 0.95 (z 1.96) or, for example, 0.80 (z 1.28).
    level : float, 0–1

    References
    ----------
    Lassere M et al. J Rheumatol 1999;26:731.
    """
    z = limits_multiplier(share)
    return _from_error("SDD", table, level, z * math.sqrt(2), f"z · √2 · SEM for {100 * share:g} % of differences")


def sdc(change_table: npt.ArrayLike, n_readers: int = 1, share: float = 0.95, level: float = 0.95) -> Estimate:
    """Smallest detectable change of a score that is the mean of `n_readers`, from each reader's change scores.

    Parameters
    ----------
    change_table : float, shape (target, reader)
        Change (follow-up − baseline) as each reader found it.
    n_readers : int ≥ 1
        Readers whose mean is used in practice.
    share : float, 0–1
    level : float, 0–1

    Notes
    -----
    z · SD of inter-reader differences of change ÷ (√2 · √n_readers). For more than two readers the SD comes from the
    error mean square. It needs change scores: the spread of status scores (SDD) is too wide for paired reading.

    References
    ----------
    Bruynesteyn K et al. Ann Rheum Dis 2005;64:179.
    """
    n = checks.number("n_readers", n_readers, 1)
    z = limits_multiplier(share)
    note = f"z · SD of differences of change ÷ (√2 · √{n:g}) for {100 * share:g} % of differences"
    return _from_error("SDC", change_table, level, z / math.sqrt(n), note)


def change_beyond(change: npt.ArrayLike, sdc: float, level: float = 0.95, lower_is_better: bool = True) -> ChangeBeyond:
    """Shares of patients whose change exceeds the smallest detectable change, with Wilson intervals.

    Parameters
    ----------
    change : float, shape (n,)
        Follow-up − baseline; NaN is dropped and counted.
    sdc : float > 0
    lower_is_better : bool
        True for activity scores; False for the Harris hip score.
    """
    limit = checks.number("sdc", sdc, 0.0)
    known, n_dropped = present("change", change)
    gain = -known if lower_is_better else known
    n = len(known)
    n_improved, n_worsened = int((gain > limit).sum()), int((gain < -limit).sum())
    return ChangeBeyond(
        improved=proportion(n_improved, n, level, "improved beyond the SDC", n_dropped),
        worsened=proportion(n_worsened, n, level, "worsened beyond the SDC", n_dropped),
        unchanged=proportion(n - n_improved - n_worsened, n, level, "within the SDC", n_dropped),
        sdc=limit,
    )


def _from_error(name: str, table: npt.ArrayLike, level: float, factor: float, note: str) -> Estimate:
    """factor · √(error mean square), with the χ² interval of the latter."""
    level = checks.level(level)
    complete, n_dropped = complete_rows("table", table)
    squares = mean_squares(complete)
    value = factor * math.sqrt(squares.error)
    degrees = (squares.n - 1) * (squares.k - 1)
    low, high = (value * math.sqrt(degrees / float(stats.chi2.ppf(tail, degrees))) for tail in ((1 + level) / 2, (1 - level) / 2))
    parts = {"sd_of_differences": float(np.sqrt(2 * squares.error)), "df": float(degrees)}
    return Estimate(name, value, low, high, math.nan, squares.n, n_dropped, level, note, parts=parts)
