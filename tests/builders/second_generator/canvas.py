"""The voxel model: a fine grid laid along the scan's own axes into which solids are painted with soft edges."""

from collections.abc import Sequence as Seq
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tests.builders.second_generator.shapes import Array, Points, Shape
from tests.builders.second_generator.tissues import TISSUES, Sequence

Box = tuple[slice, slice, slice]


def _spline_matrix(n_voxels: int, voxel_mm: float, knot_mm: float, n_knots: int) -> Array:
    """Cubic B-spline weights (voxel, knot) of a line of voxels."""
    at = np.arange(n_voxels) * voxel_mm / knot_mm + 1
    first = np.floor(at).astype(int)
    t = at - first
    matrix = np.zeros((n_voxels, n_knots), np.float32)
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    for step, weight in enumerate(weights):
        matrix[np.arange(n_voxels), first - 1 + step] = weight / 6
    return matrix


def smooth_noise(rng: np.random.Generator, shape: Seq[int], voxel_mm: Seq[float], knot_mm: Seq[float]) -> Array:
    """Smooth random field of about unit spread on a grid; `knot_mm` is the length over which it varies, per axis."""
    n_knots = [int(n * v / k) + 5 for n, v, k in zip(shape, voxel_mm, knot_mm, strict=True)]
    noise = rng.normal(0, 0.479**-1.5, n_knots).astype(np.float32)
    for axis in range(3):
        matrix = _spline_matrix(shape[axis], voxel_mm[axis], knot_mm[axis], n_knots[axis])
        noise = np.moveaxis(np.tensordot(noise, matrix, axes=(axis, 1)), 2, axis)
    return np.ascontiguousarray(noise)


def _thinned(array: Array, step: int) -> Array:
    """Every `step`-th voxel of each axis, going on beyond the last one where it would be left out."""
    for axis in range(3):
        n = array.shape[axis]
        index = np.minimum(np.arange(0, n - 1 + step, step), n - 1)
        array = array.take(index, axis)
    return array


@dataclass(frozen=True)
class Grid:
    """Where the voxels lie: unit axes (slice, row, column) as columns, position of voxel 0, counts and sizes in mm."""

    axes: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]
    shape: tuple[int, int, int]
    voxel_mm: tuple[float, float, float]

    def points(self) -> list[Array]:
        """x, y and z of all voxels."""
        lines = [np.arange(n, dtype=np.float32) * np.float32(v) for n, v in zip(self.shape, self.voxel_mm, strict=True)]
        s, r, c = lines[0][:, None, None], lines[1][None, :, None], lines[2][None, None, :]
        a = self.axes.astype(np.float32)
        return [np.float32(self.origin[i]) + a[i, 0] * s + a[i, 1] * r + a[i, 2] * c for i in range(3)]

    def box(self, shape: Shape, margin_mm: float) -> Box | None:
        """The part of the grid that may hold a solid, or None."""
        corners = np.array(np.meshgrid(*zip(shape.low, shape.high, strict=True), indexing="ij")).reshape(3, 8)
        index = (self.axes.T @ (corners - self.origin[:, None])) / np.array(self.voxel_mm)[:, None]
        pad = margin_mm / np.array(self.voxel_mm)
        low = np.maximum(np.floor(index.min(1) - pad), 0).astype(int)
        high = np.minimum(np.ceil(index.max(1) + pad) + 1, self.shape).astype(int)
        if np.any(high <= low):
            return None
        return (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))


@dataclass
class Canvas:
    """Water and fat signal on the grid, and how much of each voxel each label takes (0-1).

    `warp_mm` is the spread of a smooth random displacement of all anatomy.
    """

    grid: Grid
    sequence: Sequence
    rng: np.random.Generator
    warp_mm: float = 2.5
    labels: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape, voxel = self.grid.shape, self.grid.voxel_mm
        self.reach_mm = 4 * self.warp_mm + 2
        points = self.grid.points()
        for i in range(3):
            points[i] = points[i] + np.float32(self.warp_mm) * smooth_noise(self.rng, shape, voxel, (55, 55, 55))
        self.points: Points = (points[0], points[1], points[2])
        self.grain = smooth_noise(self.rng, shape, voxel, (5, 5, 5))
        self.water = np.zeros(shape, np.float32)
        self.fat = np.zeros(shape, np.float32)

    def at(self, box: Box) -> Points:
        """Warped coordinates of the voxels in a box."""
        return (self.points[0][box], self.points[1][box], self.points[2][box])

    def cover(self, shape: Shape) -> tuple[Box, Array] | None:
        """Box and the share (0-1) of each of its voxels that a solid fills; None where it is out of the grid."""
        box = self.grid.box(shape, self.reach_mm)
        if box is None:
            return None
        return box, self.share(shape.distance(self.at(box)))

    def share(self, distance: Array) -> Array:
        """Share (0-1) of a voxel filled by a solid whose surface is `distance` mm away."""
        size = np.float32(np.mean(self.grid.voxel_mm))
        return np.clip(np.float32(0.5) - distance / size, 0, 1)

    def lay(self, box: Box, share: Array, tissue: str, gain: float = 1.0) -> None:
        """Replace a share of what is in the box by a tissue; `gain` makes it brighter or darker than usual."""
        kind = TISSUES[tissue]
        water, fat = self.sequence.signal(kind)
        rough = np.float32(gain) * (1 + np.float32(kind.grain) * self.grain[box])
        self.water[box] += share * (np.float32(water) * rough - self.water[box])
        self.fat[box] += share * (np.float32(fat) * rough - self.fat[box])

    def paint(self, shape: Shape, tissue: str, gain: float = 1.0, opacity: float = 1.0, within: Array | None = None) -> None:
        """Paint a solid with a tissue, `within` where a signed distance on the whole grid is negative."""
        covered = self.cover(shape)
        if covered is not None:
            box, share = covered
            if within is not None:
                share = np.minimum(share, self.share(within[box]))
            self.lay(box, share * np.float32(opacity), tissue, gain)

    def smooth_distance(self, shape: Shape, step: int = 4) -> Array:
        """Signed distance of a large smooth solid on the whole grid, worked out on every fourth voxel and interpolated."""
        thin = tuple(_thinned(p, step) for p in self.points)
        distance = shape.distance((thin[0], thin[1], thin[2]))
        for axis, n in enumerate(self.grid.shape):
            at = np.minimum(np.arange(n) / step, distance.shape[axis] - 1)
            first = np.minimum(at.astype(int), distance.shape[axis] - 2)
            weight = (at - first).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
            low, high = distance.take(first, axis), distance.take(first + 1, axis)
            distance = low + weight * (high - low)
        return distance

    def mark(self, label: str, box: Box, share: Array) -> None:
        """Add a share of the voxels of a box to a label."""
        plane = self.labels.setdefault(label, np.zeros(self.grid.shape, np.float32))
        np.maximum(plane[box], share, out=plane[box])

    def unwarped(self, point: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Where in the scan a point of the unwarped anatomy comes to lie."""
        target = np.asarray(point, float)
        shift = np.zeros(3)
        for _ in range(4):
            index = (self.grid.axes.T @ (target - shift - self.grid.origin)) / np.array(self.grid.voxel_mm)
            i = tuple(np.clip(np.round(index), 0, np.array(self.grid.shape) - 1).astype(int))
            home = self.grid.origin + self.grid.axes @ (np.array(i) * self.grid.voxel_mm)
            shift = np.array([self.points[k][i] for k in range(3)]) - home
        return target - shift
