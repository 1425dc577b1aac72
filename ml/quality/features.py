"""Numbers that say how good a picture is; the higher, the worse. No number here knows the truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from ml.crops import CROP_SPACING_MM, Point, centre_index, distance_mm, normalised_crops
from ml.dicom.content import content_of
from ml.dicom.volume import Volume
from ml.labels import BME, FEMORAL_HEAD, SYNOVITIS, Mask

Array = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]

SPHERE_MM = 28.0  # head and joint space
GHOST_FROM_MM, GHOST_SMOOTH_MM = 14.0, 12.0
SCALE_MM = 2.5
RIM_MM = 2.0
LEAST_SEEN = 0.3  # of an edge, to be compared with the opposite one
BLOCK_MM = 4.0
SEEN, RIM_BLOCKS, LEAST_LINES = 0.45, 3, 15  # of the outermost tissue: share of the level, blocks deep, lines that show it
LIKE_NEIGHBOURS = 0.7  # where there is but one slice
N_SLICES, N_LINES_STEP = 5, 2  # enough to judge a picture by
LOOK = (
    "p1", "p10", "p25", "p75", "p90", "p99", "middle", "ring", "edge_1px", "edge_4px", "neighbour", "flat",
)  # fmt: skip


@dataclass(frozen=True)
class HipNumbers:
    """Of one hip. `look` has the numbers of `LOOK`; `bright_share` is that of `ml.dicom.content`; the others are flagged."""

    noise: float
    marrow: float
    cut: float
    bright_share: float
    look: Vector


def stack_numbers(volume: Volume, centres_mm: Sequence[Point]) -> dict[str, float]:
    """`motion`, `wrap` and `fat` of a whole stack.

    Parameters
    ----------
    centres_mm : LPS of the femoral heads that were found, at least one
    """
    parts = [_slices(volume, _nearest(volume, centre)) for centre in centres_mm]
    pixels = np.nan_to_num(parts[0].pixels)
    level = float(np.percentile(pixels, 75)) or 1.0
    fat = [_fat(part, centre, _is_right(volume, centre, centres_mm)) for part, centre in zip(parts, centres_mm, strict=True)]
    return {
        "motion": max(
            _ghosts(pixels, axis, float(volume.spacing_mm[axis]), _between(volume, centres_mm, axis)) for axis in (1, 2)
        ),
        "wrap": max(_wrap(pixels, axis, volume.spacing_mm, level) for axis in (1, 2)),
        "fat": max(fat),
    }


def hip_numbers(volume: Volume, centre_mm: Point, side: str, mask: Mask) -> HipNumbers:
    """The numbers of one hip.

    Parameters
    ----------
    mask : uint8, shape (slice, row, column)
        The hip's outlines, for the marrow's level; empty where there are none.
    """
    nearest = _nearest(volume, centre_mm)
    part = _slices(volume, nearest)
    content = content_of(part.pixels, part.spacing_mm)
    return HipNumbers(
        noise=_noise(part, centre_mm),
        marrow=_marrow(part, centre_mm, mask[nearest]),
        cut=_cut(volume, centre_mm),
        bright_share=content.bright_share if content is not None else 0.0,
        look=_look(normalised_crops(part, centre_mm, side)),
    )


def _nearest(volume: Volume, centre_mm: Point) -> slice:
    """The few slices nearest to a point; they lie beside each other."""
    distances = np.abs(distance_mm(volume, centre_mm))
    first = int(np.argsort(distances, kind="stable")[:N_SLICES].min())
    return slice(first, first + min(N_SLICES, len(distances)))


def _slices(volume: Volume, kept: slice) -> Volume:
    affine = volume.affine.copy()
    affine[:3, 3] = volume.to_lps((kept.start, 0, 0))
    return replace(volume, pixels=volume.pixels[kept], affine=affine, sources=volume.sources[kept])


def _between(volume: Volume, centres_mm: Sequence[Point], axis: int) -> float:
    """How far two heads lie apart along an axis, in mm; 0 of one."""
    places = [float(volume.to_index(np.asarray(centre))[axis]) for centre in centres_mm]
    return (max(places) - min(places)) * float(volume.spacing_mm[axis])


def _ghosts(pixels: Array, axis: int, step_mm: float, apart_mm: float = 0.0) -> float:
    """Height of the sharpest peak in the likeness of the picture to itself moved along an axis.

    A ghost repeats every edge at one distance; anatomy that repeats itself does so at many. Where two heads lie `apart_mm`
    from each other, distances about as large are left out: one head is like the other.
    """
    lines = np.swapaxes(pixels, axis, 2)[:, ::N_LINES_STEP]  # (slice, line, place along the axis)
    edges = lines - ndimage.gaussian_filter1d(lines, SCALE_MM / step_mm, axis=2, truncate=3)
    spread = float(np.percentile(np.abs(edges[:, :, ::2]), 98))
    if spread <= 0:
        return 0.0
    edges = np.clip(edges, -spread, spread)
    n = edges.shape[2]
    padded = fft.next_fast_len(2 * n, real=True)
    power = (np.abs(fft.rfft(edges, padded, axis=2)) ** 2).sum(axis=(0, 1))
    likeness = fft.irfft(power, padded)[:n]
    likeness = likeness / likeness[0]
    width = 2 * int(GHOST_SMOOTH_MM / step_mm / 2) + 3
    peaks = likeness - ndimage.median_filter(likeness, width, mode="nearest")
    lags_mm = np.arange(n) * step_mm
    counts = (lags_mm >= GHOST_FROM_MM) & (lags_mm < 0.85 * n * step_mm)
    if apart_mm > GHOST_FROM_MM:
        counts &= np.abs(lags_mm - apart_mm) > GHOST_FROM_MM
    return float(peaks[counts].max(initial=0.0))


def _wrap(pixels: Array, axis: int, spacing_mm: Sequence[float], level: float) -> float:
    """How well one edge of the picture goes on at the opposite one: a picture that wraps round is periodic.

    The likeness of the two outermost lines, weighed by their signal as a share of `level`. Places near pixels of exactly 0 do
    not take part: scanners that straighten a picture leave the same empty corners at both edges.
    """
    other = 3 - axis
    lines = np.moveaxis(pixels, axis, 0)[[0, 1, -2, -1]]  # (line, slice, place along the edge)
    smooth = ndimage.gaussian_filter1d(lines, RIM_MM / float(spacing_mm[other]), axis=2)
    first, last = smooth[:2].mean(axis=0), smooth[2:].mean(axis=0)
    signal = min(float(np.percentile(first, 90)), float(np.percentile(last, 90))) / level
    a, b = (line - ndimage.gaussian_filter1d(line, 12 / float(spacing_mm[other]), axis=1) for line in (first, last))
    seen = lines.min(axis=0) > 0
    reach = 2 * int(12 / float(spacing_mm[other])) + 1
    seen = ndimage.minimum_filter1d(seen.astype(np.uint8), reach, axis=1) > 0
    if seen.mean() < LEAST_SEEN:
        return 0.0
    a, b = a[seen], b[seen]
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return 0.0 if norm <= 0 else float((a * b).sum() / norm) * min(signal, 1.0)


def _fat(volume: Volume, centre_mm: Point, is_right: bool) -> float:
    """Brightness of the outermost tissue beside a hip over the level of the hip's surroundings.

    Coming from the air, the first thing that is bright enough to be seen is muscle where fat is suppressed, and the fat under
    the skin where it is not. The brightest sixth of the lines counts: suppression fails in patches. 0 where no air is in view.
    """
    pixels, rows, columns = _around(volume, centre_mm)
    around = (np.abs(rows) < 45)[:, None] & (np.abs(columns) < 40)[None]
    level = float(np.median(pixels[:, around])) if around.any() else 0.0
    beside = columns <= 0 if is_right else columns >= 0
    lines = pixels[:, np.abs(rows) < 120][:, :, beside]
    if level <= 0 or lines.shape[2] < 2 * RIM_BLOCKS:
        return 0.0
    if not is_right:
        lines = lines[:, :, ::-1]  # from the air to the hip
    lines = lines.reshape(-1, lines.shape[2])
    is_tissue = lines > SEEN * level
    is_tissue &= np.roll(is_tissue, -1, axis=1)  # not a speck of noise
    first = is_tissue.argmax(axis=1)
    starts_in_air = is_tissue.any(axis=1) & (first > 0) & (first < lines.shape[1] - RIM_BLOCKS)
    if starts_in_air.sum() < LEAST_LINES:
        return 0.0
    lines, first = lines[starts_in_air], first[starts_in_air]
    rim = np.stack([lines[np.arange(len(lines)), first + k] for k in range(RIM_BLOCKS)])
    return float(np.percentile(rim.max(axis=0), 85)) / level


def _around(volume: Volume, centre_mm: Point) -> tuple[Array, Vector, Vector]:
    """The slices in blocks of about 4 mm, with the place of their rows and columns from the head in mm."""
    row, column = centre_index(volume, centre_mm)[_middle(volume, centre_mm)]
    blocks = [max(1, round(BLOCK_MM / float(mm))) for mm in volume.spacing_mm[1:]]
    shape = [n // block for n, block in zip(volume.pixels.shape[1:], blocks, strict=True)]
    part = np.nan_to_num(volume.pixels[:, : shape[0] * blocks[0], : shape[1] * blocks[1]])
    means = part.reshape(len(part), shape[0], blocks[0], shape[1], blocks[1]).mean(axis=(2, 4))
    rows, columns = (
        ((np.arange(n) + 0.5) * block - 0.5 - at) * float(mm)
        for n, block, at, mm in zip(shape, blocks, (row, column), volume.spacing_mm[1:], strict=True)
    )
    return means, rows, columns


def _is_right(volume: Volume, centre_mm: Point, centres_mm: Sequence[Point]) -> bool:
    """Whether a hip is the one on the patient's right (smaller x), or on the right of the picture's middle if alone."""
    if len(centres_mm) > 1:
        return centre_mm[0] <= min(centre[0] for centre in centres_mm)
    middle = volume.to_lps((np.array(volume.pixels.shape) - 1) / 2)
    return bool(centre_mm[0] < middle[0])


def _noise(volume: Volume, centre_mm: Point) -> float:
    """Standard deviation of the noise over the picture's spread around the head; at two scales, the worse one."""
    part = _block(volume, centre_mm, 45.0)
    if min(part.shape[1:]) < 8:
        return 1.0
    low, high = np.percentile(part, (5, 95))
    if high <= low:
        return 1.0
    halved = part[:, : part.shape[1] // 2 * 2, : part.shape[2] // 2 * 2]
    halved = halved.reshape(len(part), halved.shape[1] // 2, 2, halved.shape[2] // 2, 2).mean(axis=(2, 4))
    return max(_grain(part), 2 * _grain(halved)) / float(high - low)


def _block(volume: Volume, centre_mm: Point, reach_mm: float) -> Array:
    """The pixels around a head."""
    at = centre_index(volume, centre_mm)[_middle(volume, centre_mm)]
    rows, columns = (
        slice(max(0, int(place - reach_mm / mm)), max(0, int(place + reach_mm / mm)))
        for place, mm in zip(at, volume.spacing_mm[1:], strict=True)
    )
    return np.nan_to_num(volume.pixels[:, rows, columns])


def _middle(volume: Volume, centre_mm: Point) -> int:
    return int(np.abs(distance_mm(volume, centre_mm)).argmin())


def _grain(pixels: Array) -> float:
    """Standard deviation of white noise, from the median of a second difference both ways (Immerkær 1996)."""
    kernel = np.array([1.0, -2.0, 1.0], np.float32)
    second = ndimage.convolve1d(ndimage.convolve1d(pixels, kernel, axis=1), kernel, axis=2)[:, 1:-1, 1:-1]
    return float(np.median(np.abs(second)) / 0.6745 / 6)


def _marrow(volume: Volume, centre_mm: Point, mask: Mask) -> float:
    """Level of the head's healthy marrow over that of its surroundings; fat-suppressed it is the darker of the two."""
    head = (mask & (FEMORAL_HEAD | BME | SYNOVITIS)) == FEMORAL_HEAD
    if not head.any():
        return 0.0
    level = float(np.median(_block(volume, centre_mm, 55.0)))
    return float(np.median(volume.pixels[head])) / level if level > 0 else 0.0


def _cut(volume: Volume, centre_mm: Point) -> float:
    """Share of a sphere around the head that lies outside the pictures, between the first and the last slice too."""
    steps = np.arange(-SPHERE_MM, SPHERE_MM + 0.1, 4.0)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid[np.linalg.norm(grid, axis=1) <= SPHERE_MM] + np.asarray(centre_mm)
    index = volume.to_index(grid)
    faces = 0.5 + np.array([4.0 / float(volume.spacing_mm[0]), 0, 0])  # a slice speaks for a little more than its place
    outside = np.any((index < -faces) | (index > np.array(volume.pixels.shape) - 1 + faces), axis=1)
    return float(outside.mean())


def _look(crops: Array) -> Vector:
    """What the network sees of a hip in a dozen numbers (`LOOK`), shape (12,)."""
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in crops.shape[1:])
    radius_mm = np.hypot(rows[:, None], columns[None, :]) * CROP_SPACING_MM
    quantiles = np.percentile(crops, (1, 10, 25, 75, 90, 99))
    means = [float(crops[:, where].mean()) for where in (radius_mm < 16, (radius_mm > 22) & (radius_mm < 32))]
    spread = float(crops.std()) or 1.0
    edges = [float(np.abs(crops[:, :, k:] - crops[:, :, :-k]).mean()) / spread for k in (1, 4)]
    pairs = [(a.ravel(), b.ravel()) for a, b in pairwise(crops) if a.std() * b.std() > 0]
    # How alike neighbouring slices are: normalised cross-correlation.
    alike = [((a - a.mean()) * (b - b.mean())).mean() / (a.std() * b.std()) for a, b in pairs]
    neighbour = float(np.mean(alike)) if alike else LIKE_NEIGHBOURS
    flat = float((np.abs(np.diff(crops, axis=2)) < 1e-6).mean())
    return np.array([*quantiles, *means, *edges, neighbour, flat], np.float64)
