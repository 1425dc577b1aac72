"""A real worker process takes a real job from the real broker."""

import pytest

from hipapp.jobs import services
from hipapp.jobs.models import Job
from tests.conftest import database_url, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.worker]


def test_a_job_ordered_while_no_worker_runs_is_done_when_one_starts(start_worker):
    job = services.order_job("jobs.sweep", arguments={})
    assert Job.objects.get(pk=job.pk).sent_at is not None
    start_worker("default")
    wait_until(lambda: Job.objects.get(pk=job.pk).state == "succeeded", what="the job's end")
    assert Job.objects.get(pk=job.pk).attempt == 1


def test_a_job_whose_message_was_lost_is_found_by_the_sweeper(start_worker):
    job = Job.objects.create(task="jobs.sweep")
    start_worker("default", HIPAPP_JOB_SWEEP_S="1")
    wait_until(lambda: Job.objects.get(pk=job.pk).state == "succeeded", what="the sweep")


def test_the_url_for_other_processes_names_the_test_database():
    assert "test_" in database_url()
