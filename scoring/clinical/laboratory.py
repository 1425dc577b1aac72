"""CRP and ESR: units, limits, and the values that make a careful reader ask."""

from dataclasses import dataclass

from scoring import checks
from scoring.errors import ScoringError

CRP_FLOOR_MG_L = 2.0
CRP_MAX_MG_L = 500.0
CRP_HIGH_MG_L = 200.0
CRP_SUSPECT_MG_L = 3.0
ESR_MAX_MM_H = 300.0
ESR_HIGH_MM_H = 150.0
MG_L_PER_UNIT = {"mg/L": 1.0, "mg/dL": 10.0}


@dataclass(frozen=True)
class Laboratory:
    """A laboratory value in the unit that the formulas use (CRP mg/L, ESR mm/h), with its warnings."""

    value: float | None
    warnings: tuple[str, ...] = ()


def crp_in_mg_l(crp: float | None, unit: str | None = None) -> Laboratory:
    """C-reactive protein in mg/L.

    Parameters
    ----------
    crp : float or None, 0–500 mg/L (0–50 mg/dL)
        None when it was not measured.
    unit : "mg/L", "mg/dL" or None
        None means that nobody said; mg/L is assumed then, and a value below 3 comes back with a warning.

    Raises
    ------
    ScoringError
        For another unit, or a value that is negative, not finite or above the limit.

    References
    ----------
    Limits: conventions of this product, not published cut-offs.
    """
    if unit is not None:
        checks.choice("crp_unit", unit, tuple(MG_L_PER_UNIT))
    factor = MG_L_PER_UNIT[unit or "mg/L"]
    field = {"mg/L": "crp_mg_l", "mg/dL": "crp_mg_dl", None: "crp"}[unit]
    value = checks.optional_number(field, crp, 0.0, CRP_MAX_MG_L / factor, unit or "mg/L")
    if value is None:
        return Laboratory(None)
    mg_l = value * factor
    warnings = []
    if unit is None and mg_l < CRP_SUSPECT_MG_L:
        warnings.append(f"CRP {value:g} was given without a unit and taken as mg/L: is this mg/dL?")
    if mg_l > CRP_HIGH_MG_L:
        warnings.append(f"CRP {mg_l:g} mg/L is unusually high (above {CRP_HIGH_MG_L:g}): please check value and unit")
    return Laboratory(mg_l, tuple(warnings))


def one_crp(crp_mg_l: float | None, crp_mg_dl: float | None, crp: float | None, crp_unit: str | None) -> Laboratory:
    """CRP in mg/L from whichever of the three arguments was given; two of them are refused."""
    given = {
        field: value for field, value in (("crp_mg_l", crp_mg_l), ("crp_mg_dl", crp_mg_dl), ("crp", crp)) if value is not None
    }
    if len(given) > 1:
        raise ScoringError("crp", given, "one of crp_mg_l, crp_mg_dl, crp")
    if crp_mg_dl is not None:
        return crp_in_mg_l(crp_mg_dl, "mg/dL")
    if crp_mg_l is not None:
        return crp_in_mg_l(crp_mg_l, "mg/L")
    return crp_in_mg_l(crp, crp_unit)


def esr_in_mm_h(esr_mm_h: float | None) -> Laboratory:
    """Erythrocyte sedimentation rate in mm/h, 0–300; above 150 with a warning."""
    value = checks.optional_number("esr_mm_h", esr_mm_h, 0.0, ESR_MAX_MM_H, "mm/h")
    if value is not None and value > ESR_HIGH_MM_H:
        return Laboratory(value, (f"ESR {value:g} mm/h is above {ESR_HIGH_MM_H:g}: please check",))
    return Laboratory(value)
