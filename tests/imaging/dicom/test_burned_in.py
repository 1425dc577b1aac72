"""Text in pictures is found, and pictures without it are left in peace; the rates stand in docs/explanation/privacy.md."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from hipapp.imaging.dicom.arrival import TEXT_FOUND, receive_whole
from hipapp.imaging.dicom.burned_in import find_text
from ml.dicom.parse import parse
from ml.dicom.pixels import decode
from tests.builders import dicom as build

TEXTS = ("DOE^JOHN 19500101", "ID 4711-0815", "St. Elsewhere 2026-03-02")


def anatomy(seed: int = 0, shape: tuple[int, int] = (256, 256)) -> np.ndarray:
    """Something round with smooth insides and noise, as an MR slice is."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    body = np.clip(1.2 - 1.3 * (rows**2 + (0.8 * columns) ** 2), 0, 1) * (700 + 200 * np.sin(5 * rows) * np.cos(7 * columns))
    return np.clip(body + rng.normal(0, 12, shape), 0, None).astype(np.uint16)


def with_text(picture: np.ndarray, text: str, size: int, at: tuple[int, int], level: float) -> np.ndarray:
    layer = Image.new("L", picture.shape[::-1], 0)
    ImageDraw.Draw(layer).text(at, text, fill=255, font=ImageFont.load_default(size))
    share = np.asarray(layer) / 255.0
    return (picture * (1 - share) + share * level).astype(picture.dtype)


@pytest.mark.parametrize("size", [12, 16, 24])
@pytest.mark.parametrize("level", [700, 2000])
def test_text_in_a_corner_is_found_where_it_stands(size, level):
    found = 0
    for seed, text in enumerate(TEXTS):
        lines = find_text(with_text(anatomy(seed), text, size, (6, 8), level))
        found += any(line.top < 8 + 2 * size and line.n_letters >= 4 for line in lines)
    assert found >= 2, "two of three texts at least"


def test_dark_text_on_a_light_picture_is_found():
    light = 1000 - anatomy()
    assert find_text(with_text(light, TEXTS[0], 16, (6, 8), 0))


@pytest.mark.parametrize("seed", range(4))
def test_a_picture_without_text_has_none(seed):
    assert find_text(anatomy(seed)) == []
    assert find_text(np.random.default_rng(seed).integers(0, 4000, (200, 200))) == []


def test_an_even_picture_and_a_tiny_one_have_none():
    assert find_text(np.zeros((64, 64))) == []
    assert find_text(np.full((3, 5), 7)) == []
    assert find_text(np.array([[np.nan, 1.0], [2.0, 3.0]])) == []


def test_a_file_whose_picture_shows_text_says_so():
    dataset = build.classic(build.random_stack((1, 256, 256)))[0]
    for picture, concerns in ((anatomy(), []), (with_text(anatomy(), TEXTS[0], 16, (6, 8), 2000), [TEXT_FOUND])):
        build.set_pixels(dataset, picture)
        assert receive_whole(build.to_bytes(dataset), b"key", b"key")[0].concerns == concerns


@pytest.mark.corpus
def test_no_real_mr_picture_of_the_corpus_is_taken_for_text(corpus):
    pictures = sorted((corpus / "hip_mr").rglob("*.dcm"))[::4] + sorted((corpus / "vendor_mr").rglob("*.dcm"))
    n = 0
    for path in pictures:
        dataset = parse(path.read_bytes())
        if dataset.get("Modality") == "MR":
            n += 1
            assert find_text(decode(dataset)) == [], path.name
    assert n > 10


@pytest.mark.corpus
def test_names_burned_into_a_real_picture_are_found(corpus):
    from pydicom import dcmread

    picture = dcmread(corpus / "phi" / "RGB_IMAGE.dcm").pixel_array.mean(axis=2)
    assert len(find_text(picture)) >= 5


@pytest.mark.parametrize("seed", range(6))
def test_parts_are_those_that_a_labelling_of_the_whole_picture_finds(seed):
    from scipy import ndimage

    from hipapp.imaging.dicom.burned_in import STROKE_PX, _connected

    rng = np.random.default_rng(seed)
    mask = np.zeros((60, 50), np.bool_)
    mask[STROKE_PX:-STROKE_PX, STROKE_PX:-STROKE_PX] = rng.random((52, 42)) < (0.05, 0.2, 0.35, 0.5, 0.8, 1.0)[seed]
    flat = mask.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    parts = _connected(edges[::2], edges[1::2], mask.shape[1])
    labels = ndimage.label(mask, np.ones((3, 3)))[0].ravel()
    ours = np.repeat(parts, edges[1::2] - edges[::2])
    pairs = set(zip(ours.tolist(), labels[flat].tolist(), strict=True))
    assert len(pairs) == labels.max() == parts.max() + 1


@pytest.mark.parametrize("seed", range(4))
def test_strokes_stand_out_from_something_near_on_both_sides(seed):
    from hipapp.imaging.dicom.burned_in import CONTRAST, STROKE_PX, _padded, _strokes

    grey = np.random.default_rng(seed).integers(0, 256, (17, 23)).astype(np.uint8)
    padded = _padded(grey)
    bright, dark = _strokes(padded)
    wide, n = padded.astype(int), STROKE_PX
    for mask, levels in ((bright, wide), (dark, 255 - wide)):
        assert not mask[:n].any()
        assert not mask[:, -n:].any()
        for row in range(n, n + 17):
            for column in range(n, n + 23):
                sides = (
                    (levels[row, column - n : column], levels[row, column + 1 : column + n + 1]),
                    (levels[row - n : row, column], levels[row + 1 : row + n + 1, column]),
                )
                stands_out = any(levels[row, column] - max(one.min(), other.min()) > CONTRAST for one, other in sides)
                assert mask[row, column] == stands_out
