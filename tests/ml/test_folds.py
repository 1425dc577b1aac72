"""Folds are by patient, stratified, frozen, and refused when data or file changed."""

import json
from pathlib import Path

import numpy as np
import pytest

from ml import folds
from ml.datasets import format as data_format
from ml.whole import FolderError
from tests.ml.toys import make_stack

WORDS = ("none", "bme", "synovitis", "both")
VOLUMES = {
    "none": {"bme": 0.0, "synovitis": 0.0}, "bme": {"bme": 1.0, "synovitis": 0.0},
    "synovitis": {"bme": 0.0, "synovitis": 1.0}, "both": {"bme": 1.0, "synovitis": 1.0},
}  # fmt: skip


def make_data(folder, n_patients=12, words=WORDS):
    """Two hips a patient, the right one with the patient's involvement."""
    stack = make_stack(0, 2)
    cases = [
        data_format.write_case(
            folder, patient=f"P{n:02}", visit="V1", side=side, labels=["femur", "femoral_head", "bme", "synovitis"], stack=stack,
            positions_mm=np.zeros(2), volumes_ml={"femur": 9.0, "femoral_head": 5.0} | VOLUMES[word], spacing_mm=(4, 1, 1),
            source="phantom",
        )
        for n in range(n_patients)
        for side, word in (("right", words[n % len(words)]), ("left", "none"))
    ]  # fmt: skip
    return data_format.write(folder, "toys", "test", cases)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data"))


def test_each_patient_is_tested_once_and_never_learnt_from_in_that_fold(data, tmp_path):
    splits = folds.freeze(data, tmp_path, 4, seed=3)
    assert sorted(p for fold in splits.folds for p in fold.test) == sorted({case.patient for case in data.cases})
    for fold in splits.folds:
        assert not set(fold.test) & (set(fold.training) | set(fold.validation))
        assert not set(fold.validation) & set(fold.training)
        assert len(fold.training) + len(fold.validation) + len(fold.test) == 12
        assert fold.validation


def test_every_fold_has_its_share_of_each_involvement(data, tmp_path):
    words = folds.strata(data.cases)
    for fold in folds.freeze(data, tmp_path, 3, seed=0).folds:
        assert sorted(words[patient] for patient in fold.test) == sorted(WORDS)


def test_the_file_is_obeyed_and_the_seed_decides(data, tmp_path):
    first = folds.freeze(data, tmp_path / "a", 4, seed=3)
    assert folds.freeze(data, tmp_path / "a", 4, seed=3) == first
    assert folds.freeze(data, tmp_path / "b", 4, seed=3) == first
    assert folds.freeze(data, tmp_path / "c", 4, seed=4).folds != first.folds


def test_a_changed_file_or_data_set_is_refused(data, tmp_path):
    folds.freeze(data, tmp_path, 4, seed=3)
    with pytest.raises(folds.SplitError, match="not 5 with seed 3"):
        folds.freeze(data, tmp_path, 5, seed=3)
    other = make_data(tmp_path / "other", 11)
    with pytest.raises(folds.SplitError, match="two data sets"):
        folds.freeze(other, tmp_path, 4, seed=3)
    path = tmp_path / folds.SPLITS
    kept = json.loads(path.read_text())
    kept["folds"][0]["training"].append(kept["folds"][0]["test"][0])
    path.write_text(json.dumps(kept))
    with pytest.raises(folds.SplitError, match="was changed"):
        folds.freeze(data, tmp_path, 4, seed=3)
    kept.pop("sha256")
    path.write_text(json.dumps(kept | {"sha256": folds.content_hash(kept)}))
    with pytest.raises(folds.SplitError, match="on both sides"):
        folds.freeze(data, tmp_path, 4, seed=3)
    path.write_text("{")
    with pytest.raises(folds.SplitError, match="can't be read"):
        folds.freeze(data, tmp_path, 4, seed=3)


def test_too_few_patients_are_refused(data, tmp_path):
    with pytest.raises(folds.SplitError, match="12 patients"):
        folds.freeze(data, tmp_path, 13, seed=0)


def patients(n):
    return {f"P{number:03}": WORDS[number % len(WORDS)] for number in range(n)}


@pytest.mark.parametrize(
    ("n", "share", "n_held_out"),
    [(20, 0.1, 2), (20, 0.4, 8), (20, 0.9, 18), (20, 0.99, 19), (20, 0.001, 1), (2, 0.9, 1), (1, 0.5, 0), (20, 0, 0)],
)
def test_the_share_that_is_held_out_is_the_one_asked_for(n, share, n_held_out):
    held_out = folds.hold_out(patients(n), share, seed=1)
    assert len(held_out) == n_held_out
    assert held_out <= set(patients(n))


def test_what_is_held_out_has_its_share_of_each_involvement():
    words = patients(40)
    for share in (0.1, 0.5):
        held_out = folds.hold_out(words, share, seed=1)
        counts = [sum(words[patient] == word for patient in held_out) for word in WORDS]
        assert counts == [10 * share] * 4


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(folds.SplitError, match="from 0 to below 1"):
        folds.hold_out(patients(8), share, seed=1)


def test_an_eighth_is_held_out_as_before():
    """The frozen folds of docs/cross-validation can be made again: seed 1, an eighth of each fold's training patients."""
    kept = json.loads((Path(__file__).parents[2] / "docs" / "cross-validation" / "splits.json").read_text())
    words = kept["involvement"]
    for number, fold in enumerate(kept["folds"]):
        rest = {patient: word for patient, word in words.items() if patient not in fold["test"]}
        assert sorted(folds.hold_out(rest, folds.VALIDATION_SHARE, kept["seed"] + number)) == fold["validation"]


def test_a_file_in_the_place_of_the_folder_is_named(data, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(FolderError, match="out can't be used as a folder"):
        folds.freeze(data, tmp_path / "out", 4, seed=3)
