"""`python -m ml score`: the report, the exit status, one plain line, and no traceback whatever it is given."""

import json
import zipfile

import numpy as np
import pytest

from ml import labels, predict, score_command
from ml.hips import FoundHip
from tests.builders import dicom
from tests.ml.test_predict import CENTRES, make_bundle
from tests.ml.toys import ball, make_volume

SHAPE, SPACING_MM = (21, 140, 300), (3.5, 0.9, 0.9)
HIP_KEYS = {
    "side", "found", "confidence", "centre_mm", "radius_mm", "box", "unet_score", "bme_femoral", "bme_acetabular", "synovitis",
    "mean_per_slice", "lesion_ml", "n_role_slices", "n_assessable_slices", "coverage", "assessable_coverage", "slices", "refused",
    "interval",
}  # fmt: skip


@pytest.fixture
def stack():
    """Two dark balls in grey with a bright patch beside the right one, as a stack that files are made of."""
    pixels = np.full(SHAPE, 100.0) + np.random.default_rng(0).normal(0, 2, SHAPE)
    volume = make_volume(pixels, SPACING_MM)
    for centre in CENTRES.values():
        pixels[ball(volume, volume.to_lps(centre), 24)] = 20.0
    pixels[6:14, 60:80, 90:100] = 400.0
    return dicom.Stack(pixels.astype(np.uint16), SPACING_MM, (-120.0, -30.0, 80.0))


@pytest.fixture(autouse=True)
def toy_model(monkeypatch):
    """A toy bundle, and a finder that knows where the balls are as long as they are in the stack."""

    def find(volume, _finder):
        places = {side: make_volume(np.zeros(SHAPE), SPACING_MM).to_lps(at) for side, at in CENTRES.items()}
        inside = {
            side: bool(np.all(volume.to_index(p) > -1) and np.all(volume.to_index(p) < volume.pixels.shape))
            for side, p in places.items()
        }
        return tuple(
            FoundHip(side, True, 0.9, tuple(map(float, places[side])), 24.0, "")
            if inside[side]
            else FoundHip(side, False, 0.0, None, None, f"no {side} hip")
            for side in places
        )

    monkeypatch.setattr(predict, "find_hips", find)
    monkeypatch.setattr(score_command, "load", lambda _path: make_bundle())


def save(datasets, folder):
    folder.mkdir(exist_ok=True)
    for index, dataset in enumerate(datasets):
        (folder / f"{index:03d}.dcm").write_bytes(dicom.to_bytes(dataset))
    return folder


def run(capsys, path, *options):
    """Exit status, report, and the lines on stderr; the report on stdout is the one that is written."""
    target = path.parent / "report.json"
    status = score_command.command([str(path), "--json", str(target), *options])
    out, err = capsys.readouterr()
    report = json.loads(target.read_text())
    assert json.loads(out) == report
    return status, report, err.splitlines()


def test_a_study_is_scored(stack, tmp_path, capsys):
    status, report, lines = run(capsys, save(dicom.classic(stack), tmp_path / "study"))
    assert (status, lines) == (0, [])
    assert set(report) == {"product", "model", "series", "hips", "patient", "refused", "flags", "warnings"}
    assert report["series"] | {"why": "", "uid": ""} == {
        "uid": "", "plane": "coronal", "n_slices": 21, "spacing_mm": [3.5, 0.9, 0.9], "fat_suppressed": True, "why": "",
    }  # fmt: skip
    assert all(flag["message"] in report["warnings"] and not flag["stops"] for flag in report["flags"])
    right, left = report["hips"]
    assert set(right) == set(left) == HIP_KEYS
    assert right["interval"] is None
    assert right["side"] == "right"
    expected_mm = make_volume(np.zeros(SHAPE), SPACING_MM).to_lps(CENTRES["right"])
    np.testing.assert_allclose(right["centre_mm"], expected_mm, atol=0.01)
    assert right["unet_score"] > 0.1
    assert right["synovitis"] == pytest.approx(right["unet_score"])
    assert left["unet_score"] == 0
    assert right["n_role_slices"] == len(right["slices"])
    assert {row["role"] for row in right["slices"]} == {"central", "anterior", "posterior"}
    assert right["slices"][0]["uid"].startswith(dicom.SERIES_UID)
    assert sum(row["ratio"] or 0 for row in right["slices"]) == pytest.approx(right["unet_score"])
    assert report["patient"]["worst"] == "right"
    assert report["patient"]["sum"] == pytest.approx(right["unet_score"])


@pytest.mark.parametrize("layout", [{}, {"transpose": True, "flip_rows": True}, {"flip_columns": True}])
def test_masks_lie_as_each_file_lies(stack, tmp_path, capsys, layout):
    files = {dataset.SOPInstanceUID: dataset for dataset in dicom.classic(stack, **layout)}
    run(capsys, save(files.values(), tmp_path / "study"), "--masks", str(tmp_path / "masks.npz"))
    with np.load(tmp_path / "masks.npz") as content:
        masks, uids, frames = content["masks"], content["uids"], content["frames"]
    assert masks.dtype == np.uint8
    assert sorted(uids) == sorted(files)
    assert not frames.any()
    pixels = np.stack([files[uid].pixel_array for uid in uids])
    assert masks.shape == pixels.shape
    assert (pixels[(masks & labels.SYNOVITIS) > 0] == 400).mean() > 0.9
    assert (masks[pixels == 400] & labels.SYNOVITIS).astype(bool).mean() > 0.9
    assert (pixels[(masks & labels.FEMORAL_HEAD) > 0] == 20).mean() > 0.9


def test_frames_of_a_multi_frame_object_are_numbered(stack, tmp_path, capsys):
    masks = tmp_path / "masks.npz"
    status, report, _ = run(capsys, save([dicom.enhanced(stack)], tmp_path / "study"), "--masks", str(masks))
    assert status == 0
    with np.load(masks) as content:
        assert sorted(content["frames"]) == list(range(1, 22))
        assert len(set(content["uids"])) == 1
    assert report["hips"][0]["slices"][0]["frame"] in range(1, 22)


def test_without_fat_suppression_the_hips_are_found_and_the_score_is_refused(stack, tmp_path, capsys):
    study = save(dicom.classic(stack, SeriesDescription="cor t1", ScanningSequence="SE", InversionTime=None,
                               RepetitionTime=600, EchoTime=12), tmp_path / "study")  # fmt: skip
    status, report, lines = run(capsys, study)
    assert status == 2
    assert len(lines) == 1
    assert report["refused"]["code"] == "not_fat_suppressed"
    assert lines[0] == report["refused"]["message"]
    for hip in report["hips"]:
        assert hip["found"]
        assert len(hip["centre_mm"]) == 3
        assert hip["unet_score"] is None
        assert hip["refused"]["code"] == "not_fat_suppressed"
    overridden, report, lines = run(capsys, study, "--any-sequence")
    assert (overridden, lines) == (0, [])
    assert any("not meant for it" in warning for warning in report["warnings"])


def test_a_stack_cropped_to_one_hip_is_scored_with_that_hip(stack, tmp_path, capsys):
    part = dicom.Stack(stack.pixels[:, :, :140], SPACING_MM, stack.origin_mm)
    status, report, _ = run(capsys, save(dicom.classic(part), tmp_path / "study"))
    assert status == 0
    right, left = report["hips"]
    assert right["unet_score"] > 0
    assert left["refused"] == {"code": "hip_not_found", "message": "no left hip"}
    assert report["patient"]["sum"] is None
    assert report["patient"]["worst_of"] == ["right"]


def test_no_hips_no_score(stack, tmp_path, capsys):
    part = dicom.Stack(stack.pixels[:, :, 130:170], SPACING_MM, (0.0, -30.0, 80.0))
    status, report, lines = run(capsys, save(dicom.classic(part), tmp_path / "study"))
    assert status == 2
    assert report["refused"]["code"] == "no_hips"
    assert len(lines) == 1


def test_too_few_slices_are_refused_with_the_hips_still_found(stack, tmp_path, capsys):
    part = dicom.Stack(stack.pixels[9:12], SPACING_MM, (-120.0, 1.5, 80.0))
    status, report, lines = run(capsys, save(dicom.classic(part), tmp_path / "study"))
    assert status == 2
    assert report["refused"]["code"] == "too_few_slices"
    assert all(hip["centre_mm"] for hip in report["hips"])
    assert len(lines) == 1


@pytest.mark.parametrize("content", [b"", b"not dicom", b"\0" * 200, b"DICM" * 100, b"PK\x03\x04 broken zip"])
def test_files_that_are_nothing_are_refused_in_one_line(content, tmp_path, capsys):
    path = tmp_path / "file\nwith a break.dcm"
    path.write_bytes(content)
    status, report, lines = run(capsys, path)
    assert status == 2
    assert len(lines) == 1
    assert report["refused"]["message"]
    assert report["hips"] == []
    assert report["series"] is None


@pytest.mark.parametrize("name", ["absent", "absent.zip"])
def test_a_path_with_nothing_at_it(name, tmp_path, capsys):
    status, report, lines = run(capsys, tmp_path / name)
    assert (status, report["refused"]["code"], len(lines)) == (2, "no_images", 1)


def test_an_empty_folder_and_an_empty_zip(tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "archive.zip", "w"):
        pass
    for name in ("folder", "archive.zip"):
        status, report, lines = run(capsys, tmp_path / name)
        assert (status, report["refused"]["code"], len(lines)) == (2, "no_images", 1)


def test_a_model_that_is_not_there_is_said_plainly(stack, tmp_path, capsys, monkeypatch):
    monkeypatch.undo()
    status = score_command.command([str(tmp_path), "--model", str(tmp_path)])
    assert status == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_report_that_cannot_be_written_is_said_plainly(tmp_path, capsys):
    status = score_command.command([str(tmp_path), "--json", str(tmp_path / "no" / "report.json")])
    assert status == 1
    assert "can't be written" in capsys.readouterr().err


def test_an_interval_needs_a_calibrated_bundle(stack, tmp_path, capsys):
    folder = save(dicom.classic(stack), tmp_path / "study")
    assert score_command.command([str(folder), "--interval"]) == 1
    assert "python -m ml interval" in capsys.readouterr().err


def test_pictures_too_poor_are_not_scored_and_say_why(stack, tmp_path, capsys):
    n = SHAPE[2] // 2
    half = dicom.Stack(stack.pixels[:, :, 58 : 58 + n].copy(), SPACING_MM, (-120.0 + 58 * 0.9, -30.0, 80.0))
    status, report, lines = run(capsys, save(dicom.classic(half), tmp_path / "half"))
    right = report["hips"][0]
    assert (status, right["unet_score"], right["refused"]["code"]) == (2, None, "quality_cut_off")
    assert [flag["stops"] for flag in report["flags"] if flag["code"] == "cut_off" and flag["side"] == "right"] == [True]
    assert lines
