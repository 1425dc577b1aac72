"""The synthetic hips: what a seed fixes, what severity changes, where the truth lies, how lesions look."""

import numpy as np
import pytest

from ml.labels import BME, FEMORAL_HEAD, FEMUR, SYNOVITIS
from ml.phantom import Phantom, Severity, generate
from ml.phantom.anatomy import Tissue, draw_anatomy
from ml.phantom.appearance import STYLES, draw_palette, render
from ml.phantom.lesions import draw_severities
from ml.phantom.scenes import SCENES

ILL = Severity(bme=0.7, synovitis=0.7)


@pytest.fixture(scope="module")
def two_sided() -> Phantom:
    return generate(4, severity={"right": ILL, "left": ILL}, target="both", style="stir", n_slices=16)


def quick(seed: int, **choices: object) -> Phantom:
    """A study of one hip with few slices, several times faster than a whole pelvis."""
    return generate(seed, **{"target": "right", "n_slices": 16, **choices})


def head_points(phantom: Phantom, side: str) -> np.ndarray:
    """LPS of the voxels of one hip's head."""
    points = phantom.volume.to_lps(np.argwhere(phantom.masks & FEMORAL_HEAD))
    return points[np.linalg.norm(points - phantom.hips[side].centre_mm, axis=1) < 45]


def test_a_seed_gives_the_same_study_again():
    first, second = quick(17), quick(17)
    assert np.array_equal(first.volume.pixels, second.volume.pixels)
    assert np.array_equal(first.masks, second.masks)
    assert first.hips == second.hips
    assert first.volume.uids == second.volume.uids
    assert first.tags == second.tags


def test_seeds_give_different_people():
    radii = {draw_anatomy(seed).hips["right"].radius_mm for seed in range(200)}
    distances = [draw_anatomy(seed).head_distance for seed in range(200)]
    assert len(radii) > 180
    assert min(radii) >= 18.99
    assert max(radii) <= 29.01
    assert np.ptp(list(radii)) > 7
    assert min(distances) >= 138
    assert max(distances) <= 212
    assert np.ptp(distances) > 45


def test_a_visit_changes_the_acquisition_but_not_the_person():
    severity = {"right": ILL}
    first, second = (quick(23, visit=visit, severity=severity) for visit in (0, 1))
    assert first.volume.spacing_mm != second.volume.spacing_mm
    assert not set(first.volume.uids) & set(second.volume.uids)
    assert first.hips["right"].radius_mm == second.hips["right"].radius_mm


def test_truth_and_pixels_share_one_grid(two_sided):
    shape = two_sided.volume.pixels.shape
    assert two_sided.masks.shape == two_sided.tissues.shape == shape
    assert two_sided.masks.dtype == two_sided.tissues.dtype == np.uint8
    assert two_sided.volume.pixels.dtype == np.float32
    assert two_sided.volume.pixels.min() >= 0
    assert len(set(two_sided.volume.uids)) == shape[0]
    step = np.linalg.norm(two_sided.volume.affine[:3, :3], axis=0)
    assert step == pytest.approx(two_sided.volume.spacing_mm)


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_label_rules_hold(seed):
    masks = quick(seed, involvement="both").masks
    assert (masks & (BME | SYNOVITIS)).any()
    assert not ((masks & FEMORAL_HEAD) > 0)[(masks & FEMUR) == 0].any()
    assert not ((masks & BME) > 0)[(masks & SYNOVITIS) > 0].any()
    assert masks.max() < 16


@pytest.mark.parametrize("plane", ["coronal", "axial"])
@pytest.mark.parametrize("target", ["right", "left"])
def test_the_centre_is_the_middle_of_the_head(target, plane):
    phantom = quick(9, plane=plane, target=target, style="stir", n_slices=26)
    measured = 0
    for side, hip in phantom.hips.items():
        points = head_points(phantom, side)
        volume_mm3 = len(points) * np.prod(phantom.volume.spacing_mm)
        if volume_mm3 < 0.93 * 4 / 3 * np.pi * hip.radius_mm**3:  # cut off by the stack's end
            continue
        assert np.linalg.norm(points.mean(axis=0) - hip.centre_mm) < 2
        measured += 1
    assert measured >= 1


def test_the_right_hip_lies_at_small_columns(two_sided):
    right, left = (two_sided.hips[side].centre_mm for side in ("right", "left"))
    assert right[0] < left[0]
    assert two_sided.volume.to_index(right)[2] < two_sided.volume.to_index(left)[2]
    assert 130 < np.linalg.norm(np.subtract(right, left)) < 220


def test_slices_run_backward_and_rows_downward(two_sided):
    directions = two_sided.volume.affine[:3, :3] / np.asarray(two_sided.volume.spacing_mm)
    assert directions[1, 0] > np.cos(np.deg2rad(25))  # slices: anterior to posterior
    assert directions[2, 1] < -np.cos(np.deg2rad(25))  # rows: superior to inferior
    assert np.linalg.det(directions) == pytest.approx(-1)  # slice, row and column: a left-handed order of right-handed axes


def test_a_third_of_patients_are_normal_and_some_are_one_sided():
    drawn = [draw_severities(np.random.default_rng([seed, 12]), None) for seed in range(600)]
    ill = np.array([[s.bme > 0 or s.synovitis > 0 for s in one.values()] for one in drawn])
    assert (ill.sum(axis=1) == 0).mean() > 0.25
    assert (ill.sum(axis=1) == 1).mean() > 0.15
    assert (ill.sum(axis=1) == 2).mean() > 0.25


@pytest.mark.parametrize("seed", [30, 31, 32])
def test_a_normal_patient_has_no_lesion_label(seed):
    phantom = quick(seed, involvement="normal")
    assert not (phantom.masks & (BME | SYNOVITIS)).any()
    assert (phantom.masks & FEMORAL_HEAD).any()
    assert all(hip.bme_ml == 0 and hip.synovitis_ml == 0 for hip in phantom.hips.values())


@pytest.mark.parametrize(("involvement", "healthy"), [("right", "left"), ("left", "right")])
def test_one_sided_disease_stays_on_its_side(involvement, healthy):
    hips = generate(41, involvement=involvement, target="both", n_slices=16).hips
    assert hips[involvement].bme_ml + hips[involvement].synovitis_ml > 0
    assert hips[healthy].bme_ml == hips[healthy].synovitis_ml == 0


def test_lesions_grow_with_severity():
    grades = (0.0, 0.3, 0.95)
    bme, synovitis = np.array(
        [[(hip.bme_ml, hip.synovitis_ml) for hip in (_graded(seed, grade).hips["left"] for grade in grades)] for seed in (50, 51)]
    ).transpose(2, 0, 1)
    assert (bme[:, 0] == 0).all()
    assert (synovitis[:, 0] == 0).all()
    assert (np.diff(bme, axis=1) > 0).all()
    assert (np.diff(synovitis, axis=1) > 0).all()


def _graded(seed: int, grade: float) -> Phantom:
    return quick(seed, severity={"left": Severity(grade, grade)}, target="left", style="stir")


def test_sizes_range_from_small_to_large():
    small = quick(60, severity={"right": Severity(bme=0.02)}).hips["right"]
    large = [quick(seed, severity={"right": Severity(bme=1.0)}).hips["right"].bme_ml for seed in (61, 62)]
    assert small.bme_ml < 1.5
    assert max(large) > 4


def test_oedema_is_brighter_than_marrow_with_fat_suppression():
    contrasts = []
    for seed in range(70, 75):
        phantom = quick(seed, severity={"right": Severity(bme=0.8)}, style="stir")
        contrasts.append(phantom.hips["right"].contrast)
    assert min(contrasts) > 1.05
    assert np.median(contrasts) > 1.4


def test_palettes_keep_inflammation_bright_except_on_t1():
    for seed in range(100):
        for style in ("stir", "random", "t2"):
            palette = draw_palette(np.random.default_rng(seed), style)
            assert palette[Tissue.SYNOVITIS] >= 1.2 * palette[Tissue.MARROW]
        t1 = draw_palette(np.random.default_rng(seed), "t1")
        assert t1[Tissue.FAT] > t1[Tissue.MUSCLE] > t1[Tissue.FLUID] * 0.8


@pytest.mark.parametrize("style", STYLES)
def test_fat_and_marrow_follow_the_style(style):
    phantom = quick(80, style=style, involvement="normal")
    mean = {tissue: float(phantom.volume.pixels[phantom.tissues == tissue].mean()) for tissue in (Tissue.FAT, Tissue.MUSCLE)}
    if style in ("t1", "t2"):
        assert mean[Tissue.FAT] > 1.3 * mean[Tissue.MUSCLE]
    elif style == "stir":
        assert mean[Tissue.FAT] < mean[Tissue.MUSCLE]


def test_rendering_a_tissue_map_again_changes_only_the_contrast(two_sided):
    bright_fat = render(two_sided.tissues, two_sided.volume.spacing_mm, np.random.default_rng(1), style="t1")
    assert bright_fat.shape == two_sided.tissues.shape
    assert bright_fat.dtype == np.float32
    fat, muscle = (float(bright_fat[two_sided.tissues == tissue].mean()) for tissue in (Tissue.FAT, Tissue.MUSCLE))
    assert fat > 1.3 * muscle


@pytest.mark.parametrize("scene", SCENES)
def test_pictures_without_hips_have_no_truth(scene):
    phantom = quick(90, hips=False, scene=scene, n_slices=20)
    assert phantom.volume.pixels.shape[0] == 20
    assert phantom.hips == {}
    assert not phantom.masks.any()
    assert phantom.volume.pixels.std() > 0
    assert phantom.scene == scene


def test_a_single_hip_field_of_view_knows_only_what_it_holds():
    phantom = quick(95, involvement="both")
    assert set(phantom.hips) == {"right"}
    assert phantom.volume.pixels.shape[2] * phantom.volume.spacing_mm[2] < 260


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"plane": "oblique"}, "plane is 'oblique'"),
        ({"style": "ct"}, "style is 'ct'"),
        ({"involvement": "some"}, "involvement is 'some'"),
        ({"target": "middle"}, "target is 'middle'"),
        ({"hips": False, "scene": "moon"}, "scene is 'moon'"),
        ({"severity": {"top": Severity()}}, "severity names top"),
    ],
)
def test_a_wrong_argument_is_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        generate(1, **arguments)


def test_severity_stays_between_0_and_1():
    with pytest.raises(ValueError, match=r"severity bme is 1\.2"):
        Severity(bme=1.2)
