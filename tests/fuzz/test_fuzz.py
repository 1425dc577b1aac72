"""Mutated files through the REST door: each gets an outcome, nothing crashes, answers 500 or stays behind.

A small share runs with the suite; `python -m tests.fuzz --files 10000 --seed 7` runs as many as asked.
"""

import os
import time
from collections import Counter

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from pydicom import dcmread
from rest_framework.authtoken.models import Token

from hipapp.core.storage import stored_paths
from hipapp.imaging import parsers
from hipapp.imaging.models import Instance, Series, Upload
from tests.conftest import corpus_folder
from tests.fuzz.mutate import mutated, seeds
from tests.imaging.studies import run_job

pytestmark = pytest.mark.django_db
N_FILES = int(os.environ.get("HIPAPP_FUZZ_FILES", 120))
SEED = int(os.environ.get("HIPAPP_FUZZ_SEED", 1))
BATCH = 60
PLANTED = ("Fuzz^Planted", "FUZZ-1")


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch):
    from hipapp.jobs import services as jobs

    monkeypatch.setattr(jobs.current_app, "send_task", lambda *args, **options: None)


def test_mutated_files_do_no_harm(client, radiologist, monkeypatch, caplog, django_capture_on_commit_callbacks):
    deaths, client.raise_request_exception = [], True
    kill = parsers._Parser.kill
    monkeypatch.setattr(parsers._Parser, "kill", lambda parser: (deaths.append(1), kill(parser)))
    header = {"Authorization": f"Token {Token.objects.get_or_create(user=radiologist)[0].key}"}
    client.force_login(radiologist)
    sources, counts, reasons = seeds(corpus_folder()), Counter(), Counter()
    started = time.monotonic()
    for first in range(0, N_FILES, BATCH):
        numbers = range(first, min(first + BATCH, N_FILES))
        files = [SimpleUploadedFile(f"{n}.dcm", mutated(n, SEED, sources) or b"\0") for n in numbers]
        answer = client.post("/api/v1/studies/", {"files": files}, headers=header)
        assert answer.status_code == 202, answer.content
        upload = Upload.objects.order_by("created_at").last()
        with django_capture_on_commit_callbacks(execute=True):
            job = run_job(upload.job)
        upload.refresh_from_db()
        assert (job.state, upload.state) == ("succeeded", "done"), (first, job.message)
        assert {row["n"] for row in upload.report if row["n"]} == set(range(1, len(files) + 1)), f"batch from {first}"
        counts.update(row["outcome"] for row in upload.report)
        reasons.update(row["reason"][:60] for row in upload.report if row["outcome"] == "refused")
        assert not list(settings.SPOOL_DIR.iterdir())
        assert not deaths, f"a parser process had to be replaced in the batch from {first}"
        assert set(stored_paths("dicom")) == set(Instance.objects.values_list("path", flat=True)), f"after the batch from {first}"
        if N_FILES > 1000:
            print(f"{first + len(files)} files, {time.monotonic() - started:.0f} s: {dict(counts)}", flush=True)
    for path in stored_paths("dicom"):
        with default_storage.open(path) as file:
            dataset = dcmread(file)
        pixels = dataset.pop("PixelData")  # a mutation may have written anything into it
        assert pixels.value
        assert not [word for word in PLANTED if word in repr(dataset)], path
    n_pictures = look_at_series(client)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
    print(f"\n{N_FILES} files, seed {SEED}, {time.monotonic() - started:.0f} s: {dict(counts)}; {n_pictures} pictures drawn")
    for reason, n in reasons.most_common(25):
        print(f"  {n:6} {reason}")


def look_at_series(client) -> int:
    """Ask for the study's page and for a picture of each stack: no answer is a 500."""
    n_pictures = 0
    for series in Series.objects.select_related("study"):
        page = client.get(reverse("imaging:study", args=[series.study_id]))
        picture = client.get(reverse("imaging:slice", args=[series.study_id, series.pk, series.n_slices // 2]))
        assert page.status_code == 200
        assert picture.status_code in (200, 404)
        n_pictures += picture.status_code == 200
    return n_pictures
