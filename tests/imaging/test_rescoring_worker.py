"""A worker killed with SIGKILL in the middle of a re-scoring: after its restart each study is scored with the model, once."""

import os
import signal

import pytest
from django.utils import timezone

from hipapp.imaging.models import ModelVersion, Rescoring, Score
from hipapp.imaging.registry import ensure_model_in_force
from hipapp.imaging.services import rescoring, uploads
from tests.builders import rows
from tests.conftest import wait_until
from tests.imaging.studies import spool_files, stir_files
from tests.imaging.test_worker import asked, gate, start, state_of  # noqa: F401  the fixtures of the gated worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.worker]


def test_a_rescoring_whose_worker_was_killed_goes_on(start, gate, asked, radiologist, administrator, patient, centre):  # noqa: F811
    ensure_model_in_force()
    for n in (1, 2):
        visit = rows.make_visit(patient, timezone.now().date().replace(month=n, day=1))
        files = stir_files(seed=n, study=f"1.2.3.{n}", series=f"1.2.3.{n}.5", PatientBirthDate=None)
        uploads.finish_upload(spool_files(uploads.start_upload(radiologist, visit=visit), files), radiologist)
    worker = start()
    wait_until(lambda: Score.objects.count() == 4, 120, "both studies scored")
    candidate = ModelVersion.objects.create(name="unet", version="2", sha256="2" * 64)
    gate.touch()
    row = rescoring.order_rescoring(candidate, administrator, [centre])
    wait_until(lambda: len(asked.read_text().split()) == 3, 60, "the middle of the first study")
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert state_of("imaging.rescore") == "running"

    gate.unlink()
    start()
    wait_until(lambda: state_of("imaging.rescore") == "succeeded", 120, "the re-scoring")
    row = Rescoring.objects.get(pk=row.pk)
    assert (row.n_done, row.n_series, row.failures) == (2, 2, [])
    assert Score.objects.filter(model_version=candidate).count() == 4
    assert len(asked.read_text().split()) == 5  # two studies, one of which was begun twice with the second model
