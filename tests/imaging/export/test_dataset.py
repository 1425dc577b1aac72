"""`manage.py export_dataset` → `python -m ml prepare`: the same masks on the same pixels, without names and dates."""

import csv
import io

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from hipapp.imaging.drawing import unpack_mask
from hipapp.imaging.models import Segmentation, Study
from hipapp.imaging.stacks import load_volume
from hipapp.jobs.models import Job
from ml.datasets import command, dicom, hips, read
from ml.datasets.annotated import Annotated
from ml.datasets.table import read_table
from ml.dicom.parse import parse
from ml.labels import BITS, LABELS
from tests.builders.rows import make_patient, make_visit
from tests.imaging.export.test_study import moments
from tests.imaging.studies import receive, run_job, stir_files
from tests.imaging.test_receiving import PLANTED

pytestmark = pytest.mark.django_db


def export(folder, **options) -> str:
    said = io.StringIO()
    call_command("export_dataset", str(folder), stdout=said, **options)
    return said.getvalue()


def test_accepted_hips_come_back_on_the_same_pixels(study, accept, tmp_path):
    accept(study, "right")
    said = export(tmp_path / "out")
    assert "1 hips of 1 studies" in said
    rows = read_table(tmp_path / "out" / "cases.csv")
    (image,) = [one for one in dicom.read_rows(rows, False) if isinstance(one, Annotated)]
    volume, _ = load_volume(study.chosen_series)
    np.testing.assert_array_equal(image.volume.pixels, volume.pixels)
    np.testing.assert_allclose(image.volume.affine, volume.affine)
    assert set(image.masks) == {"right"}
    truth = unpack_mask(Segmentation.objects.get(series=study.chosen_series, side="right"))
    for label in LABELS:
        np.testing.assert_array_equal(image.masks["right"][label], (truth & BITS[label]) > 0)


def test_a_data_set_is_made_of_it(study, accept, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_finder", lambda bundle: lambda volume: {})
    monkeypatch.setattr(hips, "why_no_head", lambda *_: "")  # the outlines of the stand-in network have no neck
    accept(study, "right")
    accept(study, "left")
    export(tmp_path / "out")
    assert command.command([str(tmp_path / "set"), "--table", str(tmp_path / "out" / "cases.csv")]) == 0
    data = read(tmp_path / "set")
    assert [case.side for case in data.cases] == ["left", "right"]
    assert {case.visit for case in data.cases} == {"V1"}
    assert data.labels == LABELS
    assert all((case.load().masks & BITS["bme"]).any() for case in data.cases)
    assert command.command([str(tmp_path / "again"), "--dicom", str(tmp_path / "out")]) == 0
    assert read(tmp_path / "again").fingerprint == data.fingerprint


def test_no_name_and_no_date_leaves(study, accept, tmp_path, patient):
    accept(study, "right")
    export(tmp_path / "out")
    paths = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() + str(path.relative_to(tmp_path)).encode() for path in paths)
    assert [word for word in (*PLANTED, patient.study_code.encode()) if word in content and word != b"1.2.3.4"] == []
    for path in paths:
        if path.suffix == ".dcm":
            assert set(moments(parse(path.read_bytes()))) <= {"", "19000101", "000000"}


def test_one_patient_has_one_pseudonym_and_counted_visits(study, accept, radiologist, patient, tmp_path):
    later = make_visit(patient, study.visit.visit_on.replace(month=6))
    receive(radiologist, stir_files(seed=1, study="1.2.3.7", series="1.2.3.7.5", AcquisitionDate="20260602"), visit=later)
    other = make_visit(make_patient(patient.centre))
    receive(radiologist, stir_files(seed=2, study="1.2.3.8", series="1.2.3.8.5"), visit=other)
    for job in Job.objects.filter(task="imaging.segment_series", state="queued"):
        run_job(job)
    for one in Study.objects.all():
        accept(one, "right")
    export(tmp_path / "out")
    with (tmp_path / "out" / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["visit"] for row in rows) == ["V1", "V1", "V2"]
    assert len({row["patient"] for row in rows}) == 2
    with (tmp_path / "out" / "manifest.csv").open() as file:
        assert {row["review"] for row in csv.DictReader(file)} == {"accepted"}


def test_what_nobody_accepted_and_what_has_no_patient_is_left_out_in_words(study, accept, radiologist, tmp_path):
    said = export(tmp_path / "first")
    assert "no accepted or corrected outlines" in said
    accept(study, "right")
    Study.objects.update(visit=None)
    assert "attached to no patient" in export(tmp_path / "second")


def test_a_full_folder_and_an_unknown_centre_are_refused(study, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(CommandError, match="is not an empty folder"):
        export(tmp_path / "full")
    with pytest.raises(CommandError, match="no centre with the code"):
        export(tmp_path / "new", centre="NOWHERE")
