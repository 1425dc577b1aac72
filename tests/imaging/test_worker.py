"""A worker killed with SIGKILL in the middle of a study: after its restart the study is scored, once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hipapp.imaging.models import Score, Segmentation, Study, Upload
from hipapp.imaging.services import uploads
from hipapp.jobs.models import Job
from tests.conftest import database_url, wait_until
from tests.imaging.studies import outcomes, spool_files, stir_files

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.worker]
SCRIPT = Path(__file__).with_name("gated_worker.py")


@pytest.fixture
def gate(tmp_path):
    return tmp_path / "gate"


@pytest.fixture
def asked(tmp_path):
    """One line for each time that the network was asked."""
    return tmp_path / "asked"


@pytest.fixture
def start(transactional_db, tmp_path, model_folder, gate, asked):
    """Starts a real worker process of both queues with short leases; whatever still runs is killed after the test."""
    processes = []

    def run() -> subprocess.Popen:
        log = (tmp_path / f"worker-{len(processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "all", str(model_folder), str(gate), str(asked)],
            env={**os.environ, "DATABASE_URL": database_url(), "HIPAPP_JOB_LEASE_S": "2", "HIPAPP_JOB_SWEEP_S": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for path in tmp_path.glob("worker-*.log"):
        print(path.read_text()[-3000:])


def state_of(task: str) -> str:
    return Job.objects.filter(task=task).values_list("state", flat=True).first() or ""


def test_a_study_whose_worker_was_killed_is_scored_once(start, gate, asked, radiologist, visit):
    gate.touch()
    upload = spool_files(uploads.start_upload(radiologist, visit=visit), stir_files())
    uploads.finish_upload(upload, radiologist)
    worker = start()
    wait_until(lambda: Job.objects.filter(message="In the middle of the study").exists(), 120, "the middle of the study")
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert state_of("imaging.segment_series") == "running"
    assert not Score.objects.exists()

    gate.unlink()
    start()
    wait_until(lambda: state_of("imaging.segment_series") == "succeeded", 120, "the score")
    job = Job.objects.get(task="imaging.segment_series")
    assert job.attempt == 2
    assert sorted(Score.objects.values_list("side", flat=True)) == ["left", "right"]
    assert Segmentation.objects.count() == 2
    assert len(asked.read_text().split()) == 2
    assert Study.objects.get().chosen_series.scores.count() == 2
    assert outcomes(Upload.objects.get(pk=upload.pk)) == {"accepted": 9}
