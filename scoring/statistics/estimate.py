"""What a statistic gives back: estimate, interval, p, how many rows it used and dropped, and its name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Estimate:
    """One statistic.

    Attributes
    ----------
    name : str
        Name of the statistic, with its form.
    estimate : float
        NaN where it is not defined; a warning says why.
    low, high : float
        Limits of the confidence interval, NaN where there is none.
    p : float
        Two-sided p unless `method` says otherwise; NaN where no test belongs to the statistic.
    n_used, n_dropped : int
        Rows that entered, and rows left out because of missing values.
    level : float
        Confidence level of the interval.
    method : str
        How the interval and p were found.
    warnings : tuple of str
    parts : mapping of str to float
        Components worth showing (mean squares, counts, standard errors).
    """

    name: str
    estimate: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    n_used: int = 0
    n_dropped: int = 0
    level: float = 0.95
    method: str = ""
    warnings: tuple[str, ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)
