"""Slices of `ml.phantom` studies for training: as they are, or painted anew over their tissue map."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ml.hips.prepare import PIXEL_MM
from ml.hips.scenes.grid import Part, Tissue
from ml.hips.scenes.sample import FINE, Image
from ml.labels import FEMORAL_HEAD, FEMUR
from ml.phantom import Phantom, generate
from ml.phantom.anatomy import Tissue as Source

Rng = np.random.Generator
TRAINING_SEEDS = 10_000  # ml.phantom's seeds below this one are for training
_FINE_MM = PIXEL_MM / FINE
_HALF_PELVIS_MM = 85.0  # where only one hip is in view, bone farther than this from its head is the other hip's
_SOCKET_MM = 95.0

_TISSUES = {
    Source.AIR: Tissue.AIR,
    Source.FAT: Tissue.SKIN_FAT,
    Source.MUSCLE: Tissue.MUSCLE_A,
    Source.CORTEX: Tissue.CORTEX,
    Source.MARROW: Tissue.SPINE_MARROW,
    Source.CARTILAGE: Tissue.CARTILAGE,
    Source.FLUID: Tissue.JOINT_FLUID,
    Source.SYNOVITIS: Tissue.JOINT_FLUID,
    Source.BME: Tissue.LESION,
    Source.URINE: Tissue.BLADDER,
    Source.WALL: Tissue.ORGAN_WALL,
    Source.BOWEL: Tissue.BOWEL_A,
    Source.VESSEL: Tissue.VESSEL,
    Source.ORGAN: Tissue.ORGAN,
    Source.TENDON: Tissue.OBJECT_A,
    Source.DISC: Tissue.DISC,
    Source.GAS: Tissue.GAS,
    Source.BRAIN: Tissue.ORGAN,
}
_MARROW_OF = {
    Part.HEAD_RIGHT: Tissue.HEAD_MARROW,
    Part.HEAD_LEFT: Tissue.HEAD_MARROW,
    Part.FEMUR_RIGHT: Tissue.FEMUR_MARROW,
    Part.FEMUR_LEFT: Tissue.FEMUR_MARROW,
    Part.PELVIS: Tissue.PELVIS_MARROW,
}


@dataclass(frozen=True)
class PhantomScene:
    """A phantom's slices at the fine sampling: label codes and pixels, both (slice, row, column)."""

    labels: npt.NDArray[np.uint8]
    pixels: npt.NDArray[np.float16]


def _label_codes(phantom: Phantom) -> npt.NDArray[np.uint8]:
    """Tissue and part of every voxel; only a coronal phantom has parts."""
    table = np.zeros(64, np.uint8)
    for source, tissue in _TISSUES.items():
        table[source] = tissue
    codes = table[phantom.tissues]
    if phantom.plane != "coronal" or not phantom.hips:
        return codes
    volume, shape = phantom.volume, phantom.volume.pixels.shape
    places = volume.to_lps(np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)).astype(np.float32)
    centres = {side: np.array(hip.centre_mm, np.float32) for side, hip in phantom.hips.items()}
    if len(centres) == 2:
        border = (centres["right"][0] + centres["left"][0]) / 2
    else:
        side, centre = next(iter(centres.items()))
        border = centre[0] + _HALF_PELVIS_MM * (1 if side == "right" else -1)
    is_left = places[..., 0] > border
    parts = np.zeros(shape, np.uint8)
    near = np.min([np.linalg.norm(places - centre, axis=-1) for centre in centres.values()], axis=0) < _SOCKET_MM
    bone = np.isin(phantom.tissues, [Source.CORTEX, Source.MARROW, Source.BME])
    parts[bone & near] = Part.PELVIS
    femur, head = (phantom.masks & FEMUR) > 0, (phantom.masks & FEMORAL_HEAD) > 0
    parts[femur] = np.where(is_left[femur], Part.FEMUR_LEFT, Part.FEMUR_RIGHT)
    parts[head] = np.where(is_left[head], Part.HEAD_LEFT, Part.HEAD_RIGHT)
    for part, tissue in _MARROW_OF.items():
        codes[(parts == part) & (codes == Tissue.SPINE_MARROW)] = tissue
    return np.asarray(codes | parts << 5, np.uint8)


def make_phantom(rng: Rng) -> PhantomScene:
    """A study of `ml.phantom` at random: mostly hips in the coronal plane."""
    seed, draw = int(rng.integers(TRAINING_SEEDS)), rng.random()
    if draw < 0.5:
        phantom = generate(seed, visit=int(rng.integers(4)))
    elif draw < 0.75:
        phantom = generate(seed, plane=str(rng.choice(["axial", "sagittal"])))
    else:
        phantom = generate(seed, hips=False, scene="pelvis" if rng.random() < 0.7 else None)
    return scene_of(phantom)


def scene_of(phantom: Phantom) -> PhantomScene:
    """A phantom at the fine sampling."""
    codes = _label_codes(phantom)
    steps = [_FINE_MM / float(mm) for mm in phantom.volume.spacing_mm[1:]]
    rows, columns = (np.arange(0, n - 0.5, step) for n, step in zip(codes.shape[1:], steps, strict=True))
    nearest = np.ix_(np.arange(len(codes)), np.rint(rows).astype(int), np.rint(columns).astype(int))
    smooth = ndimage.gaussian_filter(phantom.volume.pixels, (0, *(0.4 * max(step - 1, 0) for step in steps)))
    top = max(float(np.percentile(smooth, 99.9)), 1e-6)
    return PhantomScene(codes[nearest], (smooth[nearest] / top).astype(np.float16))


def cut_phantom(rng: Rng, scene: PhantomScene, size: int) -> tuple[npt.NDArray[np.uint8], Image]:
    """One slice, turned, scaled and moved at random: fine labels (1, n, n) and the phantom's own pixels (size, size)."""
    weight = (scene.labels >> 5 == Part.HEAD_RIGHT).sum((1, 2)) + (scene.labels >> 5 == Part.HEAD_LEFT).sum((1, 2)) + 60.0
    k = int(rng.choice(len(weight), p=weight / weight.sum()))
    n = size * FINE
    angle, scale = np.radians(rng.uniform(-20, 20)), rng.uniform(0.85, 1.18)
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(scene.labels.shape[1:]) - 1) / 2 + rng.uniform(-20, 20, 2)
    offset = middle - matrix @ np.full(2, (n - 1) / 2)
    labels = ndimage.affine_transform(scene.labels[k], matrix, offset, (n, n), order=0)
    fine = ndimage.affine_transform(scene.pixels[k].astype(np.float32), matrix, offset, (n, n), order=1)
    return labels[None], fine.reshape(size, FINE, size, FINE).mean(axis=(1, 3))
