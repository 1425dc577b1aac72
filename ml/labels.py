"""The four overlapping labels of a hip as bits of one uint8 array, and the rules that always hold between them."""

import re

import numpy as np
import numpy.typing as npt

FEMUR = 1
FEMORAL_HEAD = 2
BME = 4
SYNOVITIS = 8

LABELS = ("femur", "femoral_head", "bme", "synovitis")
BITS = dict(zip(LABELS, (FEMUR, FEMORAL_HEAD, BME, SYNOVITIS), strict=True))
FEMUR_PLANE, _, BME_PLANE, SYNOVITIS_PLANE = range(len(LABELS))  # places in targets and logits

Mask = npt.NDArray[np.uint8]

# Other names that the labels go by, as letters only.
_NAMES = {
    "femur": ("femur", "femoralbone", "proximalfemur"),
    "femoral_head": ("femoralhead", "femurhead", "headoffemur", "head", "caput"),
    "bme": ("bme", "bml", "bonemarrowedema", "bonemarrowoedema", "bonemarrowlesion", "edema", "oedema"),
    "synovitis": ("synovitis", "effusion", "synovitiseffusion", "jointeffusion", "synovitisoreffusion"),
}
_SIDE_WORDS = {"right": "right", "left": "left", "r": "right", "l": "left", "rt": "right", "lt": "left"}


def find_label(text: str) -> tuple[str, str] | None:
    """The label that a segment or a file is named after, and its side ("" where none is named); None for another name.

    Examples
    --------
    >>> find_label("Femoral head, right")
    ('femoral_head', 'right')
    """
    words = re.findall(r"[a-z]+|[0-9]+", text.lower())
    sides = [_SIDE_WORDS[word] for word in words if word in _SIDE_WORDS]
    name = "".join(word for word in words if word not in _SIDE_WORDS and word not in ("of", "the", "mask", "and", "or"))
    for label, names in _NAMES.items():
        if name in names or name in {one.replace("of", "") for one in names}:
            return (label, "".join(set(sides))) if len(set(sides)) < 2 else None
    return None


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
