"""Overlap measures: the vector of domain.md §3.2, empty masks, and distances known by construction."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scoring.errors import ScoringError
from scoring.mri import overlap

EMPTY = np.zeros((6, 6), bool)


@pytest.fixture
def squares():
    """Two 4 × 4 squares that share 3 × 3 pixels."""
    truth, predicted = EMPTY.copy(), EMPTY.copy()
    truth[:4, :4] = True
    predicted[1:5, 1:5] = True
    return truth, predicted


def test_golden(squares):
    assert overlap.dice(*squares) == pytest.approx(0.5625)
    assert overlap.jaccard(*squares) == pytest.approx(0.3913, abs=5e-5)


@pytest.mark.parametrize(
    "measure",
    [
        overlap.dice,
        overlap.jaccard,
        lambda a, b: overlap.hd95(a, b, (1, 1)),
        lambda a, b: overlap.assd(a, b, (1, 1)),
        overlap.volume_difference_percent,
        overlap.lesion_sensitivity,
        overlap.lesion_ppv,
    ],
)
def test_empty_against_empty_is_nan(measure):
    assert math.isnan(measure(EMPTY, EMPTY))


def test_one_empty_mask(squares):
    truth, _ = squares
    assert overlap.dice(truth, EMPTY) == 0.0
    assert overlap.jaccard(EMPTY, truth) == 0.0
    assert overlap.hd95(truth, EMPTY, (1, 1)) == math.inf
    assert overlap.assd(EMPTY, truth, (1, 1)) == math.inf
    assert overlap.volume_difference_percent(truth, EMPTY) == -100.0
    assert overlap.lesion_sensitivity(truth, EMPTY) == 0.0
    assert math.isnan(overlap.lesion_ppv(truth, EMPTY))
    assert overlap.lesion_ppv(EMPTY, truth) == 0.0


def test_distances_of_a_shift_follow_the_spacing():
    truth, predicted = np.zeros((3, 20), bool), np.zeros((3, 20), bool)
    truth[1, 4], predicted[1, 9] = True, True
    assert overlap.hd95(truth, predicted, (2.0, 0.5)) == pytest.approx(2.5)
    assert overlap.assd(truth, predicted, (2.0, 0.5)) == pytest.approx(2.5)
    assert overlap.hd95(truth.T, predicted.T, (0.5, 2.0)) == pytest.approx(2.5)


def test_hd95_takes_the_worse_direction_and_ignores_the_last_twentieth():
    truth, predicted = np.zeros((1, 400), bool), np.zeros((1, 400), bool)
    truth[0, :200:2] = True
    predicted[0, :200:2] = True
    predicted[0, 300] = True
    assert overlap.hd95(truth, predicted, (1, 1)) == 0.0
    predicted[0, 300:320:2] = True
    assert overlap.hd95(truth, predicted, (1, 1)) > 100
    assert overlap.hd95(predicted, truth, (1, 1)) == overlap.hd95(truth, predicted, (1, 1))


def test_surface_is_measured_not_the_inside():
    truth = np.zeros((9, 9), bool)
    truth[2:7, 2:7] = True
    hollow = truth.copy()
    hollow[4, 4] = False
    assert overlap.assd(truth, hollow, (1, 1)) > 0
    assert overlap.assd(truth, truth, (1, 1)) == 0.0


def test_volumes():
    truth, predicted = np.zeros((2, 5, 5), bool), np.zeros((2, 5, 5), bool)
    truth[0, :2, :5] = True
    predicted[0, :3, :5] = True
    assert overlap.volume_difference_ml(truth, predicted, (4.0, 0.5, 0.5)) == pytest.approx(0.005)
    assert overlap.volume_difference_percent(truth, predicted) == pytest.approx(50.0)


def test_lesions_are_counted_one_by_one():
    truth, predicted = np.zeros((10, 10), bool), np.zeros((10, 10), bool)
    truth[0, 0] = truth[1, 1] = True  # one lesion, joined over a corner
    truth[5, 5] = True
    truth[9, 9] = True
    predicted[0, 0] = True
    predicted[5, 4:7] = True
    predicted[9, 0] = True
    found = overlap.detect_lesions(truth, predicted)
    assert (found.n_truth, found.n_truth_found, found.n_predicted, found.n_predicted_true) == (3, 2, 3, 2)
    assert found.sensitivity == pytest.approx(2 / 3)
    assert found.ppv == pytest.approx(2 / 3)


def test_compare_masks_gathers_every_measure(squares):
    result = overlap.compare_masks(*squares, (1, 1))
    assert result.dice == pytest.approx(0.5625)
    assert result.truth_ml == result.predicted_ml == pytest.approx(0.016)
    assert result.volume_difference_ml == 0.0
    assert result.lesion_sensitivity == result.lesion_ppv == 1.0
    assert result.hd95_mm >= result.assd_mm > 0


def test_zeros_and_ones_are_masks_other_numbers_are_not(squares):
    truth, predicted = squares
    assert overlap.dice(truth.astype(np.uint8), predicted.astype(float)) == pytest.approx(0.5625)
    with pytest.raises(ScoringError, match="truth"):
        overlap.dice(truth * 3, predicted)
    with pytest.raises(ScoringError, match="predicted"):
        overlap.dice(truth, np.full(truth.shape, "x"))


@pytest.mark.parametrize("spacing", [(1,), (1, 0), (1, -1), (1, math.nan)])
def test_refuses_spacing(squares, spacing):
    with pytest.raises(ScoringError, match="spacing_mm"):
        overlap.hd95(*squares, spacing)


def test_refuses_other_shapes(squares):
    with pytest.raises(ScoringError, match="predicted"):
        overlap.dice(squares[0], squares[1][:5])


masks = hnp.arrays(bool, (5, 6))


@settings(max_examples=60, deadline=None)
@given(a=masks, b=masks)
def test_bounds_symmetry_and_the_relation_of_dice_and_jaccard(a, b):
    one, other = overlap.dice(a, b), overlap.dice(b, a)
    if not a.any() and not b.any():
        assert math.isnan(one)
        assert math.isnan(other)
        return
    assert 0 <= one <= 1
    assert one == other
    assert overlap.jaccard(a, b) == pytest.approx(one / (2 - one))
    assert overlap.hd95(a, b, (1, 2)) == overlap.hd95(b, a, (1, 2))
    assert overlap.detect_lesions(a, b).sensitivity == pytest.approx(overlap.detect_lesions(b, a).ppv, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(a=masks.filter(lambda mask: mask.any()), b=masks.filter(lambda mask: mask.any()), factor=st.floats(0.1, 10))
def test_distances_scale_with_the_spacing_and_masks_may_be_mirrored(a, b, factor):
    plain = overlap.assd(a, b, (1.0, 2.0))
    assert overlap.assd(a, b, (factor, 2 * factor)) == pytest.approx(plain * factor)
    assert overlap.assd(a[:, ::-1], b[:, ::-1], (1.0, 2.0)) == pytest.approx(plain)


def test_the_counts_of_lesions_stand_beside_the_other_measures():
    truth, predicted = np.zeros((4, 12), bool), np.zeros((4, 12), bool)
    truth[0, 0] = truth[0, 4] = True
    predicted[0, 0] = predicted[3, 8] = predicted[3, 11] = True
    result = overlap.compare_masks(truth, predicted, (1, 1))
    assert (result.n_lesions, result.n_lesions_found, result.n_false_lesions) == (2, 1, 2)


def test_pooled_dice_is_that_of_the_masks_laid_together():
    rng = np.random.default_rng(4)
    pairs = [(rng.random((3, 9, 9)) < share, rng.random((3, 9, 9)) < share) for share in (0.0, 0.02, 0.4, 0.7)]
    together = overlap.dice(*(np.concatenate(masks) for masks in zip(*pairs, strict=True)))
    volumes = [[masks[which].sum() * 0.5 for masks in pairs] for which in (0, 1)]
    assert overlap.pooled_dice([overlap.dice(*masks) for masks in pairs], *volumes) == pytest.approx(together)
    assert np.isnan(overlap.pooled_dice([np.nan], [0.0], [0.0]))
