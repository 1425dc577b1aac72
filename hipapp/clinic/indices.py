"""From raw items to indices: hands the items to `scoring` and puts its answers into words. Nothing is computed here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hipapp.core.errors import DomainError
from scoring.clinical import asdas, laboratory
from scoring.clinical import basdai as basdai_index
from scoring.clinical import harris as harris_index
from scoring.errors import ScoringError
from scoring.result import IndexResult

BASDAI_FIELDS = tuple(f"basdai_{item}" for item in basdai_index.ITEMS)
ASDAS_FIELDS = dict(zip(asdas.ITEMS, ("basdai_q2", "basdai_q6", "patient_global", "basdai_q3"), strict=True))
HARRIS_FIELDS = (*harris_index.POINTS, *harris_index.DEFORMITY_ITEMS, *harris_index.MOTION_BANDS)
LONG_FORM = asdas.LONG
FORMS = (asdas.LONG, asdas.SHORT)
_FIELD_OF = {
    **dict(zip(basdai_index.ITEMS, BASDAI_FIELDS, strict=True)),
    **ASDAS_FIELDS,
    **dict.fromkeys(("crp", "crp_mg_l", "crp_mg_dl"), "crp_value"),
}


@dataclass(frozen=True)
class AssessmentIndices:
    """BASDAI and both ASDAS of one visit, with the CRP in mg/L and the remarks worth keeping."""

    basdai: IndexResult
    asdas_crp: IndexResult
    asdas_esr: IndexResult
    crp_mg_l: float | None
    warnings: tuple[str, ...]

    @property
    def version(self) -> str:
        return f"basdai-{self.basdai.version} asdas-{self.asdas_crp.version}"


def assess(items: Mapping[str, Any], form: str = LONG_FORM) -> AssessmentIndices:
    """Indices from the raw fields of an `Assessment` (absent or None = not answered).

    Raises
    ------
    DomainError
        With the field that `scoring` refused.
    """
    number = {name: _float(items.get(name)) for name in (*BASDAI_FIELDS, "patient_global", "crp_value", "esr_mm_h")}
    unit = items.get("crp_unit") or None
    back, stiffness, patient_global, peripheral = (number[field] for field in ASDAS_FIELDS.values())
    try:
        basdai = basdai_index.basdai(*(number[name] for name in BASDAI_FIELDS))
        crp = laboratory.crp_in_mg_l(number["crp_value"], unit)
        esr = laboratory.esr_in_mm_h(number["esr_mm_h"])
        by_crp = asdas.asdas_crp(back, stiffness, patient_global, peripheral, crp=number["crp_value"], crp_unit=unit, form=form)
        by_esr = asdas.asdas_esr(back, stiffness, patient_global, peripheral, number["esr_mm_h"], form=form)
    except ScoringError as error:
        raise _domain_error(error) from error
    warnings = [*_imputed("BASDAI", basdai), *crp.warnings, *_floor(by_crp), *esr.warnings]
    return AssessmentIndices(basdai, by_crp, by_esr, crp.value, tuple(warnings))


def examine(items: Mapping[str, Any]) -> IndexResult:
    """The Harris hip score from the raw fields of a `HipExamination` (absent or None = not answered)."""
    try:
        return harris_index.harris(**{name: items.get(name) for name in HARRIS_FIELDS})
    except ScoringError as error:
        raise _domain_error(error) from error


def _float(value: Any) -> float | None:
    return None if value is None or value == "" else float(value)


def _imputed(name: str, result: IndexResult) -> list[str]:
    return [f"{name}: {result.missing_rule}"] if result.missing and result.value is not None else []


def _floor(result: IndexResult) -> list[str]:
    if not result.parts.get("crp_floor_applied"):
        return []
    return [f"CRP {result.parts['crp_mg_l']:g} mg/L enters ASDAS-CRP as {result.parts['crp_used_mg_l']:g} mg/L (floor)"]


def _domain_error(error: ScoringError) -> DomainError:
    field = _FIELD_OF.get(error.field, error.field)
    return DomainError(f"This value isn't possible. Allowed: {error.allowed}.", code="out_of_range", field=field)
