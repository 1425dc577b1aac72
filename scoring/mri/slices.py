"""Which slices of a hip are scored: central, anterior and posterior, found from the area of the femoral head."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scoring import checks
from scoring.errors import ScoringError

MIN_HEAD_MM2 = 100.0
MIN_HIP_SLICES = 5
BLOCK = 5
PROTOCOL_SLICES = 3 * BLOCK

CENTRAL = "central"
ANTERIOR = "anterior"
POSTERIOR = "posterior"


class TooFewSlicesError(ScoringError):
    """Fewer than five slices show the femoral head: the hip is excluded, as in Zheng 2023."""

    def __init__(self, n_hip_slices: int) -> None:
        self.n_hip_slices = n_hip_slices
        allowed = f"at least {MIN_HIP_SLICES} slices with a femoral head of {MIN_HEAD_MM2:g} mm² or more"
        super().__init__("n_hip_slices", n_hip_slices, allowed)


def slice_roles(head_mm2: Sequence[float] | npt.NDArray[np.float64]) -> list[str | None]:
    """Role of each slice of one hip: "central", "anterior", "posterior" or None.

    Parameters
    ----------
    head_mm2 : sequence of float, mm², ≥ 0
        Area of the femoral head per slice, slices from anterior to posterior.

    Returns
    -------
    list of str or None, one per slice

    Raises
    ------
    TooFewSlicesError
        When fewer than 5 slices have a head of at least 100 mm².
    ScoringError
        When an area is negative or not finite.

    Notes
    -----
    The central slice has the largest head (ties: nearest the middle of the hip slices, then the more anterior). It
    and two slices each side are central, the next 5 in front anterior, the next 5 behind posterior. Blocks are cut
    off at the ends of the stack, never shifted; a slice without a head inside a block keeps its role.

    References
    ----------
    Zheng Y et al. Front Physiol 2023;14:1132214, Methods (5 central + 5 anterior + 5 posterior slices; < 5 excluded).
    """
    areas = [checks.number("head_mm2", float(area), 0.0, math.inf, "mm²") for area in head_mm2]
    hip_slices = [index for index, area in enumerate(areas) if area >= MIN_HEAD_MM2]
    if len(hip_slices) < MIN_HIP_SLICES:
        raise TooFewSlicesError(len(hip_slices))
    centre = central_slice(areas, hip_slices)
    return [_role(index - centre) for index in range(len(areas))]


def central_slice(areas: Sequence[float], hip_slices: Sequence[int]) -> int:
    """Index of the slice with the largest head; ties go to the middle of the hip slices, then to the anterior."""
    middle = (hip_slices[0] + hip_slices[-1]) / 2
    return min(hip_slices, key=lambda index: (-areas[index], abs(index - middle), index))


def _role(offset: int) -> str | None:
    half = BLOCK // 2
    if abs(offset) <= half:
        return CENTRAL
    if abs(offset) > half + BLOCK:
        return None
    return ANTERIOR if offset < 0 else POSTERIOR
