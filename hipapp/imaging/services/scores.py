"""From outlines to scores: the order for a series, and the rows of what came of it."""

import logging
import zlib

from django.db import transaction

from hipapp.accounts.models import User
from hipapp.imaging.models import HipBox, ModelVersion, Score, Segmentation, Series, SliceMeasure, Study
from hipapp.imaging.outcome import HipOutcome, StackOutcome
from hipapp.imaging.policy import REFUSED as PROTOCOL
from hipapp.imaging.policy import check_series, forbidden, policy_of
from hipapp.imaging.protocol import HIP_SLICES, Check
from hipapp.imaging.registry import NoModelError, ensure_model_in_force
from hipapp.jobs.models import Job
from hipapp.jobs.services import cancel_job, order_job
from scoring.errors import ScoringError
from scoring.mri.slices import TooFewSlicesError
from scoring.mri.unet_score import HipScore, score_hip

log = logging.getLogger(__name__)
PURPOSE, OVERRIDDEN = "score", ":protocol overridden"
TASK = "imaging.segment_series"
PARTS = ("unet_score", "bme_femoral", "bme_acetabular", "synovitis", "mean_per_slice", "lesion_ml")


def order_scoring(study: Study, user: User | None, parent: Job | None = None) -> Job | None:
    """The job that scores the chosen series with the model in force: made once, or None where nothing is to be scored.

    A study of which more images may come waits until it is quiet. Waiting jobs of series that later files changed are cancelled.
    """
    if study.state != Study.State.READY or study.chosen_series_id is None or study.scoring_due_at is not None:
        return None
    if not _protocol_allows(study):
        return None
    in_use = set(study.series.filter(is_superseded=False).values_list("pk", flat=True))
    waiting = Job.objects.filter(task=TASK, subject_type="study", subject_id=str(study.pk), state=Job.State.QUEUED)
    for job in waiting:
        if job.arguments["series_id"] not in in_use:
            cancel_job(job)
    try:
        model = ensure_model_in_force()
    except NoModelError:
        log.exception("study %s is stored but no model is installed", study.pk)
        return None
    return order_job(
        TASK,
        arguments={"series_id": study.chosen_series_id, "model_sha256": model.sha256},
        centre=study.centre,
        user=user,
        subject=("study", study.pk),
        unique_key=f"{study.chosen_series_id}:{model.sha256}:{PURPOSE}{OVERRIDDEN if study.protocol_decision else ''}",
        parent=parent,
        queue="gpu",
    )


def _protocol_allows(study: Study) -> bool:
    """Whether the centre's protocol lets the chosen series be scored; says on the study why where it doesn't."""
    assert study.chosen_series is not None
    why = forbidden(study, check_series(study.chosen_series, policy_of(study.centre)))
    if why or study.refused_code == PROTOCOL:
        study.refused_code, study.refused_message = (PROTOCOL, why[:500]) if why else ("", "")
        study.save(update_fields=["refused_code", "refused_message"])
    return not why


def is_scored(series: Series, model: ModelVersion) -> bool:
    """Whether this model has said its word on both hips of the series."""
    return Score.objects.filter(series=series, model_version=model).count() == 2


def store_outcome(series: Series, model: ModelVersion, outcome: StackOutcome) -> list[Score]:
    """Boxes, outlines and scores of both hips, in one transaction; what is there already stays."""
    with transaction.atomic():
        Series.objects.select_for_update().get(pk=series.pk)
        existing = {score.side: score for score in Score.objects.filter(series=series, model_version=model)}
        return [existing.get(hip.side) or _store_hip(series, model, outcome, hip) for hip in outcome.hips]


def _store_hip(series: Series, model: ModelVersion, outcome: StackOutcome, hip: HipOutcome) -> Score:
    HipBox.objects.update_or_create(
        series=series,
        model_version=model,
        side=hip.side,
        defaults={
            "is_found": hip.found,
            "confidence": hip.confidence,
            "centre_mm": [round(v, 2) for v in hip.centre_mm] if hip.centre_mm else None,
            "box": hip.box,
        },
    )
    if hip.mask is None:
        code, message = hip.refused or ("no_hips", "This hip was not found.")
        return _store_refusal(series, model, hip, code, message, outcome)
    segmentation = Segmentation.objects.create(
        series=series,
        side=hip.side,
        model_version=model,
        shape=list(hip.mask.shape),
        mask=zlib.compress(hip.mask.tobytes(), 6),
    )
    if hip.refused:
        return _store_refusal(series, model, hip, *hip.refused, outcome, segmentation)
    try:
        score = score_hip(hip.mask, outcome.pixels, outcome.spacing_mm, hip.side)
    except TooFewSlicesError as error:
        return _store_refusal(series, model, hip, "too_few_slices", str(error), outcome, segmentation)
    except ScoringError as error:
        return _store_refusal(series, model, hip, "not_scorable", str(error), outcome, segmentation)
    if why := _too_few_for_protocol(series, score):
        return _store_refusal(series, model, hip, PROTOCOL, why, outcome, segmentation)
    return _store_score(series, model, hip, score, outcome, segmentation)


def _too_few_for_protocol(series: Series, score: HipScore) -> str:
    study = Study.objects.select_related("centre").get(pk=series.study_id)
    check = check_series(series, policy_of(study.centre), score.n_role_slices)
    few = tuple(one for one in check.deviations if one.key == HIP_SLICES)
    return forbidden(study, Check(few))


def _store_refusal(
    series: Series,
    model: ModelVersion,
    hip: HipOutcome,
    code: str,
    message: str,
    outcome: StackOutcome,
    segmentation: Segmentation | None = None,
) -> Score:
    return Score.objects.create(
        series=series,
        side=hip.side,
        model_version=model,
        segmentation=segmentation,
        flags=list(hip.flags),
        warnings=list(outcome.warnings),
        refused_code=code[:30],
        refused_message=message[:500],
    )


def _store_score(
    series: Series, model: ModelVersion, hip: HipOutcome, score: HipScore, outcome: StackOutcome, segmentation: Segmentation
) -> Score:
    low, high, level, method = hip.interval or (None, None, None, "")
    row = Score.objects.create(
        series=series,
        side=score.side,
        model_version=model,
        segmentation=segmentation,
        **{part: getattr(score, part) for part in PARTS},
        n_role_slices=score.n_role_slices,
        n_assessable_slices=score.n_assessable_slices,
        interval_low=low,
        interval_high=high,
        interval_level=level,
        interval_method=method,
        flags=list(hip.flags),
        warnings=[*outcome.warnings, *score.warnings],
    )
    SliceMeasure.objects.bulk_create(
        SliceMeasure(
            score=row,
            index=item.index,
            sop_uid=outcome.uids[item.index],
            role=item.role,
            head_mm2=item.head_mm2,
            lesion_mm2=item.lesion_mm2,
            ratio=item.ratio,
            bme_femoral=item.bme_femoral,
            bme_acetabular=item.bme_acetabular,
            synovitis=item.synovitis,
        )
        for item in score.slices
    )
    return row


def refuse_study(series: Series, code: str, message: str) -> None:
    """Say on the study why its chosen series can't be scored after all."""
    Study.objects.filter(pk=series.study_id, chosen_series=series).update(refused_code=code[:30], refused_message=message[:500])
