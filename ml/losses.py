"""The loss of training: soft Dice and binary cross-entropy, over the labels that were annotated."""

import torch
from torch import Tensor
from torch.nn import functional

DICE_SMOOTHING = 1.0


def dice_loss(logits: Tensor, targets: Tensor, annotated: Tensor | None = None) -> Tensor:
    """One minus the soft Dice of each label over the whole batch, averaged over the labels.

    Parameters
    ----------
    logits, targets : float, shape (B, L, H, W)
    annotated : bool or float, shape (B, L), optional
        Labels that were not annotated take no part.

    Returns
    -------
    scalar, 0 (perfect) to 1
    """
    probabilities = logits.sigmoid()
    if annotated is not None:
        weights = annotated.to(logits.dtype)[:, :, None, None]
        probabilities, targets = probabilities * weights, targets * weights
    axes = (0, 2, 3)
    overlap = 2 * (probabilities * targets).sum(axes) + DICE_SMOOTHING
    total = probabilities.sum(axes) + targets.sum(axes) + DICE_SMOOTHING
    return (1 - overlap / total).mean()


def cross_entropy(logits: Tensor, targets: Tensor, annotated: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy over all pixels of the annotated labels; 0 where none is annotated."""
    values = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if annotated is None:
        return values.mean()
    weights = annotated.to(logits.dtype)[:, :, None, None].expand_as(values)
    return (values * weights).sum() / weights.sum().clamp(min=1)


def segmentation_loss(logits: Tensor, targets: Tensor, annotated: Tensor | None = None) -> Tensor:
    """Dice loss plus binary cross-entropy, computed in float32 whatever the precision of the network."""
    logits, targets = logits.float(), targets.float()
    return dice_loss(logits, targets, annotated) + cross_entropy(logits, targets, annotated)


def regional_dice_loss(logits: Tensor, targets: Tensor, region: Tensor) -> Tensor:
    """Dice loss of one label inside a region and outside it, averaged: the larger part does not drown the other.

    Parameters
    ----------
    logits, targets, region : float, shape (B, H, W); targets and region 0 or 1
    """
    planes = torch.stack([region, 1 - region], dim=1)  # (B, 2, H, W)
    probabilities = logits.float().sigmoid()[:, None] * planes
    masked = targets[:, None] * planes
    axes = (0, 2, 3)
    overlap = 2 * (probabilities * masked).sum(axes) + DICE_SMOOTHING
    return (1 - overlap / (probabilities.sum(axes) + masked.sum(axes) + DICE_SMOOTHING)).mean()


def missed_loss(logits: Tensor, targets: Tensor, region: Tensor) -> Tensor:
    """Cross-entropy of one label where it is true, inside a region and outside it, averaged.

    Dice and plain cross-entropy hardly move a network that is sure that a rare thing is never there; this does.

    Parameters
    ----------
    logits, targets, region : float, shape (B, H, W); targets and region 0 or 1
    """
    values = functional.softplus(-logits.float()) * targets
    planes = torch.stack([region, 1 - region], dim=1)  # (B, 2, H, W)
    axes = (0, 2, 3)
    return ((values[:, None] * planes).sum(axes) / (targets[:, None] * planes).sum(axes).clamp(min=100)).mean()
