"""Files in, rows out: what is stored, what is refused and why, and nothing twice."""

import pytest

from hipapp.imaging.models import Instance, Score, Series, Study
from hipapp.jobs.models import Job
from tests.imaging.studies import SHAPE, outcomes, receive, run_job, stir_files

pytestmark = pytest.mark.django_db


def test_a_study_is_stored_attached_sorted_and_ordered(radiologist, visit):
    upload = receive(radiologist, stir_files(), visit=visit)
    assert (upload.state, outcomes(upload)) == ("done", {"accepted": SHAPE[0]})
    study = Study.objects.get()
    assert (study.visit, study.state, study.refused_code, study.centre) == (visit, "ready", "", visit.patient.centre)
    assert study.acquired_at.isoformat() == "2026-03-02T10:15:00+00:00"
    series = study.chosen_series
    assert (series.plane, series.n_slices, series.is_fat_suppressed, series.code) == ("coronal", SHAPE[0], True, "")
    assert len(series.slices) == SHAPE[0]
    assert series.instances.count() == SHAPE[0]
    job = Job.objects.get(task="imaging.segment_series")
    assert (job.queue, job.state, job.parent, job.subject_id) == ("gpu", "queued", upload.job, str(study.pk))


def test_a_study_is_scored_once(radiologist, visit, network):
    receive(radiologist, stir_files(), visit=visit)
    job = run_job(Job.objects.get(task="imaging.segment_series"))
    assert job.state == "succeeded", job.message
    assert job.message.startswith("UNet-score R 0.")
    right, left = Score.objects.order_by("-side")
    assert (right.side, left.side) == ("right", "left")
    assert right.unet_score == pytest.approx(right.bme_femoral + right.bme_acetabular + right.synovitis)
    assert right.n_role_slices == right.slices.count() == SHAPE[0]
    Job.objects.filter(pk=job.pk).update(state="queued")
    run_job(job)
    assert (Score.objects.count(), len(network)) == (2, 1)
