"""Files in, rows out: what is stored, what is refused and why, and nothing twice."""

import io
import zipfile

import pytest
from django.conf import settings
from django.core.files.storage import default_storage

from hipapp.core.errors import DomainError
from hipapp.imaging.models import Instance, Score, Series, Study, StudyIdentity, UidLink
from hipapp.imaging.receiving import spool
from hipapp.imaging.services import uploads
from hipapp.jobs.models import Job
from hipapp.jobs.services import cancel_job
from tests.imaging.studies import PERSON, SHAPE, T1, outcomes, receive, run_job, spool_files, stir_files

pytestmark = pytest.mark.django_db
N = SHAPE[0]
PLANTED = [b"Plantedname", b"Ottokar", b"REC-778899", b"19950714", b"Plantedclinic", b"ACC4711", b"20260302", b"1.2.3.4"]


def stored_bytes() -> bytes:
    """Everything in the private storage, paths included."""
    found = []

    def walk(folder: str) -> None:
        folders, files = default_storage.listdir(folder)
        for name in files:
            found.append(name.encode() + default_storage.open(f"{folder}/{name}").read())
        for name in folders:
            walk(f"{folder}/{name}")

    walk("dicom")
    return b"".join(found)


def test_a_study_is_stored_attached_sorted_and_ordered(radiologist, visit):
    upload = receive(radiologist, stir_files(), visit=visit)
    assert (upload.state, outcomes(upload)) == ("done", {"accepted": N})
    study = Study.objects.get()
    assert (study.visit, study.state, study.refused_code, study.centre) == (visit, "ready", "", visit.patient.centre)
    assert study.acquired_at.isoformat() == "2026-03-02T10:15:00+00:00"
    series = study.chosen_series
    assert (series.plane, series.n_slices, series.is_fat_suppressed, series.code) == ("coronal", N, True, "")
    assert len(series.slices) == series.instances.count() == N
    job = Job.objects.get(task="imaging.segment_series")
    assert (job.queue, job.state, job.parent, job.subject_id) == ("gpu", "queued", upload.job, str(study.pk))


def test_a_study_is_scored_once(radiologist, visit, network):
    receive(radiologist, stir_files(), visit=visit)
    job = run_job(Job.objects.get(task="imaging.segment_series"))
    assert job.state == "succeeded", job.message
    assert job.message.startswith("UNet-score R ")
    right, left = Score.objects.order_by("-side")
    assert (right.side, left.side) == ("right", "left")
    assert right.unet_score == pytest.approx(right.bme_femoral + right.bme_acetabular + right.synovitis)
    assert right.n_role_slices == right.slices.count() == N
    Job.objects.filter(pk=job.pk).update(state="queued")
    run_job(job)
    assert (Score.objects.count(), len(network)) == (2, 1)


def test_nothing_of_the_person_is_stored_logged_or_reported(radiologist, visit, caplog):
    upload = receive(radiologist, stir_files(), visit=visit)
    run_job(Job.objects.get(task="imaging.segment_series"))
    content = stored_bytes() + repr([*Job.objects.values(), *Study.objects.values(), *Series.objects.values()]).encode()
    content += repr(upload.report).encode() + caplog.text.encode() + repr(list(UidLink.objects.values())).encode()
    planted = [word for word in PLANTED if word not in (b"20260302", b"1.2.3.4")]
    assert [word for word in planted if word in content] == []
    assert [word for word in PLANTED if word in stored_bytes()] == []
    assert not StudyIdentity.objects.exists()


def test_the_spool_is_empty_afterwards(radiologist, visit):
    receive(radiologist, stir_files(), visit=visit)
    assert list(settings.SPOOL_DIR.iterdir()) == []


def test_an_unassigned_study_is_scored_and_keeps_its_identity_encrypted(radiologist):
    receive(radiologist, stir_files())
    study = Study.objects.get()
    assert (study.visit, study.state) == (None, "ready")
    assert Job.objects.filter(task="imaging.segment_series").count() == 1
    sealed = bytes(study.identity.ciphertext) + bytes(study.identity.data_key)
    assert b"Plantedname" not in sealed


def test_a_patient_without_a_visit_gets_the_visit_of_the_day(radiologist, patient):
    receive(radiologist, stir_files(), patient=patient)
    study = Study.objects.get()
    assert (study.visit.patient, study.visit.visit_on.isoformat()) == (patient, "2026-03-02")


def test_without_a_day_the_visit_is_asked_for(radiologist, patient):
    upload = receive(radiologist, stir_files(AcquisitionDate=None), patient=patient)
    study = Study.objects.get()
    assert (study.visit, study.intended_patient, study.state) == (None, patient, "ready")
    assert upload.report[-1]["outcome"] == "note"


def test_the_same_files_again_are_duplicates(radiologist, visit):
    receive(radiologist, stir_files(), visit=visit)
    before = stored_bytes()
    again = receive(radiologist, stir_files(), visit=visit)
    assert outcomes(again) == {"duplicate": N}
    assert (Study.objects.count(), Instance.objects.count(), Series.objects.count()) == (1, N, 1)
    assert stored_bytes() == before
    assert Job.objects.filter(task="imaging.segment_series").count() == 1


def test_a_duplicate_with_another_header_leaves_no_content_behind(radiologist, visit, django_capture_on_commit_callbacks):
    receive(radiologist, stir_files(), visit=visit)
    before = stored_bytes()
    with django_capture_on_commit_callbacks(execute=True):
        again = receive(radiologist, stir_files(FlipAngle=77), visit=visit)
    assert outcomes(again) == {"duplicate": N}
    assert stored_bytes() == before


def test_a_file_twice_in_one_upload_is_stored_once(radiologist, visit):
    files = stir_files()
    upload = receive(radiologist, [*files, files[0]], visit=visit)
    assert outcomes(upload) == {"accepted": N, "duplicate": 1}


def test_the_same_uid_with_other_pixels_is_a_conflict_and_the_first_stays(radiologist, visit):
    receive(radiologist, stir_files(), visit=visit)
    kept = set(Instance.objects.filter(state=Instance.State.CURRENT).values_list("pixel_sha256", flat=True))
    upload = receive(radiologist, stir_files(seed=5), visit=visit)
    assert outcomes(upload) == {"conflict": N}
    assert "other pixels" in upload.report[0]["reason"]
    assert set(Instance.objects.filter(state=Instance.State.CURRENT).values_list("pixel_sha256", flat=True)) == kept


def test_the_rest_of_a_study_is_added_and_the_series_scored_anew(radiologist, visit):
    files = stir_files()
    receive(radiologist, files[:6], visit=visit)
    first = Series.objects.get()
    run_job(Job.objects.get(task="imaging.segment_series"))
    upload = receive(radiologist, files[6:], visit=visit)
    assert outcomes(upload) == {"accepted": N - 6}
    study = Study.objects.get()
    assert study.chosen_series.n_slices == N
    first.refresh_from_db()
    assert (first.is_superseded, first.n_slices, first.scores.count()) == (True, 6, 2)
    assert Job.objects.filter(task="imaging.segment_series", state="queued").count() == 1


def test_the_same_study_at_two_centres_shares_nothing(radiologist, visit, other_centre):
    from tests.builders.rows import make_user

    receive(radiologist, stir_files(), visit=visit)
    receive(make_user("radiologist", other_centre), stir_files())
    uids = set(Study.objects.values_list("study_uid", flat=True))
    paths = Instance.objects.values_list("path", flat=True)
    assert (len(uids), len(set(paths)), len(paths)) == (2, 2 * N, 2 * N)


def test_what_is_no_mr_image_is_refused_with_its_number_and_reason(radiologist):
    upload = receive(radiologist, [b"", b"hello" * 100, *stir_files()[:1], b"\0" * 128 + b"DICM" + b"\xff" * 50])
    refused = {row["n"]: row["reason"] for row in upload.report if row["outcome"] == "refused"}
    assert set(refused) == {1, 2, 4}
    assert refused[2] == "is no DICOM file"


def test_an_upload_without_any_image_ends_with_reasons_and_no_study(radiologist):
    upload = receive(radiologist, [b"hello"])
    assert (upload.state, upload.job.state, Study.objects.count()) == ("done", "succeeded", 0)
    assert upload.job.message == "0 studies; files: 1 refused"


def test_a_zip_is_opened_and_its_members_counted(radiologist, visit):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, content in enumerate(stir_files()):
            archive.writestr(f"PLANTEDNAME_OTTOKAR/{number}.dcm", content)
        archive.writestr("../../etc/passwd", b"root")
    upload = receive(radiologist, [buffer.getvalue()], visit=visit)
    assert outcomes(upload) == {"accepted": N, "refused": 1}
    assert {row["n"] for row in upload.report} == {1}
    assert {row["member"] for row in upload.report} == set(range(1, N + 2))
    assert "PLANTED" not in repr(upload.report)


def test_a_series_that_is_not_fat_suppressed_is_stored_but_not_scored(radiologist, visit):
    receive(radiologist, stir_files(**T1), visit=visit)
    study = Study.objects.get()
    assert (study.chosen_series, study.refused_code) == (None, "not_fat_suppressed")
    assert Series.objects.get().code == "not_fat_suppressed"
    assert not Job.objects.filter(task="imaging.segment_series").exists()


def test_without_a_model_studies_are_stored_all_the_same(radiologist, visit, model_folder):
    (model_folder / "bundle.json").unlink()
    upload = receive(radiologist, stir_files(), visit=visit)
    assert outcomes(upload) == {"accepted": N}
    assert not Job.objects.filter(task="imaging.segment_series").exists()


def test_a_killed_attempt_leaves_nothing_and_the_next_one_finishes(radiologist, visit, monkeypatch):
    upload = spool_files(uploads.start_upload(radiologist, visit=visit), stir_files())
    job = uploads.finish_upload(upload, radiologist)

    def die(*args):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(uploads, "_write", die)
        assert run_job(job).state == "queued"
    assert Study.objects.count() == 0
    assert run_job(job).state == "succeeded"
    upload.refresh_from_db()
    assert outcomes(upload) == {"accepted": N}
    assert Instance.objects.count() == N


def test_after_the_last_attempt_the_spool_is_emptied_and_the_upload_says_failed(radiologist, visit, monkeypatch):
    upload = spool_files(uploads.start_upload(radiologist, visit=visit), stir_files())
    job = uploads.finish_upload(upload, radiologist)
    monkeypatch.setattr(uploads, "_write", lambda *args: 1 / 0)
    states = [run_job(job).state for _ in range(3)]
    upload.refresh_from_db()
    assert (states, upload.state) == (["queued", "queued", "failed"], "failed")
    assert not spool.folder_of(upload.pk).exists()


def test_a_cancelled_job_throws_the_files_away(radiologist, visit, monkeypatch):
    upload = spool_files(uploads.start_upload(radiologist, visit=visit), stir_files())
    job = uploads.finish_upload(upload, radiologist)
    read = uploads.read_files

    def cancelled(folder, centre):
        cancel_job(job)
        return read(folder, centre)

    monkeypatch.setattr(uploads, "read_files", cancelled)
    assert run_job(job).state == "cancelled"
    upload.refresh_from_db()
    assert (upload.state, Study.objects.count(), spool.folder_of(upload.pk).exists()) == ("failed", 0, False)


def test_finishing_twice_gives_one_job_and_an_empty_upload_none(radiologist, visit):
    upload = spool_files(uploads.start_upload(radiologist, visit=visit), stir_files())
    assert uploads.finish_upload(upload, radiologist) == uploads.finish_upload(upload, radiologist)
    with pytest.raises(DomainError, match="no files"):
        uploads.finish_upload(uploads.start_upload(radiologist, visit=visit), radiologist)


def test_files_that_nobody_finished_are_thrown_away_after_a_day(radiologist, visit):
    import os
    import time

    upload = spool_files(uploads.start_upload(radiologist, visit=visit), stir_files())
    fresh = spool_files(uploads.start_upload(radiologist, visit=visit), stir_files())
    old = time.time() - spool.STALE_S - 10
    os.utime(spool.folder_of(upload.pk), (old, old))
    uploads.sweep_stale()
    upload.refresh_from_db()
    assert upload.state == "failed"
    assert [path.name for path in settings.SPOOL_DIR.iterdir()] == [str(fresh.pk)]


def test_spooled_files_have_neutral_names_and_are_private(radiologist):
    upload = spool_files(uploads.start_upload(radiologist), stir_files()[:2])
    folder = spool.folder_of(upload.pk)
    assert [(path.name, oct(path.stat().st_mode & 0o777)) for path in sorted(folder.iterdir())] == [
        ("00000001", "0o600"),
        ("00000002", "0o600"),
    ]
    assert oct(folder.stat().st_mode & 0o777) == "0o700"


def test_the_planted_person_is_in_the_files_that_are_sent():
    content = b"".join(stir_files())
    assert all(str(value).encode() in content for value in PERSON.values())
