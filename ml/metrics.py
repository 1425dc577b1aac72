"""Segmentation figures over many hips; Dice itself is `scoring.mri.overlap.dice`."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.labels import LABELS
from scoring.mri.overlap import dice


def stack_dice(pairs: Iterable[tuple[Any, Any]]) -> dict[str, float | None]:
    """Mean Dice of each label over the hips whose truth is not empty.

    Parameters
    ----------
    pairs : (predicted, truth), each bool, shape (slice, 4, row, column)

    Returns
    -------
    dict of label to 0 … 1, None where no hip has the label
    """
    found: dict[str, list[float]] = {label: [] for label in LABELS}
    for predicted, truth in pairs:
        for index, label in enumerate(LABELS):
            true_plane = np.asarray(truth[:, index])
            if true_plane.any():
                found[label].append(dice(true_plane, np.asarray(predicted[:, index])))
    return {label: mean_or_none(values) for label, values in found.items()}


def mean_or_none(values: Iterable[float]) -> float | None:
    """Mean, or None of nothing."""
    known = list(values)
    return float(np.mean(known)) if known else None


def quantiles(values: Iterable[float]) -> dict[str, float] | None:
    """Smallest, 25th, 50th, 75th percentile and largest of numbers; None of nothing."""
    array: npt.NDArray[np.float64] = np.asarray(list(values), np.float64)
    if array.size == 0:
        return None
    names = ("min", "p25", "median", "p75", "max")
    return dict(zip(names, (float(v) for v in np.percentile(array, (0, 25, 50, 75, 100))), strict=True))
