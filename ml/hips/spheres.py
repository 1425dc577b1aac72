"""Balls in the network's answer: connected spots of femoral head, and the sphere that fits each best."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize

from ml.hips.prepare import CELL_MM, PIXEL_MM, Canvas

Share = npt.NDArray[np.float32]

MEAN_RADIUS_MM, RADIUS_SPREAD_MM = 23.5, 3.0  # adults, both sexes: about 20 to 28 mm
RADIUS_RANGE_MM = (16.0, 32.0)
SPOT_LEVEL = 0.3
MAX_SPOTS = 6
_REACH_MM = 48.0  # how far around a spot the sphere is compared with the answer


@dataclass(frozen=True)
class Answer:
    """The network's answer for a study, on a grid of (slice, cell row, cell column).

    Attributes
    ----------
    shares : float32, shape (parts, slice, row, column)
    seen : bool, shape (slice, row, column): cells inside the field of view
    slice_mm : position of each looked-at slice along the stack, from the Volume's first slice
    canvas : where the grid lies
    """

    shares: Share
    seen: npt.NDArray[np.bool_]
    slice_mm: npt.NDArray[np.float64]
    canvas: Canvas

    @property
    def heads(self) -> Share:
        """Share of femoral head of either side."""
        return np.asarray(self.shares[1] + self.shares[2], np.float32)

    @cached_property
    def signal(self) -> Share:
        """Intensity of each cell, shape (slice, row, column), in proportion to the pixels of its slice."""
        bright = self.canvas.images[:, 0]
        n, rows, columns = bright.shape
        cell = int(CELL_MM / PIXEL_MM)
        return np.asarray(bright.reshape(n, rows // cell, cell, columns // cell, cell).mean((2, 4)) ** 2, np.float32)


@dataclass(frozen=True)
class Ball:
    """A sphere in the answer: (slice, row, column) mm with the grid's first cell centre at 0, and how well it fits.

    `overlap` is the soft Dice between the sphere and the answer around it; `inner` the mean share of head well inside it.
    """

    centre_mm: npt.NDArray[np.float64]
    radius_mm: float
    overlap: float
    inner: float
    mass_ml: float
    visible: float


def spots(heads: Share) -> list[npt.NDArray[np.bool_]]:
    """Connected spots of femoral head, the heaviest first."""
    marked, n = ndimage.label(heads > SPOT_LEVEL, np.ones((3, 3, 3)))
    if n == 0:
        return []
    mass = ndimage.sum_labels(heads, marked, np.arange(1, n + 1))
    order = np.argsort(-mass)[:MAX_SPOTS]
    return [marked == label + 1 for label in order]


def grid_mm(answer: Answer) -> tuple[npt.NDArray[np.float64], ...]:
    """Positions in mm along slice, row and column of the answer's cells, ready to broadcast."""
    _, rows, columns = answer.heads.shape
    return (
        answer.slice_mm[:, None, None],
        CELL_MM * np.arange(rows, dtype=float)[None, :, None],
        CELL_MM * np.arange(columns, dtype=float)[None, None, :],
    )


def distance_mm(axes: tuple[npt.NDArray[np.float64], ...], centre_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distance of every cell from a point."""
    return np.asarray(np.sqrt(sum((axis - c) ** 2 for axis, c in zip(axes, centre_mm, strict=True))))


def fit_ball(answer: Answer, spot: npt.NDArray[np.bool_]) -> Ball:
    """The sphere that explains a spot best, with a mild pull of its radius towards that of an adult's head.

    Cells outside the field of view take no part, so a head at the edge keeps its true centre.
    """
    axes = grid_mm(answer)
    heads = answer.heads
    weight = np.where(spot, heads, 0)
    start = np.array([float((weight * axis).sum() / weight.sum()) for axis in axes])
    near = [np.abs(axis.ravel() - c) < _REACH_MM for axis, c in zip(axes, start, strict=True)]
    box = np.ix_(*near)
    local_axes = tuple(axis.ravel()[keep].reshape(shape) for axis, keep, shape in zip(axes, near, _SHAPES, strict=True))
    own = ndimage.binary_dilation(spot[box], np.ones((1, 3, 3)), iterations=2)
    local = np.where(own, heads[box], 0)
    seen = answer.seen[box]
    pitch = float(np.median(np.diff(answer.slice_mm))) if len(answer.slice_mm) > 1 else CELL_MM

    def ball(parameters: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        edge = CELL_MM + 0.2 * min(pitch, 10.0)
        return np.clip((parameters[3] - distance_mm(local_axes, parameters[:3])) / edge + 0.5, 0, 1)

    def cost(parameters: npt.NDArray[np.float64]) -> float:
        misfit = float((((ball(parameters) - local) ** 2)[seen]).sum()) * pitch / CELL_MM
        pull = ((parameters[3] - MEAN_RADIUS_MM) / RADIUS_SPREAD_MM) ** 2
        outside = np.clip(np.abs(parameters[3] - 24) - 8, 0, None) * 20
        return misfit + 2.0 * pull + float(outside)

    simplex = np.array([[*start, MEAN_RADIUS_MM], *(np.array([*start, MEAN_RADIUS_MM]) + np.diag([8.0, 6, 6, 3]))])
    options = {"initial_simplex": simplex, "maxiter": 220, "xatol": 0.1, "fatol": 0.01}
    best = optimize.minimize(cost, simplex[0], method="Nelder-Mead", options=options)
    fitted = ball(best.x)
    inside = fitted * seen
    overlap = 2 * float((inside * local).sum()) / max(float((inside**2).sum() + (local[seen] ** 2).sum()), 1e-6)
    well_inside = (distance_mm(local_axes, best.x[:3]) < 0.75 * best.x[3]) & seen
    return Ball(
        centre_mm=np.asarray(best.x[:3]),
        radius_mm=float(np.clip(best.x[3], *RADIUS_RANGE_MM)),
        overlap=overlap,
        inner=float(local[well_inside].mean()) if well_inside.any() else 0.0,
        mass_ml=float(local.sum()) * CELL_MM**2 * pitch / 1000,
        visible=float(inside.sum() / max(fitted.sum(), 1e-6)),
    )


_SHAPES = ((-1, 1, 1), (1, -1, 1), (1, 1, -1))
