"""Tasks of imaging: they fetch by id and call a service."""

from hipapp.core.errors import DomainError
from hipapp.imaging.models import ModelVersion, Rescoring, Series, Study
from hipapp.imaging.results import HipResult, results_of_studies
from hipapp.imaging.services import erasure, models, quiet, rescoring, scores, uploads
from hipapp.jobs.models import Job
from hipapp.jobs.shell import Progress, Unfinished, job_task
from ml.dicom.errors import UnscorableError

CHANGED = "Not scored: more images of the series have come, and it is scored with them"


@job_task("imaging.receive")
def receive(progress: Progress, *, upload_id: str) -> str:
    """Read an upload's files into studies."""
    return uploads.receive_upload(upload_id, progress)


@job_task("imaging.settle_study")
def settle_study(progress: Progress, *, study_id: str) -> str:
    """Sort a study that has become quiet, and have it scored."""
    progress(10, "Sorting the images into series")
    study = quiet.settle_study(study_id)
    return study.refused_message or f"Sorted; scored is: {study.chosen_series}"


@job_task("imaging.segment_series")
def segment_series(progress: Progress, *, series_id: int, model_sha256: str) -> str:
    """Outline and score both hips of a series, once."""
    from hipapp.imaging import inference

    series = Series.objects.select_related("study").filter(pk=series_id, is_superseded=False).first()
    if series is None:
        return CHANGED
    model = ModelVersion.objects.get(sha256=model_sha256)
    if not model.is_in_force:
        return _score_with_the_one_in_force(progress, series, model)
    if not scores.is_scored(series, model):
        try:
            outcome = inference.segment(series, model, progress)
        except UnscorableError as error:
            scores.refuse_study(series, error.code, error.message)
            raise DomainError(f"Not scored: {error.message}", code=error.code) from error
        progress(95, "Writing outlines and scores")
        try:
            scores.store_outcome(series, model, outcome)
        except Series.DoesNotExist:
            return CHANGED
    study = Study.objects.get(pk=series.study_id)
    return sentence(results_of_studies([study])[study.pk])


@job_task("imaging.erase")
def erase(progress: Progress, *, erasure_id: str) -> str:
    """Erase a study or a patient, as was confirmed."""
    return erasure.erase(erasure_id, progress)


def _score_with_the_one_in_force(progress: Progress, series: Series, model: ModelVersion) -> str:
    job = Job.objects.select_related("created_by", "parent").get(pk=progress.job_id)
    scores.order_scoring(series.study, job.created_by, job.parent)
    return f"Not scored with {model}: another model is in force by now, and it is scored with that"


@job_task("imaging.check_model")
def check_model(progress: Progress, *, model_sha256: str) -> str:
    """Load an imported model and try it."""
    model = ModelVersion.objects.get(sha256=model_sha256)
    progress(10, f"Loading {model} and trying it on noise")
    models.check_model(model)
    return f"{model} is ready"


@job_task("imaging.rescore")
def rescore(progress: Progress, *, rescoring_id: int) -> str | Unfinished:
    """Score a cohort with another model, a share at a time."""
    row = Rescoring.objects.select_related("model_version").get(pk=rescoring_id)
    return rescoring.rescore(row, progress)


def sentence(results: dict[str, HipResult]) -> str:
    """The scores of both hips in one sentence."""
    words = []
    for side, letter in (("right", "R"), ("left", "L")):
        result = results.get(side)
        if result is None:
            continue
        score = result.unet_score
        words.append(f"{letter} {score:.2f}" if score is not None else f"{letter} not scored: {result.refused_message}")
    return f"UNet-score {', '.join(words)}" if words else "Scored"
