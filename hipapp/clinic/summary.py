"""Indices as the pages show them: value, state in a word, what is missing and why there is none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hipapp.clinic.answers import BASDAI_QUESTIONS, HARRIS_LABELS
from hipapp.clinic.indices import ASDAS_FIELDS, BASDAI_FIELDS, AssessmentIndices
from hipapp.clinic.models import Assessment, HipExamination
from scoring.clinical import asdas
from scoring.clinical import basdai as basdai_index
from scoring.result import IndexResult

_LABELS = {
    **{item: BASDAI_QUESTIONS[field][2:].lower() for item, field in zip(basdai_index.ITEMS, BASDAI_FIELDS, strict=True)},
    **{item: BASDAI_QUESTIONS[field][2:].lower() for item, field in ASDAS_FIELDS.items() if field in BASDAI_QUESTIONS},
    "patient_global": "patient global",
    "crp_mg_l": "CRP",
    "esr_mm_h": "ESR",
    **{item: label.lower().removesuffix(", °") for item, label in HARRIS_LABELS.items()},
}
_MANY = 3


@dataclass(frozen=True)
class Line:
    """One index: its value (None when missing), its state and a remark about missing items."""

    label: str
    value: float | None
    decimals: int
    state: str = ""
    remark: str = ""

    @property
    def state_class(self) -> str:
        return f"state-{self.state.replace(' ', '-')}" if self.state else ""


def lines_of_results(found: AssessmentIndices, hips: Mapping[str, IndexResult]) -> list[Line]:
    """Lines for indices that were just computed; sides in the order given."""
    lines = [
        _line("BASDAI", found.basdai, 1),
        _line("ASDAS-CRP", found.asdas_crp, 2),
        _line("ASDAS-ESR", found.asdas_esr, 2),
    ]
    return lines + [_line(f"Harris {side[0].upper()}", result, 1) for side, result in hips.items()]


def activity_line(value: float | None) -> Line:
    """An ASDAS, by CRP or by ESR, with its state."""
    return _stored("ASDAS", value, 2, asdas.asdas_state)


def lines_of_rows(assessment: Assessment | None, hips: Mapping[str, HipExamination | None]) -> list[Line]:
    """Lines for what is stored of a visit."""
    lines = []
    if assessment is not None:
        lines += [
            _stored("BASDAI", assessment.basdai, 1, basdai_index.basdai_state),
            _stored("ASDAS-CRP", assessment.asdas_crp, 2, asdas.asdas_state),
            _stored("ASDAS-ESR", assessment.asdas_esr, 2, asdas.asdas_state),
        ]
    for side, row in hips.items():
        if row is not None:
            remark = "" if row.harris is not None else "items are missing"
            lines.append(Line(f"Harris {side[0].upper()}", row.harris, 1, row.grade, remark))
    return lines


def _line(label: str, result: IndexResult, decimals: int) -> Line:
    return Line(label, result.value, decimals, result.state or "", _missing(result))


def _stored(label: str, value: float | None, decimals: int, state: Callable[[float], str]) -> Line:
    if value is None:
        return Line(label, None, decimals, remark="items are missing")
    return Line(label, value, decimals, state(value))


def _missing(result: IndexResult) -> str:
    if not result.missing or result.value is not None:  # a rule that was used stands among the warnings
        return ""
    if len(result.missing) > _MANY:
        return f"{len(result.missing)} items missing"
    return "missing: " + ", ".join(_LABELS[item] for item in result.missing)
