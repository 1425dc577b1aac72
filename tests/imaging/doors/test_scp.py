"""The DICOM door with dcmtk's and pynetdicom's senders: who may, what is answered, what stays when the database goes."""

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.db import OperationalError
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, MRImageStorage, Verification

from hipapp.imaging import scp
from hipapp.imaging.models import Instance, Sender, Study, Upload
from hipapp.imaging.scp import Receiver
from hipapp.jobs.models import Job
from tests.builders import rows
from tests.conftest import database_url, wait_until
from tests.imaging.studies import SHAPE, outcomes, stir_files
from tests.programs import program

pytestmark = pytest.mark.django_db(transaction=True)
N = SHAPE[0]


@pytest.fixture
def sender(centre) -> Sender:
    return Sender.objects.create(ae_title="MR1", centre=centre)


@pytest.fixture
def receiver(sender, monkeypatch):
    monkeypatch.setattr(scp.tempfile, "tempdir", None)
    found = Receiver("HIPINFLAM")
    found.start("127.0.0.1", 0)
    yield found
    found.stop(2)


def associated(receiver, title="MR1"):
    entity = AE(ae_title=title)
    for context in (Verification, MRImageStorage, CTImageStorage):
        entity.add_requested_context(context)
    return entity.associate(*receiver.address, ae_title="HIPINFLAM")


def datasets(**tags):
    return [dcmread(io.BytesIO(content)) for content in stir_files(**tags)]


def send(receiver, found, title="MR1") -> list[int]:
    association = associated(receiver, title)
    assert association.is_established
    statuses = [association.send_c_store(dataset).Status for dataset in found]
    association.release()
    return statuses


def ended(n=1):
    """Wait until the deliveries' rows are written."""
    wait_until(lambda: Upload.objects.filter(state="done").count() >= n, 60, "the end of the delivery")


def test_an_association_becomes_a_study_of_the_senders_centre(receiver, sender, settings):
    assert send(receiver, datasets()) == [0x0000] * N
    ended()
    upload, study = Upload.objects.get(), Study.objects.get()
    assert (upload.door, upload.sender, upload.user, upload.n_files) == ("dicom", sender, None, N)
    assert outcomes(upload) == {"accepted": N}
    assert (study.centre, study.instances.count(), study.scoring_due_at is not None) == (sender.centre, N, True)
    assert send(receiver, datasets()) == [0x0000] * N
    ended(2)
    assert (Study.objects.count(), Instance.objects.count()) == (1, N)
    assert [path.name[:9] for path in settings.SPOOL_DIR.iterdir()] == ["incoming-"]
    assert not list(settings.SPOOL_DIR.glob("incoming-*/*"))


def test_the_echo_is_answered(receiver):
    association = associated(receiver)
    assert association.send_c_echo().Status == 0x0000
    association.release()
    assert not Upload.objects.exists()


def test_unknown_senders_are_rejected(receiver, sender):
    assert associated(receiver, "STRANGER").is_rejected
    Sender.objects.update(host="10.1.2.3")
    assert associated(receiver).is_rejected
    Sender.objects.update(host="127.0.0.1")
    assert associated(receiver).is_established
    Sender.objects.update(is_active=False)
    assert associated(receiver).is_rejected
    Sender.objects.all().delete()
    assert associated(receiver).is_rejected


def test_each_file_gets_its_own_status(receiver):
    good, cut, ct = datasets()[:3]
    del cut.PixelData
    ct.SOPClassUID, ct.Modality = CTImageStorage, "CT"
    assert send(receiver, [good, cut, ct]) == [0x0000, 0xC000, 0x0122]
    ended()
    assert outcomes(Upload.objects.get()) == {"accepted": 1, "refused": 2}


def test_an_aborted_association_keeps_what_was_acknowledged(receiver):
    association = associated(receiver)
    for dataset in datasets()[:4]:
        association.send_c_store(dataset)
    association.abort()
    ended()
    assert Instance.objects.count() == 4


def test_a_long_association_is_written_in_batches(receiver, monkeypatch):
    monkeypatch.setattr(scp, "BATCH", 4)
    association = associated(receiver)
    for dataset in datasets():
        association.send_c_store(dataset)
    assert Instance.objects.count() == 8
    association.release()
    ended(3)
    assert (Instance.objects.count(), Study.objects.count()) == (N, 1)


def test_associations_at_the_same_time_are_kept_apart(receiver, centre, other_centre):
    Sender.objects.create(ae_title="MR2", centre=other_centre)
    sets = {"MR1": datasets(), "MR2": datasets(study="1.2.8", series="1.2.8.1")}
    threads = [threading.Thread(target=send, args=(receiver, found, title)) for title, found in sets.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended(2)
    assert {study.centre: study.instances.count() for study in Study.objects.all()} == {centre: N, other_centre: N}


def test_without_a_database_the_sender_is_told_to_try_again(receiver, monkeypatch, settings):
    """It goes away in the middle of an association: what was acknowledged is received later, what was not is sent again."""
    found = datasets()
    association = associated(receiver)
    assert [association.send_c_store(dataset).Status for dataset in found[:3]] == [0x0000] * 3

    def away(*args, **kwargs):
        raise OperationalError("the connection is lost")

    with monkeypatch.context() as patched:
        patched.setattr(scp.Upload.objects, "filter", away)
        patched.setattr(scp.uploads, "write_received", away)
        patched.setattr(scp.Sender.objects, "filter", away)
        assert association.send_c_store(found[3]).Status == 0xA700
        association.release()
        wait_until(lambda: not receiver._deliveries, 10, "the end of the association")
        second = associated(receiver)  # a known sender still gets an association, and a status
        assert second.is_established
        patched.setattr(scp.uploads, "start_sender_upload", away)
        assert second.send_c_store(found[4]).Status == 0xA700
        second.release()
        wait_until(lambda: not receiver._deliveries, 10, "the end of the association")
    assert not Instance.objects.exists()
    monkeypatch.setattr(scp, "LEFT_S", -1)
    assert receiver.finish_left() == 1
    from tests.imaging.studies import run_job

    run_job(Job.objects.get(task="imaging.receive"))
    assert Instance.objects.count() == 3
    assert send(receiver, found) == [0x0000] * N
    ended(2)
    assert (Instance.objects.count(), Study.objects.count()) == (N, 1)


@pytest.fixture
def process(sender, tmp_path):
    """`manage.py dicom_scp` as a process on the test's database; gives (Popen, port)."""
    log = tmp_path / "scp.log"
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "manage.py", "dicom_scp", "--host", "127.0.0.1", "--port", "0", "--patience", "20"],
            cwd=Path(__file__).resolve().parents[3],
            env={**os.environ, "DATABASE_URL": database_url()},
            stdout=output,
            stderr=output,
        )
    wait_until(lambda: "listens on" in log.read_text(), 300, "dicom_scp")
    yield started, int(log.read_text().split("listens on ")[1].split()[0].rsplit(":", 1)[1]), log
    if started.poll() is None:
        started.kill()
    started.wait()
    print(log.read_text()[-3000:])


@pytest.mark.worker
def test_dcmtk_sends_and_the_receiver_stops_gracefully(process, sender, tmp_path):
    started, port, log = process
    names = []
    for number, content in enumerate(stir_files(), start=1):
        (tmp_path / f"{number}.dcm").write_bytes(content)
        names.append(str(tmp_path / f"{number}.dcm"))
    call = ["-aet", "MR1", "-aec", "HIPINFLAM", "127.0.0.1", str(port)]
    assert subprocess.run([program("echoscu"), *call], check=False, capture_output=True).returncode == 0
    stranger = subprocess.run([program("echoscu"), "-aet", "NOBODY", *call[2:]], check=False, capture_output=True)
    assert stranger.returncode != 0
    assert b"Calling AE Title Not Recognized" in stranger.stderr + stranger.stdout
    done = subprocess.run([program("storescu"), *call, *names], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    ended()
    assert Instance.objects.count() == N

    entity = AE(ae_title="MR1")
    entity.add_requested_context(MRImageStorage)
    association = entity.associate("127.0.0.1", port, ae_title="HIPINFLAM")
    more = datasets(study="1.2.8", series="1.2.8.1")
    assert association.send_c_store(more[0]).Status == 0x0000
    started.send_signal(signal.SIGTERM)
    wait_until(lambda: not entity.associate("127.0.0.1", port).is_established, 10, "the end of listening")
    assert association.send_c_store(more[1]).Status == 0x0000  # it lets a running association end
    association.release()
    assert started.wait(120) == 0
    assert "stopped" in log.read_text()
    assert "Plantedname" not in log.read_text()
    assert Study.objects.get(upload__n_files=2).instances.count() == 2
    assert rows.Centre.objects.filter(studies__in=Study.objects.all()).distinct().get() == sender.centre


def resident_kib(pid: int) -> int:
    """Memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.slow
@pytest.mark.worker
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_flat(process, tmp_path):
    """One association of 1,200 files takes no more memory than one of 300 did, but for a few MiB."""
    started, port, _ = process
    dataset = datasets()[0]
    sizes = []
    for n_files in (300, 1200):
        folder = tmp_path / str(n_files)
        folder.mkdir()
        for n in range(n_files):
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.5.{n_files}.{n}"
            dataset.save_as(folder / f"{n}.dcm", enforce_file_format=True)
        call = ["-aet", "MR1", "-aec", "HIPINFLAM", "127.0.0.1", str(port), "+sd", str(folder)]
        done = subprocess.run([program("storescu"), *call], check=False, capture_output=True)
        assert done.returncode == 0, done.stderr[-500:]
        sizes.append(resident_kib(started.pid))
    assert sizes[1] - sizes[0] < 16 * 1024, sizes
    wait_until(lambda: Instance.objects.count() == 1500, 160, "the end of the delivery")
