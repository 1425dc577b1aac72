"""BASDAI against the vectors of domain.md §2.1 (the R package's and CamCOPS's tests among them)."""

import pytest

from scoring.clinical.basdai import basdai, basdai_state
from scoring.errors import ScoringError


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ((0, 0, 0, 0, 0, 0), 0.00),
        ((10, 10, 10, 10, 10, 10), 10.00),
        ((1, 2, 3, 4, 5, 10), 3.50),
        ((6, 5, 4, 5, 8, 6), 5.40),
        ((0, 0, 3, 4, 5, 0), 1.90),
        ((5, 6, 2, 3, 7, 4), 4.30),
        ((3.5, 4.2, 2.1, 1.8, 5.0, 2.5), 3.07),
        ((4, 4, 4, 4, 4, 4), 4.00),
    ],
)
def test_golden(items, expected):
    assert basdai(*items).value == pytest.approx(expected, abs=1e-9)


def test_active_from_four_inclusive():
    assert basdai(4, 4, 4, 4, 4, 4).state == "active"
    assert basdai_state(3.9999) == "not active"


def test_one_stiffness_item_stands_for_the_other():
    result = basdai(1, 2, 3, 4, None, 10)
    assert result.value == pytest.approx((1 + 2 + 3 + 4 + 10) / 5)
    assert result.missing == ("q5",)
    assert "q5 or q6" in result.missing_rule


def test_one_missing_item_gives_the_mean_of_the_remaining_components():
    result = basdai(None, 2, 3, 4, 5, 10)
    assert result.value == pytest.approx((2 + 3 + 4 + 7.5) / 4)
    assert result.missing == ("q1",)
    assert "remaining" in result.missing_rule


@pytest.mark.parametrize("items", [(None, None, 3, 4, 5, 6), (1, 2, 3, 4, None, None), (None, 2, 3, 4, None, 6)])
def test_two_missing_items_give_no_value(items):
    result = basdai(*items)
    assert result.value is None
    assert result.state is None
    assert len(result.missing) == 2
    assert result.missing_rule


def test_nothing_missing_names_no_rule():
    assert basdai(1, 2, 3, 4, 5, 6).missing_rule == ""


@pytest.mark.parametrize("bad", [-0.1, 10.1, float("nan"), float("inf"), "5", True])
def test_refuses_bad_items(bad):
    with pytest.raises(ScoringError, match=r"q3 is .*from 0 to 10") as caught:
        basdai(1, 2, bad, 4, 5, 6)
    assert caught.value.field == "q3"
