"""A plain detector of text in a picture: rows of strokes of one brightness, as high as each other and side by side."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

STROKE_PX = 4  # a stroke of a letter is at most so wide
LARGE_FROM_PX = 128  # pictures twice as large are looked at in half their size too
LEVELS = 255  # of grey, over the picture's whole range
CONTRAST = 46  # levels: how far a stroke stands out on both its sides
MIN_HEIGHT_PX, MAX_HEIGHT_PX = 5, 40
MIN_LETTERS = 4
MIN_LETTERS_OF_TWO = 8  # of only two parts: two bright vessels beside each other pass for four letters
NOISE = 0.15  # a picture of which so much is strokes is noise
FLATNESS = 37  # levels: letters are of one brightness, in themselves and among each other
SAME_VALUE = 0.2  # what was burned in has one value: this share of its pixels is of one level


@dataclass(frozen=True)
class TextLine:
    """Where a row of letters stands, in pixels of the file."""

    top: int
    left: int
    bottom: int
    right: int
    n_letters: int

    def enlarged(self, by: int) -> "TextLine":
        return TextLine(self.top * by, self.left * by, self.bottom * by, self.right * by, self.n_letters)


def find_text(image: npt.NDArray[np.generic]) -> list[TextLine]:
    """Rows of at least `MIN_LETTERS` letters in one picture (rows, columns), bright on dark or dark on bright.

    Notes
    -----
    What it finds and what it takes for text is measured in docs/explanation/privacy.md. It reads nothing: it says where a person
    should look.
    """
    pixels = np.asarray(image, np.float32)
    low, high = float(np.nanmin(pixels)), float(np.nanmax(pixels))
    if not high > low or not np.isfinite(high - low):
        return []
    scaled = (pixels - np.float32(low)) * np.float32(LEVELS / (high - low))
    if np.asarray(image).dtype.kind == "f":
        scaled = np.nan_to_num(scaled, copy=False)
    grey = scaled.astype(np.uint8)
    lines = [*_lines(grey), *_lines(LEVELS - grey)]
    if lines or min(grey.shape) < 2 * LARGE_FROM_PX:
        return lines
    rows, columns = grey.shape[0] // 2, grey.shape[1] // 2  # the strokes of large letters are too wide
    half = scaled[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    grey = ((half[:, 0, :, 0] + half[:, 0, :, 1] + half[:, 1, :, 0] + half[:, 1, :, 1]) / 4).astype(np.uint8)
    return [line.enlarged(2) for line in (*_lines(grey), *_lines(LEVELS - grey))]


def _lines(grey: Grey) -> list[TextLine]:
    strokes = _strokes(grey)
    if not 8 * MIN_LETTERS <= np.count_nonzero(strokes) <= NOISE * strokes.size:
        return []
    letters = _letters(strokes, grey)
    return _rows(letters) if letters else []


def _strokes(grey: Grey) -> Mask:
    """Pixels brighter by the contrast than something within STROKE_PX on both sides, across or down."""
    return _stand_out(grey) | _stand_out(np.ascontiguousarray(grey.T)).T


def _stand_out(grey: Grey) -> Mask:
    """Along the last axis; what lies beyond the edge is as the edge."""
    padded = np.pad(grey, ((0, 0), (STROKE_PX, STROKE_PX)), "edge")
    n = grey.shape[1]
    of_two = np.minimum(padded[:, :-1], padded[:, 1:])
    of_four = np.minimum(of_two[:, :-2], of_two[:, 2:])  # of_four[i] is the lowest of i … i + 3
    rims = np.maximum(of_four[:, :n], of_four[:, STROKE_PX + 1 : STROKE_PX + 1 + n])
    return grey - np.minimum(grey, rims) > CONTRAST


@dataclass(frozen=True)
class _Letter:
    top: int
    left: int
    bottom: int
    right: int
    values: Grey = field(repr=False)  # of its pixels, from low to high

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def level(self) -> float:
        return float(self.values[len(self.values) // 2])

    @property
    def spread(self) -> float:
        n = len(self.values)
        return float(self.values[3 * n // 4]) - float(self.values[n // 4])

    @property
    def n_letters(self) -> int:
        """How many letters that touch each other it may be."""
        return max(1, round((self.right - self.left) / (0.75 * self.height)))


def _letters(strokes: Mask, grey: Grey) -> list[_Letter]:
    """Connected strokes that may be a letter, or several that touch each other."""
    labels, _ = ndimage.label(strokes, np.ones((3, 3)))
    letters = []
    for number, part in enumerate(ndimage.find_objects(labels), start=1):
        height, width = (s.stop - s.start for s in part)
        if not (MIN_HEIGHT_PX <= height <= MAX_HEIGHT_PX and width <= 12 * height):
            continue
        mine = labels[part] == number
        n_pixels = int(np.count_nonzero(mine))
        if n_pixels < height or n_pixels < 0.12 * height * width:
            continue
        values = np.sort(grey[part][mine])
        letters.append(_Letter(part[0].start, part[1].start, part[0].stop, part[1].stop, values))
    return letters


def _rows(letters: list[_Letter]) -> list[TextLine]:
    left_over = sorted(letters, key=lambda letter: letter.left)
    rows = []
    while left_over:
        row = [left_over.pop(0)]
        for letter in list(left_over):
            if _follows(row[-1], letter):
                row.append(letter)
                left_over.remove(letter)
        if _is_text(row):
            n_letters = sum(letter.n_letters for letter in row)
            top, bottom = min(one.top for one in row), max(one.bottom for one in row)
            rows.append(TextLine(top, row[0].left, bottom, row[-1].right, n_letters))
    return rows


def _follows(before: _Letter, letter: _Letter) -> bool:
    height = max(before.height, letter.height)
    gap = letter.left - before.right
    return (
        -2 <= gap <= 1.1 * height
        and abs(letter.bottom - before.bottom) <= max(1, 0.2 * height)
        and min(before.height, letter.height) >= 0.6 * height
        and abs(letter.level - before.level) <= FLATNESS
    )


def _is_text(row: list[_Letter]) -> bool:
    """Letters apart from each other on one line; or such that touch each other, or dance, if they are of one very value."""
    if len(row) < 2 or sum(letter.n_letters for letter in row) < (MIN_LETTERS if len(row) > 2 else MIN_LETTERS_OF_TWO):
        return False
    bottoms = np.array([letter.bottom for letter in row])
    height = float(np.median([letter.height for letter in row]))
    spread = float(np.median([letter.spread for letter in row]))
    is_even = float(np.ptp(bottoms)) <= max(1.0, 0.2 * height) and spread <= FLATNESS
    is_even = is_even and all(abs(one.bottom - other.bottom) <= max(1, 0.15 * height) for one, other in pairwise(row))
    if len(row) >= MIN_LETTERS and is_even and max(letter.n_letters for letter in row) <= 3:
        return True
    values = np.concatenate([letter.values for letter in row])
    return float(np.bincount(values).max()) >= SAME_VALUE * len(values)
