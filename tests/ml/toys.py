"""Small volumes and stacks with known hips, for tests that need no phantom."""

import numpy as np

from ml.dataset import CANVAS, Stack
from ml.dicom.volume import SourceSlice, Volume
from ml.labels import BME, FEMORAL_HEAD, FEMUR, SYNOVITIS
from ml.phantom.anatomy import Tissue


def make_volume(pixels: np.ndarray, spacing_mm=(4.0, 0.9, 1.1), origin_mm=(-120.0, -30.0, 80.0)) -> Volume:
    """A coronal Volume: slices +y, rows −z, columns +x."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, spacing_mm[2]], [spacing_mm[0], 0, 0], [0, -spacing_mm[1], 0]])
    affine[:3, 3] = origin_mm
    sources = tuple(SourceSlice(f"1.2.3.{index}") for index in range(len(pixels)))
    return Volume(np.asarray(pixels, np.float32), spacing_mm, affine, sources)


def ball(volume: Volume, centre_mm, radius_mm: float) -> np.ndarray:
    """The voxels of a Volume of `make_volume` whose middle lies in a ball."""
    s, r, c = (np.arange(n, dtype=np.float32) for n in volume.pixels.shape)
    at, step = volume.to_index(centre_mm).astype(np.float32), np.float32(volume.spacing_mm)
    across = ((s - at[0]) * step[0])[:, None, None] ** 2 + ((r - at[1]) * step[1])[:, None] ** 2
    return across + ((c - at[2]) * step[2]) ** 2 < radius_mm**2


def make_stack(seed: int = 0, n_slices: int = 12) -> Stack:
    """A ball for a head with a bright middle (BME) and a bright crescent beside it (synovitis)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: CANVAS[0], : CANVAS[1]] - (np.array(CANVAS) / 2)[:, None, None]
    images = np.full((n_slices, *CANVAS), 0.3)
    masks = np.zeros(images.shape, np.uint8)
    tissues = np.full(images.shape, Tissue.MUSCLE, np.uint8)
    for index in range(n_slices):
        radius = np.sqrt(max(0.0, 30**2 - (5.0 * (index - n_slices / 2)) ** 2))
        away = np.hypot(rows, columns)
        head, core = away < radius, away < radius / 2
        crescent = (away >= radius) & (away < radius + 6) & (columns > 0) & (radius > 0)
        for where, level, bits, tissue in (
            (head, 0.1, FEMUR | FEMORAL_HEAD, Tissue.MARROW),
            (core, 0.7, FEMUR | FEMORAL_HEAD | BME, Tissue.BME),
            (crescent, 1.0, SYNOVITIS, Tissue.SYNOVITIS),
        ):
            images[index][where], masks[index][where], tissues[index][where] = level, bits, tissue
    images = np.abs(images + rng.normal(0, 0.02, images.shape))
    return Stack(images.astype(np.float16), masks, tissues)
