"""The crop is where the head is, looks like a right hip, and goes back to where it came from."""

from dataclasses import replace

import numpy as np
import pytest

from ml import crops
from tests.ml.toys import make_volume


def bump(volume, centre_mm, width_mm=12.0):
    """A smooth ball around a point, on the volume's grid."""
    index = np.stack(np.meshgrid(*map(np.arange, volume.pixels.shape), indexing="ij"), axis=-1)
    distance = np.linalg.norm(volume.to_lps(index) - np.asarray(centre_mm), axis=-1)
    return np.exp(-0.5 * (distance / width_mm) ** 2).astype(np.float32)


@pytest.mark.parametrize("side", crops.SIDES)
@pytest.mark.parametrize("spacing_mm", [(4.0, 0.9, 1.1), (5.0, 0.5, 0.4), (3.0, 1.4, 1.4)])
def test_a_crop_laid_back_is_what_it_was_cut_from(side, spacing_mm):
    volume = make_volume(np.zeros((9, 200, 240)), spacing_mm, origin_mm=(-80.0, -20.0, 70.0))
    centre_mm = tuple(volume.to_lps((4, 101.3, 118.6)))
    image = bump(volume, centre_mm)
    crop = crops.extract(volume, centre_mm, side, image)
    assert crop.shape == (9, 128, 160)
    restored = crops.restore(crop[None], volume, centre_mm, side)[0]
    assert restored.shape == image.shape
    assert np.abs(restored - image).max() < 0.02


def test_the_centre_of_the_crop_is_the_centre_of_the_head():
    volume = make_volume(np.zeros((9, 200, 240)))
    centre_mm = (10.0, -14.0, 20.0)
    crop = crops.extract(volume, centre_mm, "right", bump(volume, centre_mm, 6.0))[4]
    weights = crop / crop.sum()
    rows, columns = np.mgrid[:128, :160]
    assert (weights * rows).sum() == pytest.approx(63.5, abs=0.05)
    assert (weights * columns).sum() == pytest.approx(79.5, abs=0.05)


def test_a_left_hip_is_seen_as_the_mirrored_right_hip():
    rng = np.random.default_rng(0)
    pixels = rng.random((5, 150, 201)).astype(np.float32)
    volume, mirrored = make_volume(pixels), make_volume(pixels[:, :, ::-1])
    right = crops.extract(volume, tuple(volume.to_lps((2, 70, 60))), "right")
    left = crops.extract(mirrored, tuple(mirrored.to_lps((2, 70, 140))), "left")
    np.testing.assert_allclose(left, right, atol=1e-5)


def test_one_centre_is_followed_through_a_sheared_stack():
    volume = make_volume(np.zeros((5, 60, 60)))
    volume.affine[:3, 0] += (3.0, 0.0, 0.0)  # each slice lies 3 mm further to the left of the one before
    centres = crops.centre_index(volume, tuple(volume.to_lps((0, 30, 30))))
    np.testing.assert_allclose(np.diff(centres[:, 1]), -3.0 / 1.1)
    np.testing.assert_allclose(centres[:, 0], 30)


def test_the_box_measures_100_by_125_mm_around_the_centre():
    volume = make_volume(np.zeros((5, 200, 200)))
    box = crops.box(volume, tuple(volume.to_lps((2, 90, 100))))
    assert (box.row_max - box.row_min) * 0.9 == pytest.approx(100)
    assert (box.column_max - box.column_min) * 1.1 == pytest.approx(125)
    assert (box.row_max + box.row_min) / 2 == pytest.approx(90)


def test_distance_to_the_slices_is_signed_from_front_to_back():
    volume = make_volume(np.zeros((5, 20, 20)))
    np.testing.assert_allclose(crops.distance_mm(volume, tuple(volume.to_lps((1, 3, 4)))), [-4, 0, 4, 8, 12], atol=1e-9)


@pytest.mark.parametrize("factor", [0.001, 3.0, 2.0**12])
def test_normalisation_does_not_see_the_scale(factor):
    crop = np.random.default_rng(1).gamma(2, 50, (6, 128, 160)).astype(np.float32)
    np.testing.assert_allclose(crops.normalise(crop * np.float32(factor)), crops.normalise(crop), atol=2e-5)


def test_normalisation_leaves_out_what_is_outside_the_image():
    crop = np.random.default_rng(1).gamma(2, 50, (6, 128, 160)).astype(np.float32)
    cut = crop.copy()
    cut[:, :, 100:] = 0
    np.testing.assert_allclose(crops.normalise(cut)[:, :, :100], crops.normalise(crop)[:, :, :100], atol=0.05)


@pytest.mark.parametrize("level", [0.0, 7.0])
def test_a_flat_stack_becomes_zero(level):
    assert not crops.normalise(np.full((3, 128, 160), level, np.float32)).any()


def test_a_side_that_is_none_is_refused():
    volume = make_volume(np.zeros((5, 20, 20)))
    with pytest.raises(ValueError, match="'right' or 'left'"):
        crops.extract(volume, (0.0, 0.0, 0.0), "middle")


@pytest.mark.parametrize("shear", [0.0, 0.4])
@pytest.mark.parametrize("side", ["right", "left"])
def test_outside_the_window_there_is_nothing(side, shear):
    plain = make_volume(np.zeros((5, 150, 300)), (4.0, 0.9, 1.1))
    affine = plain.affine.copy()
    affine[:3, 0] += (shear, 0.0, 2 * shear)
    volume = replace(plain, affine=affine)
    centre_mm = tuple(volume.to_lps((2, 20, 250)))  # the crop reaches beyond the image
    planes = np.random.default_rng(0).random((4, 5, crops.CROP_ROWS, crops.CROP_COLUMNS), np.float32)
    rows, columns = crops.window(volume, centre_mm, side)
    whole, part = np.zeros((4, *volume.pixels.shape), np.float32), crops.restore_window(planes, volume, centre_mm, side)
    for index in range(5):  # each slice by itself, as if it were the whole stack
        one = replace(volume, pixels=volume.pixels[:1], affine=_from_slice(affine, index), sources=volume.sources[:1])
        whole[:, index] = crops.restore(planes[:, [index]], one, centre_mm, side)[:, 0]
    np.testing.assert_allclose(part, whole[:, :, rows, columns], atol=1e-6)
    whole[:, :, rows, columns] = 0
    assert not whole.any()


def _from_slice(affine, index):
    moved = affine.copy()
    moved[:3, 3] += index * affine[:3, 0]
    return moved
