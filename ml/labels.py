"""The four overlapping labels of a hip as bits of one uint8 array, and the rules that always hold between them."""

import numpy as np
import numpy.typing as npt

FEMUR = 1
FEMORAL_HEAD = 2
BME = 4
SYNOVITIS = 8

LABELS = ("femur", "femoral_head", "bme", "synovitis")
BITS = dict(zip(LABELS, (FEMUR, FEMORAL_HEAD, BME, SYNOVITIS), strict=True))

Mask = npt.NDArray[np.uint8]


def join_planes(planes: npt.NDArray[np.bool_]) -> Mask:
    """Bit mask of four boolean planes.

    Parameters
    ----------
    planes : bool, shape (4, ...)
        In the order of `LABELS`.

    Returns
    -------
    uint8, shape (...)
    """
    if planes.shape[0] != len(LABELS):
        raise ValueError(f"planes has {planes.shape[0]} labels on its first axis, {len(LABELS)} are expected")
    mask = np.zeros(planes.shape[1:], np.uint8)
    for plane, bit in zip(planes, BITS.values(), strict=True):
        mask[plane] |= bit
    return mask


def split_planes(mask: Mask) -> npt.NDArray[np.bool_]:
    """Four boolean planes, shape (4, ...), of a bit mask; the inverse of `join_planes`."""
    return np.stack([(mask & bit) > 0 for bit in BITS.values()])


def enforce_rules(mask: Mask) -> Mask:
    """The mask with the two rules made true: head inside femur; BME and synovitis apart (in bone BME wins, outside synovitis).

    "In bone" is inside the femur as outlined. The acetabulum has no label of its own, so where both are set outside the
    femur synovitis wins.
    """
    mask = mask.copy()
    mask[(mask & FEMORAL_HEAD) > 0] |= FEMUR
    both = (mask & (BME | SYNOVITIS)) == (BME | SYNOVITIS)
    in_femur = (mask & FEMUR) > 0
    mask[both & in_femur] &= np.uint8(255 - SYNOVITIS)
    mask[both & ~in_femur] &= np.uint8(255 - BME)
    return mask
