"""A glance at one image: its range and a few of its intensities, enough for a window, small enough to be kept for thousands."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from ml.dicom.pixels import is_inverted, padding_of, refusing_undecodable, stored_values, to_intensities

Mask = npt.NDArray[np.bool_]
See = Callable[[npt.NDArray[Any], Mask | None], None]
SAMPLES = 256  # of an image


@dataclass(frozen=True)
class Look:
    """Lowest and highest intensity, and at most SAMPLES of them (float32), evenly spread; padding is left out."""

    low: float
    high: float
    is_inverted: bool
    sample: npt.NDArray[np.float32] = field(repr=False)


def look_at(dataset: Dataset, number: int | None = None, see: See | None = None) -> Look:
    """The glance at one frame of a data set that `frames_of` has found usable; `see` is shown its stored values and its padding.

    Raises
    ------
    RefusedFileError
        As `pixels.decode`.
    """
    with refusing_undecodable(dataset):
        return look_at_values(stored_values(dataset, number), dataset, number, see)


def look_at_values(stored: npt.NDArray[Any], dataset: Dataset, number: int | None = None, see: See | None = None) -> Look:
    """As `look_at`, of stored values that somebody has decoded; raises almost anything on a damaged header."""
    padding = padding_of(stored, dataset)
    if see is not None:
        see(stored, padding)
    values = stored.ravel() if padding is None else stored[~padding]
    step = max(1, len(values) // SAMPLES)
    few = np.concatenate([values[step // 2 :: step][:SAMPLES], [values.min(), values.max()]]).astype(values.dtype)
    found = to_intensities(few, dataset, number)
    return Look(float(found.min()), float(found.max()), is_inverted(dataset), found[:-2])


def window_of(looks: list[Look], percentiles: tuple[float, float]) -> list[float]:
    """[lowest, highest] intensity of a stack's window, turned as `assemble.build_volume` turns inverted images."""
    sample = np.concatenate([look.sample for look in looks])
    if any(look.is_inverted for look in looks):
        sample = max(look.high for look in looks) - sample
    low, high = np.percentile(sample, percentiles)
    return [float(low), float(max(high, low + 1e-6))]
