"""Intraclass correlation of unbalanced readings: variance components of a mixed model with crossed targets and readers."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize, special, stats

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.estimate import Estimate
from scoring.statistics.rows import Floats

NOTE = "REML, crossed random targets and readers; interval: delta method on the logit; p: likelihood ratio test"
FORMS = ("A,1", "C,1")
NEGLIGIBLE = 1e-6
BOUNDARY = 1e5
LOG_BOUNDS = (math.log(NEGLIGIBLE) - 1, math.log(1 / NEGLIGIBLE))
STEP = 1e-3


@dataclass(frozen=True)
class _Reml:
    """Restricted likelihood of readings with a common mean and crossed random effects, by the ratios of their variances.

    `kernels` are the (n, n) matrices of which readings share a target, and which share a reader.
    """

    readings: Floats
    kernels: tuple[Floats, Floats]

    def likelihood(self, ratios: Floats) -> float:
        """Log-likelihood up to a constant, the error variance profiled out."""
        log_determinant, information, quadratic = self._terms(ratios)
        return -(log_determinant + math.log(information) + (len(self.readings) - 1) * math.log(quadratic)) / 2

    def error_variance(self, ratios: Floats) -> float:
        """REML estimate of the error variance at these ratios."""
        return self._terms(ratios)[2] / (len(self.readings) - 1)

    def _terms(self, ratios: Floats) -> tuple[float, float, float]:
        """log|V|, the information on the mean, and the weighted sum of squares about it, in units of error variance."""
        covariance = np.eye(len(self.readings)) + ratios[0] * self.kernels[0] + ratios[1] * self.kernels[1]
        root = linalg.cholesky(covariance, lower=True)
        columns = np.column_stack([np.ones(len(self.readings)), self.readings - self.readings.mean()])
        one, centred = linalg.solve_triangular(root, columns, lower=True).T
        information = float(one @ one)
        residual = centred - one * float(one @ centred) / information
        return 2 * float(np.log(np.diag(root)).sum()), information, float(residual @ residual)


def icc_mixed(
    values: npt.ArrayLike,
    targets: Sequence[Hashable],
    readers: Sequence[Hashable],
    form: str = "A,1",
    level: float = 0.95,
) -> Estimate:
    """ICC(A,1) or ICC(C,1) from a mixed model, for tables in which not every reader read every target.

    Parameters
    ----------
    values : float, shape (n,)
        One reading a row; NaN is dropped and counted.
    targets, readers : n identifiers each
    form : "A,1" (absolute agreement) or "C,1" (consistency)
    level : float, 0–1

    Returns
    -------
    Estimate
        Variance components in `parts`. On a complete table with positive components it equals `icc`.

    Raises
    ------
    ScoringError
        For an unknown form, unequal lengths, fewer than 2 targets or readers, or no target that was read twice.

    Notes
    -----
    REML with crossed random effects, by our own search: statsmodels' MixedLM has no interval for variance components and
    stops short where one is on the boundary (it is the second implementation in the tests). Interval: delta method on the
    logit, from the curvature of the profile likelihood; asymptotic, so wide of the mark for few targets.

    References
    ----------
    Nakagawa S, Schielzeth H. Biol Rev 2010;85:935.
    """
    checks.choice("form", form, FORMS)
    level = checks.level(level)
    given = checks.finite_or_missing("values", values, 1)
    for field, identifiers in (("targets", targets), ("readers", readers)):
        if len(identifiers) != len(given):
            raise ScoringError(field, f"{len(identifiers)} identifiers", f"one per value, {len(given)}")
    keep = ~np.isnan(given)
    target, reader = _dummies(targets, keep), _dummies(readers, keep)
    _refuse_too_few(target, reader)
    readings = given[keep]
    name = f"ICC({form}), mixed model"
    if np.ptp(readings) == 0:
        warning = ("all readings are equal: the coefficient is not defined",)
        return Estimate(name, math.nan, n_used=len(readings), n_dropped=int((~keep).sum()), level=level, warnings=warning)
    model = _Reml(readings, (target @ target.T, reader @ reader.T))
    ratios = _fit(model)
    error_variance = model.error_variance(ratios)
    coefficient = _coefficient(form)
    estimate = coefficient(ratios)
    low, high = _interval(model, ratios, coefficient, level)
    p = _p_against_none(model, ratios)
    return Estimate(
        name,
        estimate,
        low,
        high,
        p,
        n_used=len(readings),
        n_dropped=int((~keep).sum()),
        level=level,
        method=NOTE,
        warnings=_boundary_warnings(ratios),
        parts={
            "variance_targets": float(ratios[0] * error_variance),
            "variance_readers": float(ratios[1] * error_variance),
            "variance_error": error_variance,
            "n_targets": float(target.shape[1]),
            "n_readers": float(reader.shape[1]),
        },
    )


def _dummies(identifiers: Sequence[Hashable], keep: npt.NDArray[np.bool_]) -> Floats:
    kept = [identifier for identifier, is_kept in zip(identifiers, keep, strict=True) if is_kept]
    known = {identifier: column for column, identifier in enumerate(dict.fromkeys(kept))}
    dummies = np.zeros((len(kept), len(known)))
    dummies[np.arange(len(kept)), [known[identifier] for identifier in kept]] = 1.0
    return dummies


def _refuse_too_few(target: Floats, reader: Floats) -> None:
    for field, dummies in (("targets", target), ("readers", reader)):
        if dummies.shape[1] < 2:
            raise ScoringError(field, f"{dummies.shape[1]} different", "at least 2")
    if target.sum(axis=0).max() < 2:
        raise ScoringError("targets", "no target was read twice", "at least one target with two readings")


def _fit(model: _Reml) -> Floats:
    """The variances of targets and readers as ratios to that of error, where the likelihood is largest."""
    found = optimize.minimize(
        lambda logs: -model.likelihood(np.exp(logs)),
        x0=np.array([0.0, -1.0]),
        method="Nelder-Mead",
        bounds=[LOG_BOUNDS] * 2,
        options={"xatol": 1e-6, "fatol": 1e-10},
    )
    ratios = np.exp(found.x)
    ratios[ratios < NEGLIGIBLE] = 0.0
    return np.asarray(ratios)


def _boundary_warnings(ratios: Floats) -> tuple[str, ...]:
    found = []
    if not ratios.all():
        found.append("a variance component is 0: targets or readers do not differ")
    if ratios.max() > BOUNDARY:
        found.append("readings of one reader hardly err: the coefficient is at the limit of what the model can tell")
    return tuple(found)


def _coefficient(form: str) -> Callable[[Floats], float]:
    """ICC as a function of the two variance ratios."""
    if form == "A,1":
        return lambda ratios: float(ratios[0] / (ratios[0] + ratios[1] + 1.0))
    return lambda ratios: float(ratios[0] / (ratios[0] + 1.0))


def _interval(model: _Reml, ratios: Floats, coefficient: Callable[[Floats], float], level: float) -> tuple[float, float]:
    """Limits by the delta method on the logit; NaN where the target variance is on the boundary."""
    if ratios[0] < NEGLIGIBLE:
        return math.nan, math.nan
    free = np.flatnonzero(ratios >= NEGLIGIBLE)
    logs = np.log(ratios[free])

    def at(values: Floats) -> Floats:
        moved = np.where(ratios >= NEGLIGIBLE, ratios, 0.0)
        moved[free] = np.exp(values)
        return moved

    information = -_curvature(lambda values: model.likelihood(at(values)), logs)
    gradient = np.array(
        [_slope(lambda values: float(special.logit(coefficient(at(values)))), logs, axis) for axis in range(len(logs))]
    )
    variance = float(gradient @ np.linalg.pinv(information) @ gradient)
    if not variance > 0:
        return math.nan, math.nan
    middle = float(special.logit(coefficient(ratios)))
    half = float(special.ndtri(0.5 + level / 2)) * math.sqrt(variance)
    return float(special.expit(middle - half)), float(special.expit(middle + half))


def _p_against_none(model: _Reml, ratios: Floats) -> float:
    """p of the likelihood ratio test that targets do not differ: half a χ² with 1 degree of freedom."""

    def without_targets(log_ratio: float) -> float:
        return -model.likelihood(np.array([0.0, math.exp(log_ratio)]))

    best = optimize.minimize_scalar(without_targets, bounds=LOG_BOUNDS)
    ratio = max(0.0, 2 * (model.likelihood(ratios) + float(best.fun)))
    return 0.5 * float(stats.chi2.sf(ratio, 1)) if ratio > 0 else 1.0


def _slope(function: Callable[[Floats], float], at: Floats, axis: int) -> float:
    step = np.zeros_like(at)
    step[axis] = STEP
    return (function(at + step) - function(at - step)) / (2 * STEP)


def _curvature(function: Callable[[Floats], float], at: Floats) -> Floats:
    """Matrix of second derivatives by central differences."""
    n = len(at)
    steps = np.eye(n) * STEP * 10
    result = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            corners = ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))
            result[i, j] = sum(sign * function(at + a * steps[i] + b * steps[j]) for a, b, sign in corners)
    return result / (4 * (STEP * 10) ** 2)
