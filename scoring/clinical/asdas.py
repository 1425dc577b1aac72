"""ASDAS-CRP and ASDAS-ESR, the Ankylosing Spondylitis Disease Activity Score."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scoring import checks
from scoring.clinical.laboratory import CRP_FLOOR_MG_L, Laboratory, esr_in_mm_h, one_crp
from scoring.result import IndexResult
from scoring.tolerance import above, at_least

ITEMS = ("back_pain", "stiffness_duration", "patient_global", "peripheral_pain")
LONG = "3-decimal"
SHORT = "2-decimal"
INACTIVE_BELOW = 1.3
LOW_BELOW = 2.1
VERY_HIGH_ABOVE = 3.5
RULE = "any item missing: no value"


@dataclass(frozen=True)
class Coefficients:
    """Weights of the four items, in the order of `ITEMS`, and of the transformed laboratory value."""

    items: tuple[float, float, float, float]
    laboratory: float


# Lukas C et al. Ann Rheum Dis 2009;68:18 (two decimals); ASAS tables in the Annals print three.
CRP_COEFFICIENTS = {
    LONG: Coefficients((0.121, 0.058, 0.110, 0.073), 0.579),
    SHORT: Coefficients((0.12, 0.06, 0.11, 0.07), 0.58),
}
ESR_COEFFICIENTS = {
    LONG: Coefficients((0.079, 0.069, 0.113, 0.086), 0.293),
    SHORT: Coefficients((0.08, 0.07, 0.11, 0.09), 0.29),
}


def asdas_crp(
    back_pain: float | None,
    stiffness_duration: float | None,
    patient_global: float | None,
    peripheral_pain: float | None,
    crp_mg_l: float | None = None,
    *,
    crp_mg_dl: float | None = None,
    crp: float | None = None,
    crp_unit: str | None = None,
    form: str = LONG,
) -> IndexResult:
    """ASDAS-CRP: 0.121·back pain + 0.058·stiffness + 0.110·patient global + 0.073·peripheral pain + 0.579·ln(CRP + 1).

    Parameters
    ----------
    back_pain, stiffness_duration, patient_global, peripheral_pain : float 0–10 or None
        BASDAI question 2, question 6, patient global assessment, BASDAI question 3.
    crp_mg_l, crp_mg_dl, crp : float or None
        C-reactive protein in mg/L (0–500), in mg/dL (0–50), or with its unit in `crp_unit`; give one.
    crp_unit : "mg/L", "mg/dL" or None
        Unit of `crp`; None means unknown: mg/L is assumed and a value below 3 comes back with a warning.
    form : "3-decimal" or "2-decimal"
        Published coefficients with three (default) or two decimals.

    Returns
    -------
    IndexResult
        `parts` has the CRP in mg/L, the CRP that entered the formula, and whether the floor was used.

    Raises
    ------
    ScoringError
        For items outside 0–10, an impossible CRP, an unknown unit or form.

    Notes
    -----
    A CRP below 2 mg/L enters as 2 mg/L; the natural logarithm is used. Any missing item: no value, nothing is imputed.
    Not interchangeable with ASDAS-ESR between visits.

    References
    ----------
    Lukas C et al. Ann Rheum Dis 2009;68:18. Floor: Machado P et al. Arthritis Rheumatol 2015;67:408. States: Machado
    P et al. Ann Rheum Dis 2011;70:47, names of 2018 (Ann Rheum Dis 2018;77:1539).
    """
    laboratory = one_crp(crp_mg_l, crp_mg_dl, crp, crp_unit)
    used = None if laboratory.value is None else max(laboratory.value, CRP_FLOOR_MG_L)
    parts = {
        "crp_mg_l": laboratory.value,
        "crp_used_mg_l": used,
        "crp_floor_applied": used is not None and used != laboratory.value,
    }
    transformed = None if used is None else math.log(used + 1.0)
    answers = (back_pain, stiffness_duration, patient_global, peripheral_pain)
    return _asdas("asdas_crp", answers, "crp_mg_l", laboratory, transformed, CRP_COEFFICIENTS, form, parts)


def asdas_esr(
    back_pain: float | None,
    stiffness_duration: float | None,
    patient_global: float | None,
    peripheral_pain: float | None,
    esr_mm_h: float | None = None,
    *,
    form: str = LONG,
) -> IndexResult:
    """ASDAS-ESR: 0.079·back pain + 0.069·stiffness + 0.113·patient global + 0.086·peripheral pain + 0.293·√ESR.

    Parameters
    ----------
    back_pain, stiffness_duration, patient_global, peripheral_pain : float 0–10 or None
        BASDAI question 2, question 6, patient global assessment, BASDAI question 3.
    esr_mm_h : float 0–300 mm/h or None
        Above 150 with a warning. There is no floor.
    form : "3-decimal" or "2-decimal"

    Returns
    -------
    IndexResult

    Raises
    ------
    ScoringError
        For items outside 0–10, an impossible ESR or an unknown form.

    Notes
    -----
    Any missing item: no value, nothing is imputed. Not interchangeable with ASDAS-CRP between visits.

    References
    ----------
    Lukas C et al. Ann Rheum Dis 2009;68:18.
    """
    laboratory = esr_in_mm_h(esr_mm_h)
    transformed = None if laboratory.value is None else math.sqrt(laboratory.value)
    answers = (back_pain, stiffness_duration, patient_global, peripheral_pain)
    parts = {"esr_mm_h": laboratory.value}
    return _asdas("asdas_esr", answers, "esr_mm_h", laboratory, transformed, ESR_COEFFICIENTS, form, parts)


def asdas_state(value: float) -> str:
    """ "inactive" below 1.3, "low" below 2.1, "high" up to and including 3.5, "very high" above; unrounded values."""
    value = checks.number("asdas", value, 0.0)
    if not at_least(value, INACTIVE_BELOW):
        return "inactive"
    if not at_least(value, LOW_BELOW):
        return "low"
    return "very high" if above(value, VERY_HIGH_ABOVE) else "high"


def _asdas(
    name: str,
    answers: tuple[float | None, ...],
    laboratory_field: str,
    laboratory: Laboratory,
    transformed: float | None,
    coefficients: dict[str, Coefficients],
    form: str,
    parts: Mapping[str, float | str | bool | None],
) -> IndexResult:
    checks.choice("form", form, tuple(coefficients))
    given = dict(checks.items(ITEMS, answers, 0.0, 10.0))
    missing = [item for item, answer in given.items() if answer is None]
    if transformed is None:
        missing.append(laboratory_field)
    value = None
    if not missing and transformed is not None:
        weights = coefficients[form]
        known = [answer for answer in given.values() if answer is not None]
        value = sum(w * answer for w, answer in zip(weights.items, known, strict=True)) + weights.laboratory * transformed
    return IndexResult(
        name,
        value,
        state=None if value is None else asdas_state(value),
        warnings=laboratory.warnings,
        missing=tuple(missing),
        missing_rule=RULE if missing else "",
        form=form,
        parts=parts,
    )
