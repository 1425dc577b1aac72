"""Segmentation figures over many hips; the measures of one pair of masks are in `scoring.mri.overlap`."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ml.labels import LABELS
from scoring.mri.overlap import dice

LESION = "lesion"
LESION_PARTS = ("bme", "synovitis")
MEASURED = (*LABELS, LESION)

Planes = npt.NDArray[np.bool_]


def measured_planes(planes: Planes, annotated: Sequence[str] = LABELS) -> dict[str, Planes]:
    """The planes that are compared: each annotated label, and the lesion, the union of bme and synovitis.

    Parameters
    ----------
    planes : bool, shape (slice, 4, row, column)
    annotated : labels that someone outlined; a lesion of which only one part was outlined is that part

    Returns
    -------
    dict of label to bool, shape (slice, row, column)
    """
    found = {label: planes[:, index] for index, label in enumerate(LABELS) if label in annotated}
    parts = [found[label] for label in LESION_PARTS if label in found]
    if parts:
        found[LESION] = np.logical_or.reduce(parts)
    return found


def stack_dice(hips: Iterable[tuple[Planes, Planes, Sequence[str]]]) -> dict[str, float | None]:
    """Mean Dice of each label over the hips whose truth is not empty.

    Parameters
    ----------
    hips : (predicted, truth, annotated labels), planes bool, shape (slice, 4, row, column)

    Returns
    -------
    dict of label, and "lesion", to 0 … 1; None where no hip has it
    """
    found: dict[str, list[float]] = {label: [] for label in MEASURED}
    for predicted, truth, annotated in hips:
        guesses = measured_planes(predicted, annotated)
        for label, true_plane in measured_planes(truth, annotated).items():
            if true_plane.any():
                found[label].append(dice(true_plane, guesses[label]))
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
