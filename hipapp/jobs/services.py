"""Ordering, claiming, finishing and sweeping of jobs. The row decides; a message only wakes a worker."""

import logging
import uuid
from datetime import timedelta

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from hipapp.accounts.models import Centre, User
from hipapp.core.errors import ConflictError
from hipapp.jobs.models import Job

log = logging.getLogger(__name__)


def order_job(
    task: str,
    *,
    arguments: dict[str, object],
    centre: Centre | None = None,
    user: User | None = None,
    subject: tuple[str, object] = ("", ""),
    unique_key: str | None = None,
    parent: Job | None = None,
    queue: str = "default",
) -> Job:
    """The job for this work, made and sent on commit; with a `unique_key` that already has one, that one.

    A job of the same key that had failed or been cancelled is ordered anew.
    """
    values = {
        "task": task,
        "arguments": arguments,
        "centre": centre,
        "created_by": user,
        "subject_type": subject[0],
        "subject_id": str(subject[1]),
        "parent": parent,
        "queue": queue,
    }
    with transaction.atomic():
        if unique_key is None:
            job, created = Job.objects.create(**values), True
        else:
            job, created = Job.objects.get_or_create(unique_key=unique_key, defaults=values)
        if created:
            _send_on_commit(job)
        elif job.state in (Job.State.FAILED, Job.State.CANCELLED):
            retry_job(job)
    return job


def retry_job(job: Job) -> Job:
    """Order a failed or cancelled job once more, with a fresh count of attempts."""
    changed = Job.objects.filter(pk=job.pk, state__in=(Job.State.FAILED, Job.State.CANCELLED)).update(
        state=Job.State.QUEUED, attempt=0, progress=0, message="", finished_at=None, lease_expires_at=None
    )
    if not changed:
        raise ConflictError("Only a job that failed or was cancelled can be tried again.", code="job_not_ended")
    job.refresh_from_db()
    _send_on_commit(job)
    return job


def cancel_job(job: Job) -> Job:
    """Cancel a job that has not ended; a running one notices at its next heartbeat."""
    changed = Job.objects.filter(pk=job.pk, state__in=(Job.State.QUEUED, Job.State.RUNNING)).update(
        state=Job.State.CANCELLED, message="Cancelled", finished_at=timezone.now()
    )
    if not changed:
        raise ConflictError("The job has ended already.", code="job_ended")
    job.refresh_from_db()
    return job


def send(job: Job) -> bool:
    """Hand a message for the job to the broker; False (and a log line) when the broker is away: the sweeper sends again."""
    try:
        current_app.send_task(job.task, kwargs={"job_id": str(job.pk)}, queue=job.queue, retry=False)
    except Exception:  # every transport has errors of its own; the row keeps the work
        log.warning("job %s could not be sent; the sweeper will send it again", job.pk, exc_info=True)
        return False
    Job.objects.filter(pk=job.pk).update(sent_at=timezone.now())
    return True


def _send_on_commit(job: Job) -> None:
    transaction.on_commit(lambda: send(job))


def claim(job_id: uuid.UUID | str) -> Job | None:
    """Take the job for one attempt; None when it has ended or another worker holds a live lease."""
    now = timezone.now()
    with transaction.atomic():
        job = (
            Job.objects.select_for_update(skip_locked=True)
            .filter(pk=job_id)
            .filter(Q(state=Job.State.QUEUED) | Q(state=Job.State.RUNNING, lease_expires_at__lt=now))
            .first()
        )
        if job is None:
            return None
        if job.attempt >= settings.JOB_MAX_ATTEMPTS:
            _give_up(job)
            return None
        job.state = Job.State.RUNNING
        job.attempt += 1
        job.lease_expires_at = now + timedelta(seconds=settings.JOB_LEASE_S)
        job.started_at = now
        job.save(update_fields=["state", "attempt", "lease_expires_at", "started_at"])
    return job


def renew_lease(job_id: uuid.UUID, attempt: int) -> bool:
    """Prolong the lease; False when the job is no longer this attempt's (cancelled or taken over)."""
    return bool(_mine(job_id, attempt).update(lease_expires_at=timezone.now() + timedelta(seconds=settings.JOB_LEASE_S)))


def report_progress(job_id: uuid.UUID, attempt: int, percent: int, message: str) -> bool:
    """Show how far the work is; False when the job is no longer this attempt's."""
    return bool(
        _mine(job_id, attempt).update(
            progress=max(0, min(100, percent)),
            message=message[:300],
            lease_expires_at=timezone.now() + timedelta(seconds=settings.JOB_LEASE_S),
        )
    )


def finish(job_id: uuid.UUID, attempt: int, message: str) -> bool:
    """End the job as done, if the attempt is still the one that holds it."""
    return bool(
        _mine(job_id, attempt).update(state=Job.State.SUCCEEDED, progress=100, message=message[:300], finished_at=timezone.now())
    )


def fail(job_id: uuid.UUID, attempt: int, message: str) -> bool:
    """End the job as failed with a sentence for the user, if the attempt is still the one that holds it."""
    return bool(_mine(job_id, attempt).update(state=Job.State.FAILED, message=message[:300], finished_at=timezone.now()))


def release(job_id: uuid.UUID, attempt: int) -> None:
    """Give a job back after an unexpected error: sent again, or failed after the last attempt."""
    if attempt >= settings.JOB_MAX_ATTEMPTS:
        fail(job_id, attempt, _GAVE_UP)
    elif _mine(job_id, attempt).update(state=Job.State.QUEUED, lease_expires_at=None, message="Will be tried again"):
        send(Job.objects.get(pk=job_id))


def put_back(job_id: uuid.UUID, attempt: int, percent: int, message: str) -> None:
    """Let a job that has done a share of its work wait for its next turn; what it did counts, so attempts begin anew."""
    values = {"state": Job.State.QUEUED, "attempt": 0, "lease_expires_at": None, "progress": percent, "message": message[:300]}
    if _mine(job_id, attempt).update(**values):
        send(Job.objects.get(pk=job_id))


_GAVE_UP = "This didn't work in three attempts. Nothing is lost: try it again, or tell the administrator."


def _give_up(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(state=Job.State.FAILED, message=_GAVE_UP, finished_at=timezone.now())


def _mine(job_id: uuid.UUID, attempt: int):  # type: ignore[no-untyped-def]
    return Job.objects.filter(pk=job_id, attempt=attempt, state=Job.State.RUNNING)


def sweep() -> int:
    """Send again what was lost: running jobs whose lease has run out, and queued ones whose message nobody took.

    Returns the number of jobs sent. Safe to run in several workers at once.
    """
    now = timezone.now()
    patience = now - timedelta(seconds=2 * settings.JOB_SWEEP_S)
    lost = Q(state=Job.State.RUNNING, lease_expires_at__lt=now) | Q(state=Job.State.QUEUED) & (
        Q(sent_at__isnull=True) | Q(sent_at__lt=patience)
    )
    with transaction.atomic():
        jobs = list(Job.objects.select_for_update(skip_locked=True).filter(lost).order_by("created_at")[:100])
        for job in jobs:
            if job.state == Job.State.RUNNING and job.attempt >= settings.JOB_MAX_ATTEMPTS:
                _give_up(job)
            elif job.state == Job.State.RUNNING:
                Job.objects.filter(pk=job.pk).update(state=Job.State.QUEUED, lease_expires_at=None)
        jobs = [job for job in jobs if not (job.state == Job.State.RUNNING and job.attempt >= settings.JOB_MAX_ATTEMPTS)]
    return sum(send(job) for job in jobs)
