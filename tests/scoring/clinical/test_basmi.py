"""BASMI against the vectors of domain.md §2.5."""

import pytest

from scoring.clinical.basmi import MEASURES, basmi, basmi_3point
from scoring.errors import ScoringError

VECTORS = [
    ((21.1, 8, 7.4, 124.5, 89.3), (0, 0, 0, 0, 0), 0.0),
    ((0.1, 38, 0.4, 24.5, 4.3), (10, 10, 10, 10, 10), 10.0),
    ((12, 14, 4.5, 100, 60), (4.3333, 2, 4.1429, 2.45, 3.4471), 3.2746),
    ((16.5, 11, 5.5, 115, 75), (2.1905, 1, 2.7143, 0.95, 1.6824), 1.7074),
    ((5, 22, 2, 70, 30), (7.6667, 4.6667, 7.7143, 5.45, 6.9765), 6.4948),
    ((25, 6, 9, 140, 95), (0, 0, 0, 0, 0), 0.0),
]


@pytest.mark.parametrize(("measured", "components", "expected"), VECTORS)
def test_linear_golden(measured, components, expected):
    result = basmi(*measured)
    assert result.value == pytest.approx(expected, abs=5e-5)
    assert [result.parts[name] for name in MEASURES] == pytest.approx(components, abs=5e-5)


@pytest.mark.parametrize(
    ("measured", "points"),
    [
        ((10.1, 14.9, 4.1, 100.1, 70.1), (0, 0, 0, 0, 0)),
        ((10, 15, 4, 100, 70), (1, 1, 1, 1, 1)),
        ((5, 30, 2, 70, 20), (1, 1, 1, 1, 1)),
        ((4.9, 30.1, 1.9, 69.9, 19.9), (2, 2, 2, 2, 2)),
    ],
)
def test_three_point_limits(measured, points):
    result = basmi_3point(*measured)
    assert [result.parts[name] for name in MEASURES] == list(points)
    assert result.value == sum(points)
    assert basmi(*measured).parts["three_point"] == sum(points)


def test_right_and_left_enter_as_their_mean():
    assert basmi((10, 14), (12, 16), 4.5, 100, [50, 70]).value == pytest.approx(basmi(12, 14, 4.5, 100, 60).value)


@pytest.mark.parametrize("function", [basmi, basmi_3point])
def test_missing_measurement_gives_no_value(function):
    result = function(12, None, 4.5, 100, 60)
    assert result.value is None
    assert result.missing == ("tragus_to_wall_cm",)
    assert result.missing_rule


@pytest.mark.parametrize(
    ("measured", "field"),
    [
        ((-1, 14, 4.5, 100, 60), "lateral_flexion_cm"),
        ((12, 14, (4, 5), 100, 60), "schober_cm"),
        (((1, 2, 3), 14, 4.5, 100, 60), "lateral_flexion_cm"),
        (((1, None), 14, 4.5, 100, 60), "lateral_flexion_cm"),
        ((12, 14, 4.5, 100, "60"), "cervical_rotation_deg"),
    ],
)
def test_refusals(measured, field):
    with pytest.raises(ScoringError) as caught:
        basmi(*measured)
    assert caught.value.field == field
