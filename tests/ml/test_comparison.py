"""The tables hold the right numbers, worked out by hand."""

import csv
import math

import pytest

from ml import comparison
from ml.comparison import ARTICLE_TABLE_3
from ml.comparison_text import as_markdown, cases_page

RECIPE = {"steps": 1_000_000, "minutes": 5.0, "learning_rate": 2e-3, "loss": "plain", "precision": "bf16"}
CALIBRATION = {"n": [10.0, 10.0], "probability": [1.0, 9.0], "n_true": [2.0, 7.0]}


def row(network="unet", fold=1, patient="P1", side="right", label="lesion", dice=0.8, truth_ml=2.0, predicted_ml=2.5, **more):
    values = {
        "network": network, "fold": fold, "case": f"{patient}_V1_{side}", "patient": patient, "visit": "V1", "side": side,
        "involvement": "both", "source": "phantom", "n_slices": 10, "label": label, "dice": dice, "hd95_mm": 3.0, "assd_mm": 1.0,
        "truth_ml": truth_ml, "predicted_ml": predicted_ml, "volume_error_ml": predicted_ml - truth_ml,
        "volume_error_percent": 100 * (predicted_ml - truth_ml) / truth_ml if truth_ml else math.nan, "n_lesions": 2,
        "n_lesions_found": 1, "lesion_sensitivity": 0.5, "n_false_lesions": 1, "ece": 0.1,
    }  # fmt: skip
    return values | more


def fold(network="unet", number=1, **more):
    return {
        "network": network, "fold": number, "settings": {"base": 4}, "n_parameters": 1000, "steps": 5, "training_s": 9.0,
        "ms_per_slice": 2.0, "device": "here", "recipe": RECIPE, "calibration": {"lesion": CALIBRATION},
    } | more  # fmt: skip


def one_network():
    rows = [
        row(patient="P1", side="right", dice=0.9),
        row(patient="P1", side="left", dice=0.7),
        row(patient="P2", fold=2, dice=0.5, hd95_mm=math.inf),
        row(patient="P3", fold=2, dice=0.0, truth_ml=0.0, predicted_ml=0.4, n_lesions=0, n_lesions_found=0),
    ]
    return comparison.compare(rows, [fold(), fold(number=2, ms_per_slice=4.0)])


def test_means_are_over_hips_with_truth():
    lesion = one_network()["overall"][0]["lesion"]
    assert lesion["mean"] == pytest.approx(0.7)
    assert lesion["sd"] == pytest.approx(0.2)
    assert (lesion["n"], lesion["n_patients"]) == (3, 2)
    assert lesion["low"] == pytest.approx(0.5)
    assert lesion["high"] == pytest.approx(0.8)


def test_a_fold_is_a_mean_of_its_hips_and_the_average_a_mean_of_folds():
    table = one_network()["folds"][0]
    assert [one["lesion"]["mean"] for one in table["rows"]] == pytest.approx([0.8, 0.5])
    assert table["average"]["lesion"]["mean"] == pytest.approx(0.65)
    assert table["average"]["lesion"]["sd"] == pytest.approx(0.2121, abs=1e-4)


def test_a_label_has_distances_volumes_lesions_and_calibration():
    label = one_network()["by_label"][0]
    assert label["hd95_mm"]["n_infinite"] == 1
    assert label["hd95_mm"]["median"] == 3.0
    assert label["volume_error_ml"]["mean"] == pytest.approx(0.5)
    assert label["lesion_sensitivity"] == pytest.approx(0.5)
    assert label["false_lesions_per_hip"] == 1
    assert label["n_empty"] == 1
    assert label["dice_pooled"] < label["dice"]["mean"]  # a false lesion in a hip without one counts in it
    assert label["false_ml"]["max"] == pytest.approx(0.4)
    assert label["ece"] == pytest.approx((1 + 2) / 20)


def test_networks_are_compared_over_patients_and_corrected():
    rows = []
    for number, patient in enumerate(["P1", "P2", "P3", "P4", "P5", "P6"]):
        for name, shift in (("unet", 0.0), ("hrnet", -0.1), ("unetpp", 0.001)):
            noise = 0.01 * ((number * 7 + len(name)) % 5)
            rows += [row(name, patient=patient, side=side, dice=0.8 + shift + noise) for side in ("right", "left")]
    result = comparison.compare(rows, [fold("unet"), fold("hrnet"), fold("unetpp")])
    tests = {(test["first"], test["second"]): test for test in result["tests"]}
    assert len(tests) == 3
    worse = tests["U-Net", "HRNet"]
    assert worse["difference"] == pytest.approx(0.1, abs=0.02)
    assert worse["n_patients"] == 6
    assert worse["p"] <= worse["p_holm"] <= 3 * worse["p"] + 1e-12
    assert "U-Net − HRNet" in as_markdown(result)


def test_nothing_that_is_not_a_number_reaches_the_json():
    rows = [row(dice=0.0, hd95_mm=math.inf)]
    label = comparison.compare(rows, [fold()])["by_label"][0]
    assert label["hd95_mm"]["median"] is None
    assert label["dice"]["low"] is None
    assert "–" in as_markdown(comparison.compare(rows, [fold()]))


def test_the_articles_average_is_not_the_mean_of_its_folds():
    """domain.md §0.3: printed 67.5409."""
    heads, lesions = zip(*ARTICLE_TABLE_3, strict=True)
    assert sum(heads) / 5 == pytest.approx(88.5560, abs=1e-4)
    assert sum(lesions) / 5 == pytest.approx(68.1409, abs=1e-4)


def two_networks():
    rows = [row(patient=patient, dice=dice) for patient, dice in (("P1", 0.9), ("P2", 0.8))]
    rows += [row("unet_started", patient=patient, dice=dice) for patient, dice in (("P1", 0.7), ("P2", 0.95))]
    rows += [row(network, patient="P0", dice=0.0, truth_ml=0.0) for network in ("unet", "unet_started")]
    start = {"name": "unet", "version": "3", "sha256": "0" * 64}
    recipe = RECIPE | {"minutes": None, "steps": 900, "learning_rate": 4e-4, "loss": "small-lesions"}
    return comparison.compare(rows, [fold(), fold("unet_started", recipe=recipe, start=start)])


def test_each_hip_is_a_line_the_lowest_lesion_dice_first():
    cases = two_networks()["cases"]
    assert [case["patient"] for case in cases] == ["P1", "P2", "P0"]
    assert cases[0]["lesion"] == {"unet": 0.9, "unet_started": 0.7}
    assert cases[2]["lesion"] == {"unet": None, "unet_started": None}  # without a lesion there is no Dice
    page = cases_page(two_networks())
    assert "| P1_V1_right | both | 1 | 90.0 | 70.0 |" in page
    assert "| P0_V1_right | both | 1 | – | – |" in page


def test_the_report_begins_with_the_hips_and_says_how_each_network_was_trained():
    report = as_markdown(two_networks())
    assert report.index("[cases.csv](cases.csv)") < report.index("Table 2")
    assert "| U-Net | 2 | 80.0 (80.0 to 90.0), 80.0 |" in report
    assert "from random weights, 5 minutes a fold, learning rate 0.002, loss plain, bf16 |" in report
    assert "from unet 3, 900 steps a fold, learning rate 0.0004, loss small-lesions, bf16 |" in report


def test_the_folds_as_csv_end_with_average_sd_and_interval(tmp_path):
    result = one_network()
    comparison.write(tmp_path, result)
    with (tmp_path / "folds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["fold"] for row in rows] == ["1", "2", "average"]
    average = {key.removeprefix("lesion_"): value for key, value in rows[-1].items()}
    assert float(average["mean"]) == pytest.approx(0.65)
    assert float(average["sd"]) == pytest.approx(0.2121, abs=1e-4)
    assert [float(average[end]) for end in ("low", "high")] == pytest.approx([0.5, 0.8])
    assert rows[0]["lesion_sd"] == ""
    assert {path.name for path in tmp_path.iterdir()} >= {"report.md", "cases.md", "result.json"}
