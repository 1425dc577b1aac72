"""What a network says of one hip: the plain arrays and numbers that pass from `inference` to the rows."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class HipOutcome:
    """One hip of one stack.

    Attributes
    ----------
    side : "right" or "left"
    found : whether the hip was found
    confidence : 0–1
    centre_mm : LPS position of the femoral head's centre, or None
    box : corners on the original grid, for display, or None
    mask : uint8 (slice, row, column), bit planes of `ml.labels` of this hip on the original grid, or None
    refused : (code, message) where no score can come of it, or None
    interval : low, high, level and method of the interval around its UNet-score, or None
    flags : faults of the pictures that concern this hip, as `Score.flags` holds them
    """

    side: str
    found: bool
    confidence: float
    centre_mm: tuple[float, float, float] | None = None
    box: dict[str, object] | None = None
    mask: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    refused: tuple[str, str] | None = None
    interval: tuple[float, float, float, str] | None = None
    flags: tuple[dict[str, object], ...] = ()


@dataclass(frozen=True)
class StackOutcome:
    """Both hips of one stack, with the intensities and the spacing that their scores need.

    `pixels` float32 (slice, row, column) after Modality LUT; `spacing_mm` (slice, row, column); `uids` one a slice.
    """

    hips: tuple[HipOutcome, ...]
    pixels: npt.NDArray[np.float32] = field(repr=False)
    spacing_mm: tuple[float, float, float]
    uids: tuple[str, ...]
    warnings: tuple[str, ...] = ()
