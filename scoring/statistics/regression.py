"""The straight line through a scatter, with the band that its mean lies in."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.estimate import Estimate
from scoring.statistics.rows import Floats, complete_pairs

MIN_ROWS = 3


@dataclass(frozen=True)
class Line:
    """Least-squares line y = intercept + slope · x.

    Attributes
    ----------
    slope, intercept : Estimate
        With t intervals; p of the slope is that of Pearson's r.
    r_squared : float
        Share of the variance of y that the line explains; NaN where y does not vary.
    residual_sd : float
        In the unit of y, n − 2 degrees of freedom.
    """

    slope: Estimate
    intercept: Estimate
    r_squared: float
    residual_sd: float
    mean_x: float
    sum_of_squares: float

    def at(self, x: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
        """The line at `x` with the limits of the interval of the mean of y there: (line, low, high)."""
        values = np.asarray(x, np.float64)
        n = self.slope.n_used
        t = float(stats.t.ppf(0.5 + self.slope.level / 2, n - 2))
        line = self.intercept.estimate + self.slope.estimate * values
        half = t * self.residual_sd * np.sqrt(1 / n + (values - self.mean_x) ** 2 / self.sum_of_squares)
        return line, line - half, line + half


def straight_line(x: npt.ArrayLike, y: npt.ArrayLike, level: float = 0.95) -> Line:
    """The least-squares line of y on x; rows with a missing value in either are dropped and counted.

    Parameters
    ----------
    x, y : float, same length
        NaN or None means missing.
    level : float, 0–1
        Of the intervals and of the band.

    Raises
    ------
    ScoringError
        When fewer than 3 rows are complete or x does not vary.

    Notes
    -----
    The intervals take rows as independent and residuals as of equal spread.

    References
    ----------
    Draper NR, Smith H. Applied Regression Analysis, 3rd ed., Wiley 1998, sections 1.4 and 3.1.
    """
    level = checks.level(level)
    a, b, n_dropped = complete_pairs(x, y)
    n = len(a)
    if n < MIN_ROWS:
        raise ScoringError("x", f"{n} complete rows", f"at least {MIN_ROWS} complete rows")
    if np.ptp(a) == 0:
        raise ScoringError("x", "a column that does not vary", "values that differ")
    fitted = stats.linregress(a, b)
    degrees = n - 2
    t = float(stats.t.ppf(0.5 + level / 2, degrees))
    residuals = b - (fitted.intercept + fitted.slope * a)
    note = f"least squares, t interval with {degrees} degrees of freedom"

    def estimate(name: str, value: float, se: float, p: float = math.nan) -> Estimate:
        return Estimate(name, value, value - t * se, value + t * se, p, n, n_dropped, level, note, parts={"se": se})

    return Line(
        slope=estimate("slope", float(fitted.slope), float(fitted.stderr), float(fitted.pvalue)),
        intercept=estimate("intercept", float(fitted.intercept), float(fitted.intercept_stderr)),
        r_squared=math.nan if np.ptp(b) == 0 else float(fitted.rvalue) ** 2,
        residual_sd=math.sqrt(float(residuals @ residuals) / degrees),
        mean_x=float(a.mean()),
        sum_of_squares=float(((a - a.mean()) ** 2).sum()),
    )
