"""Lesions of one hip mask: the bits, the rules between them, and the three parts that add up to the whole."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring import checks
from scoring.errors import ScoringError

FEMUR = 1
FEMORAL_HEAD = 2
BME = 4
SYNOVITIS = 8
ALL_BITS = FEMUR | FEMORAL_HEAD | BME | SYNOVITIS

Mask = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LesionParts:
    """Boolean planes of a hip mask; the three lesion parts are disjoint and their union is the lesion.

    Attributes
    ----------
    head, bme_femoral, bme_acetabular, synovitis : bool, shape of the mask
    is_repaired : bool
        True when the mask broke a rule (head outside femur, BME and synovitis on one pixel) and was put right.
    """

    head: Plane
    bme_femoral: Plane
    bme_acetabular: Plane
    synovitis: Plane
    is_repaired: bool

    @property
    def lesion(self) -> Plane:
        """BME or synovitis."""
        return self.bme_femoral | self.bme_acetabular | self.synovitis


def checked_mask(mask: npt.ArrayLike, n_axes: int = 3, field: str = "mask") -> Mask:
    """`mask` as uint8 bit planes of `n_axes` axes; other shapes and other bits are refused."""
    array = np.asarray(mask)
    if array.ndim != n_axes or array.size == 0:
        raise ScoringError(field, f"an array of shape {array.shape}", f"a non-empty array of {n_axes} dimensions")
    if array.dtype.kind not in "ui":
        raise ScoringError(field, f"an array of type {array.dtype}", "uint8 bit planes")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > ALL_BITS:
        raise ScoringError(field, low if low < 0 else high, "bits femur 1, femoral_head 2, bme 4, synovitis 8")
    return array.astype(np.uint8, copy=False)


def split_lesions(mask: Mask) -> LesionParts:
    """The parts of a hip mask, with the rules of the labels enforced.

    Parameters
    ----------
    mask : uint8, any shape
        Bits femur 1, femoral_head 2, bme 4, synovitis 8.

    Notes
    -----
    The head belongs to the femur. Where BME and synovitis are both set, BME wins inside the femur and synovitis
    outside. `bme_femoral` is BME in the femur, `bme_acetabular` the rest of BME.
    """
    head = (mask & FEMORAL_HEAD) > 0
    outlined = (mask & FEMUR) > 0
    femur = outlined | head
    bme = (mask & BME) > 0
    synovitis = (mask & SYNOVITIS) > 0
    both = bme & synovitis
    return LesionParts(
        head=head,
        bme_femoral=bme & femur,
        bme_acetabular=bme & ~femur & ~both,
        synovitis=synovitis & ~(both & femur),
        is_repaired=bool(both.any() or (head & ~outlined).any()),
    )


def volume_ml(plane: npt.NDArray, spacing_mm: Sequence[float]) -> float:  # type: ignore[type-arg]
    """Volume in mL of the voxels that are set.

    Parameters
    ----------
    plane : bool, shape (slice, row, column)
    spacing_mm : (slice, row, column), mm
        Slice spacing is centre to centre, gap included.
    """
    voxel_mm3 = math.prod(checks.spacing(spacing_mm, np.ndim(plane)))
    return float(np.count_nonzero(plane)) * voxel_mm3 / 1000.0
