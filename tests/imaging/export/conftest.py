"""A study that came through the real receiving service and was scored, with one hip accepted and one left alone."""

import subprocess

import pytest

from hipapp.imaging.models import Score, Study
from hipapp.imaging.services import reviews
from hipapp.jobs.models import Job
from tests.imaging.conftest import messages, model_folder, network  # noqa: F401
from tests.imaging.studies import receive, run_job, stir_files
from tests.programs import program


@pytest.fixture
def study(radiologist, visit) -> Study:
    """Scored; nobody has looked at it."""
    receive(radiologist, stir_files(FrameOfReferenceUID="1.2.3.4.9"), visit=visit)
    run_job(Job.objects.get(task="imaging.segment_series"))
    return Study.objects.get()


@pytest.fixture
def accept(radiologist):
    """Accepts one hip of a study."""

    def accept(study: Study, side: str) -> Score:
        reviews.review_hip(study.chosen_series, side, "accept", radiologist)
        return Score.objects.get(series=study.chosen_series, side=side)

    return accept


@pytest.fixture
def dciodvfy(tmp_path):
    """Gives the errors that David Clunie's validator finds in a file; skips where Debian's dicom3tools is absent."""
    command = program("dciodvfy")

    def check(content: bytes) -> list[str]:
        path = tmp_path / "checked.dcm"
        path.write_bytes(content)
        told = subprocess.run([command, str(path)], capture_output=True, text=True, check=False)
        lines = (told.stdout + told.stderr).splitlines()
        assert any(line in ("Segmentation", "ComprehensiveSR") for line in lines), lines  # it knew what it looked at
        return [line for line in lines if line.startswith("Error")]

    return check
