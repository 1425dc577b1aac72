"""The scanner: protocol and geometry of a study, and the way from the voxel model to noisy, biased, quantised slices."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from tests.builders.second_generator.canvas import Array, Canvas, Grid, smooth_noise
from tests.builders.second_generator.shapes import turn
from tests.builders.second_generator.tissues import Sequence, draw_sequence

# columns: slice, row, column direction in the patient (LPS)
PLANES = {
    "coronal": np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]], float),
    "axial": np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], float),
    "sagittal": np.array([[-1, 0, 0], [0, 0, 1], [0, -1, 0]], float),
}


@dataclass(frozen=True)
class Protocol:
    """How a study is acquired. `axes` (slice, row, column as columns) and `first_mm` are in scanner LPS."""

    sequence: Sequence
    n_slices: int
    thickness_mm: float
    spacing_mm: tuple[float, float, float]
    rows: int
    columns: int
    axes: npt.NDArray[np.float64]
    middle_mm: npt.NDArray[np.float64]
    snr: float
    bias: float
    blur_px: float
    phase_rows: bool
    peak: float
    slope: float
    vendor: str

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """(slice, row, column, 1) index → LPS mm."""
        step = self.axes * np.array(self.spacing_mm)
        half = (np.array([self.n_slices, self.rows, self.columns]) - 1) / 2
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = step, self.middle_mm - step @ half
        return affine


def draw_protocol(rng: np.random.Generator, field_mm: tuple[float, float] = (340, 440), n_slices: int | None = None) -> Protocol:
    """A random but plausible coronal protocol."""
    n_slices = n_slices or int(rng.integers(17, 29))
    thickness = float(np.round(rng.uniform(3.0, 5.0) * 2) / 2)
    between = float(np.round(thickness * rng.choice([1.0, 1.1, 1.2, 1.3]), 2))
    columns = int(rng.choice([256, 320, 384, 448, 512], p=[0.08, 0.17, 0.2, 0.15, 0.4]))
    pixel = float(np.round(rng.uniform(*field_mm) / columns, 4))
    rows = int(columns * rng.choice([1.0, 1.0, 0.875, 0.75]) if pixel * columns > 390 else columns)
    tilt = rng.normal(0, 1, 3) * np.array([5.0, 2.0, 1.8]) * (rng.random() < 0.6)
    vendor = str(rng.choice(["SIEMENS", "GE MEDICAL SYSTEMS", "Philips", "TOSHIBA"], p=[0.4, 0.3, 0.2, 0.1]))
    return Protocol(
        draw_sequence(rng), n_slices, thickness, (between, pixel, pixel), rows, columns,
        turn(tilt) @ PLANES["coronal"], rng.normal(0, 1, 3) * np.array([6, 6, 10]),
        float(np.exp(rng.uniform(np.log(9), np.log(40)))), float(rng.uniform(0.05, 0.45)),
        float(rng.uniform(0.3, 0.75)), bool(rng.random() < 0.4), float(np.exp(rng.uniform(np.log(300), np.log(3500)))),
        float(np.round(rng.uniform(0.2, 3), 4)) if vendor == "Philips" else 1.0, vendor,
    )  # fmt: skip


def grid_for(protocol: Protocol, pose: npt.NDArray[np.float64], shift_mm: npt.NDArray[np.float64], plane: str) -> Grid:
    """The voxel grid that holds what the protocol sees of a body lying in `pose` (rotation) and moved by `shift_mm`.

    With another `plane` than "coronal" the model is cut in that plane, whatever the protocol says.
    """
    axes = pose.T @ protocol.axes @ PLANES["coronal"].T @ PLANES[plane]
    extent = np.array([protocol.n_slices - 1, protocol.rows - 1, protocol.columns - 1]) * protocol.spacing_mm
    voxel = np.array([1.6, 1.3, 1.3])
    extent = extent + np.array([protocol.thickness_mm * 1.5, 0, 0])
    shape = np.ceil(extent / voxel).astype(int) + 1
    middle = pose.T @ (protocol.middle_mm - shift_mm)
    origin = middle - axes @ ((shape - 1) * voxel / 2)
    return Grid(axes, origin, (int(shape[0]), int(shape[1]), int(shape[2])), (1.6, 1.3, 1.3))


def _profile(protocol: Protocol, grid: Grid) -> Array:
    """Weights (slice, voxel): a slice's share of the voxels across it, flat with soft edges."""
    at = (np.arange(grid.shape[0]) - (grid.shape[0] - 1) / 2) * grid.voxel_mm[0]
    centres = (np.arange(protocol.n_slices) - (protocol.n_slices - 1) / 2) * protocol.spacing_mm[0]
    away = np.abs(at[None] - centres[:, None]) / (protocol.thickness_mm / 2)
    weights = 1 / (1 + away**8)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def _line(n_pixels: int, pixel_mm: float, n_voxels: int, voxel_mm: float) -> Array:
    """Cubic-convolution weights (pixel, voxel) of a line."""
    at = ((np.arange(n_pixels) - (n_pixels - 1) / 2) * pixel_mm) / voxel_mm + (n_voxels - 1) / 2
    away = np.abs(at[:, None] - np.arange(n_voxels)[None])
    near = 1.5 * away**3 - 2.5 * away**2 + 1
    far = -0.5 * away**3 + 2.5 * away**2 - 4 * away + 2
    weights = np.where(away <= 1, near, np.where(away < 2, far, 0))
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def slices_of(volume: Array, protocol: Protocol, grid: Grid) -> Array:
    """The voxel model averaged over the slice profile and laid on the pixels: float32 (slice, row, column)."""
    thick = np.tensordot(_profile(protocol, grid), volume, axes=(1, 0))
    row = _line(protocol.rows, protocol.spacing_mm[1], grid.shape[1], grid.voxel_mm[1])
    column = _line(protocol.columns, protocol.spacing_mm[2], grid.shape[2], grid.voxel_mm[2])
    return np.asarray(np.matmul(np.matmul(row, thick), column.T), np.float32)


def acquire(canvas: Canvas, protocol: Protocol, rng: np.random.Generator) -> Array:
    """Pixels of the scanned canvas after Modality LUT, quantised as they will be stored."""
    water = slices_of(canvas.water, protocol, canvas.grid)
    fat = slices_of(canvas.fat, protocol, canvas.grid)
    fat = np.roll(fat, int(rng.integers(-1, 2)), axis=1 if protocol.phase_rows else 2)
    shape, spacing = water.shape, protocol.spacing_mm
    if protocol.sequence.ti_ms is None:  # fat saturation fails where the field is not even; inversion does not mind
        failure = np.clip(smooth_noise(rng, shape, spacing, (80, 90, 90)) - 0.6, 0, 1.5)
        fat = fat * (1 + np.float32(rng.uniform(0, 4)) * failure)
    image = np.abs(water + fat)
    image *= np.exp(np.float32(protocol.bias) * smooth_noise(rng, shape, spacing, (130, 150, 150)))
    axis = 1 if protocol.phase_rows else 2
    image = gaussian_filter1d(image, protocol.blur_px * 1.6, axis=axis)
    image = gaussian_filter1d(image, protocol.blur_px, axis=3 - axis)
    return quantised(add_noise(image, protocol, rng), protocol)


def add_noise(image: Array, protocol: Protocol, rng: np.random.Generator) -> Array:
    """Rician noise, a little smeared along the phase direction as by zero filling."""
    level = np.float32(np.percentile(image[image > 0.02 * image.max()], 60) / protocol.snr)
    noise = rng.standard_normal((2, *image.shape), np.float32)
    noise = gaussian_filter1d(noise, 0.5, axis=2 if protocol.phase_rows else 3) * (level * np.float32(1.3))
    return np.asarray(np.hypot(image + noise[0], noise[1]), np.float32)


def quantised(image: Array, protocol: Protocol) -> Array:
    """The image scaled to the protocol's peak and rounded to whole stored values times the slope."""
    top = float(np.percentile(image, 99.9)) or 1.0
    stored = np.clip(np.round(image * (protocol.peak / top)), 0, 4095)
    return np.asarray(stored * protocol.slope, np.float32)
