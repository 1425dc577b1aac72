"""A radiologist's word on a score: accepted, rejected, not assessable, or taken back."""

from django.db import transaction

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, record_access, require
from hipapp.core.errors import ConflictError, DomainError
from hipapp.imaging.models import Review, Score, Series
from hipapp.imaging.results import counting_scores, current_score

Verdict = Review.Verdict


def review_hip(series: Series, side: str, verdict: str, user: User, *, comment: str = "", score_id: int | None = None) -> Review:
    """Note the verdict on the score that counts for the hip (on the hip itself for a prosthesis); the newest counts.

    Parameters
    ----------
    score_id : the score that the person saw; where another counts by now, nothing is noted

    Raises
    ------
    ForbiddenError
        The person is no radiologist of the centre.
    ConflictError
        There is no score to judge, nothing to take back, or another score counts by now.
    """
    if verdict not in Verdict.values:
        raise DomainError(f"{verdict!r} is no verdict; one of {', '.join(Verdict.values)} is expected.", field="verdict")
    if side not in ("right", "left"):
        raise DomainError(f"{side!r} is no side; right or left is expected.", field="side")
    with transaction.atomic():
        series = Series.objects.select_for_update(of=("self",)).select_related("study__centre").get(pk=series.pk)
        require(user, Act.REVIEW, series.study.centre)
        target = _target(series, side, verdict, score_id)
        review = Review.objects.create(
            series=series, side=side, score=target, verdict=verdict, reviewer=user, comment=" ".join(comment.split())[:300]
        )
        record_access(user, "review", "study", series.study_id)
    return review


def _target(series: Series, side: str, verdict: str, score_id: int | None) -> Score | None:
    reviews = list(Review.objects.filter(series=series, side=side).select_related("score"))
    if verdict == Verdict.NOT_ASSESSABLE:
        return None
    if verdict == Verdict.WITHDRAWN:
        if not reviews or reviews[0].verdict == Verdict.WITHDRAWN:
            raise ConflictError("There is no review of this hip to take back.", code="no_review")
        return reviews[0].score
    scores = counting_scores().filter(series=series, side=side).select_related("model_version", "segmentation")
    score, _ = current_score(scores.defer("segmentation__mask"), reviews)
    if score is None or score.unet_score is None:
        raise ConflictError("This hip has no score that could be judged.", code="no_score")
    if score_id is not None and score.pk != score_id:
        raise ConflictError("Another score counts for this hip by now: look at it first.", code="score_changed")
    return score
