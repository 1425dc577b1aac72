"""An outline without a plausible head is named."""

import numpy as np
import pytest

from ml.dicom.volume import SourceSlice, Volume
from ml.labels import BME, FEMORAL_HEAD, FEMUR, SYNOVITIS
from ml.tidy import implausible_head, without_specks

SHAPE = (12, 90, 90)


@pytest.fixture
def volume() -> Volume:
    affine = np.array([[0.0, 0, 1, 0], [4, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])  # 4 mm slices of 1 mm pixels
    sources = tuple(SourceSlice(f"1.2.{number}") for number in range(SHAPE[0]))
    return Volume(np.zeros(SHAPE, np.float32), (4.0, 1.0, 1.0), affine, sources)


def ball(centre: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    s, r, c = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return (4 * (s - centre[0])) ** 2 + (r - centre[1]) ** 2 + (c - centre[2]) ** 2 <= radius_mm**2


def outline(neck: slice | None, apart: bool = False) -> np.ndarray:
    """A head of 20 mm radius, with a bar of femur at it or apart from it."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[ball((6, 40, 40), 20)] = FEMORAL_HEAD | FEMUR
    if neck is not None:
        bar = np.zeros(SHAPE, bool)
        bar[4:9, 45:65, neck] = True
        mask[bar & (mask == 0)] |= FEMUR
    if apart:
        mask[4:9, :, 75:] |= FEMUR
    return mask


def test_a_head_on_its_neck_is_one(volume):
    assert implausible_head(outline(slice(50, 85)), volume) == ""


@pytest.mark.parametrize("mask", [outline(None), outline(None, apart=True), outline(slice(59, 62))])
def test_a_round_thing_without_a_neck_is_no_head(volume, mask):
    assert "neck" in implausible_head(mask, volume)


def test_nothing_a_speck_and_a_bar_are_no_heads(volume):
    empty, speck, bar = (np.zeros(SHAPE, np.uint8) for _ in range(3))
    speck[6, 40:50, 40:50] = FEMORAL_HEAD | FEMUR
    for i in range(80):
        bar[6, i : i + 9, i : i + 9] = FEMORAL_HEAD | FEMUR
    assert "can be outlined" in implausible_head(empty, volume)
    assert "100 mm²" in implausible_head(speck, volume)
    assert "not round" in implausible_head(bar, volume)


def test_specks_of_lesions_go_and_the_rest_stays():
    mask = outline(slice(50, 85))
    mask[2, 10, 10:14] |= BME  # 4 voxels of 0.004 mL: below 0.02
    mask[3, 20:22, 10:13] |= SYNOVITIS  # 6 voxels: 0.024 mL
    mask[6, 40, 40] |= BME
    kept = without_specks(mask, 0.004)
    assert not (kept & BME).any()
    assert ((kept & SYNOVITIS) > 0).sum() == 6
    np.testing.assert_array_equal(kept & (FEMUR | FEMORAL_HEAD), mask & (FEMUR | FEMORAL_HEAD))
    one = np.zeros((1, 3, 3), np.uint8)
    one[0, 1, 1] = BME
    assert not without_specks(one, 1.0).any()  # a single voxel, however large
