"""A cohort scored with another model, series after series, in one job that goes on where it stopped."""

import logging
import time
from collections.abc import Mapping, Sequence

from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from hipapp.accounts.models import Centre, User
from hipapp.accounts.permissions import Act, require
from hipapp.core.errors import ConflictError, DomainError
from hipapp.imaging.models import ModelVersion, Rescoring, Series, Study
from hipapp.imaging.registry import NoModelError, ensure_model_in_force
from hipapp.imaging.services.scores import is_scored, store_outcome
from hipapp.jobs.services import order_job
from hipapp.jobs.shell import LostJobError, Progress, Unfinished
from ml.dicom.errors import UnscorableError

log = logging.getLogger(__name__)
SHARE_S = 20.0  # after that long, studies that have come meanwhile get their turn
PATIENT_FIELDS = ("criteria", "hip_involvement", "is_synthetic")


def order_rescoring(
    model: ModelVersion, user: User | None, centres: Sequence[Centre], patients: Mapping[str, object] | None = None
) -> Rescoring:
    """The job that scores the studies of these centres' patients with a model; one that is still running is given instead.

    Parameters
    ----------
    patients : which patients, by `PATIENT_FIELDS`; all of the centres unless given

    Raises
    ------
    ForbiddenError
        The person does not administer one of the centres.
    ConflictError
        The model is not ready, or there is nothing to score.
    """
    patients = dict(patients or {})
    if unknown := set(patients) - set(PATIENT_FIELDS):
        raise ValueError(f"patients are chosen by {PATIENT_FIELDS}, not by {unknown}")
    for centre in centres:
        if user is not None:
            require(user, Act.MANAGE, centre)
    if model.state != ModelVersion.State.READY:
        raise ConflictError(f"{model} can't score: {model.get_state_display().lower()}.", code="not_ready")
    baseline = ensure_model_in_force()
    with transaction.atomic():
        ModelVersion.objects.select_for_update().get(pk=model.pk)
        if running := _running(model, centres, patients):
            return running
        rescoring = Rescoring.objects.create(
            model_version=model, baseline=None if baseline == model else baseline, patients=patients, ordered_by=user
        )
        rescoring.centres.set(centres)
        rescoring.n_series = series_of(rescoring).count()
        if not rescoring.n_series:
            raise ConflictError("No study of these patients could be scored: none is attached to a visit.", code="no_studies")
        rescoring.job = order_job(
            "imaging.rescore",
            arguments={"rescoring_id": rescoring.pk},
            centre=centres[0] if len(centres) == 1 else None,
            user=user,
            subject=("rescoring", rescoring.pk),
            unique_key=f"rescore:{rescoring.pk}",
            queue="gpu",
        )
        rescoring.save()
    return rescoring


def series_of(rescoring: Rescoring) -> QuerySet[Series]:
    """The series that a re-scoring is about: the chosen one of each study that is attached to one of its patients."""
    chosen = {f"visit__patient__{key}": value for key, value in rescoring.patients.items()}
    studies = Study.objects.filter(centre__in=rescoring.centres.all(), state=Study.State.READY, visit__isnull=False, **chosen)
    return Series.objects.filter(pk__in=studies.values("chosen_series"), is_superseded=False).order_by("pk")


def rescore(rescoring: Rescoring, progress: Progress) -> str | Unfinished:
    """Score the series that are still to be scored, for about `SHARE_S`; what is scored already stays as it is."""
    model = rescoring.model_version
    ends_at = time.monotonic() + SHARE_S
    keys = list(series_of(rescoring).filter(pk__gt=rescoring.last_series).values_list("pk", flat=True))
    rescoring.n_series = rescoring.n_done + len(keys)
    for key in keys:
        if time.monotonic() > ends_at:
            return Unfinished(_percent(rescoring), f"{rescoring.n_done} of {rescoring.n_series} studies")
        series = Series.objects.select_related("study").get(pk=key)
        if failure := _score(series, rescoring, progress):
            rescoring.failures = [*rescoring.failures, [str(series.study_id), failure]]
        rescoring.n_done, rescoring.last_series = rescoring.n_done + 1, key
        rescoring.save(update_fields=["failures", "n_series", "n_done", "last_series"])
    n_failed = len(rescoring.failures)
    failed = f", {n_failed} could not be" if n_failed else ""
    return f"{rescoring.n_done - n_failed} studies scored with {model}{failed}"


def _score(series: Series, rescoring: Rescoring, progress: Progress) -> str:
    """Score one series, unless it is; gives why it could not be."""
    from hipapp.imaging import inference

    model = rescoring.model_version
    number = f"Study {rescoring.n_done + 1} of {rescoring.n_series}"

    def say(percent: float, words: str) -> None:
        progress(_percent(rescoring, percent / 100), f"{number}: {words}")

    say(0, "Looking whether it is scored")
    if is_scored(series, model):
        return ""
    try:
        store_outcome(series, model, inference.segment(series, model, say))
    except UnscorableError as error:
        return error.message[:300]
    except Series.DoesNotExist:
        return "More images of the series came meanwhile."
    except (LostJobError, DatabaseError, NoModelError, inference.BrokenModelError):
        raise  # these are not about the series
    except DomainError as error:
        return error.message[:300]
    except Exception:
        log.exception("series %s can't be scored with model %s", series.pk, model)
        return "An unexpected error; the log of the worker has it."
    return ""


def _percent(rescoring: Rescoring, share: float = 0.0) -> float:
    return 100 * (rescoring.n_done + share) / max(1, rescoring.n_series)


def _running(model: ModelVersion, centres: Sequence[Centre], patients: dict[str, object]) -> Rescoring | None:
    wanted = {centre.pk for centre in centres}
    for row in Rescoring.objects.filter(model_version=model, patients=patients).exclude(job=None).select_related("job"):
        if row.job is not None and not row.job.is_final and set(row.centres.values_list("pk", flat=True)) == wanted:
            return row
    return None
