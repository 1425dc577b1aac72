"""Quality flags: each number rises with its fault, and each fault of a phantom is flagged."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from ml.phantom import generate
from ml.quality import check, defects, features, flags, read_thresholds
from ml.quality.command import FALSE_ALARMS, Numbers, _faultless, _leaky, hips_of, thresholds_of
from tests.ml.hips_cases import LOCALISER_HEADS, localiser, stack
from tests.ml.toys import make_volume

RNG = np.random.default_rng(3)
KINDS = set(flags.STACK_KINDS) | set(flags.HIP_KINDS)


@pytest.fixture(scope="module")
def phantom():
    """One ordinary right hip."""
    return generate(15_003, style="stir", target="right", n_slices=16, protocol=_faultless)


@pytest.fixture(scope="module")
def thresholds():
    return read_thresholds()


def clouds(shape=(5, 200, 240), sigma=6.0):
    """Smooth random patches with a level of 100."""
    field = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=shape), (1, sigma, sigma))
    return (100 + 30 * field / field.std()).clip(1).astype(np.float32)


def codes(found):
    return {flag.code for flag in found}


def test_the_thresholds_are_of_every_kind_and_say_how_they_were_made():
    kept = json.loads(flags.THRESHOLDS.read_text())
    assert set(kept["limits"]) == KINDS
    assert kept["command"].startswith("python -m ml quality")
    assert all(row["n"] >= 40 for row in kept["limits"].values())
    assert {kind for kind, row in kept["limits"].items() if row["stop"] is not None} == set(flags.STOPPING)
    assert all(row["stop"] is None or row["stop"] >= row["mark"] for row in kept["limits"].values())


@pytest.mark.parametrize("sigma", [2.0, 8.0])
def test_the_grain_of_white_noise_is_its_standard_deviation(sigma):
    noise = np.random.default_rng(0).normal(100, sigma, (3, 200, 200)).astype(np.float32)
    assert features._grain(noise) == pytest.approx(sigma, rel=0.05)


def test_a_picture_with_a_moved_copy_of_itself_has_a_peak():
    picture = clouds(sigma=2.0)
    ghost = picture + 0.15 * np.roll(picture, 40, axis=1)
    clean, spoilt = (features._ghosts(pixels, 1, 1.0) for pixels in (picture, ghost))
    assert spoilt > 3 * clean
    assert spoilt > 0.08


def test_two_heads_are_no_ghost_of_each_other():
    picture = clouds(sigma=2.0)
    twice = picture.copy()
    twice[:, :, 160:] += 0.5 * picture[:, :, :80]
    alone, as_heads = (features._ghosts(twice, 2, 1.0, apart) for apart in (0.0, 158.0))
    assert alone > 3 * as_heads


def wrap(pixels, axis, spacing_mm):
    return features._wrap(pixels, axis, spacing_mm, float(np.percentile(pixels, 75)) or 1.0)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_folded_picture_goes_on_at_its_other_edge(axis):
    volume = make_volume(clouds(sigma=2.0), (4.0, 1.0, 1.0))
    folded = defects.wrapped(volume, 0.2, axis)
    assert folded.pixels.shape[axis] == round(0.8 * volume.pixels.shape[axis])
    assert wrap(folded.pixels, axis, folded.spacing_mm) > 0.6
    assert abs(wrap(volume.pixels, axis, volume.spacing_mm)) < 0.4


def test_empty_corners_at_both_edges_are_no_wrap():
    pixels = clouds(sigma=2.0)
    pixels[:, :60] = pixels[:, -60:] = 0
    assert abs(wrap(pixels, 2, (4.0, 1.0, 1.0))) < 0.4
    assert wrap(np.zeros_like(pixels), 2, (4.0, 1.0, 1.0)) == 0


def test_folding_keeps_every_pixel_in_its_place():
    volume = make_volume(clouds(), (4.0, 1.0, 1.0))
    folded = defects.wrapped(volume, 0.2, 2)
    index = volume.to_index(folded.to_lps((2, 100, 96)))
    np.testing.assert_allclose(index, (2, 100, 120))
    assert folded.pixels[2, 100, 96] == volume.pixels[2, 100, 120]
    assert folded.pixels.sum() == pytest.approx(volume.pixels.sum(), rel=1e-4)


@pytest.mark.parametrize(("at", "share"), [((10, 70, 100), 0.0), ((10, 70, 0), 0.5), ((10, 0, 0), 0.75), ((0, 70, 100), 0.4)])
def test_the_share_of_the_head_outside_the_pictures(at, share):
    volume = make_volume(np.ones((21, 140, 200)), (4.0, 1.0, 1.0))
    assert features._cut(volume, tuple(volume.to_lps(at))) == pytest.approx(share, abs=0.07)


def test_motion_only_turns_the_phase_of_lines(phantom):
    moved = defects.moved(phantom.volume, np.random.default_rng(0), 0.0)
    np.testing.assert_allclose(moved.pixels, phantom.volume.pixels, atol=0.01 * phantom.volume.pixels.max())


def test_a_clean_phantom_has_few_flags_and_none_that_stops(phantom, thresholds):
    found = check(phantom.volume, hips_of(phantom), thresholds)
    assert not any(flag.stops for flag in found)
    assert len(found) <= 1


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("motion", lambda v, c: defects.moved(v, np.random.default_rng(1), 2.0)),
        ("noise", lambda v, c: defects.noisy(v, np.random.default_rng(1), 0.5)),
        ("wrap", lambda v, c: defects.wrapped(v, 0.12, 1)),
        ("cut_off", lambda v, c: defects.cut_off(v, c, 4.0, 2, keep_high=False)),
        ("unlike", lambda v, c: defects.posterised(v, 3)),
    ],
)
def test_each_fault_is_flagged(phantom, thresholds, code, spoil):
    [(side, centre, mask)] = hips_of(phantom)
    volume = spoil(phantom.volume, centre)
    mask = mask if mask.shape == volume.pixels.shape else np.zeros(volume.pixels.shape, np.uint8)
    found = check(volume, [(side, centre, mask)], thresholds)
    assert code in codes(found)
    flag = next(flag for flag in found if flag.code == code)
    assert flag.value >= flag.limit
    assert flag.side == ("" if code in flags.STACK_KINDS else side)
    assert (f"{side} hip" in flag.message) == (code in flags.HIP_KINDS)


def test_fat_suppression_that_fails_in_patches_is_flagged_and_stops_nothing(thresholds):
    phantom = generate(23_008, style="stir", protocol=_faultless)  # both hips are in view, and the air beside them
    leaky = _leaky(phantom, np.random.default_rng(23_008), 1.2)
    intact, failed = (check(volume, hips_of(phantom), thresholds) for volume in (phantom.volume, leaky))
    assert "fat" not in codes(intact)
    assert [(flag.side, flag.stops) for flag in failed if flag.code == "fat"] == [("", False)]


@pytest.mark.parametrize(("style", "stops"), [("stir", False), ("t1", True), ("t2", True)])
def test_a_picture_whose_fat_is_bright_is_stopped_unless_a_person_asked_for_it(thresholds, style, stops):
    phantom = generate(23_005, style=style, protocol=_faultless)
    strict, asked = (check(phantom.volume, hips_of(phantom), thresholds, any_sequence=any_) for any_ in (False, True))
    assert any(flag.stops for flag in strict if flag.code == "contrast") is stops
    assert not any(flag.stops for flag in asked)


def test_marrow_as_bright_as_muscle_is_no_bright_fat_where_the_rest_of_the_picture_is_dark(thresholds):
    numbers = features.HipNumbers(noise=0, marrow=1.1, cut=0, bright_share=0.1, look=thresholds.mean)
    bright = replace(numbers, bright_share=0.3)
    assert thresholds.limit_of("contrast", numbers) == thresholds.limits["contrast"]
    assert thresholds.limit_of("contrast", bright) == flags.BRIGHT_FAT
    assert thresholds.limit_of("noise", bright) == thresholds.limits["noise"]


def test_half_a_head_stops_the_score(phantom, thresholds):
    [(side, centre, _)] = hips_of(phantom)
    volume = defects.cut_off(phantom.volume, centre, 0.0, 2, keep_high=False)
    found = check(volume, [(side, centre, np.zeros(volume.pixels.shape, np.uint8))], thresholds)
    assert [flag.stops for flag in found if flag.code == "cut_off"] == [True]


def test_bright_marrow_stops_the_score_unless_a_person_asked_for_the_sequence(phantom, thresholds):
    [(side, centre, mask)] = hips_of(phantom)
    bright = phantom.volume.pixels + np.where(mask > 0, np.percentile(phantom.volume.pixels, 99), 0).astype(np.float32)
    volume = replace(phantom.volume, pixels=bright)
    strict, asked = (check(volume, [(side, centre, mask)], thresholds, any_sequence=any_) for any_ in (False, True))
    assert [flag.stops for flag in strict if flag.code == "contrast"] == [True]
    assert [flag.stops for flag in asked if flag.code == "contrast"] == [False]


def test_the_scale_of_intensities_changes_no_number(phantom, thresholds):
    loud = replace(phantom.volume, pixels=phantom.volume.pixels * 37)
    hips = hips_of(phantom)
    strict = flags.Thresholds({kind: flags.Limit(-1e9, None) for kind in KINDS}, thresholds.mean, thresholds.precision)
    one, other = (check(volume, hips, strict) for volume in (phantom.volume, loud))
    assert [flag.code for flag in one] == [flag.code for flag in other]
    np.testing.assert_allclose([flag.value for flag in one], [flag.value for flag in other], rtol=1e-2, atol=1e-3)


def test_no_hip_no_flag(phantom, thresholds):
    assert check(phantom.volume, [], thresholds) == ()


def test_empty_and_broken_pictures_do_not_break_the_check(thresholds):
    for pixels in (np.zeros((6, 40, 40)), np.full((6, 40, 40), np.nan), np.ones((1, 6, 6))):
        volume = make_volume(pixels, (4.0, 1.0, 1.0))
        centre = tuple(volume.to_lps((0, 3, 3)))
        found = check(volume, [("right", centre, np.zeros(pixels.shape, np.uint8))], thresholds)
        assert all(np.isfinite(flag.value) for flag in found)


def test_thresholds_are_quantiles_of_clean_numbers():
    rng = np.random.default_rng(0)
    names = ("motion", "wrap", "fat", "noise", "contrast", "cut_off")
    clean = [Numbers({name: [float(rng.uniform())] for name in names}, [rng.normal(size=12)]) for _ in range(200)]
    limits = thresholds_of(clean)["limits"]
    for name in names:
        values = [numbers.values[name][0] for numbers in clean]
        assert np.mean(np.array(values) >= limits[name]["mark"]) == pytest.approx(FALSE_ALARMS, abs=0.006)
        if name in flags.STOPPING:
            assert limits[name]["stop"] > max(values)


@pytest.mark.corpus
def test_a_real_pelvis_without_fat_suppression(thresholds):
    volume = stack(localiser())
    heads = [tuple(float(v) for v in LOCALISER_HEADS[side]) for side in ("right", "left")]
    numbers = features.stack_numbers(volume, heads)
    assert numbers["motion"] < thresholds.limits["motion"].stop
    assert numbers["wrap"] < thresholds.limits["wrap"].mark
    for side, centre in zip(("right", "left"), heads, strict=True):
        mask = np.zeros(volume.pixels.shape, np.uint8)
        near = np.linalg.norm(np.stack(np.meshgrid(*map(np.arange, mask.shape), indexing="ij"), -1) * volume.spacing_mm
                              - volume.to_index(centre) * volume.spacing_mm, axis=-1) < 18  # fmt: skip
        mask[near] = 3
        hip = features.hip_numbers(volume, centre, side, mask)
        assert hip.noise < thresholds.limits["noise"].mark
        assert hip.marrow > thresholds.limits["contrast"].mark  # its fat is bright: no picture for a score
