"""Sampling grids in the anatomy's own frame: positions, local boxes, coarse copies and smooth noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Grid:
    """A grid of sample points (slice, row, column).

    Attributes
    ----------
    axes_mm : three 1-D arrays
        Positions along the slice normal, down the rows and along the columns; the first need not be evenly spaced.
    matrix, offset : (3, 3), (3,)
        Anatomy position = matrix @ (slice, row, column position) + offset; `matrix` is a rotation.
    """

    axes_mm: tuple[Field, Field, Field]
    matrix: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of points along slices, rows and columns."""
        s, r, c = (len(axis) for axis in self.axes_mm)
        return s, r, c

    def points(self) -> tuple[Field, Field, Field]:
        """Anatomy x (patient's left), y (posterior), z (superior) in mm of all points, each of the grid's shape."""
        s, r, c = self.axes_mm
        m = self.matrix.astype(np.float32)
        parts = []
        for axis in range(3):
            sr = (np.float32(self.offset[axis]) + m[axis, 0] * s)[:, None] + m[axis, 1] * r[None, :]
            parts.append(sr[:, :, None] + m[axis, 2] * c)
        return parts[0], parts[1], parts[2]

    def box(self, low_mm: npt.ArrayLike, high_mm: npt.ArrayLike) -> Box | None:
        """Index box that holds the anatomy box low_mm … high_mm; None where it lies outside the grid."""
        low, high = np.asarray(low_mm, np.float64), np.asarray(high_mm, np.float64)
        corners = np.array([[(low, high)[(i >> k) & 1][k] for k in range(3)] for i in range(8)])
        inside = (corners - self.offset) @ self.matrix
        ranges = []
        for axis, positions in enumerate(self.axes_mm):
            reach = 6.0 if axis == 0 else 0.0  # a slice is as thick as its neighbours are far
            start = int(np.searchsorted(positions, inside[:, axis].min() - reach))
            stop = int(np.searchsorted(positions, inside[:, axis].max() + reach))
            if stop <= start:
                return None
            ranges.append(slice(start, stop))
        return ranges[0], ranges[1], ranges[2]

    def crop(self, box: Box) -> "Grid":
        """The part of the grid in an index box."""
        s, r, c = (axis[part] for axis, part in zip(self.axes_mm, box, strict=True))
        return Grid((s, r, c), self.matrix, self.offset)

    def coarse(self, step_mm: float) -> "Grid":
        """A grid over the same extent with points at most `step_mm` apart."""
        axes = []
        for axis in self.axes_mm:
            n = int(np.ceil((axis[-1] - axis[0]) / step_mm)) + 1
            axes.append(np.linspace(axis[0], axis[-1], n, dtype=np.float32))
        return Grid((axes[0], axes[1], axes[2]), self.matrix, self.offset)

    def upsample(self, values: Field, coarse: "Grid") -> Field:
        """Values on a coarse copy of this grid, linearly interpolated to this grid."""
        weights = [linear_weights(t, f) for t, f in zip(self.axes_mm, coarse.axes_mm, strict=True)]
        return apply_weights(values, weights)

    def noise(self, rng: np.random.Generator, scale_mm: float | tuple[float, float, float]) -> Field:
        """Smooth noise of about unit standard deviation and the given correlation length in mm."""
        scales = (scale_mm,) * 3 if isinstance(scale_mm, int | float) else scale_mm
        weights, shape = [], []
        for positions, scale in zip(self.axes_mm, scales, strict=True):
            n = max(2, int(np.ceil((positions[-1] - positions[0]) / scale)) + 2)
            knots = positions[0] + scale * (np.arange(n, dtype=np.float32) - rng.uniform(0, 0.9))
            weights.append(linear_weights(positions, knots))
            shape.append(n)
        return apply_weights(rng.standard_normal(shape, np.float32), weights) * np.float32(1.8)


@dataclass(frozen=True)
class Weights:
    """Linear interpolation along one axis: each target lies `share` of the way from knot `low` to the next."""

    low: npt.NDArray[np.intp]
    share: Field
    n_knots: int

    def along(self, values: Field, axis: int) -> Field:
        """Interpolate an array along the slice (0) or row (1) axis."""
        if self.n_knots == 1:
            return np.repeat(values, len(self.low), axis=axis)
        below, above = values.take(self.low, axis=axis), values.take(self.low + 1, axis=axis)
        above -= below
        above *= self.share[:, None, None] if axis == 0 else self.share[:, None]
        above += below
        return above

    def matrix(self) -> Field:
        """The same as a (knot, target) matrix."""
        matrix = np.zeros((self.n_knots, len(self.low)), np.float32)
        targets = np.arange(len(self.low))
        matrix[self.low, targets] = 1 - self.share
        if self.n_knots > 1:
            matrix[self.low + 1, targets] = self.share
        return matrix


def linear_weights(targets: Field, knots: Field) -> Weights:
    """Linear interpolation from knots to targets, constant beyond the ends."""
    place = np.interp(targets, knots, np.arange(len(knots)))
    low = np.clip(place.astype(np.intp), 0, max(len(knots) - 2, 0))
    return Weights(low, (place - low).astype(np.float32), len(knots))


def apply_weights(values: Field, weights: Sequence[Weights]) -> Field:
    """Interpolate along slices, rows and columns (the last as a matrix product: gathering columns is slow)."""
    out = weights[0].along(values.astype(np.float32, copy=False), 0)  # (S, r, c)
    out = weights[1].along(out, 1)  # (S, R, c)
    return np.asarray(out @ weights[2].matrix(), np.float32)  # (S, R, C)
