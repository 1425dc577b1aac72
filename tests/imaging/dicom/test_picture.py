"""The PNG of a slice: size, window, colours, sides."""

import io

import numpy as np
import pytest
from PIL import Image

from hipapp.imaging.dicom.picture import COLOURS, Style, render_slice, to_grey, window_of
from ml.labels import BME, FEMORAL_HEAD, FEMUR, SYNOVITIS

PLAIN = Style(marks_sides=False)


def picture(*args, **kwargs) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(render_slice(*args, **kwargs))))


def ramp(rows: int = 40, columns: int = 60) -> np.ndarray:
    return np.tile(np.arange(columns, dtype=np.float32), (rows, 1))


def test_size_is_doubled_and_pixels_keep_their_proportion():
    assert picture(ramp()).shape == (80, 120, 3)
    assert picture(ramp(), spacing_mm=(1.5, 0.75)).shape == (160, 120, 3)


def test_window_bounds_are_black_and_white():
    grey = to_grey(np.array([[-5.0, 10.0, 15.0, 20.0, 99.0, np.nan]]), (10.0, 20.0))
    assert grey.tolist() == [[0, 0, 128, 255, 255, 0]]
    assert window_of(np.full((3, 3), 7.0)) == (7.0, 8.0)
    assert window_of(np.full((3, 3), np.nan)) == (0.0, 1.0)


def test_scaling_the_intensities_changes_nothing():
    pixels = np.random.default_rng(1).random((30, 30), np.float32)
    np.testing.assert_array_equal(picture(pixels), picture(pixels * 8))


@pytest.mark.parametrize(
    ("label", "bit"), [("femur", FEMUR), ("femoral_head", FEMORAL_HEAD), ("bme", BME), ("synovitis", SYNOVITIS)]
)
def test_outline_is_one_and_a_half_pixels_in_the_colour_of_the_label(label, bit):
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:50] = bit
    drawn, plain = picture(ramp(), mask, style=PLAIN), picture(ramp(), style=PLAIN)
    changed = (drawn != plain).any(axis=2)
    row = np.flatnonzero(changed[40])
    assert row.tolist() == [40, 41, 98, 99]
    assert tuple(drawn[40, 40]) == COLOURS[label]
    half = (plain[40, 41].astype(float) + np.array(COLOURS[label])) / 2
    np.testing.assert_allclose(drawn[40, 41], half, atol=1)


def test_fill_and_choice_of_labels():
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:50] = FEMUR | FEMORAL_HEAD
    shown = picture(np.zeros((40, 60)), mask, style=Style(labels=("femur",), fill=0.4, marks_sides=False))
    np.testing.assert_allclose(shown[40, 70], np.array(COLOURS["femur"]) * 0.4, atol=1)
    hidden = picture(ramp(), mask, style=Style(labels=(), marks_sides=False))
    np.testing.assert_array_equal(hidden, picture(ramp(), style=PLAIN))


def test_right_is_marked_at_the_left_edge_and_left_at_the_right():
    marked, plain = picture(np.zeros((200, 200))), picture(np.zeros((200, 200)), style=PLAIN)
    where = np.flatnonzero((marked != plain).any(axis=(0, 2)))
    assert where.min() < 30
    assert where.max() > 370
    assert not ((where > 60) & (where < 340)).any()
    left, right = marked[:, :60], marked[:, -60:]
    assert (left > 0).sum() > (right > 0).sum() > 0  # an R has more ink than an L


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="shape"):
        render_slice(ramp(), np.zeros((3, 3), np.uint8))
    with pytest.raises(ValueError, match="unknown label"):
        render_slice(ramp(), style=Style(labels=("bone",)))
