"""Hip crops: the head-centred, right-looking window that the network sees, and the way back to the original grid."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.dicom.volume import Volume
from ml.resample import resample

CROP_ROWS, CROP_COLUMNS = 128, 160
CROP_SPACING_MM = 0.78125
SAME_PX = 1e-9  # between neighbouring slices: rounding, not shear
NORMALISE_REACH_MM = 35.0  # slices farther from the head than this do not set the intensity scale
SIDES: tuple[Literal["right"], Literal["left"]] = ("right", "left")

Array = npt.NDArray[np.float32]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Box:
    """Outline of the crop on one slice, in (row, column) indices of the Volume."""

    row_min: float
    row_max: float
    column_min: float
    column_max: float


def centre_index(volume: Volume, centre_mm: Point) -> npt.NDArray[np.float64]:
    """Row and column of the foot of the perpendicular from a point to each slice.

    Parameters
    ----------
    centre_mm : LPS position in mm

    Returns
    -------
    float64, shape (slice, 2)
        (row, column), not rounded. Constant over the slices unless the stack is sheared.
    """
    point = np.asarray(centre_mm, np.float64)
    origins = volume.to_lps([(i, 0, 0) for i in range(volume.pixels.shape[0])])
    in_plane = volume.affine[:3, 1:3]  # mm per row step, mm per column step; at right angles (PS3.3 C.7.6.2.1.1)
    return np.asarray((point - origins) @ in_plane / (in_plane**2).sum(axis=0))


def distance_mm(volume: Volume, centre_mm: Point) -> npt.NDArray[np.float64]:
    """Distance of a point to the plane of each slice in mm, shape (slice,), signed: positive for slices behind it."""
    in_plane = volume.affine[:3, 1:3]
    normal = np.cross(in_plane[:, 0], in_plane[:, 1])
    normal /= np.linalg.norm(normal)
    if normal @ volume.affine[:3, 0] < 0:
        normal = -normal
    origins = volume.to_lps([(i, 0, 0) for i in range(volume.pixels.shape[0])])
    return np.asarray((origins - np.asarray(centre_mm)) @ normal)


def box(volume: Volume, centre_mm: Point) -> Box:
    """Outline of the crop around a head centre, on the slice nearest to it."""
    nearest = int(np.argmin(np.abs(distance_mm(volume, centre_mm))))
    row, column = centre_index(volume, centre_mm)[nearest]
    half_rows = CROP_ROWS * CROP_SPACING_MM / volume.spacing_mm[1] / 2
    half_columns = CROP_COLUMNS * CROP_SPACING_MM / volume.spacing_mm[2] / 2
    return Box(row - half_rows, row + half_rows, column - half_columns, column + half_columns)


def extract(
    volume: Volume,
    centre_mm: Point,
    side: str,
    array: npt.NDArray | None = None,
    shape: tuple[int, int] = (CROP_ROWS, CROP_COLUMNS),
    nearest: bool = False,
) -> Array:
    """The hip's crop of each slice, as a right hip.

    Parameters
    ----------
    volume : Volume
    centre_mm : LPS position of the femoral head's centre
    side : "right" or "left"
        A left hip is mirrored.
    array : shape (slice, row, column), optional
        What to cut instead of the volume's pixels (a mask plane, say).
    shape : (rows, columns) of the crop
    nearest : take the nearest pixel (for ids) instead of interpolating

    Returns
    -------
    float32, shape (slice, rows, columns)
        Linear interpolation, averaging where the volume is finer than the crop; 0 outside the image.
    """
    source = volume.pixels if array is None else array
    weigh = _nearest_weights if nearest else _weights
    crops = np.zeros((source.shape[0], *shape), np.float32)
    for slices, rows, columns in _crop_positions(volume, centre_mm, side, shape):
        row_span, by_row = _trimmed(weigh(rows, source.shape[1]))
        column_span, by_column = _trimmed(weigh(columns, source.shape[2]))
        part = np.asarray(source[slices.start : slices.stop, row_span, column_span], np.float32)
        crops[slices.start : slices.stop] = resample(resample(part, by_row, 1), by_column, 2)
    return crops


def restore(planes: Array, volume: Volume, centre_mm: Point, side: str) -> Array:
    """Label maps of a crop laid back on the grid of the volume: the inverse of `extract`.

    Parameters
    ----------
    planes : float32, shape (label, slice, 128, 160)

    Returns
    -------
    float32, shape (label, slice, row, column)
        Linear interpolation; 0 outside the crop.
    """
    rows, columns = window(volume, centre_mm, side)
    restored = np.zeros((*planes.shape[:2], *volume.pixels.shape[1:]), np.float32)
    restored[:, :, rows, columns] = restore_window(planes, volume, centre_mm, side)
    return restored


def restore_window(planes: Array, volume: Volume, centre_mm: Point, side: str) -> Array:
    """What `restore` gives, inside `window` alone: all the rest is 0. Slices where all planes are 0 stay so."""
    n_rows, n_columns = volume.pixels.shape[1:]
    row_window, column_window = window(volume, centre_mm, side)
    shape = (row_window.stop - row_window.start, column_window.stop - column_window.start)
    restored = np.zeros((*planes.shape[:2], *shape), np.float32)
    for slices, rows, columns in _crop_positions(volume, centre_mm, side, planes.shape[2:]):
        by_row = _weights(_inverted(rows, n_rows), planes.shape[2])[row_window]
        by_column = _weights(_inverted(columns, n_columns), planes.shape[3])[column_window]
        used = [index for index in slices if planes[:, index].any()]
        if used:
            restored[:, used] = resample(resample(planes[:, used], by_column, 3), by_row, 2)
    return restored


def window(volume: Volume, centre_mm: Point, side: str) -> tuple[slice, slice]:
    """Rows and columns of the volume that the crop of any slice can reach; one of each at the edge where it reaches none."""
    spans = []
    for axis, size in enumerate(volume.pixels.shape[1:]):
        places = [rows_columns[axis] for _, *rows_columns in _crop_positions(volume, centre_mm, side, (CROP_ROWS, CROP_COLUMNS))]
        reach = abs(float(places[0][1] - places[0][0])) + 1  # beyond the last position, linear interpolation ends within a step
        low = min(float(min(place[0], place[-1])) for place in places) - reach
        high = max(float(max(place[0], place[-1])) for place in places) + reach
        first = int(np.clip(np.floor(low), 0, size - 1))
        spans.append(slice(first, int(np.clip(np.ceil(high) + 1, first + 1, size))))
    rows, columns = spans
    return rows, columns


def normalise(crops: Array, is_near: npt.NDArray[np.bool_] | None = None) -> Array:
    """Crops of one hip on one intensity scale: median 0, the distance from the 5th to the 95th percentile 1.

    Parameters
    ----------
    crops : float32, shape (slice, row, column)
    is_near : bool, shape (slice,), optional
        The slices whose pixels set the scale; all where none is true.

    Returns
    -------
    float32, same shape, between -3 and 6

    Notes
    -----
    Pixels of exactly 0 (outside the image, masked air) do not take part. Multiplying all intensities by a positive
    constant changes nothing. A flat stack becomes 0.
    """
    sample = crops[is_near] if is_near is not None and is_near.any() else crops
    sample = sample[sample != 0]
    if sample.size == 0:
        return np.zeros_like(crops)
    low, middle, high = np.percentile(sample, (5, 50, 95))
    spread = high - low
    if not np.isfinite(spread) or spread <= 0:
        return np.zeros_like(crops)
    scaled = (crops - np.float32(middle)) / np.float32(spread)
    return np.clip(scaled, -3, 6).astype(np.float32)


def normalised_crops(volume: Volume, centre_mm: Point, side: str) -> Array:
    """What the network sees of a hip, shape (slice, 128, 160)."""
    is_near = np.abs(distance_mm(volume, centre_mm)) <= NORMALISE_REACH_MM
    return normalise(extract(volume, centre_mm, side), is_near)


def _crop_positions(
    volume: Volume, centre_mm: Point, side: str, shape: tuple[int, ...]
) -> list[tuple[range, npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Volume row of each crop row and volume column of each crop column, for each run of slices where they are the same.

    That is one run, unless the stack is sheared.
    """
    if side not in SIDES:
        raise ValueError(f"side is {side!r}; it must be 'right' or 'left'")
    rows = (np.arange(shape[0]) - (shape[0] - 1) / 2) * CROP_SPACING_MM / volume.spacing_mm[1]
    columns = (np.arange(shape[1]) - (shape[1] - 1) / 2) * CROP_SPACING_MM / volume.spacing_mm[2]
    if side == "left":
        columns = -columns
    centres = centre_index(volume, centre_mm)
    is_new = (np.abs(np.diff(centres, axis=0)) > SAME_PX).any(axis=1)
    firsts = [0, *(np.flatnonzero(is_new) + 1).tolist()]
    return [
        (range(first, end), centres[first, 0] + rows, centres[first, 1] + columns)
        for first, end in zip(firsts, [*firsts[1:], len(centres)], strict=True)
    ]


def _inverted(positions: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """Where each of `size` pixels lies in an evenly spaced list of positions."""
    step = positions[1] - positions[0]
    return np.asarray((np.arange(size) - positions[0]) / step)


def _weights(positions: npt.NDArray[np.float64], size: int) -> Array:
    """Weights, shape (position, size), of a triangle filter: linear interpolation, wider where samples are dropped."""
    width = max(1.0, abs(float(positions[1] - positions[0])))
    margin = int(np.ceil(width)) + 1  # so that the weights of positions near the edge are shares of the whole triangle
    whole = np.arange(-margin, size + margin)
    weights = np.clip(1 - np.abs(positions[:, None] - whole) / width, 0, None)
    total = weights.sum(axis=1, keepdims=True)
    weights /= np.where(total > 0, total, 1)
    return np.asarray(weights[:, margin : margin + size], np.float32)


def _nearest_weights(positions: npt.NDArray[np.float64], size: int) -> Array:
    """Weights, shape (position, size): 1 at the nearest pixel, nothing outside."""
    return np.asarray(np.rint(positions)[:, None] == np.arange(size), np.float32)


def _trimmed(weights: Array) -> tuple[slice, Array]:
    """The span of pixels that have any weight, and the weights of that span alone."""
    used = np.flatnonzero(weights.any(axis=0))
    span = slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0)
    return span, weights[:, span]
