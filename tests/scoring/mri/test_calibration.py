"""The calibration error of known probabilities, and the box in which it is measured."""

import math

import numpy as np
import pytest

from scoring.errors import ScoringError
from scoring.mri.calibration import calibration_bins, expected_calibration_error, neighbourhood


def test_probabilities_that_come_true_have_no_error():
    truth = np.array([True, False, False, False] * 10)
    assert expected_calibration_error(calibration_bins(truth, np.full(40, 0.25))) == pytest.approx(0)
    assert expected_calibration_error(calibration_bins(truth, truth.astype(float))) == pytest.approx(0)


def test_too_sure_by_a_known_amount():
    """90 % said, 60 % true in one half; 10 % said, 10 % true in the other: 0.3 × ½."""
    truth = np.array([True] * 6 + [False] * 4 + [True] + [False] * 9)
    said = np.array([0.9] * 10 + [0.1] * 10)
    assert expected_calibration_error(calibration_bins(truth, said)) == pytest.approx(0.15)


def test_bins_of_two_hips_add_up_to_those_of_both():
    rng = np.random.default_rng(0)
    truth, said = rng.random(200) < 0.4, rng.random(200)
    halves = calibration_bins(truth[:80], said[:80]) + calibration_bins(truth[80:], said[80:])
    assert expected_calibration_error(halves) == pytest.approx(expected_calibration_error(calibration_bins(truth, said)))
    assert halves.n.sum() == 200


def test_nothing_has_no_error_and_wrong_numbers_are_refused():
    assert math.isnan(expected_calibration_error(calibration_bins([], [])))
    with pytest.raises(ScoringError, match="probability"):
        calibration_bins([True], [1.5])
    with pytest.raises(ScoringError, match="probability"):
        calibration_bins([True], [0.5, 0.5])


def test_the_box_holds_both_masks_and_a_margin_within_the_slice():
    truth, predicted = np.zeros((5, 40, 40), bool), np.zeros((5, 40, 40), bool)
    truth[1, 10, 10] = predicted[2, 20, 2] = True
    assert neighbourhood(truth, predicted) == (slice(1, 3), slice(5, 26), slice(0, 16))
    assert truth[neighbourhood(truth & False, predicted & False)].size == 0
