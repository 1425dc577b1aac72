"""Correlations for data that are not independent pairs: partial, repeated measures, two hips of one patient."""

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.correlation import METHODS, TITLES, correlate, linear_p
from scoring.statistics.estimate import Estimate
from scoring.statistics.rows import Floats, complete_rows

PARTIAL_METHODS = ("pearson", "spearman")
MIN_RESAMPLES = 100


def partial_correlation(
    x: npt.ArrayLike, y: npt.ArrayLike, covariates: npt.ArrayLike, method: str = "pearson", level: float = 0.95
) -> Estimate:
    """Correlation of x and y with the linear influence of covariates taken out of both.

    Parameters
    ----------
    x, y : float, shape (n,)
    covariates : float, shape (n, k)
        Rows with a missing value anywhere are dropped and counted.
    method : "pearson" or "spearman"
        Spearman works on ranks of all columns.
    level : float, 0–1

    Returns
    -------
    Estimate
        NaN with a warning when fewer than k + 3 rows are complete, or x or y is explained wholly by the covariates.

    References
    ----------
    Fisher RA. Metron 1924;3:329: Fisher z with SE 1/√(n − k − 3), t test with n − k − 2.
    """
    checks.choice("method", method, PARTIAL_METHODS)
    level = checks.level(level)
    name = f"partial {TITLES[method]}"
    given = checks.finite_or_missing("covariates", covariates, 2)
    rows, n_dropped = complete_rows("x, y and covariates", np.column_stack([*_same_length(x, y, len(given)), given]))
    n, k = len(rows), given.shape[1]
    note = f"{k} covariate(s); interval: Fisher z, SE 1/√(n − k − 3); p: t test with n − k − 2"
    residual = _residuals(stats.rankdata(rows, axis=0) if method == "spearman" else rows) if n >= k + 3 else None
    if residual is None:
        warning = (f"only {n} complete rows, or nothing left after {k} covariate(s): not defined",)
        return Estimate(name, math.nan, n_used=n, n_dropped=n_dropped, level=level, method=note, warnings=warning)
    r = float(np.clip(residual[0] @ residual[1], -1.0, 1.0))
    low, high = _fisher_interval(r, n - k - 3, level)
    return Estimate(name, r, low, high, float(linear_p(r, n - k)), n, n_dropped, level, note, parts={"k": float(k)})


def repeated_measures_correlation(
    x: npt.ArrayLike, y: npt.ArrayLike, patient: Sequence[Hashable], level: float = 0.95
) -> Estimate:
    """Common within-patient correlation of x and y over repeated visits.

    Parameters
    ----------
    x, y : float, shape (n,)
        NaN means missing; the row is dropped and counted.
    patient : n identifiers
    level : float, 0–1

    Returns
    -------
    Estimate
        `parts` has the degrees of freedom and the number of patients. NaN with a warning when there are none.

    Notes
    -----
    Analysis of covariance with a common slope: the correlation of the deviations from each patient's means, with
    n − patients − 1 degrees of freedom; Fisher z with SE 1/√(df − 1).

    References
    ----------
    Bland JM, Altman DG. BMJ 1995;310:446. Bakdash JZ, Marusich LR. Front Psychol 2017;8:456.
    """
    level = checks.level(level)
    name, note = "repeated-measures r", "analysis of covariance, common slope; interval: Fisher z, SE 1/√(df − 1)"
    pair = np.column_stack(_same_length(x, y, len(patient)))
    keep = np.asarray(~np.isnan(pair).any(axis=1))
    codes = _codes(patient)[keep]
    within = _within(pair[keep], codes)
    n_patients = len(np.unique(codes))
    n = int(keep.sum())
    n_dropped = len(keep) - n
    degrees = n - n_patients - 1
    length = np.sqrt((within**2).sum(axis=0))
    parts = {"df": float(degrees), "n_patients": float(n_patients)}
    if degrees < 1 or not (length > 0).all():
        warning = ("no patient with repeated values that vary: not defined",)
        return Estimate(name, math.nan, n_used=n, n_dropped=n_dropped, level=level, method=note, warnings=warning, parts=parts)
    r = float(np.clip((within[:, 0] / length[0]) @ (within[:, 1] / length[1]), -1.0, 1.0))
    low, high = _fisher_interval(r, degrees - 1, level)
    return Estimate(name, r, low, high, float(linear_p(r, degrees + 2)), n, n_dropped, level, note, parts=parts)


def clustered_correlation(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    patient: Sequence[Hashable],
    method: str = "spearman",
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Correlation over hips with an interval that knows that two hips belong to one patient.

    Parameters
    ----------
    x, y : float, shape (n,)
        One row a hip (or slice, or visit).
    patient : n identifiers
    method : "pearson", "spearman" or "kendall"
    level, n_resamples, seed
        As `cluster_bootstrap`.

    Returns
    -------
    Estimate
        The coefficient of all rows; interval and p from resampling patients.
    """
    checks.choice("method", method, METHODS)
    pair = np.column_stack(_same_length(x, y, len(patient)))
    keep = np.asarray(~np.isnan(pair).any(axis=1))
    rows, kept = pair[keep], [identifier for identifier, is_kept in zip(patient, keep, strict=True) if is_kept]
    result = cluster_bootstrap(
        lambda table: correlate(table[:, 0], table[:, 1], method).estimate, rows, kept, level, n_resamples, seed
    )
    return Estimate(**{**vars(result), "name": f"{TITLES[method]}, clustered by patient", "n_dropped": len(pair) - len(rows)})


def cluster_bootstrap(
    statistic: Callable[[Floats], float],
    table: npt.ArrayLike,
    patient: Sequence[Hashable],
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Any statistic of a table of rows, with a percentile interval from resampling whole patients.

    Parameters
    ----------
    statistic : callable
        Takes a (row, column) array, gives a float (NaN where it is not defined for a resample).
    table : float, shape (n, columns)
        Without missing values.
    patient : n identifiers
        Rows of one patient are drawn together.
    level : float, 0–1
    n_resamples : int, at least 100
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    Estimate
        p is two-sided against 0, by the share of resamples beyond it. `parts` counts patients and undefined resamples.

    References
    ----------
    Efron B, Tibshirani RJ. An Introduction to the Bootstrap. 1993. Field CA, Welsh AH. J R Stat Soc B 2007;69:369.
    """
    level = checks.level(level)
    n_resamples = int(checks.number("n_resamples", n_resamples, MIN_RESAMPLES))
    rows, n_dropped = complete_rows("table", table)
    if n_dropped:
        raise ScoringError("table", f"{n_dropped} rows with missing values", "complete rows")
    if len(patient) != len(rows):
        raise ScoringError("patient", f"{len(patient)} identifiers", f"one per row, {len(rows)}")
    members = _members(_codes(patient))
    if len(members) < 2:
        raise ScoringError("patient", f"{len(members)} patient(s)", "at least 2 patients")
    random = np.random.default_rng(seed)
    draws = random.integers(len(members), size=(n_resamples, len(members)))
    values = np.array([statistic(rows[np.concatenate([members[one] for one in draw])]) for draw in draws])
    defined = values[~np.isnan(values)]
    low, high = math.nan, math.nan
    p = math.nan
    if defined.size:
        low, high = (float(limit) for limit in np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]))
        n_beyond = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
        p = min(1.0, 2.0 * (n_beyond + 1) / (defined.size + 1))
    n_undefined = n_resamples - defined.size
    warnings = (f"{n_undefined} of {n_resamples} resamples gave no value and were left out",) if n_undefined else ()
    return Estimate(
        "cluster bootstrap",
        float(statistic(rows)),
        low,
        high,
        p,
        len(rows),
        0,
        level,
        f"percentile interval from {n_resamples} resamples of {len(members)} patients, seed {seed}",
        warnings,
        {"n_patients": float(len(members)), "n_undefined": float(n_undefined)},
    )


def _same_length(x: npt.ArrayLike, y: npt.ArrayLike, n: int) -> tuple[Floats, Floats]:
    a, b = checks.finite_or_missing("x", x, 1), checks.finite_or_missing("y", y, 1)
    for field, values in (("x", a), ("y", b)):
        if len(values) != n:
            raise ScoringError(field, f"{len(values)} values", f"{n} values, one per row")
    return a, b


def _codes(patient: Sequence[Hashable]) -> npt.NDArray[np.intp]:
    """Identifiers as whole numbers, in order of first appearance."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(identifier, len(known)) for identifier in patient], np.intp)


def _members(codes: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    return [np.flatnonzero(codes == code) for code in np.unique(codes)]


def _within(pair: Floats, codes: npt.NDArray[np.intp]) -> Floats:
    """Deviations from each patient's mean; exactly 0 where a patient's values do not vary."""
    within = np.zeros_like(pair)
    for rows in _members(codes):
        own = pair[rows]
        within[rows] = np.where(np.ptp(own, axis=0) == 0, 0.0, own - own.mean(axis=0))
    return within


def _residuals(rows: Floats) -> Floats | None:
    """x and y without what the other columns explain, each of length 1, shape (2, n); None when nothing is left."""
    centred = rows - rows.mean(axis=0)
    design = centred[:, 2:]
    target = centred[:, :2]
    fitted = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    residual = target - fitted
    length = np.sqrt((residual**2).sum(axis=0))
    if not (length > 1e-10 * np.sqrt((target**2).sum(axis=0))).all():
        return None
    return np.asarray((residual / length).T)


def _fisher_interval(r: float, degrees: float, level: float) -> tuple[float, float]:
    if degrees <= 0:
        return math.nan, math.nan
    if abs(r) == 1.0:
        return r, r
    half = float(special.ndtri(0.5 + level / 2)) / math.sqrt(degrees)
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)
