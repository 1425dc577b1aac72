"""One hip of an annotated stack, cut on the canvas of a data set."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.crops import CROP_SPACING_MM, Point, centre_index, distance_mm
from ml.dataset import CANVAS, REACH_MM, Stack, cut_slices
from ml.dicom.volume import Volume
from ml.labels import BITS, Mask


@dataclass(frozen=True)
class Cut:
    """A hip on the canvas: `stack`, and the signed distance of each slice from the head's centre in mm."""

    stack: Stack
    positions_mm: npt.NDArray[np.float32]

    def volumes_ml(self, labels: tuple[str, ...], slice_mm: float) -> dict[str, float]:
        """Volume of each label on the canvas, in mL."""
        voxel_ml = slice_mm * CROP_SPACING_MM**2 / 1000
        return {label: float(((self.stack.masks & BITS[label]) > 0).sum() * voxel_ml) for label in labels}


def cut(volume: Volume, masks: Mask, centre_mm: Point, side: str, tissues: Mask | None = None) -> Cut:
    """The slices within 45 mm of a head's centre, as a right hip.

    Parameters
    ----------
    masks, tissues : uint8, shape of `volume.pixels`
    centre_mm : LPS position of the femoral head's centre
    side : "right" or "left"

    Raises
    ------
    ValueError
        No slice lies within 45 mm.
    """
    distances = distance_mm(volume, centre_mm)
    keep = np.abs(distances) <= REACH_MM
    if not keep.any():
        raise ValueError(f"no slice lies within {REACH_MM:.0f} mm of the head's centre")
    stack = cut_slices(volume, masks, keep, centre_mm, side, tissues)
    return Cut(stack, distances[keep].astype(np.float32))


def on_canvas(volume: Volume, centre_mm: Point) -> npt.NDArray[np.bool_]:
    """Which voxels come to lie on the canvas of the hip with this centre, shape of `volume.pixels`."""
    half = np.array(CANVAS) * CROP_SPACING_MM / 2 / volume.spacing_mm[1:]
    centres = centre_index(volume, centre_mm)
    rows, columns = (
        np.abs(np.arange(volume.pixels.shape[1 + axis]) - centres[:, axis : axis + 1]) <= half[axis] for axis in (0, 1)
    )
    is_near = np.abs(distance_mm(volume, centre_mm)) <= REACH_MM
    return np.asarray(is_near[:, None, None] & rows[:, :, None] & columns[:, None, :])
