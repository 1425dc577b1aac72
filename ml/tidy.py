"""What is plainly no part of a hip is taken out of an outline; an outline without a plausible head is named."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ml.crops import Point, distance_mm
from ml.dicom.volume import Volume
from ml.labels import BME, FEMORAL_HEAD, FEMUR, SYNOVITIS, Mask
from scoring.mri.slices import MIN_HEAD_MM2 as MIN_HEAD_MM2_OF_HIP_SLICE

HEAD_REACH_MM = 45.0  # a femoral head has a radius of at most 30 mm, and its centre is known to some 10 mm
MIN_LESION_ML = 0.02  # a speck of noise; the smallest lesions drawn by hand are larger
MIN_HEAD_MM2, MAX_HEAD_MM2 = 400.0, 4200.0  # largest section: circles of 23 and 73 mm across
MIN_FILL = 0.55  # of the largest section's bounding box; a disc fills 0.79
MIN_NECK_SHARE = 0.15  # of the head's volume: what of the femur hangs together with it in a crop of a hip is more than that

Voxels = npt.NDArray[np.bool_]
TOUCHING = np.ones((3, 3, 3), bool)


def tidy(mask: Mask, volume: Volume, centre_mm: Point) -> Mask:
    """The mask of one hip with one head, one femur and no specks.

    Parameters
    ----------
    mask : uint8, shape (slice, row, column); rows and columns may be a part of the volume's
    centre_mm : LPS of the head's centre

    Returns
    -------
    uint8, same shape
        The head is its largest connected part among the slices within 45 mm of the centre, on slices where it has the
        100 mm² of a hip slice (below, the score divides by next to nothing). The femur is what touches
        the head, and other parts of at least a twentieth of it (a trochanter can lie apart in a stack with gaps).
        Lesions below 0.02 mL are gone. Elsewhere nothing changes.
    """
    voxel_ml = float(np.prod(volume.spacing_mm)) / 1000
    is_far = np.abs(distance_mm(volume, centre_mm)) > HEAD_REACH_MM
    head = (mask & FEMORAL_HEAD) > 0
    head[is_far] = False
    head = without_slivers(largest(head), volume)
    femur = _without_small((mask & FEMUR) > 0, n_least=int(((mask & FEMUR) > 0).sum()) // 20) | head
    tidied = without_specks(mask & np.uint8(BME | SYNOVITIS), voxel_ml)
    tidied[femur] |= FEMUR
    tidied[head] |= FEMORAL_HEAD
    return tidied


def without_specks(mask: Mask, voxel_ml: float) -> Mask:
    """The mask without connected parts of BME and of synovitis below 0.02 mL, or of a single voxel."""
    n_least = max(2, int(np.ceil(MIN_LESION_ML / voxel_ml)))
    kept = mask & np.uint8(255 - BME - SYNOVITIS)
    for bit in (BME, SYNOVITIS):
        kept[_without_small((mask & bit) > 0, n_least)] |= bit
    return kept


def without_slivers(head: Voxels, volume: Volume) -> Voxels:
    """The head on the slices where its section is large enough for a hip slice."""
    areas = head.sum(axis=(1, 2)) * (volume.spacing_mm[1] * volume.spacing_mm[2])
    return head & (areas >= MIN_HEAD_MM2_OF_HIP_SLICE)[:, None, None]


def implausible_head(mask: Mask, volume: Volume) -> str:
    """Why the outlined head can't be one, in words; empty where it can."""
    head = (mask & FEMORAL_HEAD) > 0
    areas = head.sum(axis=(1, 2)) * (volume.spacing_mm[1] * volume.spacing_mm[2])
    largest = int(areas.argmax())
    if not head.any():
        return "no femoral head can be outlined where a hip was looked for"
    if not MIN_HEAD_MM2 <= areas[largest] <= MAX_HEAD_MM2:
        return f"the outline is no femoral head: its largest section has {areas[largest]:.0f} mm²"
    rows, columns = np.nonzero(head[largest])
    fill = len(rows) / (np.ptp(rows) + 1) / (np.ptp(columns) + 1)
    if fill < MIN_FILL:
        return "the outline is no femoral head: its largest section is not round"
    if _attached(head, (mask & FEMUR) > 0) < MIN_NECK_SHARE * head.sum():
        return "the outline is no femoral head: there is no neck of a femur at it"
    return ""


def _attached(head: Voxels, femur: Voxels) -> int:
    """Voxels of the femur outside the head that hang together with it."""
    parts, _ = ndimage.label(femur | head, TOUCHING)
    touched = np.unique(parts[head])
    return int((np.isin(parts, touched) & ~head).sum())


def largest(voxels: Voxels) -> Voxels:
    """The largest connected part; nothing of nothing."""
    parts, n_parts = ndimage.label(voxels, TOUCHING)
    if n_parts == 0:
        return voxels
    return np.asarray(parts == 1 + int(np.bincount(parts.ravel())[1:].argmax()))


def _without_small(voxels: Voxels, n_least: int) -> Voxels:
    """Connected parts of at least `n_least` voxels."""
    parts, n_parts = ndimage.label(voxels, TOUCHING)
    if n_parts == 0:
        return voxels
    keep = np.bincount(parts.ravel()) >= n_least
    keep[0] = False
    return np.asarray(keep[parts])
