"""The one shell of all tasks: claim, work under a heartbeat, finish only if the attempt is still mine."""

import functools
import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pghistory
from celery import shared_task
from django.conf import settings
from django.db import connection

from hipapp.core.errors import DomainError
from hipapp.jobs import services

log = logging.getLogger(__name__)


class LostJobError(Exception):
    """The job was cancelled or taken over while working; the work stops and changes nothing more."""


@dataclass(frozen=True)
class Progress:
    """What a running task uses to say how far it is."""

    job_id: uuid.UUID
    attempt: int

    def __call__(self, percent: float, message: str) -> None:
        """Show `message` and percent 0–100; raises LostJobError when the job is no longer ours."""
        if not services.report_progress(self.job_id, self.attempt, round(percent), message):
            raise LostJobError(str(self.job_id))


@dataclass(frozen=True)
class Unfinished:
    """What work returns that has done a share and wants to go on with a new message, so that other jobs get their turn."""

    percent: float
    message: str


Work = Callable[..., "str | Unfinished"]


def job_task(name: str) -> Callable[[Work], Callable[..., Any]]:
    """Register a function as the work of jobs of this task name.

    The function gets `progress` and the job's arguments as keywords and returns the sentence the job ends with, or
    `Unfinished`: then it is called again, behind the jobs that wait already. A DomainError ends the job as failed with its
    message; any other error is logged and the job tried again.
    """

    def register(work: Work) -> Callable[..., Any]:
        @shared_task(name=name)  # type: ignore[untyped-decorator]
        @functools.wraps(work)
        def task(job_id: str) -> None:
            run(job_id, work)

        return work

    return register


def run(job_id: str, work: Work) -> None:
    """One attempt at a job; returns quietly when there is nothing (more) to do."""
    job = services.claim(job_id)
    if job is None:
        return
    stop = threading.Event()
    beat = threading.Thread(target=_heartbeat, args=(job.pk, job.attempt, stop), daemon=True)
    beat.start()
    try:
        with pghistory.context(user=job.created_by_id, door="job", job=str(job.pk)):
            outcome = work(Progress(job.pk, job.attempt), **job.arguments)
        if isinstance(outcome, Unfinished):
            services.put_back(job.pk, job.attempt, round(outcome.percent), outcome.message)
        else:
            services.finish(job.pk, job.attempt, outcome)
    except LostJobError:
        log.info("job %s is no longer attempt %s's", job.pk, job.attempt)
    except DomainError as error:
        services.fail(job.pk, job.attempt, error.message)
    except Exception:  # whatever it was, the row must not stay running
        log.exception("job %s failed in attempt %s", job.pk, job.attempt)
        services.release(job.pk, job.attempt)
    finally:
        stop.set()
        beat.join()


def _heartbeat(job_id: uuid.UUID, attempt: int, stop: threading.Event) -> None:
    try:
        while not stop.wait(settings.JOB_LEASE_S / 3):
            if not services.renew_lease(job_id, attempt):
                return
    finally:
        connection.close()
