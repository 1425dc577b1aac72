"""The pages of jobs say in words what is done, and lead to what it is done to."""

import uuid

import pytest
from django.urls import reverse

from hipapp.celery import app
from hipapp.jobs.models import Job
from hipapp.jobs.titles import TITLES
from tests.builders.rows import make_job


def test_every_kind_of_job_has_words():
    app.loader.import_default_modules()
    assert {name for name in app.tasks if name.startswith(("imaging.", "jobs."))} == set(TITLES)


@pytest.mark.django_db
def test_a_job_leads_to_its_study(client, radiologist, centre):
    study = uuid.uuid4()
    job = make_job(task="imaging.segment_series", subject_type="study", subject_id=str(study), centre=centre)
    other = make_job(task="imaging.erase", subject_type="erasure", subject_id=str(uuid.uuid4()), centre=centre)
    client.force_login(radiologist)
    for address in (reverse("jobs:list"), reverse("jobs:detail", args=[job.pk])):
        page = client.get(address).content.decode()
        assert "Outline and score a study" in page
        assert reverse("imaging:study", args=[study]) in page
    assert Job.objects.get(pk=other.pk).subject_url == ""
