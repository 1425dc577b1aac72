"""The UNet-score: vectors of domain.md §1.8, definitions of design.md §4, and its invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.errors import ScoringError
from scoring.mri.slices import TooFewSlicesError
from scoring.mri.unet_score import score_hip, score_patient, score_sums
from tests.scoring.mri.builders import BME, SPACING, SYNOVITIS, hip_stack, random_case

CENTRE = 7


def uniform(mask, value=100.0):
    return np.full(mask.shape, value, np.float32)


def test_area_form_of_domain_1_8():
    lesion = [0, 120, 340, 510, 260, 80, 0, 0, 40, 10]
    head = [2100, 2600, 2900, 3000, 2950, 2800, 2500, 2200, 1900, 1500]
    result = score_sums(lesion, head)
    assert result.value == pytest.approx(0.4778, abs=5e-5)
    assert result.parts["mean_per_slice"] == pytest.approx(0.0478, abs=5e-5)


def test_intensity_form_of_domain_1_8():
    """Five slices, each 10 px of head (8 at 100, 2 of BME at 300) and 1 px of synovitis at 500."""
    mask = np.zeros((5, 4, 12), np.uint8)
    mask[:, 1, :10] = 3
    mask[:, 1, :2] |= BME
    mask[:, 3, 5] = SYNOVITIS
    pixels = uniform(mask)
    pixels[:, 1, :2] = 300
    pixels[:, 3, 5] = 500
    hip = score_hip(mask, pixels, (4.0, 4.0, 4.0), "right")
    for item in hip.slices:
        assert item.bme_femoral == pytest.approx(0.428571, abs=5e-7)
        assert item.synovitis == pytest.approx(0.357143, abs=5e-7)
        assert item.ratio == pytest.approx(0.785714, abs=5e-7)
        assert item.bme_acetabular == 0.0
    assert hip.unet_score == pytest.approx(5 * 0.785714, abs=5e-6)
    assert hip.mean_per_slice == pytest.approx(0.785714, abs=5e-7)
    assert hip.lesion_ml == pytest.approx(5 * 3 * 64 / 1000)


def test_parts_and_volume():
    mask = hip_stack()
    mask[CENTRE, 20:22, 20:22] |= BME
    mask[CENTRE, 2, 2:5] = BME
    mask[CENTRE, 40, 40] = SYNOVITIS
    hip = score_hip(mask, uniform(mask), SPACING, "left")
    head = np.count_nonzero(mask[CENTRE] & 2)
    assert hip.bme_femoral == pytest.approx(4 / head)
    assert hip.bme_acetabular == pytest.approx(3 / head)
    assert hip.synovitis == pytest.approx(1 / head)
    assert hip.unet_score == pytest.approx(8 / head)
    assert hip.lesion_ml == pytest.approx(8 * 4 / 1000)
    assert hip.slices[CENTRE].lesion_mm2 == 8.0
    assert hip.warnings == ()


def test_bme_in_the_femur_outside_the_head_is_femoral():
    mask = hip_stack()
    mask[CENTRE, 2, 2:5] = 1 | BME
    hip = score_hip(mask, uniform(mask), SPACING, "right")
    assert hip.bme_femoral > 0
    assert hip.bme_acetabular == 0


def test_slice_without_head_is_not_assessable_and_counted():
    mask = hip_stack()
    mask[2] = 0
    mask[2, 5, 5:9] = SYNOVITIS
    hip = score_hip(mask, uniform(mask), SPACING, "right")
    assert (hip.n_role_slices, hip.n_assessable_slices) == (15, 14)
    assert (hip.coverage, hip.assessable_coverage) == (1.0, pytest.approx(14 / 15))
    assert hip.slices[2].ratio is None
    assert hip.unet_score == 0.0
    assert hip.mean_per_slice == 0.0
    assert hip.lesion_ml == pytest.approx(4 * 4 / 1000)


def test_ratio_is_not_bounded_by_one():
    mask = hip_stack()
    mask[CENTRE, :8] = SYNOVITIS
    pixels = uniform(mask)
    pixels[mask == SYNOVITIS] = 1000
    assert score_hip(mask, pixels, SPACING, "right").unet_score > 1


def test_negative_intensities_count_as_zero_with_a_warning():
    mask = hip_stack()
    mask[CENTRE, 20, 20] |= BME
    pixels = uniform(mask)
    pixels[CENTRE, 20, 20] = -50
    hip = score_hip(mask, pixels, SPACING, "right")
    assert hip.unet_score == 0.0
    assert hip.warnings == ("1 negative intensities inside the mask were counted as 0",)


def test_negative_or_undefined_intensities_outside_the_mask_do_not_matter():
    mask = hip_stack()
    pixels = uniform(mask)
    pixels[0, 0, 0] = np.nan
    pixels[0, 0, 1] = -5
    assert score_hip(mask, pixels, SPACING, "right").warnings == ()


def test_dark_head_is_not_assessable():
    mask = hip_stack()
    pixels = uniform(mask)
    pixels[CENTRE] = 0
    hip = score_hip(mask, pixels, SPACING, "right")
    assert hip.n_assessable_slices == 14
    assert "no signal on slices [7]" in hip.warnings[0]


def test_no_assessable_slice_gives_no_score():
    mask = hip_stack()
    hip = score_hip(mask, np.zeros(mask.shape), SPACING, "right")
    assert (hip.unet_score, hip.bme_femoral, hip.mean_per_slice) == (None, None, None)
    assert hip.n_assessable_slices == 0
    assert score_patient(hip, None).worst is None


def test_small_head_and_lesion_outside_the_roles_are_said():
    mask = hip_stack(n_slices=24)
    mask[17] = 0
    mask[17, 5, 5:8] = 3
    mask[0, 5, 5] = SYNOVITIS
    hip = score_hip(mask, uniform(mask), SPACING, "right")
    assert any("below 100 mm² on slices [17]" in warning for warning in hip.warnings)
    assert any("0.00 mL of lesion" in warning for warning in hip.warnings)
    assert hip.n_role_slices == 15
    assert [item.index for item in hip.slices] == list(range(5, 20))


def test_broken_rules_are_put_right_and_said():
    mask = hip_stack()
    mask[CENTRE, 24, 24] = 3 | BME | SYNOVITIS
    mask[CENTRE, 2, 2] = BME | SYNOVITIS
    hip = score_hip(mask, uniform(mask), SPACING, "right")
    head = np.count_nonzero(mask[CENTRE] & 2)
    assert hip.bme_femoral == pytest.approx(1 / head)
    assert hip.bme_acetabular == 0
    assert hip.synovitis == pytest.approx(1 / head)
    assert "put right" in hip.warnings[0]


def test_too_few_slices():
    mask = hip_stack(n_slices=4)
    with pytest.raises(TooFewSlicesError):
        score_hip(mask, uniform(mask), SPACING, "right")


def test_empty_mask_has_too_few_slices():
    with pytest.raises(TooFewSlicesError):
        score_hip(np.zeros((15, 8, 8), np.uint8), np.zeros((15, 8, 8)), SPACING, "right")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"side": "both"}, "side"),
        ({"spacing_mm": (4, 0, 1)}, "spacing_mm"),
        ({"spacing_mm": (4, -1, 1)}, "spacing_mm"),
        ({"spacing_mm": (4, 1)}, "spacing_mm"),
        ({"mask": np.zeros((5, 5), np.uint8)}, "mask"),
        ({"mask": np.zeros((5, 5, 5))}, "mask"),
        ({"mask": np.full((15, 48, 48), 16, np.uint8)}, "mask"),
        ({"mask": np.full((15, 48, 48), -1, np.int16)}, "mask"),
        ({"pixels": np.zeros((15, 48, 47))}, "pixels"),
        ({"pixels": np.full((15, 48, 48), "a")}, "pixels"),
        ({"pixels": np.full((15, 48, 48), np.nan)}, "pixels"),
        ({"pixels": np.full((15, 48, 48), np.inf)}, "pixels"),
    ],
)
def test_refusals_name_the_field(change, field):
    mask = hip_stack()
    arguments = {"mask": mask, "pixels": uniform(mask), "spacing_mm": SPACING, "side": "right", **change}
    with pytest.raises(ScoringError) as caught:
        score_hip(**arguments)
    assert caught.value.field == field


def test_patient_needs_both_hips_for_sum_and_mean():
    mask = hip_stack()
    mask[CENTRE, 24, 24] |= BME
    right, left = (score_hip(mask, uniform(mask), SPACING, side) for side in ("right", "left"))
    both = score_patient(right, left)
    assert both.sum == pytest.approx(2 * right.unet_score)
    assert both.mean == pytest.approx(right.unet_score)
    assert (both.worst, both.worst_of) == ("right", ("right", "left"))
    alone = score_patient(None, left)
    assert (alone.sum, alone.mean, alone.right) == (None, None, None)
    assert (alone.worst, alone.worst_score, alone.worst_of) == ("left", left.unet_score, ("left",))
    nobody = score_patient(None, None)
    assert (nobody.worst, nobody.worst_score, nobody.worst_of) == (None, None, ())


def test_patient_refuses_exchanged_sides():
    mask = hip_stack()
    hip = score_hip(mask, uniform(mask), SPACING, "left")
    with pytest.raises(ScoringError, match="right"):
        score_patient(hip, None)


def test_sums_refuse_other_lengths_and_count_missing_heads():
    with pytest.raises(ScoringError, match="head"):
        score_sums([1, 2], [3])
    result = score_sums([1, 2], [0, 4])
    assert result.value == 0.5
    assert (result.parts["n_slices"], result.parts["n_assessable_slices"]) == (2, 1)
    assert score_sums([1], [0]).value is None


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.floats(1e-3, 1e3))
def test_scaling_all_intensities_changes_nothing(seed, factor):
    mask, pixels = random_case(seed)
    one = score_hip(mask, pixels, SPACING, "right")
    other = score_hip(mask, pixels.astype(np.float64) * factor, SPACING, "right")
    assert other.unet_score == pytest.approx(one.unet_score, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_mirrored_hip_has_the_same_score(seed):
    mask, pixels = random_case(seed)
    right = score_hip(mask, pixels, SPACING, "right")
    left = score_hip(mask[:, :, ::-1], pixels[:, :, ::-1], SPACING, "left")
    assert left.unet_score == pytest.approx(right.unet_score, rel=1e-12)
    assert left.lesion_ml == right.lesion_ml


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_parts_add_up_and_more_lesion_never_scores_less(seed):
    mask, pixels = random_case(seed)
    one = score_hip(mask, pixels, SPACING, "right")
    assert one.bme_femoral + one.bme_acetabular + one.synovitis == pytest.approx(one.unet_score)
    assert sum(item.ratio for item in one.slices if item.ratio is not None) == pytest.approx(one.unet_score)
    assert 0 <= one.assessable_coverage <= one.coverage <= 1
    more = mask.copy()
    more[:, 4:12, 4:12] |= np.where(more[:, 4:12, 4:12] & (BME | SYNOVITIS), 0, BME).astype(np.uint8)
    assert score_hip(more, pixels, SPACING, "right").unet_score >= one.unet_score - 1e-12
