"""Parts of a label that are nowhere sure are drawn smaller, steadily, and nothing else is touched."""

import numpy as np
import pytest

from ml.doubt import doubted
from ml.labels import SYNOVITIS_PLANE

SURE = [0.0, 0.0, 0.0, 8.0]


def hip(*peaks):
    """Logits of synovitis parts beside each other, each a cone with a peak, on slices 2 to 4; everything else is -6."""
    logits = np.full((7, 4, 30, 40 * max(1, len(peaks))), -6, np.float32)
    rows, columns = np.mgrid[:30, :40]
    cone = np.hypot(rows - 15, columns - 20)
    for index, peak in enumerate(peaks):
        logits[2:5, SYNOVITIS_PLANE, :, 40 * index : 40 * index + 40] = np.maximum(peak - cone, -6)
    return logits


def n_said(logits):
    return int((logits[:, SYNOVITIS_PLANE] > 0).sum())


def test_what_is_sure_somewhere_stays_as_it_is():
    logits = hip(8.5)
    np.testing.assert_array_equal(doubted(logits, SURE), logits)


def test_a_doubtful_part_shrinks_by_what_it_lacks():
    logits = hip(6.0)
    lowered = doubted(logits, SURE)
    assert 0 < n_said(lowered) < n_said(logits)
    assert lowered[3, SYNOVITIS_PLANE].max() == pytest.approx(2 * 6 - 8)


def test_it_is_gone_where_it_is_half_as_sure_and_shrinks_steadily_until_there():
    sizes = [n_said(doubted(hip(peak), SURE)) for peak in np.arange(9, 3.9, -0.05)]
    assert sizes[0] > 500
    assert sizes[-1] == 0
    steps = -np.diff(sizes)
    assert (steps >= 0).all()
    assert steps.max() <= 0.1 * sizes[0]  # no jump


def test_each_part_is_judged_by_itself():
    lowered = doubted(hip(9.0, 3.0), SURE)
    assert n_said(lowered) == n_said(hip(9.0))
    assert (lowered[..., 40:][:, SYNOVITIS_PLANE] <= 0).all()


def test_the_rim_of_a_doubtful_part_goes_with_it():
    """Outlines for an interval are cut at probability 0.3 too: a part that is gone leaves no ring there."""
    logits = hip(3.0)
    assert (logits[:, SYNOVITIS_PLANE] > -0.8).any()
    assert (doubted(logits, SURE)[:, SYNOVITIS_PLANE] <= np.float32(-0.85)).all()


def test_a_voxel_at_the_border_of_a_part_hardly_moves_with_it():
    logits = hip(6.0)
    rows = logits[3, SYNOVITIS_PLANE, 15]
    at = int((rows > -0.85).argmax())
    changed = []
    for value in (-0.85 - 1e-5, -0.85 + 1e-5):
        logits[3, SYNOVITIS_PLANE, 15, at] = value
        changed.append(doubted(logits, SURE))
    assert np.abs(changed[0] - changed[1]).max() < 1e-4


@pytest.mark.parametrize("sure", [[0.0] * 4, []])
def test_without_anything_to_be_sure_of_nothing_is_lowered(sure):
    logits = hip(1.0)
    np.testing.assert_array_equal(doubted(logits, sure), logits)


def test_other_labels_and_the_input_are_left_alone():
    logits = hip(3.0)
    before = logits.copy()
    logits_after = doubted(logits, SURE)
    np.testing.assert_array_equal(logits, before)
    np.testing.assert_array_equal(logits_after[:, :SYNOVITIS_PLANE], before[:, :SYNOVITIS_PLANE])


def test_a_hip_without_slices_is_one_without_slices():
    assert doubted(np.zeros((0, 4, 8, 8), np.float32), SURE).shape == (0, 4, 8, 8)
