"""Whether a predicted probability means what it says: counts by bin, and the expected calibration error."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scoring.errors import ScoringError

N_BINS = 15
MARGIN_PX = 5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bins:
    """Pixels by predicted probability, in equal bins from 0 to 1.

    Attributes
    ----------
    n : pixels of each bin
    probability : sum of their probabilities
    n_true : how many of them are true
    """

    n: Floats
    probability: Floats
    n_true: Floats

    def __add__(self, other: "Bins") -> "Bins":
        return Bins(self.n + other.n, self.probability + other.probability, self.n_true + other.n_true)


def calibration_bins(truth: npt.ArrayLike, probability: npt.ArrayLike, n_bins: int = N_BINS) -> Bins:
    """Counts of pixels by their predicted probability, to be added up over hips.

    Parameters
    ----------
    truth : bool, any shape
    probability : float 0–1, same shape
    n_bins : at least 1
    """
    true, values = np.asarray(truth, bool).ravel(), np.asarray(probability, np.float64).ravel()
    if true.shape != values.shape:
        raise ScoringError("probability", f"{values.size} numbers", f"as many as the truth has, {true.size}")
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ScoringError("probability", f"numbers from {values.min()} to {values.max()}", "numbers from 0 to 1")
    where = np.minimum((values * n_bins).astype(np.intp), n_bins - 1)
    return Bins(*(np.bincount(where, weights, n_bins).astype(np.float64) for weights in (None, values, true)))


def expected_calibration_error(bins: Bins) -> float:
    """Mean distance between predicted probability and observed share over all pixels, 0 (perfect) to 1; NaN of nothing.

    References
    ----------
    Naeini MP, Cooper GF, Hauskrecht M. AAAI 2015;29:2901. Guo C, et al. ICML 2017 (PMLR 70:1321).
    """
    total = float(bins.n.sum())
    return float(np.abs(bins.probability - bins.n_true).sum() / total) if total else float("nan")


def neighbourhood(
    truth: npt.NDArray[np.bool_], predicted: npt.NDArray[np.bool_], margin_px: int = MARGIN_PX
) -> tuple[slice, ...]:
    """The box around what is true or predicted, `margin_px` wider in the slice: where a calibration is worth measuring.

    Far from it almost every pixel is rightly predicted to be 0, which would hide any error. The first axis is the slice
    and is not widened. Empty against empty gives an empty box.

    References
    ----------
    Mehrtash A, et al. IEEE Trans Med Imaging 2020;39:3868 (calibration measured in boxes around the organ).
    """
    boxes = ndimage.find_objects((truth | predicted).astype(np.uint8))
    if not boxes:
        return (slice(0, 0),) * truth.ndim
    first, *rest = boxes[0]
    return first, *(slice(max(0, side.start - margin_px), side.stop + margin_px) for side in rest)
