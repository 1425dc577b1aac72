"""The job row is the truth: claims, leases, attempts, the sweeper."""

from datetime import timedelta

import pytest
from django.utils import timezone

from hipapp.core.errors import ConflictError, DomainError
from hipapp.jobs import services, shell
from hipapp.jobs.models import Job
from tests.builders.rows import make_job

pytestmark = [pytest.mark.django_db, pytest.mark.services]


@pytest.fixture
def sent(monkeypatch):
    """Messages handed to the broker."""
    messages = []
    monkeypatch.setattr(services.current_app, "send_task", lambda name, **options: messages.append((name, options)))
    return messages


def test_an_ordered_job_is_sent_on_commit(sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        job = services.order_job("tests.work", arguments={"n": 1}, queue="gpu")
        assert sent == []
    assert sent == [("tests.work", {"kwargs": {"job_id": str(job.pk)}, "queue": "gpu", "retry": False})]
    job.refresh_from_db()
    assert job.sent_at is not None


def test_the_same_key_is_one_job(sent):
    first = services.order_job("tests.work", arguments={}, unique_key="series 1 model 2")
    assert services.order_job("tests.work", arguments={}, unique_key="series 1 model 2") == first
    assert Job.objects.count() == 1


def test_a_failed_job_of_the_same_key_is_ordered_anew(sent, django_capture_on_commit_callbacks):
    job = make_job(unique_key="k", state="failed", attempt=3, message="broken")
    with django_capture_on_commit_callbacks(execute=True):
        again = services.order_job("tests.work", arguments={}, unique_key="k")
    assert (again.pk, again.state, again.attempt, again.message) == (job.pk, "queued", 0, "")
    assert len(sent) == 1


def test_a_broker_that_is_away_loses_nothing(monkeypatch, django_capture_on_commit_callbacks):
    def refuse(*args, **kwargs):
        raise OSError("connection refused")

    monkeypatch.setattr(services.current_app, "send_task", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        job = services.order_job("tests.work", arguments={})
    job.refresh_from_db()
    assert (job.state, job.sent_at) == ("queued", None)


def test_a_job_is_claimed_once():
    job = make_job()
    assert services.claim(job.pk).attempt == 1
    assert services.claim(job.pk) is None


def test_a_job_whose_lease_ran_out_is_claimed_again_and_the_first_attempt_can_not_finish_it():
    job = make_job()
    first = services.claim(job.pk)
    Job.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    second = services.claim(job.pk)
    assert second.attempt == 2
    assert not services.finish(job.pk, first.attempt, "late")
    assert not services.renew_lease(job.pk, first.attempt)
    assert services.finish(job.pk, second.attempt, "done")
    job.refresh_from_db()
    assert (job.state, job.message, job.progress) == ("succeeded", "done", 100)


def test_after_three_attempts_it_fails_with_a_sentence(sent):
    job = make_job(state="running", attempt=3, lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert services.sweep() == 0
    job.refresh_from_db()
    assert job.state == "failed"
    assert "three attempts" in job.message
    assert sent == []


def test_the_sweeper_sends_lost_jobs_again(sent):
    lost = make_job(state="running", attempt=1, lease_expires_at=timezone.now() - timedelta(seconds=1))
    never_sent = make_job()
    make_job(state="running", attempt=1, lease_expires_at=timezone.now() + timedelta(seconds=60))
    make_job(sent_at=timezone.now())
    make_job(state="succeeded")
    assert services.sweep() == 2
    assert {options["kwargs"]["job_id"] for _, options in sent} == {str(lost.pk), str(never_sent.pk)}
    lost.refresh_from_db()
    assert lost.state == "queued"


def test_cancel_and_retry_refuse_the_wrong_state(sent):
    job = make_job(state="succeeded")
    with pytest.raises(ConflictError, match="ended already"):
        services.cancel_job(job)
    with pytest.raises(ConflictError, match="failed or was cancelled"):
        services.retry_job(job)


@pytest.mark.django_db(transaction=True)
def test_the_shell_ends_a_job_with_the_sentence_of_the_work():
    job = make_job(arguments={"n": 3})

    def work(progress, n):
        progress(50, "half way")
        return f"{n} things done"

    shell.run(str(job.pk), work)
    job.refresh_from_db()
    assert (job.state, job.message, job.attempt) == ("succeeded", "3 things done", 1)


@pytest.mark.django_db(transaction=True)
def test_a_domain_error_fails_the_job_with_its_words(sent):
    job = make_job()

    def work(progress):
        raise DomainError("No coronal series was found. Upload one.")

    shell.run(str(job.pk), work)
    job.refresh_from_db()
    assert (job.state, job.message) == ("failed", "No coronal series was found. Upload one.")
    assert sent == []


@pytest.mark.django_db(transaction=True)
def test_an_unexpected_error_is_tried_three_times(sent):
    job = make_job()

    def work(progress):
        raise RuntimeError("secret detail")

    for _ in range(3):
        shell.run(str(job.pk), work)
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("failed", 3)
    assert "secret" not in job.message
    assert len(sent) == 2


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_job_stops_at_its_next_progress():
    job = make_job()
    reached = []

    def work(progress):
        services.cancel_job(Job.objects.get(pk=job.pk))
        progress(10, "still at it")
        reached.append(True)
        return "done"

    shell.run(str(job.pk), work)
    job.refresh_from_db()
    assert (job.state, reached) == ("cancelled", [])


@pytest.mark.django_db(transaction=True)
def test_work_that_is_unfinished_waits_for_its_next_turn_with_fresh_attempts(sent):
    job = make_job(attempt=1)
    shares = [shell.Unfinished(40, "40 of 100"), "100 done"]

    def work(progress):
        return shares.pop(0)

    shell.run(str(job.pk), work)
    job.refresh_from_db()
    assert (job.state, job.attempt, job.progress, job.message) == ("queued", 0, 40, "40 of 100")
    assert job.lease_expires_at is None
    assert [options["kwargs"]["job_id"] for _, options in sent] == [str(job.pk)]
    shell.run(str(job.pk), work)
    job.refresh_from_db()
    assert (job.state, job.attempt, job.message) == ("succeeded", 1, "100 done")


@pytest.mark.django_db(transaction=True)
def test_a_job_that_was_cancelled_meanwhile_is_not_put_back(sent):
    job = make_job()

    def work(progress):
        services.cancel_job(Job.objects.get(pk=job.pk))
        return shell.Unfinished(40, "40 of 100")

    shell.run(str(job.pk), work)
    job.refresh_from_db()
    assert (job.state, sent) == ("cancelled", [])
