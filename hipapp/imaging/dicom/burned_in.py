"""A plain detector of text in a picture: rows of strokes of one brightness, as high as each other and side by side."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

STROKE_PX = 4  # a stroke of a letter is at most so wide
LARGE_FROM_PX = 128  # pictures twice as large are looked at in half their size too
LEVELS = 255  # of grey, over the picture's whole range
CONTRAST = 46  # levels: how far a stroke stands out on both its sides
MIN_HEIGHT_PX, MAX_HEIGHT_PX = 5, 40
MAX_GAP = 1.1  # between letters, in heights of the higher one
FARTHEST_PX = MAX_GAP * MAX_HEIGHT_PX
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
    image = np.asarray(image)
    is_whole = image.dtype.kind in "iu"
    low, high = (float(image.min()), float(image.max())) if is_whole else (float(np.nanmin(image)), float(np.nanmax(image)))
    if not high > low or not np.isfinite(high - low):
        return []
    scaled = image.astype(np.float32)
    scaled -= np.float32(low)
    scaled *= np.float32(LEVELS / (high - low))
    if not is_whole:
        scaled = np.nan_to_num(scaled, copy=False)
    lines = _lines(scaled.astype(np.uint8))
    rows, columns = image.shape
    if lines or min(rows, columns) < 2 * LARGE_FROM_PX:
        return lines
    pairs = scaled[0 : rows // 2 * 2 : 2] + scaled[1 : rows // 2 * 2 : 2]  # the strokes of large letters are too wide
    half = pairs[:, 0 : columns // 2 * 2 : 2] + pairs[:, 1 : columns // 2 * 2 : 2]
    half /= 4
    return [line.enlarged(2) for line in _lines(half.astype(np.uint8))]


def _lines(grey: Grey) -> list[TextLine]:
    """Of bright letters and of dark ones."""
    padded = _padded(grey)
    bright, dark = _strokes(padded)
    lines = []
    for strokes, levels in ((bright, padded), (dark, LEVELS - padded)):
        if 8 * MIN_LETTERS <= np.count_nonzero(strokes) <= NOISE * grey.size:
            lines += _rows(_letters(strokes, levels))
    return lines


def _padded(grey: Grey) -> Grey:
    """With STROKE_PX more on each side, which are as the edge."""
    rows, columns = grey.shape
    n = STROKE_PX
    padded = np.empty((rows + 2 * n, columns + 2 * n), np.uint8)
    padded[n:-n, n:-n] = grey
    padded[n:-n, :n], padded[n:-n, -n:] = grey[:, :1], grey[:, -1:]
    padded[:n], padded[-n:] = padded[n], padded[-n - 1]
    return padded


def _strokes(padded: Grey) -> tuple[Mask, Mask]:
    """Pixels brighter, and such darker, by the contrast than something within STROKE_PX on both sides, across or down.

    Of the size of `padded`, in whose margins there are none. Neighbours are found by an offset in the pixels laid out one behind
    the other, which is several times as fast as row by row.
    """
    width = padded.shape[1]
    flat = padded.ravel()
    first, last = STROKE_PX * width, len(flat) - STROKE_PX * width
    pixels = flat[first:last]
    masks = []
    for nearer, farther in ((np.minimum, np.maximum), (np.maximum, np.minimum)):
        across, down = (_rims(flat, step, first, last, nearer, farther) for step in (1, width))
        rims = nearer(nearer(across, down, out=across), pixels, out=across)
        mask = np.zeros(padded.shape, np.bool_)
        out = mask.ravel()[first:last]
        if nearer is np.minimum:
            np.greater(pixels - rims, CONTRAST, out=out)
        else:
            np.greater(rims - pixels, CONTRAST, out=out)
        mask[:, :STROKE_PX] = mask[:, -STROKE_PX:] = False
        masks.append(mask)
    return masks[0], masks[1]


def _rims(flat: Grey, step: int, first: int, last: int, nearer: np.ufunc, farther: np.ufunc) -> Grey:
    """Of the extremes (`nearer`) of the STROKE_PX pixels before and behind each one from first to last, the one less extreme."""
    begin, end = first - STROKE_PX * step, last + STROKE_PX * step
    part = flat[begin:end]
    of_two = nearer(part[:-step], part[step:])
    of_four = nearer(of_two[: -2 * step], of_two[2 * step :])  # of_four[i] is that of i, i + step, … i + 3 step
    n = last - first
    return np.asarray(farther(of_four[:n], of_four[(STROKE_PX + 1) * step : (STROKE_PX + 1) * step + n]))


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


def _letters(strokes: Mask, levels: Grey) -> list[_Letter]:
    """Connected strokes that may be a letter, or several that touch each other; in the order of their first pixels.

    Strokes are few: they are put together of runs within a row, not pixel by pixel.
    """
    width = strokes.shape[1]
    flat = strokes.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1  # there is no stroke in the margins, so that no run goes over an edge
    starts, ends = edges[::2], edges[1::2]
    rows = starts // width
    part_of = _connected(starts, ends, width)
    n_parts = int(part_of.max()) + 1
    top, bottom = np.full(n_parts, strokes.shape[0]), np.zeros(n_parts, int)
    left, right = np.full(n_parts, width), np.zeros(n_parts, int)
    np.minimum.at(top, part_of, rows)
    np.maximum.at(bottom, part_of, rows + 1)
    np.minimum.at(left, part_of, starts - rows * width)
    np.maximum.at(right, part_of, ends - rows * width)
    n_pixels = np.bincount(part_of, ends - starts, n_parts)
    height, length = bottom - top, right - left
    is_letter = (height >= MIN_HEIGHT_PX) & (height <= MAX_HEIGHT_PX) & (length <= 12 * height)
    is_letter &= (n_pixels >= height) & (n_pixels >= 0.12 * height * length)
    mine = is_letter[part_of]
    values: dict[int, list[Grey]] = {int(number): [] for number in np.flatnonzero(is_letter)}
    brightness = levels.ravel()
    for number, start, end in zip(part_of[mine].tolist(), starts[mine].tolist(), ends[mine].tolist(), strict=True):
        values[number].append(brightness[start:end])
    margin = STROKE_PX
    return [
        _Letter(
            int(top[number]) - margin,
            int(left[number]) - margin,
            int(bottom[number]) - margin,
            int(right[number]) - margin,
            np.sort(np.concatenate(found)),
        )
        for number, found in values.items()
    ]


def _connected(starts: Ints, ends: Ints, width: int) -> Ints:
    """The number of the connected part that each run belongs to; runs of neighbouring rows touch at corners too."""
    first = np.searchsorted(ends, starts + width, "left")  # of the runs in the row below that end behind one's start …
    n_below = np.searchsorted(starts, ends + width, "right") - first  # … and begin before its end
    pointers = np.concatenate([[0], np.cumsum(n_below)])
    below = np.arange(pointers[-1]) - np.repeat(pointers[:-1] - first, n_below)
    touching = csr_array((np.ones(len(below), np.bool_), below, pointers), shape=(len(starts), len(starts)))
    return np.asarray(connected_components(touching, directed=False)[1])


def _rows(letters: list[_Letter]) -> list[TextLine]:
    left_over = sorted(letters, key=lambda letter: letter.left)
    rows = []
    while left_over:
        row = [left_over.pop(0)]
        for letter in list(left_over):
            if letter.left - row[-1].right > FARTHEST_PX:
                break
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
        -2 <= gap <= MAX_GAP * height
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
