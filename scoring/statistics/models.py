"""Score on disease activity over visits and hips, with a sex interaction: GEE and mixed model by statsmodels."""

import math
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special
from statsmodels.genmod.cov_struct import Exchangeable
from statsmodels.genmod.families import Gaussian
from statsmodels.genmod.generalized_estimating_equations import GEE
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.estimate import Estimate
from scoring.statistics.rows import Floats

SEXES = ("female", "male")
ROUTES = ("gee", "mixed")


@dataclass(frozen=True)
class ActivityModel:
    """Slopes of a score per unit of activity, by sex, and all coefficients of the model behind them.

    Attributes
    ----------
    route : "gee" or "mixed"
    terms : name → Estimate
        `intercept`, `activity` (slope in women), `male`, `activity:male` (the interaction) and the covariates.
    slopes : "female" and "male" → Estimate
    n_patients : int
    warnings : tuple of str
    """

    route: str
    terms: Mapping[str, Estimate]
    slopes: Mapping[str, Estimate]
    n_patients: int
    warnings: tuple[str, ...]


def score_on_activity(
    score: npt.ArrayLike,
    activity: npt.ArrayLike,
    sex: Sequence[str | None],
    patient: Sequence[Hashable],
    *,
    hip: Sequence[Hashable] | None = None,
    covariates: Mapping[str, npt.ArrayLike] | None = None,
    route: str = "gee",
    level: float = 0.95,
) -> ActivityModel:
    """Model score ~ activity × sex + covariates, with repeated rows of a patient.

    Parameters
    ----------
    score, activity : float, shape (n,)
        One row a visit (and hip).
    sex : "female", "male" or None
    patient : n identifiers
    hip : n identifiers, optional
        For the mixed model: a random intercept for each hip within its patient.
    covariates : name → float, optional
        For example weeks, treatment (0/1), baseline score.
    route : "gee" (exchangeable correlation, robust errors) or "mixed" (random intercepts, REML)
    level : float, 0–1

    Returns
    -------
    ActivityModel
        Rows with anything missing are dropped and counted in every Estimate.

    Raises
    ------
    ScoringError
        For an unknown route or sex, unequal lengths, one sex only, fewer than 3 patients, or columns that cannot be
        told apart (collinear).

    References
    ----------
    Liang KY, Zeger SL. Biometrika 1986;73:13. Laird NM, Ware JH. Biometrics 1982;38:963. The sex interaction:
    Navarro-Compán V et al. Ann Rheum Dis 2016 (DESIR; MRI went with activity in men only).
    """
    checks.choice("route", route, ROUTES)
    level = checks.level(level)
    response = checks.finite_or_missing("score", score, 1)
    is_male = _is_male(sex)
    slope = checks.finite_or_missing("activity", activity, 1)
    columns = {"activity": slope, "male": is_male}
    columns |= {name: checks.finite_or_missing(name, values, 1) for name, values in (covariates or {}).items()}
    for field, n in {**{name: len(values) for name, values in columns.items()}, "patient": len(patient)}.items():
        if n != len(response):
            raise ScoringError(field, f"{n} values", f"one per score, {len(response)}")
    columns = {"intercept": np.ones(len(response)), **columns, "activity:male": slope * is_male}
    design = np.column_stack(list(columns.values()))
    keep = np.asarray(~np.isnan(np.column_stack([response, design])).any(axis=1))
    groups = _codes(patient, keep)
    _refuse_unfit(design[keep], is_male[keep], groups)
    hips = None if hip is None else _codes(hip, keep)
    fit = _fit_gee if route == "gee" else _fit_mixed
    coefficients, covariance, notes = fit(response[keep], design[keep], groups, hips)
    counts = (int(keep.sum()), int((~keep).sum()))
    names = list(columns)
    weights = {name: np.eye(len(names))[index] for index, name in enumerate(names)}
    by_sex = {"female": weights["activity"], "male": weights["activity"] + weights["activity:male"]}

    def estimate(name: str, weight: Floats) -> Estimate:
        return _contrast(name, weight, coefficients, covariance, counts, level, route)

    return ActivityModel(
        route=route,
        terms={name: estimate(name, weight) for name, weight in weights.items()},
        slopes={name: estimate(f"slope of activity, {name}", weight) for name, weight in by_sex.items()},
        n_patients=len(np.unique(groups)),
        warnings=notes,
    )


def _is_male(sex: Sequence[str | None]) -> Floats:
    for value in sex:
        if value is not None:
            checks.choice("sex", value, SEXES)
    return np.array([math.nan if value is None else float(value == "male") for value in sex])


def _codes(identifiers: Sequence[Hashable], keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    if len(identifiers) != len(keep):
        raise ScoringError("hip", f"{len(identifiers)} identifiers", f"one per score, {len(keep)}")
    known: dict[Hashable, int] = {}
    kept = [identifier for identifier, is_kept in zip(identifiers, keep, strict=True) if is_kept]
    return np.array([known.setdefault(identifier, len(known)) for identifier in kept], np.intp)


def _refuse_unfit(design: Floats, is_male: Floats, groups: npt.NDArray[np.intp]) -> None:
    n_patients = len(np.unique(groups))
    if n_patients < 3:
        raise ScoringError("patient", f"{n_patients} patient(s) with complete rows", "at least 3 patients")
    if len(np.unique(is_male)) < 2:
        raise ScoringError("sex", "one sex only", "both sexes, for the interaction")
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ScoringError("covariates", "columns that follow from each other", "columns that can be told apart")


def _fit_gee(
    response: Floats, design: Floats, groups: npt.NDArray[np.intp], hips: npt.NDArray[np.intp] | None
) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Coefficients and robust covariance; the hips of a patient share the one exchangeable correlation."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = GEE(response, design, groups=groups, family=Gaussian(), cov_struct=Exchangeable()).fit()
        covariance = np.asarray(fitted.cov_params(), np.float64)
    return np.asarray(fitted.params, np.float64), covariance, _messages(caught)


def _fit_mixed(
    response: Floats, design: Floats, groups: npt.NDArray[np.intp], hips: npt.NDArray[np.intp] | None
) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Coefficients and model covariance, with random intercepts of patients and, where given, of hips within them."""
    n_fixed = design.shape[1]
    components = None if hips is None else _hip_components(groups, hips)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = MixedLM(response, design, groups, exog_vc=components).fit(reml=True)
        covariance = np.asarray(fitted.cov_params(), np.float64)[:n_fixed, :n_fixed]
    return np.asarray(fitted.fe_params, np.float64), covariance, _messages(caught)


def _hip_components(groups: npt.NDArray[np.intp], hips: npt.NDArray[np.intp]) -> VCSpec:
    names, matrices = [], []
    for group in np.unique(groups):
        own = hips[groups == group]
        kinds = np.unique(own)
        names.append([str(kind) for kind in kinds])
        matrices.append((own[:, None] == kinds).astype(np.float64))
    return VCSpec(["hip"], [names], [matrices])


def _messages(caught: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(warning.message) for warning in caught))


def _contrast(
    name: str,
    weight: Floats,
    coefficients: Floats,
    covariance: Floats,
    counts: tuple[int, int],
    level: float,
    route: str,
) -> Estimate:
    value, variance = float(weight @ coefficients), float(weight @ covariance @ weight)
    note = "GEE, exchangeable, robust SE" if route == "gee" else "mixed model, random intercepts, REML"
    se = math.sqrt(variance) if variance > 0 else math.nan
    half = float(special.ndtri(0.5 + level / 2)) * se
    p = float(2 * special.ndtr(-abs(value) / se)) if se > 0 else math.nan
    return Estimate(name, value, value - half, value + half, p, *counts, level, f"{note}; normal interval", parts={"se": se})
