"""What changed since the visit before, and whether that reaches a published threshold. Thresholds come from `scoring`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from hipapp.core.templatetags.numbers import number, signed
from hipapp.followup.measures import ASDAS_CRP, ASDAS_ESR, BASDAI, HIMRISS, UNET, Measure, value_of
from hipapp.followup.rows import VisitRow
from scoring.clinical import change as thresholds
from scoring.clinical.change import asdas_change, basdai50, basdai_change
from scoring.result import IndexResult
from scoring.tolerance import above

BETTER, WORSE, SAME, UNKNOWN = "better", "worse", "same", ""
ASDAS_WORDS = {
    thresholds.MAJOR_IMPROVEMENT: (BETTER, f"major improvement ≥ {thresholds.ASDAS_MAJOR_IMPROVEMENT:.1f} reached"),
    thresholds.IMPROVEMENT: (BETTER, f"improvement ≥ {thresholds.ASDAS_IMPROVEMENT:.1f} reached"),
    thresholds.WORSENING: (WORSE, f"worsening ≥ {thresholds.ASDAS_WORSENING:.1f} reached"),
}


@dataclass(frozen=True)
class Change:
    """One score at two visits. `verdict` is better | worse | same where a threshold exists, else empty."""

    measure: Measure
    side: str
    before: float
    after: float
    since_on: date
    after_on: date
    verdict: str
    words: str

    @property
    def label(self) -> str:
        return self.measure.name(self.side)

    @property
    def delta(self) -> str:
        """The change with its sign."""
        return signed(self.after - self.before, self.measure.decimals)

    @property
    def weeks(self) -> int:
        return round((self.after_on - self.since_on).days / 7)

    @property
    def is_reached(self) -> bool:
        """Whether a threshold was passed, in either direction."""
        return self.verdict in (BETTER, WORSE)

    def __str__(self) -> str:
        unit = f" {self.measure.unit}" if self.measure.unit else ""
        places = self.measure.decimals
        words = f", {self.words}" if self.words else ""
        return f"{self.label} {number(self.before, places)} → {number(self.after, places)}{unit} ({self.delta}{words})"


def last_change(
    rows: Sequence[VisitRow], measure: Measure, side: str = "", sdc: Mapping[int, float] | None = None
) -> Change | None:
    """The change between the two newest visits that have the score; None with fewer than two.

    Parameters
    ----------
    rows : of one patient, oldest first
    sdc : smallest detectable change of HIMRISS from the centre's own double reads, by number of readers (`himriss_sdc`)
    """
    known = [(row, value) for row in rows if (value := value_of(row, measure, side)) is not None]
    if len(known) < 2:
        return None
    (earlier, before), (later, after) = known[-2:]
    limit = sdc.get(min(2, *(row.himriss[side].n_readers for row in (earlier, later)))) if sdc and measure is HIMRISS else None
    verdict, words = _judge(measure, side, (earlier, before), (later, after), limit)
    return Change(measure, side, before, after, earlier.visit_on, later.visit_on, verdict, words)


def asdas_measure(rows: Sequence[VisitRow]) -> Measure:
    """ASDAS-CRP, or ASDAS-ESR where the newest visit with either has no CRP: the two are never set against each other."""
    newest = next((row for row in reversed(rows) if row.asdas is not None), None)
    return ASDAS_ESR if newest is not None and newest.asdas_kind == ASDAS_ESR.label else ASDAS_CRP


def _judge(
    measure: Measure, side: str, baseline: tuple[VisitRow, float], follow_up: tuple[VisitRow, float], limit: float | None
) -> tuple[str, str]:
    (earlier, before), (later, after) = baseline, follow_up
    if measure in (ASDAS_CRP, ASDAS_ESR):
        return _judge_asdas(measure, earlier, before, later, after)
    if measure is BASDAI:
        return _judge_basdai(before, after)
    if measure is UNET and _by(earlier, side) != _by(later, side):
        return UNKNOWN, f"not comparable: {_by(earlier, side)}, then {_by(later, side)}"
    if limit is not None:
        return _judge_sdc(after - before, limit)
    return UNKNOWN, "no threshold known" if measure in (UNET, HIMRISS) else ""


def _by(row: VisitRow, side: str) -> str:
    """The model version behind a hip's score; a corrected score has none."""
    return row.mri[side].model or "corrected by hand"


def _judge_asdas(measure: Measure, earlier: VisitRow, before: float, later: VisitRow, after: float) -> tuple[str, str]:
    forms = [row.assessment.asdas_form if row.assessment else "" for row in (earlier, later)]
    if forms[0] != forms[1]:
        return UNKNOWN, f"not comparable: {forms[0]} and {forms[1]} form"
    pair = [IndexResult(measure.key, value, form=form) for value, form in zip((before, after), forms, strict=True)]
    state = asdas_change(*pair).state
    if state in ASDAS_WORDS:
        return ASDAS_WORDS[state]
    if after > before:
        return SAME, f"worsening ≥ {thresholds.ASDAS_WORSENING:.1f} not reached"
    return SAME, f"improvement ≥ {thresholds.ASDAS_IMPROVEMENT:.1f} not reached"


def _judge_basdai(before: float, after: float) -> tuple[str, str]:
    if after > before:
        return UNKNOWN, "no published threshold for worsening"
    found = basdai_change(before, after)
    limit = f"improvement ≥ {found.parts['threshold']}"
    if found.state != thresholds.IMPROVEMENT:
        return SAME, f"{limit} not reached"
    is_half = basdai50(before, after).state == "responder"
    return BETTER, f"{limit} reached, BASDAI50 {'reached' if is_half else 'not reached'}"


def _judge_sdc(delta: float, sdc: float) -> tuple[str, str]:
    if not above(abs(delta), sdc):
        return SAME, f"within the centre’s SDC {number(sdc, 1)}"
    return (WORSE if delta > 0 else BETTER), f"beyond the centre’s SDC {number(sdc, 1)}"
