"""ASDAS against the vectors of domain.md §2.2."""

import pytest

from scoring.clinical.asdas import asdas_crp, asdas_esr, asdas_state
from scoring.errors import ScoringError

CRP_VECTORS = [
    ((0, 0, 0, 0, 0), 0.6372, 0.6361, "inactive"),
    ((2, 1, 2, 0, 1.0), 1.1572, 1.1561, "inactive"),
    ((1, 1, 1, 1, 1.9), 0.9972, 0.9981, "inactive"),
    ((3, 2, 3, 1, 5), 1.9192, 1.9194, "low"),
    ((5, 4, 5, 3, 0.5), 2.2372, 2.2421, "high"),
    ((4, 3, 4, 2, 11.8), 2.7187, 2.7201, "high"),
    ((6, 5, 6, 4, 10), 3.3508, 3.3564, "high"),
    ((7, 6, 8, 5, 40), 4.5839, 4.5902, "very high"),
    ((10, 10, 10, 10, 100), 6.2768, 6.2922, "very high"),
    ((0, 0, 0, 10, 10), 2.0908, 2.1184, "high"),
    ((5, 4, 3, 8, 20), 3.4958, 3.5138, "very high"),
]
ESR_VECTORS = [
    ((0, 0, 0, 0, 0), 0.0, 0.0, "inactive"),
    ((2, 1, 2, 0, 9), 1.3200, 1.3320, "low"),
    ((3, 2, 3, 1, 16), 1.9600, 1.9720, "low"),
    ((4, 3, 4, 2, 18.25), 2.3889, 2.3987, "high"),
    ((6, 5, 6, 4, 25), 3.3000, 3.3060, "high"),
    ((7, 6, 8, 5, 64), 4.6300, 4.6450, "very high"),
    ((10, 10, 10, 10, 100), 6.4000, 6.4000, "very high"),
]


@pytest.mark.parametrize(("items", "short", "long", "state"), CRP_VECTORS)
def test_crp_golden(items, short, long, state):
    assert asdas_crp(*items, form="2-decimal").value == pytest.approx(short, abs=5e-5)
    result = asdas_crp(*items)
    assert result.value == pytest.approx(long, abs=5e-5)
    assert result.state == state
    assert result.form == "3-decimal"


@pytest.mark.parametrize(("items", "short", "long", "state"), ESR_VECTORS)
def test_esr_golden(items, short, long, state):
    assert asdas_esr(*items, form="2-decimal").value == pytest.approx(short, abs=5e-5)
    result = asdas_esr(*items)
    assert result.value == pytest.approx(long, abs=5e-5)
    assert result.state == state


def test_two_forms_disagree_at_the_boundaries():
    assert asdas_crp(0, 0, 0, 10, 10, form="2-decimal").state == "low"
    assert asdas_crp(5, 4, 3, 8, 20, form="2-decimal").state == "high"


def test_mg_dl_is_converted():
    converted = asdas_crp(4, 3, 4, 2, crp_mg_dl=1.18)
    assert converted.value == pytest.approx(asdas_crp(4, 3, 4, 2, 11.8).value, abs=1e-12)
    assert converted.parts["crp_mg_l"] == pytest.approx(11.8)
    assert asdas_crp(4, 3, 4, 2, crp=1.18, crp_unit="mg/dL").value == converted.value


def test_crp_typed_in_the_wrong_unit_is_a_category_too_low():
    assert asdas_crp(4, 3, 4, 2, 1.18, form="2-decimal").value == pytest.approx(1.8772, abs=5e-5)
    assert asdas_crp(4, 3, 4, 2, 1.18, form="2-decimal").state == "low"


def test_suspect_unit_is_asked_only_where_none_was_given():
    assert "is this mg/dL?" in asdas_crp(4, 3, 4, 2, crp=1.18).warnings[0]
    assert asdas_crp(4, 3, 4, 2, crp=3.0).warnings == ()
    assert asdas_crp(4, 3, 4, 2, 1.18).warnings == ()
    assert asdas_crp(4, 3, 4, 2, crp=1.18, crp_unit="mg/L").warnings == ()


def test_high_laboratory_values_are_warnings():
    assert "250" in asdas_crp(4, 3, 4, 2, 250).warnings[0]
    assert "151" in asdas_esr(4, 3, 4, 2, 151).warnings[0]
    assert asdas_esr(4, 3, 4, 2, 150).warnings == ()


def test_floor_is_shown():
    assert asdas_crp(0, 0, 0, 0, 0.5).parts == {"crp_mg_l": 0.5, "crp_used_mg_l": 2.0, "crp_floor_applied": True}
    assert asdas_crp(0, 0, 0, 0, 2.0).parts["crp_floor_applied"] is False


def test_missing_items_are_never_imputed():
    result = asdas_crp(4, None, 4, 2)
    assert (result.value, result.state) == (None, None)
    assert result.missing == ("stiffness_duration", "crp_mg_l")
    assert result.missing_rule == "any item missing: no value"
    assert asdas_esr(4, 3, 4, 2).missing == ("esr_mm_h",)


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (1.2999, "inactive"),
        (1.3, "low"),
        (1.3 - 1e-12, "low"),
        (2.0999, "low"),
        (2.1, "high"),
        (3.5, "high"),
        (3.5 + 1e-12, "high"),
        (3.5001, "very high"),
    ],
)
def test_states(value, state):
    assert asdas_state(value) == state


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"crp_mg_l": -1}, "crp_mg_l"),
        ({"crp_mg_l": 501}, "crp_mg_l"),
        ({"crp_mg_dl": 51}, "crp_mg_dl"),
        ({"crp": float("nan")}, "crp"),
        ({"crp": 5, "crp_unit": "nmol/L"}, "crp_unit"),
        ({"crp_mg_l": 5, "crp_mg_dl": 0.5}, "crp"),
        ({"crp_mg_l": 5, "form": "four-decimal"}, "form"),
    ],
)
def test_refusals_name_the_field(arguments, field):
    with pytest.raises(ScoringError) as caught:
        asdas_crp(4, 3, 4, 2, **arguments)
    assert caught.value.field == field
    assert field in str(caught.value)


def test_impossible_esr_is_refused():
    with pytest.raises(ScoringError, match="esr_mm_h is 301"):
        asdas_esr(4, 3, 4, 2, 301)
