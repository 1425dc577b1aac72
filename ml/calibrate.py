"""What is chosen of a trained network on validation patients: where its lesions are cut, and how sure it must be of them."""

from collections.abc import Sequence

import numpy as np

from ml import assess
from ml.batches import Example
from ml.device import full_precision
from ml.doubt import doubted
from ml.labels import BITS, BME_PLANE, LABELS, SYNOVITIS_PLANE
from ml.losses import ABSENT_PIXELS
from ml.networks import Network
from scoring.mri.overlap import dice

SHIFTS = tuple(np.arange(-2.5, 1.01, 0.5).tolist())
AS_GOOD = 0.003  # of mean Dice below the best one: as good
SURE = (0.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0)  # logits
MAY_COST = 0.02  # of mean Dice of the hips that have synovitis
LEAST_HIPS = 3  # with synovitis and without, to tell what it takes to be sure


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


def make_sure(network: Network, examples: Sequence[Example]) -> dict[str, float]:
    """Set, for good, how sure the network must be of synovitis somewhere in a part of it (`ml.doubt`); {"synovitis": logit}.

    Of the logits that cost the hips with synovitis at most 0.02 of mean Dice: what serves all hips best; of those that serve as
    well, to 0.003, the lowest. A hip with synovitis is served by its Dice, a hip without by 200 / (200 + pixels said). Small
    oedema is often found without being sure of it, and little is made up: BME is left alone. Outlines are judged as the network
    says them, on the grid of the crops, before the labels' rules and `ml.tidy`.

    Parameters
    ----------
    network : in evaluation mode, shifted
    examples : hips of patients that it never saw. Synovitis must be annotated in three hips that have it and in three that have
        none, else it is 0 and {}: what is said stays.
    """
    device, label = next(network.parameters()).device, LABELS[SYNOVITIS_PLANE]
    network.sure.zero_()
    known = [example for example in examples if example.annotated[SYNOVITIS_PLANE]]
    has_it = np.array([example.stack.kind & BITS[label] for example in known], bool)
    if min(has_it.sum(), (~has_it).sum()) < LEAST_HIPS:
        return {}
    served = []  # (hip, logit)
    for example in known:
        with full_precision():
            logits, truth = assess.hip_logits(network, example.stack, device)
        served.append([_served(logits[:, [SYNOVITIS_PLANE]], truth[:, SYNOVITIS_PLANE], sure) for sure in SURE])
    chosen = SURE[best_sure(np.array(served), has_it)]
    network.sure[SYNOVITIS_PLANE] = chosen
    return {label: chosen}


def best_sure(served: np.ndarray, has_it: np.ndarray) -> int:
    """Which column is taken; see `make_sure`.

    Parameters
    ----------
    served : shape (hip, logit), how well each hip is served, 0 to 1, the logits rising
    has_it : bool, shape (hip,), both kinds at least once
    """
    dice_with, mean = served[has_it].mean(axis=0), served.mean(axis=0)
    may = dice_with >= dice_with.max() - MAY_COST
    return int(np.argmax(may & (mean >= mean[may].max() - AS_GOOD)))


def _served(logits: np.ndarray, truth: np.ndarray, sure: float) -> float:
    """How well a hip is served by one label's outline, 0 to 1; logits of shape (slice, 1, row, column)."""
    said = doubted(logits, [sure])[:, 0] > 0
    return dice(truth, said) if truth.any() else ABSENT_PIXELS / (ABSENT_PIXELS + float(said.sum()))
