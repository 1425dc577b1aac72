"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

from tests.builders import rows


def corpus_folder() -> Path:
    return Path(os.environ.get("HIPAPP_DICOM_CORPUS", Path(__file__).resolve().parents[2] / "shared" / "dicom"))


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real DICOM files; skips with the reason where it is absent."""
    folder = corpus_folder()
    if not (folder / "MANIFEST.csv").exists():
        pytest.skip(f"the DICOM corpus is not at {folder} (set HIPAPP_DICOM_CORPUS)")
    return folder


@pytest.fixture(autouse=True)
def _own_private_storage(settings, tmp_path):
    """Each test stores files and spools in a folder of its own."""
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "private"}},
    }


@pytest.fixture
def centre(db):
    return rows.make_centre()


@pytest.fixture
def other_centre(db):
    return rows.make_centre()


@pytest.fixture
def radiologist(centre):
    return rows.make_user("radiologist", centre)


@pytest.fixture
def rheumatologist(centre):
    return rows.make_user("rheumatologist", centre)


@pytest.fixture
def coordinator(centre):
    return rows.make_user("coordinator", centre)


@pytest.fixture
def administrator(centre):
    return rows.make_user("administrator", centre)


@pytest.fixture
def patient(centre):
    return rows.make_patient(centre)


@pytest.fixture
def visit(patient):
    return rows.make_visit(patient)
