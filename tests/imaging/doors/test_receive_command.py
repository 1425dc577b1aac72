"""`manage.py receive`: the same service, a row for each file."""

import csv
import io
import os
import tarfile
import zipfile

import pytest
from django.core.management import CommandError, call_command

from hipapp.imaging.models import Study, Upload
from tests.builders import rows
from tests.imaging.studies import SHAPE, stir_files

pytestmark = pytest.mark.django_db
N = SHAPE[0]


@pytest.fixture
def folder(tmp_path):
    """A folder with a study in it, a letter, a link and an archive."""
    inner = tmp_path / "in" / "series"
    inner.mkdir(parents=True)
    for number, content in enumerate(stir_files()[:5], start=1):
        (inner / f"{number}.dcm").write_bytes(content)
    (tmp_path / "in" / "letter.txt").write_text("Dear colleague")
    os.symlink("/etc/passwd", tmp_path / "in" / "link.dcm")
    with zipfile.ZipFile(tmp_path / "in" / "rest.zip", "w") as archive:
        for number, content in enumerate(stir_files()[5:], start=6):
            archive.writestr(f"more/{number}.dcm", content)
        archive.writestr("readme.txt", "hello")
    return tmp_path / "in"


def run(*paths, report, **options) -> list[list[str]]:
    call_command("receive", *map(str, paths), report=report, stdout=io.StringIO(), **options)
    with report.open(newline="") as file:
        header, *found = list(csv.reader(file))
    assert header == ["file", "outcome", "reason"]
    return found


def test_every_file_has_a_row(centre, folder, tmp_path, settings):
    found = run(folder, report=tmp_path / "report.csv")
    outcomes = {name.removeprefix(f"{folder}/"): (outcome, reason) for name, outcome, reason in found}
    assert len(found) == len(outcomes) == 5 + 1 + 1 + (N - 5) + 1
    accepted = [*(f"series/{n}.dcm" for n in range(1, 6)), *(f"rest.zip/more/{n}.dcm" for n in range(6, N + 1))]
    assert {name for name, (outcome, _) in outcomes.items() if outcome == "accepted"} == set(accepted)
    assert outcomes["letter.txt"][0] == outcomes["link.dcm"][0] == outcomes["rest.zip/readme.txt"][0] == "refused"
    assert "link" in outcomes["link.dcm"][1]
    study = Study.objects.get()
    assert (study.chosen_series.n_slices, study.upload.door, study.upload.user) == (N, "command", None)
    assert (folder / "series" / "1.dcm").read_bytes() == stir_files()[0]
    assert not list(settings.SPOOL_DIR.iterdir())
    again = run(folder, report=tmp_path / "again.csv")
    assert sorted({outcome for _, outcome, _ in again}) == ["duplicate", "refused"]
    assert Study.objects.count() == 1


def test_a_contradicting_file_is_held(centre, folder, tmp_path):
    run(folder, report=tmp_path / "report.csv")
    (tmp_path / "other.dcm").write_bytes(stir_files(seed=3)[0])
    ((_, outcome, reason),) = run(tmp_path / "other.dcm", report=tmp_path / "again.csv")
    assert outcome == "held"
    assert "other pixels" in reason


def test_a_tar_gz_is_opened(centre, tmp_path):
    with tarfile.open(tmp_path / "study.tar.gz", "w:gz") as archive:
        for number, content in enumerate(stir_files(), start=1):
            info = tarfile.TarInfo(f"{number}.dcm")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    found = run(tmp_path / "study.tar.gz", report=tmp_path / "report.csv")
    assert [outcome for _, outcome, _ in found] == ["accepted"] * N


def test_the_visit_is_the_one_that_is_named(visit, folder, tmp_path):
    rows.make_centre()
    run(folder, report=tmp_path / "report.csv", visit=visit.pk)
    assert Study.objects.get().visit == visit


def test_what_cannot_be_done_is_said_before_anything_is(centre, folder, tmp_path, visit):
    other = rows.make_centre()
    empty = tmp_path / "empty"
    empty.mkdir()
    report = tmp_path / "report.csv"
    for paths, options, words in (
        ([tmp_path / "nowhere"], {"centre": centre.code}, "no such file"),
        ([folder], {}, "--centre"),
        ([folder], {"centre": "NONE"}, "--centre"),
        ([folder], {"visit": 999_999}, "no visit"),
        ([folder], {"visit": visit.pk, "centre": other.code}, "another centre"),
        ([empty], {"centre": centre.code}, "no files"),
    ):
        with pytest.raises(CommandError, match=words):
            run(*paths, report=report, **options)
    with pytest.raises(CommandError, match="No such file"):
        run(folder, report=tmp_path / "nowhere" / "report.csv", centre=centre.code)
    assert not Study.objects.exists()
    assert not Upload.objects.exclude(state="failed").exists()
