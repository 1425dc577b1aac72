"""NIfTI images with one label, as a centre has them → `python -m ml prepare` → `python -m ml crossval` → its tables."""

import csv
import json

from ml import crossval
from ml.datasets import command, read
from tests.ml.datasets.cases import CENTRES, pelvis, write_nifti

SMALL = ["--folds", "2", "--steps", "2", "--base", "4", "--hips", "2", "--slices", "2", "--window", "32", "32", "--workers", "0"]


def test_a_nifti_data_set_with_bme_alone_is_cross_validated(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_finder", lambda bundle: lambda volume: CENTRES)  # toys are no hips for the network
    for seed in range(4):
        write_nifti(tmp_path / "images", f"P{seed}_V1", pelvis(seed), labels=("bme",))
    assert command.command([str(tmp_path / "data"), "--nifti", str(tmp_path / "images")]) == 0
    data = read(tmp_path / "data")
    assert (data.labels, len(data.cases)) == (("bme",), 8)

    arguments = [str(tmp_path / "data"), "--networks", "unet", "--out", str(tmp_path / "out"), "--threads", "1", *SMALL]
    assert crossval.command(arguments) == 0
    with (tmp_path / "out" / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["case"] for row in rows} == {case.id for case in data.cases}
    assert {row["label"] for row in rows} == {"bme", "lesion"}
    for case in data.cases:
        (row,) = [row for row in rows if (row["case"], row["label"]) == (case.id, "bme")]
        assert 0 <= float(row["dice"]) <= 1
        assert abs(float(row["truth_ml"]) / case.volumes_ml["bme"] - 1) < 0.1
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["is_complete"]
    assert result["data_set"]["labels"] == ["bme"]
    for patients in ({row["patient"] for row in rows if row["fold"] == fold} for fold in ("1", "2")):
        assert len(patients) == 2
