"""A data set folder is read back as it was written, and says so when it was changed."""

import json

import numpy as np
import pytest

from ml.datasets import DataSetError, read
from ml.datasets.format import involvement, write, write_case
from ml.datasets.phantoms import write_phantom
from ml.labels import LABELS
from tests.ml.toys import make_stack


def add(folder, patient="P1", visit="V1", side="right", labels=LABELS, volumes=None, source="phantom", seed=0):
    stack = make_stack(seed, 4)
    volumes = volumes or {label: 1.0 for label in labels}
    return write_case(
        folder,
        patient=patient,
        visit=visit,
        side=side,
        labels=labels,
        stack=stack,
        positions_mm=np.arange(4, dtype=np.float32),
        volumes_ml=volumes,
        spacing_mm=(4.0, 0.8, 0.8),
        source=source,
    )


def test_what_was_written_is_read_again(tmp_path):
    cases = [add(tmp_path, "P2", labels=("bme",), volumes={"bme": 0.0}, source="nifti"), add(tmp_path, "P1", seed=1)]
    written = write(tmp_path, "two hips", "a test", cases, [{"what": "P3", "why": "is a knee"}])
    again = read(tmp_path)
    assert again == written
    assert [case.id for case in again.cases] == ["P1_V1_right", "P2_V1_right"]
    assert again.labels == LABELS
    assert again.cases[1].labels == ("bme",)
    assert [case.involvement for case in again.cases] == ["both", "none"]
    stack, truth = again.cases[0].load(), make_stack(1, 4)
    np.testing.assert_array_equal(stack.images, truth.images)
    np.testing.assert_array_equal(stack.masks, truth.masks)
    np.testing.assert_array_equal(stack.tissues, truth.tissues)
    np.testing.assert_array_equal(again.cases[0].load_positions(), [0, 1, 2, 3])
    assert not again.cases[1].load().tissues.any()


def test_the_fingerprint_is_that_of_the_arrays(tmp_path):
    one = write(tmp_path / "a", "a", "", [add(tmp_path / "a"), add(tmp_path / "a", "P2", seed=1)]).fingerprint
    same = write(tmp_path / "b", "b", "", [add(tmp_path / "b", "P2", seed=1), add(tmp_path / "b")]).fingerprint
    other = write(tmp_path / "c", "c", "", [add(tmp_path / "c", seed=2), add(tmp_path / "c", "P2", seed=1)]).fingerprint
    assert one == same != other


def test_a_changed_file_is_refused(tmp_path):
    data = write(tmp_path, "one", "", [add(tmp_path)])
    data.cases[0].path.write_bytes(data.cases[0].path.read_bytes() + b"\0")
    with pytest.raises(DataSetError, match="SHA-256 differs"):
        data.cases[0].load()
    data.cases[0].path.unlink()
    with pytest.raises(DataSetError, match="is missing"):
        data.cases[0].load()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d.update(format=2), "has format 2"),
        (lambda d: d.pop("labels"), "KeyError"),
        (lambda d: d["cases"][0].update(sha256="0" * 64), "fingerprint"),
    ],
)
def test_a_changed_description_is_refused(tmp_path, change, why):
    write(tmp_path, "one", "", [add(tmp_path)])
    description = json.loads((tmp_path / "dataset.json").read_text())
    change(description)
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(DataSetError, match=why):
        read(tmp_path)


def test_no_folder_no_cases_and_twice_the_same(tmp_path):
    with pytest.raises(DataSetError, match="is no data set"):
        read(tmp_path)
    with pytest.raises(DataSetError, match="no hip is left"):
        write(tmp_path, "none", "", [])
    case = add(tmp_path)
    with pytest.raises(DataSetError, match="P1_V1_right"):
        write(tmp_path, "twice", "", [case, case])


def test_involvement_is_of_what_was_annotated():
    assert involvement({"bme": 1.0}) == "bme"
    assert involvement({"bme": 0.0}) == "none"
    assert involvement({"bme": 0.0, "synovitis": 2.0}) == "synovitis"
    assert involvement({"femur": 50.0}) == "unknown"


def test_a_phantom_gives_its_hips(tmp_path):
    cases = write_phantom((tmp_path, 17, False))
    again = read(write(tmp_path, "phantom", "", cases).folder)
    assert {case.patient for case in again.cases} == {"P00017"}
    for case in again.cases:
        stack, positions = case.load(), case.load_positions()
        assert stack.images.shape == (case.n_slices, 184, 216)
        assert stack.tissues.any()
        assert np.abs(positions).max() <= 45
        assert (np.diff(positions) > 0).all()
        voxel_ml = case.spacing_mm[0] * 0.78125**2 / 1000
        assert case.volumes_ml["femoral_head"] == pytest.approx(((stack.masks & 2) > 0).sum() * voxel_ml, abs=1e-3)


def test_involved_patients_have_a_lesion_in_some_hip(tmp_path):
    for seed in range(3, 7):
        cases = write_phantom((tmp_path, seed, True))
        assert any(case.involvement != "none" for case in cases)
