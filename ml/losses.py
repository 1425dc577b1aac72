"""The losses of training: soft Dice and binary cross-entropy over the labels that were annotated, and what may be added.

Everything works on slices (B, L, H, W), on stacks (B, L, slice, H, W) and on points (B, L, point).
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from ml.labels import BME_PLANE, FEMUR_PLANE, SYNOVITIS_PLANE

DICE_SMOOTHING = 1.0
BME_WEIGHT = 0.5
MISSED_WEIGHT = 0.02
PRESENT_WEIGHT = 0.25
ABSENT_WEIGHT = 0.25
ABSENT_PIXELS = 200.0  # of a label that is not there, in the slices of one hip: half as bad as any number of them
LESION_WEIGHT = 0.5

Criterion = Callable[[Tensor, Tensor], Tensor]


def dice_loss(logits: Tensor, targets: Tensor, annotated: Tensor | None = None) -> Tensor:
    """One minus the soft Dice of each label over the whole batch, averaged over the labels.

    Parameters
    ----------
    logits, targets : float, shape (B, L, ...)
    annotated : bool or float, shape (B, L), optional
        Labels that were not annotated take no part: one that no example of the batch has counts neither above nor below.

    Returns
    -------
    scalar, 0 (perfect) to 1
    """
    probabilities = logits.sigmoid()
    if annotated is not None:
        weights = _spread(annotated, logits)
        probabilities, targets = probabilities * weights, targets * weights
    axes = (0, *range(2, logits.ndim))
    overlap = 2 * (probabilities * targets).sum(axes) + DICE_SMOOTHING
    total = probabilities.sum(axes) + targets.sum(axes) + DICE_SMOOTHING
    losses = 1 - overlap / total  # (L,)
    if annotated is None:
        return losses.mean()
    is_known = annotated.any(dim=0).to(losses.dtype)
    return (losses * is_known).sum() / is_known.sum().clamp(min=1)


def cross_entropy(logits: Tensor, targets: Tensor, annotated: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy over all pixels of the annotated labels; 0 where none is annotated."""
    values = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if annotated is None:
        return values.mean()
    weights = _spread(annotated, logits).expand_as(values)
    return (values * weights).sum() / weights.sum().clamp(min=1)


def segmentation_loss(logits: Tensor, targets: Tensor, annotated: Tensor | None = None) -> Tensor:
    """Dice loss plus binary cross-entropy, computed in float32 whatever the precision of the network."""
    logits, targets = logits.float(), targets.float()
    return dice_loss(logits, targets, annotated) + cross_entropy(logits, targets, annotated)


def regional_dice_loss(logits: Tensor, targets: Tensor, region: Tensor) -> Tensor:
    """Dice loss of one label inside a region and outside it, averaged: the larger part does not drown the other.

    Parameters
    ----------
    logits, targets, region : float, shape (B, ...); targets and region 0 or 1
    """
    planes = torch.stack([region, 1 - region], dim=1)  # (B, 2, ...)
    probabilities = logits.float().sigmoid()[:, None] * planes
    masked = targets[:, None] * planes
    axes = (0, *range(2, planes.ndim))
    overlap = 2 * (probabilities * masked).sum(axes) + DICE_SMOOTHING
    return (1 - overlap / (probabilities.sum(axes) + masked.sum(axes) + DICE_SMOOTHING)).mean()


def missed_loss(logits: Tensor, targets: Tensor, region: Tensor) -> Tensor:
    """Cross-entropy of one label where it is true, inside a region and outside it, averaged.

    Dice and plain cross-entropy hardly move a network that is sure that a rare thing is never there; this does.

    Parameters
    ----------
    logits, targets, region : float, shape (B, ...); targets and region 0 or 1
    """
    values = functional.softplus(-logits.float()) * targets
    planes = torch.stack([region, 1 - region], dim=1)  # (B, 2, ...)
    axes = (0, *range(2, planes.ndim))
    return ((values[:, None] * planes).sum(axes) / (targets[:, None] * planes).sum(axes).clamp(min=100)).mean()


def present_dice_loss(logits: Tensor, targets: Tensor, n_slices: int) -> Tensor:
    """Dice loss of one label in each hip that has it, averaged over those hips: a small lesion counts as much as a large one.

    Parameters
    ----------
    logits, targets : float, shape (B, ...); slices of one hip beside each other
    n_slices : slices of one hip

    Returns
    -------
    scalar, 0 (perfect, or no hip has the label) to 1
    """
    probabilities = logits.float().sigmoid().reshape(-1, n_slices, *logits.shape[1:])
    truth = targets.reshape(probabilities.shape)
    axes = tuple(range(1, probabilities.ndim))
    overlap, size = (probabilities * truth).sum(axes), truth.sum(axes)
    loss = 1 - (2 * overlap + DICE_SMOOTHING) / (probabilities.sum(axes) + size + DICE_SMOOTHING)
    present = (size > 0).float()
    return (loss * present).sum() / present.sum().clamp(min=1)


def absent_loss(logits: Tensor, targets: Tensor, n_slices: int, is_known: Tensor | None = None) -> Tensor:
    """What is said of one label in each hip that does not have it: p / (p + 200) of p pixels, averaged over those hips.

    A healthy hip's score should be 0. Dice over the batch hardly sees a little that is said of many healthy hips.

    Parameters
    ----------
    logits, targets : float, shape (B, ...); slices of one hip beside each other
    n_slices : slices of one hip
    is_known : bool, shape (hip,), optional
        Hips of which the label was annotated; all, where it is left out.

    Returns
    -------
    scalar, 0 (nothing is said, or every hip has the label) to 1
    """
    said = logits.float().sigmoid().reshape(len(logits) // n_slices, -1).sum(1)
    is_absent = targets.reshape(len(said), -1).sum(1) == 0
    is_absent = (is_absent if is_known is None else is_absent & is_known).float()
    return (said / (said + ABSENT_PIXELS) * is_absent).sum() / is_absent.sum().clamp(min=1)


def lesion_dice_loss(logits: Tensor, targets: Tensor, annotated: Tensor | None = None) -> Tensor:
    """Dice loss of the lesion, bme ∪ synovitis: neither word may be wrong, but the outline of both together counts too."""
    guess, true = lesion_of(logits, targets, annotated)
    probability = guess.sigmoid()
    overlap = 2 * (probability * true).sum() + DICE_SMOOTHING
    return 1 - overlap / (probability.sum() + true.sum() + DICE_SMOOTHING)


def lesion_of(logits: Tensor, targets: Tensor, annotated: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Logits and truth of the lesion, shape (B, ...), from those of its annotated parts: the likelier of both, either of both."""
    lesions = [BME_PLANE, SYNOVITIS_PLANE]
    guess, true = logits[:, lesions].float(), targets[:, lesions].float()
    if annotated is not None:
        is_known = _spread(annotated[:, lesions], guess)
        guess, true = guess.masked_fill(is_known == 0, -20.0), true * is_known
    return guess.amax(1), true.amax(1)


def plain(logits: Tensor, targets: Tensor, annotated: Tensor | None, n_slices: int) -> Tensor:
    """Dice and cross-entropy of the labels, and Dice of the lesion as a whole."""
    return segmentation_loss(logits, targets, annotated) + LESION_WEIGHT * lesion_dice_loss(logits, targets, annotated)


def small_lesions(logits: Tensor, targets: Tensor, annotated: Tensor | None, n_slices: int) -> Tensor:
    """`plain`, and BME, synovitis and the lesion of each hip on its own: a small one counts as much as a large one."""
    # The bits of a label that was not annotated are 0: no hip has it, and `_alone` knows that it is not absent either.
    loss = plain(logits, targets, annotated, n_slices) + _alone(logits, targets, annotated, n_slices)
    return loss + LESION_WEIGHT * present_dice_loss(*lesion_of(logits, targets, annotated), n_slices)


def regional(logits: Tensor, targets: Tensor, annotated: Tensor | None, n_slices: int) -> Tensor:
    """Of the default bundle: BME in the femur and in the pelvis weigh alike, missing it is dear, small lesions count."""
    femur = targets[:, FEMUR_PLANE]
    loss = segmentation_loss(logits, targets, annotated)
    loss = loss + BME_WEIGHT * regional_dice_loss(logits[:, BME_PLANE], targets[:, BME_PLANE], femur)
    loss = loss + MISSED_WEIGHT * missed_loss(logits[:, BME_PLANE], targets[:, BME_PLANE], femur)
    return loss + _alone(logits, targets, annotated, n_slices)


LOSSES = {"plain": plain, "small-lesions": small_lesions, "regional": regional}


def criterion(name: str, annotated: Tensor | None = None, n_slices: int = 1) -> Criterion:
    """The loss of a name in `LOSSES` for a batch: (logits, targets) → scalar.

    Parameters
    ----------
    annotated : bool, shape (B, 4), optional
        Labels that take part; all, where it is left out.
    n_slices : slices of one hip, which lie beside each other
    """
    return partial(LOSSES[name], annotated=annotated, n_slices=n_slices)


def _alone(logits: Tensor, targets: Tensor, annotated: Tensor | None, n_slices: int) -> Tensor:
    """BME and synovitis of each hip on its own: how well what is there is outlined, and what is said of what is not."""
    loss = torch.zeros((), device=logits.device)
    for label in (BME_PLANE, SYNOVITIS_PLANE):
        guess, truth = logits[:, label], targets[:, label]
        is_known = None if annotated is None else annotated[::n_slices, label].bool()
        loss = loss + PRESENT_WEIGHT * present_dice_loss(guess, truth, n_slices)
        loss = loss + ABSENT_WEIGHT * absent_loss(guess, truth, n_slices, is_known)
    return loss


def _spread(annotated: Tensor, like: Tensor) -> Tensor:
    """(B, L) as (B, L, 1, …), of the other's kind of number."""
    return annotated.to(like.dtype)[(..., *[None] * (like.ndim - 2))]
