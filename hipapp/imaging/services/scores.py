"""From outlines to scores: the order for a series, and the rows of what came of it."""

import logging
import zlib

from django.db import transaction

from hipapp.accounts.models import User
from hipapp.imaging.models import HipBox, ModelVersion, Score, Segmentation, Series, SliceMeasure, Study
from hipapp.imaging.outcome import HipOutcome, StackOutcome
from hipapp.imaging.registry import NoModelError, register_model
from hipapp.jobs.models import Job
from hipapp.jobs.services import order_job
from scoring.errors import ScoringError
from scoring.mri.slices import TooFewSlicesError
from scoring.mri.unet_score import HipScore, score_hip

log = logging.getLogger(__name__)
PURPOSE = "score"
PARTS = ("unet_score", "bme_femoral", "bme_acetabular", "synovitis", "mean_per_slice", "lesion_ml")


def order_scoring(study: Study, user: User | None, parent: Job | None = None) -> Job | None:
    """The job that scores the chosen series with the model in force: made once, or None where nothing is to be scored."""
    if study.state != Study.State.READY or study.chosen_series_id is None:
        return None
    try:
        model = register_model()
    except NoModelError:
        log.exception("study %s is stored but no model is installed", study.pk)
        return None
    return order_job(
        "imaging.segment_series",
        arguments={"series_id": study.chosen_series_id, "model_sha256": model.sha256},
        centre=study.centre,
        user=user,
        subject=("study", study.pk),
        unique_key=f"{study.chosen_series_id}:{model.sha256}:{PURPOSE}",
        parent=parent,
        queue="gpu",
    )


def is_scored(series: Series, model: ModelVersion) -> bool:
    """Whether this model has said its word on both hips of the series."""
    return Score.objects.filter(series=series, model_version=model).count() == 2


def store_outcome(series: Series, model: ModelVersion, outcome: StackOutcome) -> list[Score]:
    """Boxes, outlines and scores of both hips, in one transaction; what is there already stays."""
    with transaction.atomic():
        Series.objects.select_for_update().get(pk=series.pk)
        existing = list(Score.objects.filter(series=series, model_version=model))
        if len(existing) == len(outcome.hips):
            return existing
        return [_store_hip(series, model, outcome, hip) for hip in outcome.hips]


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
    if hip.mask is None or hip.refused:
        code, message = hip.refused or ("no_hips", "This hip was not found.")
        return _store_refusal(series, model, hip.side, code, message, outcome)
    segmentation = Segmentation.objects.create(
        series=series,
        side=hip.side,
        model_version=model,
        shape=list(hip.mask.shape),
        mask=zlib.compress(hip.mask.tobytes(), 6),
    )
    try:
        score = score_hip(hip.mask, outcome.pixels, outcome.spacing_mm, hip.side)
    except TooFewSlicesError as error:
        return _store_refusal(series, model, hip.side, "too_few_slices", str(error), outcome, segmentation)
    except ScoringError as error:
        return _store_refusal(series, model, hip.side, "not_scorable", str(error), outcome, segmentation)
    return _store_score(series, model, score, outcome, segmentation)


def _store_refusal(
    series: Series,
    model: ModelVersion,
    side: str,
    code: str,
    message: str,
    outcome: StackOutcome,
    segmentation: Segmentation | None = None,
) -> Score:
    return Score.objects.create(
        series=series,
        side=side,
        model_version=model,
        segmentation=segmentation,
        warnings=list(outcome.warnings),
        refused_code=code[:30],
        refused_message=message[:500],
    )


def _store_score(
    series: Series, model: ModelVersion, score: HipScore, outcome: StackOutcome, segmentation: Segmentation
) -> Score:
    row = Score.objects.create(
        series=series,
        side=score.side,
        model_version=model,
        segmentation=segmentation,
        **{part: getattr(score, part) for part in PARTS},
        n_role_slices=score.n_role_slices,
        n_assessable_slices=score.n_assessable_slices,
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
