"""Slices through a scene at any plane, tilt, thickness and field of view, with the faults that real slices have."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ml.hips.scenes.contrast import draw_table
from ml.hips.scenes.grid import LOW_MM, SHAPE, STEP_MM, Scene, Vector

Rng = np.random.Generator
Image = npt.NDArray[np.float32]

PIXEL_MM = 3.0
FINE = 2  # fine samples a pixel along each axis
CELL = 2  # pixels a cell of the target along each axis
N_PARTS = 6
ALL_BONES = tuple(range(1, N_PARTS))

# Columns: the LPS direction of slice, row and column steps of a plane shown as if it were coronal
_PLANES = {
    "coronal": np.array([[0, 1, 0], [0, 0, -1], [1, 0, 0]], float),
    "axial": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float),
    "sagittal": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float),
}


@dataclass(frozen=True)
class Frame:
    """Where a stack lies: LPS of the middle of its first slice, unit steps, slice distance and thickness in mm."""

    origin: Vector
    steps: npt.NDArray[np.float64]  # (slice, row, column) directions, one a row
    pitch_mm: float
    thickness_mm: float
    scale: float  # body size: scene mm a shown mm

    def centre(self, index: int) -> Vector:
        """LPS (of the scene) of the middle of a slice."""
        return self.origin + index * self.pitch_mm * self.scale * self.steps[0]


def draw_frame(rng: Rng, plane: str, aim: Vector, *, max_tilt: float = 22) -> Frame:
    """A stack whose middle is near `aim`, tilted at random."""
    tilt = Rotation.from_euler("yxz", rng.uniform(-1, 1, 3) * [max_tilt, max_tilt * 0.8, max_tilt * 0.8], degrees=True)
    steps = tilt.apply(_PLANES[plane])
    if plane != "coronal":
        steps = steps * rng.choice([-1, 1], size=(3, 1))
    pitch = rng.uniform(3, 11)
    return Frame(np.asarray(aim, float), steps, pitch, pitch * rng.uniform(0.5, 1.0), rng.uniform(0.85, 1.18))


def cut(scene: Scene, frame: Frame, index: int, size: int) -> npt.NDArray[np.uint8]:
    """Fine labels of one slice at two depths inside it, shape (depth, size × FINE, size × FINE)."""
    n = size * FINE
    offsets = (np.arange(n) - (n - 1) / 2) * (PIXEL_MM / FINE * frame.scale / STEP_MM)
    depths = np.array([-0.25, 0.25]) * frame.thickness_mm * frame.scale / STEP_MM
    middle = (frame.centre(index) - LOW_MM) / STEP_MM
    labels = np.zeros((len(depths), n, n), np.uint8)
    for k, depth in enumerate(depths):
        flat = np.zeros((n, n), np.int32)
        inside = np.ones((n, n), bool)
        for axis in range(3):
            rows = middle[axis] + depth * frame.steps[0, axis] + 0.5 + offsets[:, None] * frame.steps[1, axis]
            columns = offsets[None, :] * frame.steps[2, axis]
            voxel = np.floor(rows.astype(np.float32) + columns.astype(np.float32)).astype(np.int32)
            inside &= (voxel >= 0) & (voxel < SHAPE[axis])
            flat = flat * np.int32(SHAPE[axis]) + voxel
        labels[k] = np.where(inside, scene.labels.ravel().take(flat, mode="clip"), 0)
    return labels


def target(labels: npt.NDArray[np.uint8]) -> Image:
    """Share of each `Part` in each cell, shape (N_PARTS, size / CELL, size / CELL); every other fine sample is counted."""
    parts = labels[:, ::2, ::2] >> 5
    block = FINE * CELL // 2
    depth, rows, columns = parts.shape
    cells = parts.reshape(depth, rows // block, block, columns // block, block)
    return np.stack([(cells == part).mean(axis=(0, 2, 4), dtype=np.float32) for part in range(N_PARTS)])


def draw_bones(rng: Rng) -> tuple[int, ...]:
    """The parts to take away: all bones, or one side's femur."""
    return (ALL_BONES, (1, 3), (2, 4))[int(rng.choice(3, p=[0.6, 0.2, 0.2]))]


def without_bones(rng: Rng, labels: npt.NDArray[np.uint8], bones: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The cut with some parts overgrown by the soft tissue around them.

    A picture in which everything but the bone is in its place: it teaches that a bladder and muscles make no hip.
    """
    parts = labels >> 5
    gone = np.isin(parts, bones)
    gone = ndimage.binary_dilation(gone, np.ones((1, 3, 3)), iterations=int(rng.integers(2, 6))) & (labels > 0)
    if gone.all():
        return np.zeros_like(labels)
    grown = labels.copy()
    for k, hole in enumerate(gone):
        if hole.any():
            nearest = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
            grown[k] = labels[k][tuple(nearest)]
    return grown


@dataclass(frozen=True)
class Look:
    """How one series looks: intensities and the scanner's faults; drawn once a stack."""

    table: npt.NDArray[np.float32]
    texture: float
    texture_px: float
    blur_px: float
    noise: float
    bias: npt.NDArray[np.float32]
    gamma: float
    curved_edge: float


def draw_look(rng: Rng) -> Look:
    """A look at random."""
    return Look(
        table=draw_table(rng),
        texture=rng.uniform(0, 0.18),
        texture_px=rng.uniform(0.5, 3),
        blur_px=rng.uniform(0.3, 1.9),
        noise=rng.uniform(0, 0.09) ** 1.2,
        bias=rng.normal(0, rng.uniform(0, 0.45), (4, 4)).astype(np.float32),
        gamma=float(rng.lognormal(0, 0.25)),
        curved_edge=rng.uniform(0, 0.07) if rng.random() < 0.3 else 0.0,
    )


def paint(labels: npt.NDArray[np.uint8], look: Look, rng: Rng) -> Image:
    """A magnitude image of the cut labels at PIXEL_MM, shape (size, size), before any normalisation."""
    tissues = look.table[labels & 31].mean(axis=0)
    n = tissues.shape[0]
    coarse = max(8, int(n / (2 * look.texture_px)))
    noise = rng.normal(size=(coarse, coarse)).astype(np.float32)
    grain = ndimage.zoom(noise, n / coarse, order=1, grid_mode=True, mode="nearest")
    fine = tissues * (1 + look.texture * grain)
    fine = ndimage.gaussian_filter(fine, look.blur_px)
    image = fine.reshape(n // FINE, FINE, n // FINE, FINE).mean(axis=(1, 3))
    return spoil(np.clip(image, 0, None), look, rng)


def spoil(image: Image, look: Look, rng: Rng) -> Image:
    """The image with the look's gamma, coil shading and noise."""
    bias = ndimage.zoom(look.bias, image.shape[0] / 4, order=1, grid_mode=True, mode="nearest")
    image = image**look.gamma * np.exp(ndimage.gaussian_filter(bias, 12))
    contrast = look.table[1:12].std() / 0.2  # faint contrast drowns in less noise
    level = look.noise * min(1.0, float(contrast))
    real = image + rng.normal(0, level, image.shape)
    return np.asarray(np.hypot(real, rng.normal(0, level, image.shape)), np.float32)


def draw_window(rng: Rng, size: int, focus: tuple[float, float] | None) -> tuple[slice, slice]:
    """A field of view of 180 mm up to everything, around `focus` (row, column in pixels) or anywhere."""
    spans = rng.uniform(150, 1.06 * size * PIXEL_MM, 2) / PIXEL_MM
    if rng.random() < 0.5:
        spans[1] = np.clip(spans[0] * rng.uniform(0.85, 1.25), 50, size)
    spans = np.minimum(np.rint(spans).astype(int), size)
    if focus is None:
        starts = [int(rng.integers(0, size - span + 1)) for span in spans]
    else:
        jitter = rng.uniform(-0.42, 0.42, 2) * spans
        starts = [int(np.clip(at + j - span / 2, 0, size - span)) for at, j, span in zip(focus, jitter, spans, strict=True)]
    return slice(starts[0], starts[0] + int(spans[0])), slice(starts[1], starts[1] + int(spans[1]))


def crop(image: Image, window: tuple[slice, slice], look: Look) -> Image:
    """Zero outside the field of view, whose edges some scanners bend."""
    shown = np.zeros_like(image)
    shown[window] = image[window]
    if look.curved_edge:
        size = image.shape[0]
        at = (np.arange(size) - (size - 1) / 2) / (size / 2)
        rows, columns = at[:, None], at[None, :]
        shown[np.abs(rows) > 1 - look.curved_edge * (1 + columns**2)] = 0
        shown[np.abs(columns) > 1 - look.curved_edge * (1 + rows**2)] = 0
    return shown
