"""The figures of design.md §7: what counts, what is left out, and that the default bundle holds its bars."""

import json

import numpy as np
import pytest

from ml import evaluate, predict
from ml.labels import FEMORAL_HEAD, FEMUR, SYNOVITIS
from tests.ml.test_predict import CENTRES, make_bundle
from tests.ml.toys import ball, make_volume


def make_case(name="toy", shift_mm=0.0):
    """Two dark balls with a bright patch at the right one; the truth may be shifted, to be wrong by a known amount."""
    pixels = np.full((21, 140, 300), 100.0)
    volume = make_volume(pixels, (3.5, 0.9, 0.9))
    mask = np.zeros(pixels.shape, np.uint8)
    for at in CENTRES.values():
        centre_mm = volume.to_lps(at)
        pixels[ball(volume, centre_mm, 24)] = 20.0
        mask[ball(volume, centre_mm + np.array([shift_mm, 0, 0]), 24)] = FEMUR | FEMORAL_HEAD
    pixels[6:14, 60:80, 90:100] = 400.0
    mask[6:14, 60:80, 90:100] = SYNOVITIS
    pixels += np.random.default_rng(0).normal(0, 2, pixels.shape)
    centres = {side: tuple(map(float, volume.to_lps(at))) for side, at in CENTRES.items()}
    return evaluate.Case(name, make_volume(pixels, (3.5, 0.9, 0.9)), mask, centres)


@pytest.fixture
def toys(monkeypatch):
    monkeypatch.setattr(evaluate, "load", lambda _: make_bundle())
    monkeypatch.setitem(evaluate.GENERATORS, "toy", lambda n: iter([make_case(str(i), 1.5 * i) for i in range(n)]))


def test_dice_and_scores_of_right_outlines(toys):
    results = evaluate.evaluate("toy", 1, true_centres=True)
    assert [(r.side, r.is_affected) for r in results] == [("right", True), ("left", False)]
    for result in results:
        assert result.dice["femoral_head"] > 0.95
        assert result.centre_error_mm == pytest.approx(0)
        assert result.predicted_score == pytest.approx(result.true_score, rel=0.1, abs=1e-9)
    assert results[0].dice["synovitis"] > 0.85
    assert np.isnan(results[1].dice["synovitis"])


def test_a_wrong_truth_lowers_the_figures(toys):
    results = evaluate.evaluate("toy", 3, true_centres=True)
    right, wrong = results[0], results[4]
    assert wrong.dice["femoral_head"] < right.dice["femoral_head"] - 0.05


def test_hips_without_a_lesion_are_left_out_of_its_dice_and_counted_as_false_volume(toys):
    summary = evaluate.summarise(evaluate.evaluate("toy", 2, true_centres=True))
    assert summary["n_hips"] == 4
    assert summary["normal_share"] == 0.5
    assert summary["synovitis"]["n"] == 2
    assert summary["synovitis"]["false_ml"]["max"] == 0
    assert summary["bme"] | {"false_ml": None} == {
        "n": 0, "dice": None, "dice_spread": None, "truth_ml": None, "false_ml": None,
    }  # fmt: skip
    assert summary["icc_all"]["n"] == 4
    assert summary["icc_all"]["icc"] > 0.95
    assert summary["icc_affected"]["icc"] is None
    text = evaluate.table(summary)
    assert "| femoral_head | 4 | 0.9" in text
    assert "50 % normal" in text


def test_a_hip_that_is_not_found_counts_as_missed(toys, monkeypatch):
    absent = [predict.FoundHip(side, False, 0.0, None, None, "") for side in CENTRES]
    monkeypatch.setattr(predict, "find_hips", lambda *_: absent)
    summary = evaluate.summarise(evaluate.evaluate("toy", 2))
    assert summary["n_found"] == 0
    assert summary["n_refused"] == 4
    assert summary["femoral_head"]["dice"] == 0
    assert summary["icc_all"] == {"icc": None, "low": None, "high": None, "n": 0}


def test_the_command_prints_a_table_and_writes_every_hip(toys, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(evaluate.GENERATORS, "first", evaluate.GENERATORS["toy"])
    target = tmp_path / "figures.json"
    page = tmp_path / "page.md"
    page.write_text("<!-- first generator -->\nold\n<!-- /first generator -->\n")
    assert evaluate.command(["--patients", "2", "--true-centres", "--json", str(target), "--docs", str(page)]) == 0
    assert "| femoral_head |" in page.read_text()
    assert "ICC(A,1) of the UNet-score" in capsys.readouterr().out
    assert len(json.loads(target.read_text())["hips"]) == 4


@pytest.mark.slow
def test_the_default_bundle_on_patients_that_training_never_saw():
    """Six patients only, so the bars are a little below those of the README's tables."""
    summary = evaluate.summarise(evaluate.evaluate("first", 6))
    assert summary["n_refused"] == 0
    assert summary["femoral_head"]["dice"] > 0.90
    assert summary["bme"]["dice"] > 0.55
    assert summary["synovitis"]["dice"] > 0.60
    assert summary["icc_all"]["icc"] > 0.70
