"""Intraclass correlation of unbalanced readings: variance components of a mixed model with crossed targets and readers."""

import math
import warnings
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams, VCSpec

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.estimate import Estimate
from scoring.statistics.rows import Floats

NOTE = "REML, crossed random targets and readers; interval: delta method on the logit; p: likelihood ratio test"
FORMS = ("A,1", "C,1")
NEGLIGIBLE = 1e-6
TINY = 1e-12
STEP = 1e-3


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
    REML by statsmodels' MixedLM with crossed random effects. Interval: delta method on the logit, from the curvature
    of the profile likelihood; asymptotic, so wide of the mark for few targets.

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
        return Estimate(
            name, math.nan, n_used=len(readings), n_dropped=int((~keep).sum()), level=level, warnings=warning
        )
    model, ratios, error_variance, notes = _fit(readings, target, reader)
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
        warnings=notes,
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


def _fit(readings: Floats, target: Floats, reader: Floats) -> tuple[MixedLM, Floats, float, tuple[str, ...]]:
    """The model, the variances of targets and readers as ratios to that of error, the latter, and the fit's warnings."""
    scale = float(readings.std())
    names = [
        [[f"{kind}{column}" for column in range(dummies.shape[1])]] for kind, dummies in (("t", target), ("r", reader))
    ]
    components = VCSpec(["target", "reader"], names, [[target], [reader]])
    standardised = (readings - readings.mean()) / scale
    model = MixedLM(standardised, np.ones((len(readings), 1)), np.zeros(len(readings)), exog_vc=components)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = model.fit(reml=True)
    notes = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    error_variance = float(fitted.scale)
    return model, np.asarray(fitted.vcomp, np.float64) / error_variance, error_variance * scale**2, notes


def _coefficient(form: str) -> Callable[[Floats], float]:
    """ICC as a function of the two variance ratios."""
    if form == "A,1":
        return lambda ratios: float(ratios[0] / (ratios[0] + ratios[1] + 1.0))
    return lambda ratios: float(ratios[0] / (ratios[0] + 1.0))


def _interval(
    model: MixedLM, ratios: Floats, coefficient: Callable[[Floats], float], level: float
) -> tuple[float, float]:
    """Limits by the delta method on the logit; NaN where the target variance is on the boundary."""
    if ratios[0] < NEGLIGIBLE:
        return math.nan, math.nan
    free = np.flatnonzero(ratios >= NEGLIGIBLE)
    logs = np.log(ratios[free])

    def at(values: Floats) -> Floats:
        moved = np.where(ratios >= NEGLIGIBLE, ratios, 0.0)
        moved[free] = np.exp(values)
        return moved

    information = -_curvature(lambda values: _likelihood(model, at(values)), logs)
    gradient = np.array(
        [_slope(lambda values: float(special.logit(coefficient(at(values)))), logs, axis) for axis in range(len(logs))]
    )
    variance = float(gradient @ np.linalg.pinv(information) @ gradient)
    if not variance > 0:
        return math.nan, math.nan
    middle = float(special.logit(coefficient(ratios)))
    half = float(special.ndtri(0.5 + level / 2)) * math.sqrt(variance)
    return float(special.expit(middle - half)), float(special.expit(middle + half))


def _likelihood(model: MixedLM, ratios: Floats) -> float:
    """Profile REML log-likelihood at variance ratios; 0 is approached, because statsmodels takes its logarithm."""
    ratios = np.maximum(ratios, TINY)
    return float(model.loglike(MixedLMParams.from_components(np.zeros(1), np.zeros((0, 0)), vcomp=ratios)))


def _p_against_none(model: MixedLM, ratios: Floats) -> float:
    """p of the likelihood ratio test that targets do not differ: half a χ² with 1 degree of freedom."""

    def without_targets(log_ratio: float) -> float:
        return -_likelihood(model, np.array([0.0, math.exp(log_ratio)]))

    best = optimize.minimize_scalar(without_targets, bounds=(math.log(NEGLIGIBLE), math.log(1 / NEGLIGIBLE)))
    ratio = max(0.0, 2 * (_likelihood(model, ratios) + float(best.fun)))
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
