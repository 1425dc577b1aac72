"""The current score of a hip: corrected before accepted before the model in force before older ones; rejected never."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet

from hipapp.clinic.models import Side
from hipapp.imaging.models import Review, Score, Study

ACCEPTED, UNREVIEWED, REJECTED = "accepted", "unreviewed", "rejected"
NOT_ASSESSABLE, REFUSED = "not_assessable", "refused"


@dataclass(frozen=True)
class HipResult:
    """What stands for one hip of one study, or why nothing does.

    `review` is accepted | unreviewed | rejected | not_assessable | refused; only the first two have numbers. Scores are
    ratios without unit, `lesion_ml` is in mL, `n_role_slices` and `n_assessable_slices` are of 15.
    """

    side: str
    study_id: UUID
    review: str
    series_id: int | None = None
    score_id: int | None = None
    segmentation_id: int | None = None
    acquired_at: datetime | None = None
    unet_score: float | None = None
    bme_femoral: float | None = None
    bme_acetabular: float | None = None
    synovitis: float | None = None
    mean_per_slice: float | None = None
    lesion_ml: float | None = None
    interval_low: float | None = None
    interval_high: float | None = None
    interval_level: float | None = None
    n_role_slices: int = 0
    n_assessable_slices: int = 0
    model_name: str = ""
    model_version: str = ""
    is_model_in_force: bool = True
    is_corrected: bool = False
    warnings: tuple[str, ...] = field(default=())
    flags: tuple[dict[str, Any], ...] = field(default=())
    refused_code: str = ""
    refused_message: str = ""

    @property
    def is_unreviewed(self) -> bool:
        """Whether a number stands here that nobody has looked at."""
        return self.review == UNREVIEWED

    @property
    def has_score(self) -> bool:
        return self.unet_score is not None

    @property
    def model(self) -> str:
        """Name and version of the model behind the score, e.g. `unet 1`."""
        return f"{self.model_name} {self.model_version}".strip()


def results_of_studies(studies: Iterable[Study]) -> dict[UUID, dict[str, HipResult]]:
    """By study and side, what stands for each hip; a hip that is still being scored is missing.

    Two queries, however many studies there are.
    """
    studies = list(studies)
    series_ids = [study.chosen_series_id for study in studies if study.chosen_series_id]
    scores, reviews = _rows(series_ids)
    found: dict[UUID, dict[str, HipResult]] = {}
    for study in studies:
        sides = {}
        for side in Side.values:
            key = (study.chosen_series_id, side)
            if result := _result(study, side, scores.get(key, []), reviews.get(key, [])):
                sides[side] = result
        found[study.pk] = sides
    return found


def scores_by_visit(visit_ids: Sequence[int]) -> dict[int, dict[str, HipResult]]:
    """By visit and side, what stands for each hip; visits without a study are missing.

    Three queries, however many visits there are. Where a visit has several studies, the newest with a score counts for a
    hip, else the newest.
    """
    ready = Study.objects.filter(visit_id__in=visit_ids, state=Study.State.READY)
    studies = list(ready.order_by("visit_id", F("acquired_at").desc(nulls_last=True), "-created_at"))
    results = results_of_studies(studies)
    found: dict[int, dict[str, HipResult]] = {}
    for visit_id, group in groupby(studies, key=lambda study: study.visit_id):
        of_visit = [results[study.pk] for study in group]
        found[visit_id] = {side: best for side in Side.values if (best := _best(of_visit, side))}  # type: ignore[index]
    return found


def _best(results: list[dict[str, HipResult]], side: str) -> HipResult | None:
    mine = [result[side] for result in results if side in result]
    return next((result for result in mine if result.has_score), mine[0] if mine else None)


Key = tuple[int | None, str]


def _rows(series_ids: list[int]) -> tuple[dict[Key, list[Score]], dict[Key, list[Review]]]:
    scores: dict[Key, list[Score]] = defaultdict(list)
    reviews: dict[Key, list[Review]] = defaultdict(list)
    rows = counting_scores().filter(series_id__in=series_ids).select_related("model_version", "segmentation")
    for score in rows.defer("segmentation__mask"):
        scores[score.series_id, score.side].append(score)
    for review in Review.objects.filter(series_id__in=series_ids).order_by("-created_at", "-pk"):
        reviews[review.series_id, review.side].append(review)
    return scores, reviews


def _result(study: Study, side: str, scores: list[Score], reviews: list[Review]) -> HipResult | None:
    if study.refused_code or (study.chosen_series_id is None and study.refused_message):
        return _without_score(study, side, REFUSED, code=study.refused_code, message=study.refused_message)
    if reviews and reviews[0].verdict == Review.Verdict.NOT_ASSESSABLE:
        return _without_score(study, side, NOT_ASSESSABLE, message="Not assessable: prosthesis")
    score, verdict = current_score(scores, reviews)
    if score is None:
        return _without_score(study, side, REJECTED, message="Rejected by a radiologist") if scores else None
    if score.refused_code:
        return _of_score(study, score, REFUSED)
    return _of_score(study, score, ACCEPTED if verdict == Review.Verdict.ACCEPT or _is_corrected(score) else UNREVIEWED)


def counting_scores() -> QuerySet[Score]:
    """All scores but those of models that never were in force: they are there to be compared, and count for nothing."""
    was_in_force = Q(model_version__is_in_force=True) | Q(model_version__promoted_at__isnull=False)
    return Score.objects.filter(Q(model_version=None) | was_in_force)


def current_score(scores: Iterable[Score], reviews: Sequence[Review]) -> tuple[Score | None, str]:
    """The score of one hip that counts, with the newest verdict on it; None where all were rejected or there is none.

    Parameters
    ----------
    scores : from `counting_scores`, of one series and side, with model version and segmentation
    reviews : of the same, newest first
    """
    verdicts: dict[int | None, str] = {}
    for review in reviews:
        verdicts.setdefault(review.score_id, review.verdict)
    standing = [score for score in scores if verdicts.get(score.pk) != Review.Verdict.REJECT]
    if not standing:
        return None, ""
    best = max(standing, key=lambda score: _rank(score, verdicts.get(score.pk, "")))
    return best, verdicts.get(best.pk, "")


def _rank(score: Score, verdict: str) -> tuple[bool, bool, bool, datetime]:
    in_force = score.model_version is not None and score.model_version.is_in_force
    return _is_corrected(score), verdict == Review.Verdict.ACCEPT, in_force, score.created_at


def _is_corrected(score: Score) -> bool:
    return score.segmentation is not None and score.segmentation.author_id is not None


def _without_score(study: Study, side: str, review: str, *, code: str = "", message: str) -> HipResult:
    return HipResult(
        side=side,
        study_id=study.pk,
        series_id=study.chosen_series_id,
        acquired_at=study.acquired_at,
        review=review,
        refused_code=code,
        refused_message=message,
    )


def _of_score(study: Study, score: Score, review: str) -> HipResult:
    model = score.model_version
    return HipResult(
        side=score.side,
        study_id=study.pk,
        series_id=score.series_id,
        score_id=score.pk,
        segmentation_id=score.segmentation_id,
        acquired_at=study.acquired_at,
        review=review,
        unet_score=score.unet_score,
        bme_femoral=score.bme_femoral,
        bme_acetabular=score.bme_acetabular,
        synovitis=score.synovitis,
        mean_per_slice=score.mean_per_slice,
        lesion_ml=score.lesion_ml,
        interval_low=score.interval_low,
        interval_high=score.interval_high,
        interval_level=score.interval_level,
        n_role_slices=score.n_role_slices,
        n_assessable_slices=score.n_assessable_slices,
        model_name=model.name if model else "",
        model_version=model.version if model else "",
        is_model_in_force=model.is_in_force if model else True,
        is_corrected=_is_corrected(score),
        warnings=tuple(score.warnings),
        flags=tuple(score.flags),
        refused_code=score.refused_code,
        refused_message=score.refused_message,
    )
