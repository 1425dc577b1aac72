"""The answer at the top of the patient page: better or worse since the last visit, and the tiles beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from hipapp.followup.change import BETTER, WORSE, Change, asdas_measure, last_change
from hipapp.followup.measures import BASDAI, CRP, ESR, HARRIS, HIMRISS, LETTERS, UNET, Measure, reason_of, value_of
from hipapp.followup.rows import VisitRow
from scoring.clinical.asdas import asdas_state
from scoring.clinical.basdai import basdai_state

Sdc = Mapping[int, float]
STATES = {"asdas_crp": asdas_state, "asdas_esr": asdas_state, "basdai": basdai_state}


@dataclass(frozen=True)
class TileValue:
    """One number of a tile: of the newest visit that has one, with its change from the one before."""

    letter: str
    value: float | None
    decimals: int
    reason: str = ""
    on: date | None = None
    change: Change | None = None
    is_unreviewed: bool = False


@dataclass(frozen=True)
class Tile:
    """One score on the top of the page. `state` is its category where it has one."""

    label: str
    unit: str
    values: tuple[TileValue, ...]
    state: str = ""

    @property
    def state_class(self) -> str:
        return f"state-{self.state.replace(' ', '-')}"

    @property
    def on(self) -> date | None:
        """The earlier day that the numbers are of, where it is not the newest visit."""
        return next((item.on for item in self.values if item.on), None)

    @property
    def is_unreviewed(self) -> bool:
        return any(item.is_unreviewed for item in self.values)

    @property
    def common_words(self) -> str:
        """What is said of the change, where it is the same for all numbers of the tile."""
        words = {item.change.words for item in self.values if item.change}
        return words.pop() if len(words) == 1 else ""


@dataclass(frozen=True)
class Summary:
    """Better or worse: `verdict` in a word, the changes that say so, and the others."""

    since_on: date
    weeks: int
    verdict: str
    verdict_class: str
    changes: tuple[Change, ...]
    remark: str


def tiles(rows: Sequence[VisitRow], sdc: Sdc | None = None, is_blinded: bool = False) -> list[Tile]:
    """A tile for each score, from rows of one patient, oldest first; at least one row."""
    measures = (asdas_measure(rows), BASDAI, CRP, ESR, HARRIS, UNET, HIMRISS)
    return [_tile(rows, measure, sdc, is_blinded) for measure in measures]


def _tile(rows: Sequence[VisitRow], measure: Measure, sdc: Sdc | None, is_blinded: bool) -> Tile:
    values = tuple(_tile_value(rows, measure, side, sdc, is_blinded) for side in measure.sides)
    state_of, value = STATES.get(measure.key), values[0].value
    state = state_of(value) if state_of is not None and value is not None else ""
    return Tile(measure.label, measure.unit, values, state)


def _tile_value(rows: Sequence[VisitRow], measure: Measure, side: str, sdc: Sdc | None, is_blinded: bool) -> TileValue:
    letter, newest = LETTERS.get(side, ""), rows[-1]
    row = next((row for row in reversed(rows) if value_of(row, measure, side) is not None), None)
    if row is None:
        return TileValue(letter, None, measure.decimals, reason_of(newest, measure, side, is_blinded))
    result = row.mri.get(side) if measure is UNET else None
    return TileValue(
        letter=letter,
        value=value_of(row, measure, side),
        decimals=measure.decimals,
        on=None if row is newest else row.visit_on,
        change=last_change(rows, measure, side, sdc),
        is_unreviewed=result is not None and result.is_unreviewed,
    )


def summarise(rows: Sequence[VisitRow], sdc: Sdc | None = None) -> Summary | None:
    """What changed at the newest visit since the one before; None with fewer than two visits.

    The verdict rests on scores with a published threshold (ASDAS, BASDAI) or one of the centre's own (HIMRISS).
    """
    if len(rows) < 2:
        return None
    newest, before = rows[-1], rows[-2]
    found = [last_change(rows, measure) for measure in (asdas_measure(rows), BASDAI)]
    found += [last_change(rows, UNET, side) for side in UNET.sides]
    found += [last_change(rows, HIMRISS, side, sdc) for side in HIMRISS.sides]
    changes = tuple(change for change in found if change is not None and change.after_on == newest.visit_on)
    verdict, verdict_class = _verdict(changes)
    return Summary(
        since_on=before.visit_on,
        weeks=round((newest.visit_on - before.visit_on).days / 7),
        verdict=verdict,
        verdict_class=verdict_class,
        changes=changes,
        remark=_remark(newest),
    )


def _verdict(changes: Sequence[Change]) -> tuple[str, str]:
    verdicts = {change.verdict for change in changes if change.verdict}
    if not verdicts:
        return "no change can be judged", "state-none"
    if {BETTER, WORSE} <= verdicts:
        return "mixed: some scores better, some worse", "state-warn"
    if BETTER in verdicts:
        return "better", "state-good"
    return ("worse", "state-bad") if WORSE in verdicts else ("no clinically important change", "state-low")


def _remark(newest: VisitRow) -> str:
    if not newest.has_study:
        return "No MRI at this visit."
    if any(result.is_unreviewed for result in newest.mri.values()):
        return "The UNet-score of this visit is not reviewed yet."
    return ""
