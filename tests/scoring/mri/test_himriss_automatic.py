"""Automatic HIMRISS from masks, lesion volumes and 3-D grading."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.errors import ScoringError
from scoring.mri.grading import grade_bme, grade_share
from scoring.mri.himriss_automatic import HeadFrame, automatic_himriss, effusion_thickness_mm, region_pixels
from scoring.mri.himriss_scheme import load_scheme, polygon_area
from scoring.mri.lesions import volume_ml
from scoring.mri.slices import TooFewSlicesError
from tests.scoring.mri.builders import BME, SYNOVITIS, hip_stack, random_case

SPACING = (4.0, 0.5, 0.5)
SIZE = 161
CENTRE = SIZE // 2
N = 15


@pytest.fixture
def hip():
    """A ball-like head of 20 mm radius in the middle, 0.5 mm pixels."""
    return hip_stack(N, SIZE, radii=[40.0 - abs(index - 7) for index in range(N)])


def paint(mask, index, name, bits, side="right"):
    """Fill one region of a central slice."""
    region = next(region for region in load_scheme().regions_of("central") if region.name == name)
    pixels = region_pixels(region.polygon, HeadFrame(CENTRE, CENTRE, 20.0), SPACING, side)
    mask[index, pixels[:, 0], pixels[:, 1]] |= bits


def test_empty_mask_scores_zero_with_full_evidence(hip):
    result = automatic_himriss(hip, SPACING, "right")
    assert (result.score.total, result.score.coverage, result.score.method) == (0, 1.0, "automatic")
    assert result.frame.radius_mm == pytest.approx(20.0, abs=0.1)
    assert (result.frame.row, result.frame.column) == (CENTRE, CENTRE)
    assert len(result.effusions) == 15
    assert len(result.regions) == 5 * 14 + 10 * 3


def test_painted_regions_are_found_by_name(hip):
    paint(hip, 7, "head_superior", BME)
    paint(hip, 7, "acetabulum_roof_medial", BME)
    result = automatic_himriss(hip, SPACING, "right")
    positive = {(item.index, item.region) for item in result.regions if item.is_positive}
    assert positive == {(7, "head_superior"), (7, "acetabulum_roof_medial")}
    assert (result.score.femoral_bme, result.score.acetabular_bme, result.score.effusion) == (1, 1, 0)


def test_neck_counts_as_femoral_only_where_the_femur_is_outlined(hip):
    paint(hip, 7, "neck_superior", 1 | BME)
    assert automatic_himriss(hip, SPACING, "right").score.femoral_bme == 1
    hip[hip == (1 | BME)] = BME
    assert automatic_himriss(hip, SPACING, "right").score.femoral_bme == 0


def test_region_needs_a_quarter_of_its_area(hip):
    frame = HeadFrame(CENTRE, CENTRE, 20.0)
    region = load_scheme().regions_of("central")[0]
    pixels = region_pixels(region.polygon, frame, SPACING, "right")
    quarter = -(-len(pixels) // 4)
    for n, expected in ((quarter - 1, 0), (quarter, 1)):
        mask = hip.copy()
        mask[7, pixels[:n, 0], pixels[:n, 1]] |= BME
        result = automatic_himriss(mask, SPACING, "right", frame=frame)
        assert result.score.femoral_bme == expected
        assert max(item.share for item in result.regions) == pytest.approx(n / len(pixels))


def test_effusion_is_graded_by_thickness(hip):
    for index, n_rows in ((5, 2), (7, 6), (9, 12)):
        hip[index, 10 : 10 + n_rows, 20:120] = SYNOVITIS
    grades = {item.index: (item.thickness_mm, item.grade) for item in automatic_himriss(hip, SPACING, "right").effusions}
    assert grades[5] == (1.0, 0)
    assert grades[7] == (3.0, 1)
    assert grades[9] == (6.0, 2)
    assert grades[6] == (0.0, 0)


def test_thickness_at_the_edge_of_the_image_is_not_endless():
    plane = np.ones((4, 100), bool)
    assert effusion_thickness_mm(plane, (1.0, 1.0)) == 4.0


def test_slice_without_a_head_is_not_scored(hip):
    hip[0] = 0
    result = automatic_himriss(hip, SPACING, "right")
    assert result.score.n_slices_scored == 14
    assert result.score.possible["effusion"] == 28
    assert {item.index for item in result.effusions} == set(range(1, 15))


def test_side_decides_what_is_medial(hip):
    paint(hip, 7, "head_medial_superior", BME)
    right = automatic_himriss(hip, SPACING, "right")
    left = automatic_himriss(hip, SPACING, "left")
    assert [item.region for item in right.regions if item.is_positive] == ["head_medial_superior"]
    assert [item.region for item in left.regions if item.is_positive] == ["head_lateral_superior"]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_mirrored_hips_agree(seed):
    mask, _ = random_case(seed, size=41)
    right = automatic_himriss(mask, (4.0, 1.0, 1.0), "right")
    left = automatic_himriss(mask[:, :, ::-1], (4.0, 1.0, 1.0), "left")
    assert left.score == right.score


def test_regions_have_the_area_of_their_polygons():
    frame = HeadFrame(100.3, 90.7, 30.0)
    for region in (*load_scheme().regions_of("central"), *load_scheme().regions_of("anterior")):
        expected = polygon_area(region.polygon) * 30.0**2 / 0.25
        assert len(region_pixels(region.polygon, frame, (4.0, 0.5, 0.5), "left")) == pytest.approx(expected, rel=0.02)


def test_regions_of_one_slice_do_not_overlap():
    frame = HeadFrame(100.3, 90.7, 30.0)
    for name in ("himriss-compatible-1", "himriss-compatible-2"):
        for role in ("central", "anterior"):
            pixels = [
                tuple(pixel)
                for region in load_scheme(name).regions_of(role)
                for pixel in region_pixels(region.polygon, frame, (4.0, 0.5, 0.5), "right").tolist()
            ]
            assert len(pixels) == len(set(pixels))


def test_refusals(hip):
    with pytest.raises(ScoringError, match="side"):
        automatic_himriss(hip, SPACING, "middle")
    with pytest.raises(ScoringError, match="spacing_mm"):
        automatic_himriss(hip, (4.0, 0.0, 0.5), "right")
    with pytest.raises(TooFewSlicesError):
        automatic_himriss(hip[:4], SPACING, "right")
    with pytest.raises(ScoringError, match="radius_mm"):
        region_pixels(((0, 0), (1, 0), (0, 1)), HeadFrame(5, 5, 0.0), SPACING, "right")
    with pytest.raises(ScoringError, match="pixels small enough"):
        automatic_himriss(hip, SPACING, "right", frame=HeadFrame(CENTRE + 0.5, CENTRE + 0.5, 0.1))


@pytest.mark.parametrize(("share", "grade"), [(0, 1), (14.999, 1), (15, 2), (29.999, 2), (30, 3), (100, 3)])
def test_grades_by_share(share, grade):
    assert grade_share(share) == grade


def test_grade_counts_bme_inside_the_head_only():
    mask = hip_stack(5, radii=[10.0] * 5)
    head = np.count_nonzero(mask & 2)
    mask[0][(mask[0] & 2) > 0] |= BME
    mask[1, 0, :20] = BME
    result = grade_bme(mask, (4.0, 1.0, 1.0))
    assert result.share_percent == pytest.approx(20.0)
    assert result.grade == 2
    assert result.head_ml == pytest.approx(head * 4 / 1000)
    assert result.bme_ml == pytest.approx(result.head_ml / 5)


def test_grade_needs_a_head():
    with pytest.raises(ScoringError, match="no femoral head"):
        grade_bme(np.zeros((5, 5, 5), np.uint8), (1, 1, 1))
    with pytest.raises(ScoringError, match="share_percent"):
        grade_share(101)


def test_volume():
    plane = np.zeros((2, 3, 4), bool)
    plane[0, 0, :3] = True
    assert volume_ml(plane, (4.4, 0.78125, 0.78125)) == pytest.approx(3 * 4.4 * 0.78125**2 / 1000)
