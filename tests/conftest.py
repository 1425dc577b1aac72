"""Fixtures that every test may use."""

import os
import subprocess
import sys
import time
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
def _own_private_storage(request, settings, tmp_path):
    """Each test stores files and spools in a folder of its own, unless another process has to see them too."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Argon2 is slow on purpose
    if request.node.get_closest_marker("worker") or request.node.get_closest_marker("e2e"):
        return
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


@pytest.fixture
def start_worker(transactional_db, tmp_path):
    """Starts real worker processes on the test's database and broker; ends them after the test.

    `start(queue, **environment)` returns the Popen once the worker says that it is ready.
    """
    processes = []

    def start(queue: str = "all", **environment: str) -> subprocess.Popen:
        log = tmp_path / f"worker-{len(processes)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "worker", "--queue", queue],
                cwd=Path(__file__).resolve().parents[1],
                env={**os.environ, "DATABASE_URL": database_url(), **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        processes.append(process)
        deadline = time.monotonic() + 60
        while " ready." not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the worker did not get ready:\n{log.read_text()[-4000:]}")
            time.sleep(0.1)
        return process

    yield start
    for number, process in enumerate(processes):
        if process.poll() is None:
            process.kill()
        process.wait()
        print((tmp_path / f"worker-{number}.log").read_text()[-4000:])  # shown by pytest when the test fails


def database_url() -> str:
    """URL of the database that the test uses, for other processes."""
    from urllib.parse import quote, urlencode

    from django.db import connection

    values = connection.settings_dict
    user = quote(values["USER"] or "", safe="")
    password = f":{quote(values['PASSWORD'], safe='')}" if values["PASSWORD"] else ""
    host, port = values["HOST"] or values["OPTIONS"].get("host", ""), values["PORT"] or values["OPTIONS"].get("port")
    if host.startswith("/"):
        return f"postgresql://{user}{password}@/{values['NAME']}?{urlencode({'host': host, **({'port': port} if port else {})})}"
    return f"postgresql://{user}{password}@{host}{f':{port}' if port else ''}/{values['NAME']}"


def wait_until(condition, timeout_s: float = 60, what: str = "it") -> None:
    """Wait for something another process does; fails with what it was."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {timeout_s:.0f} s")
        time.sleep(0.1)
