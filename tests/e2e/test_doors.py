"""One study through every door, by the programs that people use: stored once and scored once, by a real server and worker."""

import csv
import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from dicomweb_client import DICOMwebClient
from django.core.management import call_command
from pydicom import dcmread
from rest_framework.authtoken.models import Token

from hipapp.imaging.models import Instance, Score, Segmentation, Sender, Study, Upload
from hipapp.jobs.models import Job
from ml.phantom import Identity, generate, write
from tests.builders.rows import make_centre, make_user
from tests.conftest import database_url, wait_until
from tests.programs import program

pytestmark = [pytest.mark.worker, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
ROOT = Path(__file__).resolve().parents[2]
START_S = 300  # a machine under load takes its time
SEGMENT = "imaging.segment_series"
PROGRAMS = ("storescu", "echoscu", "curl")


@pytest.fixture
def start(transactional_db, tmp_path):
    """Starts processes on the test's database; gives their log. They are ended after the test."""
    running = []

    def begin(name: str, *command: str) -> Path:
        log = tmp_path / f"{name}.log"
        with log.open("wb") as output:
            running.append(
                subprocess.Popen(
                    [sys.executable, *command],
                    cwd=ROOT,
                    env={**os.environ, "DATABASE_URL": database_url(), "HIPAPP_STUDY_QUIET_S": "1", "HIPAPP_JOB_SWEEP_S": "1"},
                    stdout=output,
                    stderr=output,
                )
            )
        return log

    yield begin
    for process in running:
        process.terminate()
    for process in running:
        process.wait(60)
    for log in tmp_path.glob("*.log"):
        print(log.name, log.read_text()[-3000:])


@pytest.fixture
def house(start):
    """A web server, a DICOM receiver and a worker, with a radiologist's token and a sender."""
    for name in PROGRAMS:
        program(name)
    centre = make_centre(name="North", code="NOR")
    radiologist = make_user("radiologist", centre)
    Sender.objects.create(ae_title="MR1", centre=centre)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    web = start("web", "-m", "gunicorn", "hipapp.wsgi:application", "--bind", f"127.0.0.1:{port}", "--threads", "4")
    scp = start("scp", "manage.py", "dicom_scp", "--host", "127.0.0.1", "--port", "0")
    worker = start("worker", "manage.py", "worker")
    wait_until(lambda: "listens on" in scp.read_text(), START_S, "dicom_scp")
    wait_until(lambda: "Listening at" in web.read_text(), START_S, "gunicorn")
    wait_until(lambda: " ready." in worker.read_text(), START_S, "the worker")
    return {
        "url": f"http://127.0.0.1:{port}",
        "dicom": scp.read_text().split("listens on ")[1].split()[0].rsplit(":", 1)[1],
        "token": Token.objects.create(user=radiologist).key,
        "tmp": web.parent,
    }


def by_storescu(house, files):
    call = ["-aet", "MR1", "-aec", "HIPINFLAM", "127.0.0.1", house["dicom"]]
    subprocess.run([program("echoscu"), *call], check=True, capture_output=True)
    subprocess.run([program("storescu"), *call, *map(str, files)], check=True, capture_output=True)


def by_curl_to_the_api(house, files):
    forms = [word for path in files for word in ("-F", f"files=@{path}")]
    command = [program("curl"), "-fsS", "-H", f"Authorization: Token {house['token']}", *forms, f"{house['url']}/api/v1/studies/"]
    job = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["job"]
    wait_until(lambda: Job.objects.get(pk=job).state == "succeeded", 300, "the job that reads the files")


def by_dicomweb_client(house, files):
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {house['token']}"
    client = DICOMwebClient(f"{house['url']}/dicomweb", session=session, timeout=300)
    said = client.store_instances([dcmread(path) for path in files])
    assert len(said.ReferencedSOPSequence) == len(files)
    assert "FailedSOPSequence" not in said
    study = str(dcmread(files[0]).StudyInstanceUID)
    (found,) = client.search_for_studies(search_filters={"StudyInstanceUID": study})
    uid = found["0020000D"]["Value"][0]
    described = client.retrieve_study_metadata(uid)
    assert sum(row["00080060"]["Value"] == ["MR"] for row in described) == len(files)
    back = [dataset for dataset in client.retrieve_study(uid) if dataset.Modality == "MR"]
    assert len(back) == len(files)
    frame = client.retrieve_instance_frames(uid, back[0].SeriesInstanceUID, back[0].SOPInstanceUID, [1])[0]
    assert frame == back[0].PixelData[: len(frame)]


def by_curl_to_dicomweb(house, files):
    body = house["tmp"] / "body"
    parts = (b"--cut\r\nContent-Type: application/dicom\r\n\r\n" + path.read_bytes() + b"\r\n" for path in files)
    body.write_bytes(b"".join(parts) + b"--cut--\r\n")
    command = [program("curl"), "-fsS", "-H", f"Authorization: Token {house['token']}", "--data-binary", f"@{body}"]
    command += [
        "-H",
        'Content-Type: multipart/related; type="application/dicom"; boundary=cut',
        f"{house['url']}/dicomweb/studies",
    ]
    said = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert len(said["00081199"]["Value"]) == len(files)


def by_command(house, files):
    report = house["tmp"] / "report.csv"
    call_command("receive", *map(str, files), report=report, centre="NOR", stdout=io.StringIO())
    with report.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == len(files)
    assert {row["outcome"] for row in found} <= {"accepted", "duplicate"}


DOORS = [by_storescu, by_curl_to_the_api, by_dicomweb_client, by_curl_to_dicomweb, by_command]


def rest_is_done():
    """Nothing waits to be received, settled or scored."""
    return not (
        Study.objects.exclude(scoring_due_at=None).exists()
        or Upload.objects.filter(state__in=("receiving", "processing")).exists()
        or Job.objects.exclude(state__in=("succeeded", "failed", "cancelled")).exists()
    )


def test_the_same_study_by_every_door_is_stored_and_scored_once(house, tmp_path):
    """Each door is once the first to bring a study, the others bring it again: five phantoms, 25 deliveries."""
    for n, first in enumerate(DOORS):
        folder = tmp_path / f"study{n}"
        person = Identity("DOOR^TEST", f"D{n}", "19900101", "F", "20260302")
        write(generate(52_000 + n, target="both", style="stir", n_slices=16), folder, person)
        files = sorted(folder.rglob("*.dcm"))
        for deliver in (first, *(door for door in DOORS if door is not first)):
            deliver(house, files)
        wait_until(rest_is_done, 600, "the score")
        assert Study.objects.count() == n + 1
        study = Study.objects.order_by("-created_at").first()
        assert study.instances.filter(state="current").count() == len(files) == 16
        assert study.series.filter(is_superseded=False).count() == 1
        assert Job.objects.filter(task=SEGMENT, subject_id=str(study.pk)).count() == 1
    assert set(Job.objects.filter(task=SEGMENT).values_list("state", "attempt")) == {("succeeded", 1)}
    assert Score.objects.count() == 2 * len(DOORS)
    assert not Score.objects.filter(series__is_superseded=True).exists()
    assert Segmentation.objects.values("series", "side").distinct().count() == Segmentation.objects.count()


@pytest.mark.corpus
def test_a_real_study_by_every_door_is_stored_once(house, corpus):
    """Real coronal T2 without fat suppression: stored once by all doors, and refused for scoring with the same reason."""
    files = sorted((corpus / "hip_mr" / "ProstateX-0218" / "t2_tse_cor").glob("*.dcm"))
    for deliver in DOORS:
        deliver(house, files)
        wait_until(rest_is_done, 300, "the end of the delivery")
        study = Study.objects.get()
        assert (study.instances.count(), Instance.objects.count()) == (len(files),) * 2
        assert study.refused_code == "not_fat_suppressed"
    assert study.series.get().n_slices == len(files)
    assert not Score.objects.exists()
