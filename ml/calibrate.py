"""Where a trained network's lesions are cut: shifts of their logits, chosen on validation patients."""

from collections.abc import Sequence

import numpy as np

from ml import assess
from ml.batches import Example
from ml.labels import BME_PLANE, LABELS, SYNOVITIS_PLANE
from ml.networks import Network
from scoring.mri.overlap import dice

SHIFTS = tuple(np.arange(-2.5, 1.01, 0.5).tolist())
AS_GOOD = 0.003  # of mean Dice below the best one: as good


def calibrate(network: Network, examples: Sequence[Example]) -> dict[str, float]:
    """Shift the lesions' logits, for good, so that the cut at 0.5 outlines them well and no volume too many; the shifts.

    A loss that makes a missed lesion dearer than a false one leaves the probabilities of lesions too high. Mean Dice hardly
    tells where to cut: over several shifts it is as good, while the volume grows by a fifth. Of the shifts whose mean Dice is
    within 0.003 of the best, the one is taken with which the median hip's volume is nearest to the truth; the smallest where
    several are. Each label is cut on its own, before the rule that a pixel is BME or synovitis.

    Parameters
    ----------
    network : in evaluation mode
    examples : hips of patients that it never saw; a label that none of them has is not shifted
    """
    device = next(network.parameters()).device
    measured: dict[int, list[np.ndarray]] = {BME_PLANE: [], SYNOVITIS_PLANE: []}  # (shift, (Dice, volume over truth)) a hip
    for example in examples:
        logits, truth = assess.hip_logits(network, example.stack, device)
        for plane, found in measured.items():
            true = truth[:, plane]
            if true.any() and example.annotated[plane]:
                cut = [logits[:, plane] + shift > 0 for shift in SHIFTS]
                found.append(np.array([(dice(true, mask), mask.sum() / true.sum()) for mask in cut]))
    shifts = {LABELS[plane]: best_shift(np.array(found)) for plane, found in measured.items() if found}
    network.shift_logits([shifts.get(label, 0.0) for label in LABELS])
    return shifts


def best_shift(measured: np.ndarray) -> float:
    """The shift with which the median volume is nearest to the truth, of those as good in mean Dice as the best.

    Parameters
    ----------
    measured : shape (hip, shift, 2), Dice and volume over true volume with each of `SHIFTS`
    """
    mean_dice, volume = measured[..., 0].mean(axis=0), np.median(measured[..., 1], axis=0)
    is_good = mean_dice >= mean_dice.max() - AS_GOOD
    if mean_dice.max() == 0:
        return 0.0
    distance = np.where(is_good, np.abs(np.log(np.maximum(volume, 1e-6))), np.inf)
    return min(zip(distance, SHIFTS, strict=True), key=lambda pair: (pair[0], abs(pair[1])))[1]
