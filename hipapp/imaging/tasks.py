"""Tasks of imaging: they fetch by id and call a service."""

from hipapp.core.errors import DomainError
from hipapp.imaging.models import ModelVersion, Series, Study
from hipapp.imaging.results import HipResult, results_of_studies
from hipapp.imaging.services import scores, uploads
from hipapp.jobs.shell import Progress, job_task
from ml.dicom.errors import UnscorableError


@job_task("imaging.receive")
def receive(progress: Progress, *, upload_id: str) -> str:
    """Read an upload's files into studies."""
    return uploads.receive_upload(upload_id, progress)


@job_task("imaging.segment_series")
def segment_series(progress: Progress, *, series_id: int, model_sha256: str) -> str:
    """Outline and score both hips of a series, once."""
    from hipapp.imaging import inference

    series = Series.objects.select_related("study").get(pk=series_id)
    model = ModelVersion.objects.get(sha256=model_sha256)
    if not scores.is_scored(series, model):
        try:
            outcome = inference.segment(series, model, progress)
        except UnscorableError as error:
            scores.refuse_study(series, error.code, error.message)
            raise DomainError(f"Not scored: {error.message}", code=error.code) from error
        progress(95, "Writing outlines and scores")
        scores.store_outcome(series, model, outcome)
    study = Study.objects.get(pk=series.study_id)
    return sentence(results_of_studies([study])[study.pk])


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
