"""How the scanner lays its slices: field of view, matrix, spacing, tilt, and the map from anatomy to patient space."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.phantom.anatomy import SIDES, Anatomy
from ml.phantom.grid import Grid
from ml.phantom.shapes import rotation

Matrix = npt.NDArray[np.float64]

# Directions in LPS of (slice, row, column) for each plane.
PLANES: dict[str, Matrix] = {
    "coronal": np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0]], float).T,
    "axial": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float).T,
    "sagittal": np.array([[-1, 0, 0], [0, 0, -1], [0, 1, 0]], float).T,
}


@dataclass(frozen=True)
class Acquisition:
    """Geometry of one stack.

    Attributes
    ----------
    shape : (slices, rows, columns)
    spacing_mm : (slice, row, column), slices centre to centre
    thickness_mm : slice thickness; spacing − thickness is the gap
    directions : (3, 3), columns are the LPS unit vectors of slice, row and column
    origin_mm : LPS of voxel (0, 0, 0)
    pose : (3, 3), turns the anatomy's axes into LPS
    shift_mm : LPS of the anatomy's origin
    aimed_at : "right", "left" or "both"
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    thickness_mm: float
    directions: Matrix
    origin_mm: Matrix
    pose: Matrix
    shift_mm: Matrix
    aimed_at: str

    @property
    def affine(self) -> Matrix:
        """(slice, row, column, 1) index → LPS mm."""
        affine = np.eye(4)
        affine[:3, :3] = self.directions * np.asarray(self.spacing_mm)
        affine[:3, 3] = self.origin_mm
        return affine

    def to_lps(self, anatomy_mm: npt.ArrayLike) -> Matrix:
        """LPS position of a point of the anatomy."""
        return np.asarray(self.pose @ np.asarray(anatomy_mm, np.float64) + self.shift_mm)

    def contains(self, lps_mm: npt.ArrayLike) -> bool:
        """Whether a point lies inside the stack."""
        index = np.linalg.solve(self.affine[:3, :3], np.asarray(lps_mm) - self.origin_mm)
        return bool(np.all(index >= -0.5) and np.all(index <= np.array(self.shape) - 0.5))

    def grid(self, step_mm: float, sub: int) -> Grid:
        """Sample points in the anatomy's frame: in-plane a pixel but at least `step_mm`, `sub` points through each slice."""
        n_s, n_r, n_c = self.shape
        ds, dr, dc = self.spacing_mm
        offsets = ((np.arange(sub) + 0.5) / sub - 0.5) * self.thickness_mm
        s = (np.arange(n_s)[:, None] * ds + offsets).ravel()
        extent = ((n_r - 1) * dr, (n_c - 1) * dc)
        steps = (max(dr, step_mm), max(dc, step_mm))
        r, c = (np.linspace(0, e, int(np.ceil(e / step - 1e-6)) + 1) for e, step in zip(extent, steps, strict=True))
        matrix = self.pose.T @ self.directions
        offset = self.pose.T @ (self.origin_mm - self.shift_mm)
        axes = (s.astype(np.float32), r.astype(np.float32), c.astype(np.float32))
        return Grid(axes, matrix, offset)

    def pixel_grid(self) -> Grid:
        """One sample point for each voxel."""
        axes = [np.arange(n, dtype=np.float32) * np.float32(mm) for n, mm in zip(self.shape, self.spacing_mm, strict=True)]
        return Grid((axes[0], axes[1], axes[2]), self.pose.T @ self.directions, self.pose.T @ (self.origin_mm - self.shift_mm))


def _matrix(rng: np.random.Generator, fov: tuple[float, float]) -> tuple[tuple[int, int], tuple[float, float]]:
    column = rng.uniform(0.4, 1.4)
    n_columns = int(np.clip(round(fov[1] / column / 8) * 8, 160, 512))
    if rng.random() < 0.35:
        n_columns = int(rng.choice([256, 320, 384, 512]))
    column = float(np.clip(fov[1] / n_columns, 0.4, 1.4))
    row = column if rng.random() < 0.7 else float(np.clip(column * rng.uniform(0.7, 1.4), 0.4, 1.4))
    rows = int(np.clip(round(fov[0] / row / 2) * 2, 128, 640))
    return (rows, n_columns), (row, column)


def _field_of_view(rng: np.random.Generator, plane: str, single: bool) -> tuple[float, float]:
    width = rng.uniform(180, 250) if single else rng.uniform(300, 480)
    if plane == "coronal":
        return float(width * rng.uniform(0.72, 1.05)), float(width)
    if plane == "axial":
        return float(max(width * rng.uniform(0.6, 0.95), 180)), float(width)
    return float(rng.uniform(180, 380)), float(rng.uniform(180, 320))


def _slices(rng: np.random.Generator, plane: str) -> tuple[int, float, float]:
    n, thickness = int(rng.integers(14, 31)), float(rng.uniform(3, 6))
    gap = float(0 if rng.random() < 0.25 else rng.uniform(0, 2))
    if plane == "coronal":
        n = int(np.clip(n, np.ceil(62 / (thickness + gap)), 30))
    if plane == "sagittal":
        n = int(rng.integers(18, 46))
    return n, thickness, gap


def draw_acquisition(
    rng: np.random.Generator,
    anatomy: Anatomy,
    plane: str = "coronal",
    target: str | None = None,
    n_slices: int | None = None,
) -> Acquisition:
    """Lay a stack over a person; about one in twelve coronal stacks is aimed at a single hip."""
    if plane not in PLANES:
        raise ValueError(f"plane is {plane!r}; it must be one of {', '.join(PLANES)}")
    if target is None:
        target = str(rng.choice(SIDES)) if rng.random() < 0.08 else "both"
    if target not in (*SIDES, "both"):
        raise ValueError(f"target is {target!r}; it must be right, left or both")
    single = target != "both"
    pose = rotation(np.clip(rng.normal(0, 5, 3), -15, 15))
    tilt = rotation(np.clip(rng.normal(0, [6, 3, 3]), -20, 20))
    directions = tilt @ PLANES[plane]
    shift = rng.normal(0, [15, 15, 25])
    n, thickness, gap = _slices(rng, plane)
    n = n if n_slices is None else n_slices
    (rows, columns), (row_mm, column_mm) = _matrix(rng, _field_of_view(rng, plane, single))
    spacing = (thickness + gap, row_mm, column_mm)
    aim = anatomy.hips[target].centre if single else np.zeros(3)
    if plane == "sagittal" and not single and rng.random() < 0.5:
        aim = anatomy.hips[str(rng.choice(SIDES))].centre
    wander = {"coronal": [12, 5, 28], "axial": [12, 12, 20], "sagittal": [14, 12, 22]}[plane]
    centre = pose @ (aim + np.clip(rng.normal(0, wander), -45, 45) * (0.5 if single else 1)) + shift
    shape = (n, rows, columns)
    middle = directions @ ((np.array(shape) - 1) / 2 * np.array(spacing))
    return Acquisition(shape, spacing, thickness, directions, centre - middle, pose, shift, target)
