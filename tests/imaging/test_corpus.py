"""Real files of other people's scanners and files that were broken on purpose: each gets its outcome in words, none does harm."""

import io
import zipfile
from pathlib import Path

import pytest
from pydicom import dcmread

from hipapp.imaging.models import Instance, Study
from hipapp.imaging.receiving import spool
from hipapp.imaging.services import uploads
from hipapp.jobs.models import Job
from tests.imaging import corpus_table
from tests.imaging.studies import outcomes, receive, run_job, spool_files
from tests.imaging.test_receiving import stored_bytes

pytestmark = [pytest.mark.django_db, pytest.mark.corpus]
BROKEN = ("malformed", "malformed_series", "fuzz", "non_mr", "charset", "zip")


def contents(folder: Path) -> list[bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if not files:
        pytest.skip(f"the corpus has no files under {folder.name}")
    return [path.read_bytes() for path in files]


@pytest.mark.parametrize("folder", BROKEN)
def test_files_of_every_kind_get_an_outcome_each_and_the_upload_ends(corpus, radiologist, folder):
    files = contents(corpus / folder)
    upload = receive(radiologist, files)
    assert upload.state == "done"
    assert {row["n"] for row in upload.report if row["n"]} == set(range(1, len(files) + 1))
    assert all(row["reason"] for row in upload.report if row["outcome"] != "accepted")
    assert not list(spool.Path(spool.settings.SPOOL_DIR).iterdir())


def test_a_real_pelvis_is_split_into_planes_and_refused_a_score_in_words(corpus, radiologist):
    receive(radiologist, contents(corpus / "hip_mr" / "ProstateX-0218" / "t2_localizer_512"))
    study = Study.objects.get()
    assert sorted(series.plane for series in study.series.all()) == ["axial", "coronal", "sagittal"]
    assert study.refused_code == "not_fat_suppressed"
    assert "too few slices" in study.refused_message
    assert not Job.objects.filter(task="imaging.segment_series").exists()


def test_planted_identifiers_are_nowhere_in_what_is_kept(corpus, radiologist):
    folder = corpus / "phi"
    receive(radiologist, contents(folder))
    planted = set()
    for path in folder.rglob("*.dcm"):
        dataset = dcmread(path, stop_before_pixels=True)
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "InstitutionName", "ReferringPhysicianName", "StudyDate"):
            text = str(dataset.get(keyword) or "").strip()
            planted |= {text.encode()} if len(text) > 4 else set()
    kept = stored_bytes() if Instance.objects.exists() else b""
    assert len(planted) > 3
    assert [text for text in planted if text in kept] == []


def test_the_table_of_the_corpus_says_what_happens(corpus):
    assert corpus_table.TABLE.read_text("utf-8") == corpus_table.table(corpus), (
        "a file of the corpus ends differently: look whether that is better, then run python -m tests.imaging.corpus_table"
    )


def test_every_file_ends_as_the_manifest_proposes_or_as_a_decision_says(corpus):
    rows = corpus_table.rows_of(corpus)
    ended = {}
    for ending in corpus_table.endings(corpus, [row["file"] for row in rows]):
        ended.setdefault(ending.file, []).append(ending)
    wrong = [row["file"] for row in rows if not is_as_proposed(row, ended.get(row["file"], []))]
    assert wrong == ["vendor_mr/UIH/00000001.dcm", "vendor_mr/UIH/00000002.dcm"]  # mosaics: docs/decisions/0050
    assert all("is a mosaic" in ending.reason for file in wrong for ending in ended[file])


def is_as_proposed(row: dict[str, str], endings: list[corpus_table.Ending]) -> bool:
    if row["category"] == "zip":  # "unpack safely, then judge each member": an empty archive has none
        return all(ending.outcome == "stored" or ending.reason for ending in endings)
    wanted = ("stored", "stored, no place") if row["expected_ingest_outcome"].startswith("accept") else ("refused",)
    return len(endings) == 1 and endings[0].outcome in wanted and (endings[0].outcome == "stored" or bool(endings[0].reason))


def test_images_without_a_place_are_kept_and_say_why_they_are_not_scored(corpus, radiologist):
    upload = receive(radiologist, [(corpus / "enhanced_mr" / "emri_small.dcm").read_bytes()])
    (row,) = upload.report
    assert (row["outcome"], "can't be scored" in row["reason"]) == ("accepted", True)
    study = Study.objects.get()
    assert (study.instances.count(), study.series.count(), study.refused_code) == (1, 0, "no_geometry")
    again = receive(radiologist, [(corpus / "enhanced_mr" / "emri_small.dcm").read_bytes()])
    assert [row["outcome"] for row in again.report] == ["duplicate"]


def test_an_archive_bomb_is_refused(radiologist):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.dcm", b"\0" * 60_000_000)
    upload = receive(radiologist, [buffer.getvalue()])
    assert outcomes(upload) == {"refused": 1}
    assert "bomb" in upload.report[0]["reason"]


def test_a_job_whose_files_are_gone_says_so(radiologist):
    upload = spool_files(uploads.start_upload(radiologist), [b"x"])
    job = uploads.finish_upload(upload, radiologist)
    spool.discard(spool.folder_of(upload.pk))
    done = run_job(job)
    assert (done.state, done.message) == ("failed", uploads.GONE)
