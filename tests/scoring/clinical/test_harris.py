"""Harris hip score against the vectors of domain.md §2.3."""

import pytest

from scoring.clinical.harris import harris, harris_grade, range_of_motion_index
from scoring.errors import ScoringError

# pain, limp, support, distance, sitting, transport, stairs, shoes; deformity; flexion, abduction, external rotation, adduction
VECTORS = [
    ((44, 11, 11, 11, 5, 1, 4, 4), 4, (110, 20, 15, 15), 5.000, 100.000, "excellent"),
    ((0, 0, 0, 0, 0, 0, 0, 0), 0, (0, 0, 0, 0), 0.0, 0.0, "poor"),
    ((30, 8, 11, 8, 5, 1, 2, 4), 4, (100, 18, 12, 10), 4.735, 77.735, "fair"),
    ((20, 5, 7, 5, 3, 1, 2, 2), 4, (80, 15, 10, 10), 4.200, 53.200, "poor"),
    ((10, 5, 3, 2, 3, 0, 1, 2), 0, (50, 10, 5, 5), 2.950, 28.950, "poor"),
    ((30, 8, 11, 11, 5, 1, 4, 2), 4, (90, 20, 15, 15), 4.725, 80.725, "good"),
    ((40, 11, 11, 11, 5, 1, 4, 4), 0, (110, 20, 15, 15), 5.000, 92.000, "excellent"),
]
BEST = {
    "pain": 44, "limp": 11, "support": 11, "distance": 11, "stairs": 4, "shoes": 4, "sitting": 5, "transport": 1,
    "fixed_flexion_under_30": True, "fixed_adduction_under_10": True, "fixed_internal_rotation_under_10": True,
    "leg_difference_under_3_2_cm": True, "flexion_deg": 110, "abduction_deg": 20, "external_rotation_deg": 15,
    "adduction_deg": 15,
}  # fmt: skip


@pytest.mark.parametrize(("points", "deformity", "degrees", "motion", "total", "grade"), VECTORS)
def test_golden(points, deformity, degrees, motion, total, grade):
    pain, limp, support, distance, sitting, transport, stairs, shoes = points
    flags = (True, True, True, deformity == 4)
    result = harris(pain, limp, support, distance, stairs, shoes, sitting, transport, *flags, *degrees)
    assert result.value == pytest.approx(total, abs=1e-9)
    assert result.parts["range_of_motion"] == pytest.approx(motion, abs=1e-9)
    assert result.parts["deformity"] == deformity
    assert result.state == grade


def test_motion_index_is_capped_and_kept():
    result = harris(**BEST)
    assert result.parts["range_of_motion_index"] == pytest.approx(100.5)
    assert result.parts["range_of_motion"] == 5.0


def test_motion_beyond_the_last_band_counts_no_more():
    wide = {"flexion_deg": 140.0, "abduction_deg": 45.0, "external_rotation_deg": 60.0, "adduction_deg": 30.0}
    assert range_of_motion_index(wide) == pytest.approx(100.5)


def test_deformity_is_all_or_nothing_and_keeps_the_booleans():
    result = harris(**{**BEST, "fixed_adduction_under_10": False})
    assert result.value == 96.0
    assert result.parts["fixed_adduction_under_10"] is False
    assert result.parts["fixed_flexion_under_30"] is True


def test_modified_score():
    assert harris(**BEST).parts["modified"] == pytest.approx(91 * 1.1)


@pytest.mark.parametrize("item", BEST)
def test_any_missing_item_gives_no_value(item):
    result = harris(**{**BEST, item: None})
    assert result.value is None
    assert result.missing == (item,)
    assert result.missing_rule


@pytest.mark.parametrize(
    ("value", "grade"), [(100, "excellent"), (90, "excellent"), (89.99, "good"), (80, "good"), (79.9, "fair"), (69.9, "poor")]
)
def test_grades(value, grade):
    assert harris_grade(value) == grade


@pytest.mark.parametrize(
    ("item", "bad"),
    [("pain", 43), ("limp", 7), ("transport", 2), ("flexion_deg", 181), ("adduction_deg", -1), ("fixed_flexion_under_30", 1)],
)
def test_refusals_name_the_field(item, bad):
    with pytest.raises(ScoringError) as caught:
        harris(**{**BEST, item: bad})
    assert caught.value.field == item
    assert caught.value.value == bad
