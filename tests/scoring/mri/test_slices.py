"""Slice roles: blocks of five around the largest head, cut off at the ends, never shifted."""

import pytest

from scoring.errors import ScoringError
from scoring.mri.slices import TooFewSlicesError, slice_roles

C, A, P = "central", "anterior", "posterior"


def test_complete_protocol():
    areas = [100 + 50 * (10 - abs(index - 10)) for index in range(21)]
    assert slice_roles(areas) == [None] * 3 + [A] * 5 + [C] * 5 + [P] * 5 + [None] * 3


def test_blocks_are_cut_off_not_shifted():
    assert slice_roles([900, 1000, 900, 800, 700, 600]) == [C, C, C, C, P, P]
    assert slice_roles([500, 600, 700, 800, 900]) == [A, A, C, C, C]


def test_slices_without_a_head_keep_their_role():
    areas = [0] * 8 + [500, 600, 700, 600, 500] + [0] * 8
    assert slice_roles(areas) == [None] * 3 + [A] * 5 + [C] * 5 + [P] * 5 + [None] * 3


def test_tie_goes_to_the_middle_of_the_hip_slices():
    assert slice_roles([0, 700, 500, 500, 700, 500, 500, 500]).index(C) == 2


def test_tie_at_equal_distance_goes_to_the_anterior():
    assert slice_roles([500, 700, 500, 700, 500]) == [C, C, C, C, P]


def test_exactly_100_mm2_is_a_hip_slice():
    assert slice_roles([100.0] * 5).count(C) == 5
    with pytest.raises(TooFewSlicesError):
        slice_roles([99.999] + [100.0] * 4)


def test_too_few_slices_says_how_many():
    with pytest.raises(TooFewSlicesError, match="n_hip_slices is 4") as caught:
        slice_roles([500] * 4 + [0] * 20)
    assert caught.value.n_hip_slices == 4
    assert isinstance(caught.value, ScoringError)


def test_an_empty_stack_has_too_few():
    with pytest.raises(TooFewSlicesError):
        slice_roles([])


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_refuses_bad_areas(bad):
    with pytest.raises(ScoringError, match="head_mm2"):
        slice_roles([500, 500, 500, 500, bad])
