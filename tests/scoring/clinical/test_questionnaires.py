"""BASFI, HOOS, VAS and BASRI-hip against domain.md §2.4, §2.6–2.8."""

import pytest

from scoring.clinical.basfi import basfi
from scoring.clinical.basri import basri_hip
from scoring.clinical.hoos import SUBSCALES, hoos, hoos_subscale
from scoring.clinical.vas import vas
from scoring.errors import ScoringError


@pytest.mark.parametrize(
    ("items", "expected"),
    [((0,) * 10, 0), ((10,) * 10, 10), ((2, 3, 1, 4, 2, 0, 5, 3, 2, 6), 2.8), ((7, 5, 6, 8, 4, 3, 9, 6, 7, 8), 6.3)],
)
def test_basfi_golden(items, expected):
    result = basfi(*items)
    assert result.value == pytest.approx(expected)
    assert result.missing_rule == ""


def test_basfi_two_missing_are_left_out_three_are_too_many():
    result = basfi(None, None, 1, 4, 2, 0, 5, 3, 2, 6)
    assert result.value == pytest.approx(23 / 8)
    assert result.missing == ("q1", "q2")
    assert "mean of the rest" in result.missing_rule
    empty = basfi(None, None, None, 4, 2, 0, 5, 3, 2, 6)
    assert empty.value is None
    assert "more than two" in empty.missing_rule


def test_basfi_refuses():
    with pytest.raises(ScoringError, match="q10 is 11"):
        basfi(1, 1, 1, 1, 1, 1, 1, 1, 1, 11)


def test_hoos_golden():
    assert hoos_subscale("pain", [1, 2, 1, 0, 3, 2, 1, 1, 2, 0]).value == pytest.approx(67.5)
    result = hoos_subscale("symptoms", [1, 1, 2, None, 0])
    assert result.value == pytest.approx(75.0)
    assert result.missing == ("symptoms_4",)
    assert "at least half" in result.missing_rule


@pytest.mark.parametrize(("subscale", "n"), SUBSCALES.items())
def test_hoos_needs_half_of_the_items(subscale, n):
    half = [1] * ((n + 1) // 2) + [None] * (n // 2)
    assert hoos_subscale(subscale, half).value == 75.0
    assert hoos_subscale(subscale, [*half[1:], None]).value is None


def test_hoos_has_subscales_and_no_total():
    both = hoos(pain=[0] * 10, qol=[4] * 4)
    assert both.value is None
    assert both.parts == {"pain": 100.0, "qol": 0.0}
    assert hoos(sport=[0, 0, 4, 4]).value == 50.0
    mixed = hoos(symptoms=[1, 1, 2, None, 0], pain=[None] * 10)
    assert mixed.missing_rule.count(";") == 1


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: hoos_subscale("knee", []), "subscale"),
        (lambda: hoos_subscale("qol", [1, 2, 3]), "qol"),
        (lambda: hoos_subscale("qol", "1234"), "qol"),
        (lambda: hoos_subscale("qol", [1, 2, 3, 5]), "qol_4"),
        (lambda: hoos_subscale("qol", [1, 2, 3, 2.5]), "qol_4"),
        (lambda: hoos(), "hoos"),
    ],
)
def test_hoos_refusals(call, field):
    with pytest.raises(ScoringError) as caught:
        call()
    assert caught.value.field == field


@pytest.mark.parametrize(("value", "unit", "expected"), [(37, "mm", 3.7), (3.7, "cm", 3.7), (4, "0-10", 4), (4, None, 4)])
def test_vas_units(value, unit, expected):
    result = vas(value, unit)
    assert result.value == pytest.approx(expected)
    assert result.form == (unit or "0-10")


def test_vas_missing_stays_missing():
    assert vas(None).missing == ("value",)


@pytest.mark.parametrize(("value", "unit"), [(37, None), (37, "cm"), (101, "mm"), (-1, None), (3, "inch")])
def test_vas_refuses(value, unit):
    with pytest.raises(ScoringError):
        vas(value, unit)
    with pytest.raises(ScoringError, match="unit=mm"):
        vas(37)


@pytest.mark.parametrize(
    ("grade", "state", "definite"),
    [(0, "normal", False), (1, "suspicious", False), (2, "mild", True), (3, "moderate", True), (4, "severe", True)],
)
def test_basri_states(grade, state, definite):
    result = basri_hip(grade)
    assert result.state == state
    assert result.parts["is_definite"] is definite


def test_basri_two_features_raise_the_grade_once():
    assert basri_hip(2, erosions=True, osteophytes=True, protrusio=True).value == 3
    assert basri_hip(2, erosions=True).value == 2
    assert basri_hip(4, erosions=True, osteophytes=True).value == 4


def test_basri_missing_and_refused():
    assert basri_hip(None).value is None
    for bad in (5, 1.5, -1):
        with pytest.raises(ScoringError, match="grade"):
            basri_hip(bad)
    with pytest.raises(ScoringError, match="erosions"):
        basri_hip(2, erosions="yes")
