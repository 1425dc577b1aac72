"""A network's outlines of hips that are already cut out, and how good they are."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ml import augment, precision
from ml.batches import Example
from ml.dataset import Stack
from ml.doubt import doubted
from ml.labels import LABELS, enforce_rules, join_planes, split_planes
from ml.metrics import LESION, LESION_PARTS, Planes, stack_dice
from ml.networks import Network

THRESHOLD = 0.5


@torch.inference_mode()
def hip_logits(
    network: Network, stack: Stack, device: torch.device, chosen: str = "fp32"
) -> tuple[npt.NDArray[np.float32], Planes]:
    """Logits of a hip's crops, doubtful parts lowered (`ml.doubt`), and the true planes on the same grid.

    Parameters
    ----------
    network : in evaluation mode
    chosen : precision of the convolutions, of `ml.precision.PRECISIONS`

    Returns
    -------
    float32 and bool, shape (slice, 4, 128, 160)
    """
    images = torch.from_numpy(stack.images.astype(np.float32))
    inputs, targets = augment.centre_only(images, torch.from_numpy(stack.masks), len(images))
    inputs = inputs.transpose(0, 1)[None] if network.takes_stack else inputs  # (1, 1, slice, H, W) or (slice, 1, H, W)
    with precision.autocast(chosen, device):
        logits = network(inputs.to(device).contiguous(memory_format=network.memory_format)).float()
    logits = logits[0].transpose(0, 1) if network.takes_stack else logits
    return doubted(logits.cpu().numpy(), network.sure.tolist()), targets.numpy() > 0.5


def outline(probabilities: npt.NDArray[Any], learnt: Sequence[str] = LABELS) -> Planes:
    """The planes that a network says, with the rules of the labels made true; labels that it never learnt are empty.

    Parameters
    ----------
    probabilities : shape (slice, 4, row, column)
    """
    is_learnt = np.array([label in learnt for label in LABELS])[:, None, None]
    planes = (probabilities > THRESHOLD) & is_learnt
    mask = enforce_rules(join_planes(planes.transpose(1, 0, 2, 3)))
    return split_planes(mask).transpose(1, 0, 2, 3) & is_learnt


def measured_probabilities(probabilities: npt.NDArray[Any], annotated: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """The probabilities behind `ml.metrics.measured_planes`; the lesion's is the larger one of its parts."""
    found = {label: probabilities[:, index] for index, label in enumerate(LABELS) if label in annotated}
    parts = [found[label] for label in LESION_PARTS if label in found]
    if parts:
        found[LESION] = np.maximum.reduce(parts)
    return found


def mean_dice(
    network: Network, examples: Sequence[Example], device: torch.device, chosen: str = "fp32"
) -> dict[str, float | None]:
    """Dice of each label and of the lesion per hip, mean over the hips whose truth is not empty."""

    def compared() -> Iterator[tuple[Planes, Planes, Sequence[str]]]:
        network.eval()
        for example in examples:
            logits, truth = hip_logits(network, example.stack, device, chosen)
            yield logits > 0, truth, example.labels

    return stack_dice(compared())
