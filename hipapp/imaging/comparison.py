"""Two models on the same hips: agreement of their scores, and what would change for patients. Every statistic is `scoring`'s."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from uuid import UUID

from hipapp.imaging.models import ModelVersion, Score, Series, Study
from hipapp.imaging.results import ACCEPTED, NOT_ASSESSABLE, REJECTED, results_of_studies
from scoring.errors import ScoringError
from scoring.mri.patient import combine_hips
from scoring.statistics.estimate import Estimate
from scoring.statistics.method_comparison import BlandAltman, bland_altman, lin_ccc

SIDES = ("right", "left")
NONE, SOME = "no lesion", "a lesion"
RISEN, FALLEN, LEVEL = "risen", "fallen", "about the same"


@dataclass(frozen=True)
class HipScores:
    """One hip of one study by both models; a score is None where `old_refused` or `new_refused` says why."""

    study_id: UUID
    patient_id: int
    study_code: str
    centre_id: int
    acquired_at: datetime | None
    side: str
    old: float | None
    new: float | None
    old_refused: str = ""
    new_refused: str = ""

    @property
    def letter(self) -> str:
        return self.side[0].upper()

    @property
    def short_id(self) -> str:
        """The study in a word, for those who may not see patients."""
        return str(self.study_id)[:8]

    @property
    def difference(self) -> float:
        """New − old; NaN unless both models scored the hip."""
        return math.nan if self.old is None or self.new is None else self.new - self.old

    @property
    def mean(self) -> float:
        return math.nan if self.old is None or self.new is None else (self.new + self.old) / 2

    @property
    def is_pair(self) -> bool:
        return self.old is not None and self.new is not None


@dataclass(frozen=True)
class Change:
    """What is said of a patient's hip (or hips: no side) with the old model, and with the new one."""

    hip: HipScores
    what: str
    before: str
    after: str
    side: str
    stands: str = ""

    @property
    def letter(self) -> str:
        return self.side[:1].upper()


@dataclass(frozen=True)
class Comparison:
    """Old against new. `agreement` is None with fewer than 3 hips scored by both."""

    old: ModelVersion
    new: ModelVersion
    hips: tuple[HipScores, ...]
    agreement: BlandAltman | None
    concordance: Estimate | None
    changes: tuple[Change, ...] = field(default=())

    @property
    def pairs(self) -> list[HipScores]:
        """Hips that both models scored."""
        return [hip for hip in self.hips if hip.is_pair]

    @property
    def n_patients(self) -> int:
        return len({hip.patient_id for hip in self.pairs})

    @property
    def n_changed_patients(self) -> int:
        return len({change.hip.patient_id for change in self.changes})

    @property
    def n_equal(self) -> int:
        return sum(hip.difference == 0 for hip in self.pairs)

    @property
    def n_only_old(self) -> int:
        return sum(hip.old is not None and hip.new is None for hip in self.hips)

    @property
    def n_only_new(self) -> int:
        return sum(hip.old is None and hip.new is not None for hip in self.hips)

    @property
    def margin(self) -> float:
        """Half the width of the limits of agreement: what the two models differ by anyway; NaN without them."""
        return math.nan if self.agreement is None else (self.agreement.upper.estimate - self.agreement.lower.estimate) / 2

    @property
    def widest(self) -> list[HipScores]:
        """The pairs, largest difference first."""
        return sorted(self.pairs, key=lambda hip: (-abs(hip.difference), hip.study_code, hip.side))


def compare(old: ModelVersion, new: ModelVersion, series: Iterable[int]) -> Comparison:
    """Both models on the hips of these series, as far as both have said their word."""
    hips = tuple(_hips(old, new, series))
    scores = [(hip.new, hip.old) for hip in hips if hip.new is not None and hip.old is not None]
    news, olds = [score for score, _ in scores], [score for _, score in scores]
    try:
        agreement = bland_altman(news, olds)
    except ScoringError:  # fewer than 3
        agreement = None
    concordance = lin_ccc(news, olds) if agreement else None
    found = Comparison(old, new, hips, agreement, concordance)
    return replace(found, changes=tuple(_changes(found)))


def _hips(old: ModelVersion, new: ModelVersion, series: Iterable[int]) -> Iterable[HipScores]:
    rows: dict[tuple[int, str], dict[int, Score]] = defaultdict(dict)
    scores = Score.objects.filter(series_id__in=list(series), model_version__in=(old, new))
    for score in scores.only("series_id", "side", "model_version_id", "unet_score", "refused_message"):
        assert score.model_version_id is not None
        rows[score.series_id, score.side][score.model_version_id] = score
    both = {key: found for key, found in rows.items() if len(found) == 2}
    about = Series.objects.filter(pk__in={key for key, _ in both}).select_related("study__visit__patient")
    of_series = {row.pk: row.study for row in about if row.study.visit is not None}
    for (series_id, side), found in both.items():
        if study := of_series.get(series_id):
            patient = study.visit.patient  # type: ignore[union-attr]
            first, second = found[old.pk], found[new.pk]
            yield HipScores(
                study_id=study.pk,
                patient_id=patient.pk,
                study_code=patient.study_code,
                centre_id=study.centre_id,
                acquired_at=study.acquired_at,
                side=side,
                old=first.unet_score,
                new=second.unet_score,
                old_refused=first.refused_message,
                new_refused=second.refused_message,
            )


def _changes(found: Comparison) -> list[Change]:
    """By patient and study: scored or not, a lesion or none, the course since the study before, the worse hip."""
    by_patient: dict[int, list[HipScores]] = defaultdict(list)
    for hip in sorted(found.hips, key=_when):
        by_patient[hip.patient_id].append(hip)
    changes: list[Change] = []
    for hips in by_patient.values():
        for hip in hips:
            changes += _of_hip(hip)
        for side in SIDES:
            changes += _of_course([hip for hip in hips if hip.side == side and hip.is_pair], found.margin)
        changes += _of_worse_hip(hips, found.margin)
    stands = _standing(changes)
    ordered = sorted(changes, key=lambda change: (change.hip.study_code, _when(change.hip), change.what))
    return [replace(change, stands=stands.get((change.hip.study_id, change.side), "")) for change in ordered]


def _when(hip: HipScores) -> tuple[bool, float, str, bool]:
    return hip.acquired_at is None, hip.acquired_at.timestamp() if hip.acquired_at else 0.0, str(hip.study_id), hip.side == "left"


def _of_hip(hip: HipScores) -> list[Change]:
    if hip.old is None and hip.new is None:
        return []
    if hip.old is None or hip.new is None:
        before, after = (_scored(hip.old, hip.old_refused), _scored(hip.new, hip.new_refused))
        return [Change(hip, "Scored", before, after, hip.side)]
    if (hip.old > 0) == (hip.new > 0):
        return []
    return [Change(hip, "Lesion", SOME if hip.old > 0 else NONE, SOME if hip.new > 0 else NONE, hip.side)]


def _scored(score: float | None, refused: str) -> str:
    return f"not scored: {refused}" if score is None else "scored"


def _of_course(hips: Sequence[HipScores], margin: float) -> list[Change]:
    changes = []
    for earlier, later in pairwise(hips):
        before = _course(later.old - earlier.old, margin)  # type: ignore[operator]
        after = _course(later.new - earlier.new, margin)  # type: ignore[operator]
        if before != after:
            changes.append(Change(later, "Since the study before", before, after, later.side))
    return changes


def _course(delta: float, margin: float) -> str:
    if math.isnan(margin) or abs(delta) <= margin:
        return LEVEL
    return RISEN if delta > 0 else FALLEN


def _of_worse_hip(hips: Sequence[HipScores], margin: float) -> list[Change]:
    by_study: dict[UUID, dict[str, HipScores]] = defaultdict(dict)
    for hip in hips:
        if hip.is_pair:
            by_study[hip.study_id][hip.side] = hip
    changes = []
    for sides in by_study.values():
        if len(sides) == 2:
            right, left = sides["right"], sides["left"]
            before, after = (_worse(getattr(right, which), getattr(left, which), margin) for which in ("old", "new"))
            if before and after and before != after:
                changes.append(Change(right, "Worse hip", before, after, ""))
    return changes


def _worse(right: float, left: float, margin: float) -> str:
    """The worse hip, where it is worse by more than the models differ by anyway."""
    return str(combine_hips(right, left).worst) if abs(right - left) > margin else ""


def _standing(changes: Iterable[Change]) -> Mapping[tuple[UUID, str], str]:
    """Where a person's word keeps what stands for a hip, whatever model is in force."""
    results = results_of_studies(Study.objects.filter(pk__in={change.hip.study_id for change in changes}))
    said = {}
    for study_id, sides in results.items():
        for side, result in sides.items():
            if result.is_corrected:
                said[study_id, side] = "corrected by hand: stays"
            elif result.review == ACCEPTED:
                said[study_id, side] = "accepted: stays"
            elif result.review in (REJECTED, NOT_ASSESSABLE):
                said[study_id, side] = "rejected" if result.review == REJECTED else "not assessable"
    return said
