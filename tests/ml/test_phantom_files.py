"""Phantoms as DICOM: geometry, pixels and truth as a reader that knows only pydicom finds them; the command."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ml.dicom.volume import SourceSlice
from ml.labels import FEMORAL_HEAD
from ml.phantom import Identity, Phantom, generate, write
from ml.phantom import files as phantom_files
from ml.phantom.command import command
from ml.phantom.vendors import VENDORS, draw_header

LAYOUTS = [(False, False, False), (True, False, False), (False, True, True), (True, True, False)]


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return generate(30007, involvement="both", target="right", n_slices=14)


def lps(dataset: pydicom.Dataset, row: float, column: float) -> np.ndarray:
    """Patient position of a pixel, PS3.3 C.7.6.2.1.1."""
    along_row, along_column = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
    row_mm, column_mm = map(float, dataset.PixelSpacing)
    return np.array(dataset.ImagePositionPatient, float) + along_row * column_mm * column + along_column * row_mm * row


@pytest.mark.parametrize("layout", LAYOUTS)
def test_positions_and_masks_fit_each_files_own_pixels(phantom, tmp_path, monkeypatch, layout):
    monkeypatch.setattr(phantom_files, "draw_layout", lambda _: phantom_files.Layout(SourceSlice("", None, *layout), layout[0]))
    paths = write(phantom, tmp_path)
    truth = np.load(tmp_path / "truth.npz")
    assert list(truth["uids"]) == list(phantom.volume.uids)
    assert not truth["frames"].any()
    middle = np.round(phantom.volume.to_index(phantom.hips["right"].centre_mm)).astype(int)
    for k in (0, int(middle[0]), 13):
        dataset = pydicom.dcmread(paths[k])
        assert dataset.SOPInstanceUID == truth["uids"][k]
        assert truth["masks"][k].shape == dataset.pixel_array.shape
        for row, column in ((0, 0), (5, 9), (dataset.Rows - 1, dataset.Columns - 1)):
            index = phantom.volume.to_index(lps(dataset, row, column))
            assert index[0] == pytest.approx(k, abs=1e-3)
            r, c = np.round(index[1:]).astype(int)
            assert index[1:] == pytest.approx((r, c), abs=0.01)
            assert truth["masks"][k][row, column] == phantom.masks[k, r, c]
    k = int(middle[0])
    dataset = pydicom.dcmread(paths[k])
    heads = [lps(dataset, *at) for at in np.argwhere(truth["masks"][k] & FEMORAL_HEAD)]
    middle_of_head = np.mean(heads, axis=0)
    assert np.linalg.norm(middle_of_head - phantom.hips["right"].centre_mm) < phantom.volume.spacing_mm[0]


def test_pixels_come_back_up_to_one_factor(phantom, tmp_path):
    paths = write(phantom, tmp_path)
    source = phantom_files.draw_layout(phantom).source
    read = []
    for path in paths:
        dataset = pydicom.dcmread(path)
        values = dataset.pixel_array.astype(float) * float(dataset.get("RescaleSlope", 1))
        read.append(source.from_source(values))
    ratio = np.corrcoef(np.ravel(read), phantom.volume.pixels.ravel())[0, 1]
    assert ratio > 0.9995


def test_files_are_valid_and_belong_together(phantom, tmp_path):
    datasets = [pydicom.dcmread(path) for path in write(phantom, tmp_path)]
    assert len({d.SOPInstanceUID for d in datasets}) == 14
    assert sorted(d.InstanceNumber for d in datasets) == list(range(1, 15))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID", "SeriesDescription"):
        assert len({str(d[keyword].value) for d in datasets}) == 1
    for d in datasets:
        assert str(d.PatientName).startswith("PHANTOM^")
        assert pydicom.uid.UID(d.SOPInstanceUID).is_valid
        assert d.file_meta.MediaStorageSOPInstanceUID == d.SOPInstanceUID
        assert np.linalg.norm(d.ImageOrientationPatient[:3]) == pytest.approx(1, abs=1e-6)


def test_an_identity_can_be_given(phantom, tmp_path):
    who = Identity("PHANTOM^0001", "PH0001", "19800204", "F", "20240512", "ACC1")
    dataset = pydicom.dcmread(write(phantom, tmp_path, who)[0])
    assert (dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate) == (
        who.name,
        who.patient_id,
        who.birth_date,
    )
    assert (dataset.PatientSex, dataset.StudyDate, dataset.AccessionNumber) == ("F", "20240512", "ACC1")


def test_the_truth_file_says_what_is_in_the_hips(phantom, tmp_path):
    write(phantom, tmp_path)
    told = json.loads((tmp_path / "truth.json").read_text())
    assert told["synthetic"] is True
    assert told["hips"]["right"]["centre_mm"] == pytest.approx(phantom.hips["right"].centre_mm)
    assert told["hips"]["right"]["bme_ml"] == pytest.approx(phantom.hips["right"].bme_ml)


def test_files_are_not_mixed_with_others(phantom, tmp_path):
    write(phantom, tmp_path)
    with pytest.raises(FileExistsError, match="already holds files"):
        write(phantom, tmp_path)


def test_a_stack_too_bright_for_its_depth_is_scaled_down(phantom, tmp_path):
    header = replace(phantom.header, bits_stored=12, signed=False, slope=1.0)
    bright = replace(phantom, header=header, volume=replace(phantom.volume, pixels=phantom.volume.pixels * 1000))
    values = np.stack([pydicom.dcmread(path).pixel_array for path in write(bright, tmp_path)])
    assert 4000 < values.max() <= 4095


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda v: v.manufacturer)
def test_every_vendor_marks_stir_by_inversion_and_fat_saturation_by_its_option(vendor):
    headers = [draw_header(np.random.default_rng(seed), "stir") for seed in range(120)]
    mine = [h.tags for h in headers if h.tags["Manufacturer"] == vendor.manufacturer]
    inverted = [tags for tags in mine if "InversionTime" in tags]
    saturated = [tags for tags in mine if "InversionTime" not in tags]
    assert inverted
    assert saturated
    assert all("IR" in tags["ScanningSequence"] and 100 < tags["InversionTime"] < 260 for tags in inverted)
    assert all("FS" in tags["ScanOptions"] for tags in saturated)


def test_plain_contrasts_do_not_claim_fat_suppression():
    for seed in range(40):
        tags = draw_header(np.random.default_rng(seed), "t1").tags
        assert "InversionTime" not in tags
        assert "FS" not in tags["ScanOptions"]


def test_the_command_writes_patients_and_visits(tmp_path: Path):
    assert command([str(tmp_path / "out"), "1", "--seed", "30011", "--visits", "2", "--normal-only", "--target", "right"]) == 0
    folder = tmp_path / "out" / "PHANTOM_30011"
    assert sorted(path.name for path in folder.iterdir()) == ["visit_1", "visit_2"]
    first, second = (pydicom.dcmread(next((folder / name / "dicom").iterdir())) for name in ("visit_1", "visit_2"))
    assert first.PatientID == second.PatientID
    assert first.StudyInstanceUID != second.StudyInstanceUID
    assert first.StudyDate < second.StudyDate
    hips = json.loads((folder / "visit_1" / "truth.json").read_text())["hips"].values()
    assert all(hip["bme_ml"] == 0 and hip["synovitis_ml"] == 0 for hip in hips)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["OUT", "none"], "'none' is not a whole number"),
        (["OUT", "0"], "0 is not between 1 and 100000"),
        (["OUT", "1", "--seed", "-1"], "-1 is not between 0"),
        (["OUT", "1", "--colour"], "unrecognized arguments: --colour"),
        (["OUT"], "required: n"),
    ],
)
def test_bad_arguments_end_with_one_line_and_2(arguments, said, tmp_path, capsys):
    arguments = [str(tmp_path / "out") if a == "OUT" else a for a in arguments]
    with pytest.raises(SystemExit) as stopped:
        command(arguments)
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1


def test_a_folder_in_use_is_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert command([str(tmp_path), "1"]) == 2
    assert "is not an empty folder" in capsys.readouterr().err
    (tmp_path / "notes.txt").unlink()
    assert not list(tmp_path.iterdir())
