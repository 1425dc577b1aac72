"""`segment`: hips of a Volume found, cut out, outlined by the network and laid back on the original grid."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ml.bundle import Bundle
from ml.crops import (
    CROP_COLUMNS,
    CROP_ROWS,
    SIDES,
    Array,
    Box,
    Point,
    box,
    distance_mm,
    normalised_crops,
    restore_window,
    window,
)
from ml.device import choose, device_of, fetch, full_precision, send
from ml.dicom.volume import Volume
from ml.doubt import doubted
from ml.hips import FoundHip, find_hips
from ml.labels import LABELS, Mask, enforce_rules, join_planes
from ml.networks.network import Network, as_slices
from ml.tidy import implausible_head, tidy

BATCH = 8
REACH_MM = 60.0  # slices farther from the head's centre are not looked at
THRESHOLD = 0.5
Change = Callable[[Array], Array]  # of a hip's normalised crops (slice, 128, 160); gives as many of the same size


@dataclass(frozen=True)
class Refusal:
    """Why there is no score: a code for programs, a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True)
class HipOutline:
    """One hip of a study.

    Attributes
    ----------
    found : what the hip finder said (confidence 1 where a person placed the box)
    centre_mm : LPS of the crop's centre; None where there is no hip
    box : the crop's outline in (row, column) of the Volume; None where there is no hip
    mask : uint8, shape (slice, row, column), bit planes of this hip alone; empty where refused
    refused : None where the outline can be scored
    """

    side: str
    found: FoundHip
    centre_mm: Point | None
    box: Box | None
    mask: Mask
    refused: Refusal | None


@dataclass(frozen=True)
class Prediction:
    """Both hips of a Volume; `mask` is both together, uint8, shape (slice, row, column)."""

    right: HipOutline
    left: HipOutline
    mask: Mask

    @property
    def hips(self) -> tuple[HipOutline, HipOutline]:
        """Right and left."""
        return self.right, self.left


def segment(
    volume: Volume,
    bundle: Bundle,
    boxes: Mapping[str, Point] | None = None,
    device: str | None = None,
    batch: int = BATCH,
) -> Prediction:
    """Outlines of both hips on the original grid.

    Parameters
    ----------
    volume : coronal
    bundle : from `ml.bundle.load`
    boxes : side to LPS centre in mm, optional
        Where a person put the boxes; those sides are not searched for.
    device : where the network runs; where its weights are, if not given
    batch : slices at a time; the outlines do not depend on it

    Returns
    -------
    Prediction
    """
    found = find(volume, bundle, boxes or {})
    present = [hip for hip in found if hip.centre_mm is not None]
    planes = probabilities(volume, bundle, present, device, batch)
    right, left = (outline(volume, hip, planes.get(hip.side)) for hip in found)
    return Prediction(right, left, enforce_rules(right.mask | left.mask))


def locate(volume: Volume, bundle: Bundle, refused: Refusal) -> Prediction:
    """Where the hips of a Volume are that can't be scored: found as ever, not outlined, with the reason."""
    empty = np.zeros(volume.pixels.shape, np.uint8)
    outlines = []
    for hip in find(volume, bundle, {}):
        if hip.centre_mm is None:
            outlines.append(outline(volume, hip, None))
        else:
            outlines.append(HipOutline(hip.side, hip, hip.centre_mm, box(volume, hip.centre_mm), empty, refused))
    right, left = outlines
    return Prediction(right, left, empty)


def find(volume: Volume, bundle: Bundle, boxes: Mapping[str, Point]) -> list[FoundHip]:
    """Right and left hip: as a person placed them, else as the hip finder finds them."""
    unknown = set(boxes) - set(SIDES)
    if unknown:
        raise ValueError(f"boxes are for {sorted(boxes)}; the sides are 'right' and 'left'")
    if set(boxes) == set(SIDES):
        searched = [FoundHip(side, False, 0.0, None, None, "") for side in SIDES]
    else:
        searched = list(find_hips(volume, bundle.finder))
    return [_placed(hip, boxes[hip.side]) if hip.side in boxes else hip for hip in searched]


def _placed(hip: FoundHip, centre_mm: Point) -> FoundHip:
    return replace(hip, found=True, confidence=1.0, centre_mm=centre_mm, radius_mm=None, why="placed by a person")


def probabilities(
    volume: Volume, bundle: Bundle, hips: list[FoundHip], device: str | None, batch: int, change: Change | None = None
) -> dict[str, Array]:
    """Label probabilities of each hip's crop, float32, shape (4, slice, 128, 160); both hips go through together.

    With `change`, those of the crops that it gives.
    """
    target = device_of(bundle.unet) if device is None else choose(device)
    planes: dict[str, Array] = {}
    stacks: list[Array] = []
    near: list[npt.NDArray[np.intp]] = []
    for hip in hips:
        assert hip.centre_mm is not None
        near.append(np.flatnonzero(np.abs(distance_mm(volume, hip.centre_mm)) <= REACH_MM))
        crops = normalised_crops(volume, hip.centre_mm, hip.side)[near[-1]]
        stacks.append(crops if change is None else change(crops))
    for hip, slices, shares in zip(hips, near, shares_of(bundle.unet, stacks, target, batch), strict=True):
        planes[hip.side] = np.zeros((len(LABELS), len(volume.pixels), CROP_ROWS, CROP_COLUMNS), np.float32)
        planes[hip.side][:, slices] = shares
    return planes


@torch.inference_mode()
def shares_of(network: nn.Module, stacks: Sequence[Array], device: torch.device, batch: int) -> list[Array]:
    """Probabilities of normalised crops, float32, shape (4, slice, row, column) for each stack of (slice, row, column).

    Each stack is a hip; what the network is nowhere sure of is drawn smaller (`ml.doubt`). Slices of all stacks go through
    together, `batch` at a time; a network of whole stacks sees one stack after the other. A GPU works in float32 without TF32,
    and is waited for at the end alone.
    """
    lengths = [len(stack) for stack in stacks]
    if sum(lengths) == 0:
        return [np.zeros((len(LABELS), *stack.shape), np.float32) for stack in stacks]
    takes_stack = isinstance(network, Network) and network.takes_stack
    layout = network.memory_format if isinstance(network, Network) else torch.channels_last
    slices = [np.ascontiguousarray(stack, np.float32) for stack in stacks if len(stack)]
    if not takes_stack:
        together = np.concatenate(slices)
        slices = [together[start : start + batch] for start in range(0, len(together), batch)]
    answers = []
    with full_precision():
        for part in slices:
            images = send(part[None, None] if takes_stack else part[:, None], device).contiguous(memory_format=layout)
            answers.append(as_slices(network(images)).float())  # (slice, 4, row, column)
        logits = fetch(answers)
    sure = fetch([network.sure]).tolist() if isinstance(network, Network) else []
    hips = [doubted(logits[end - length : end], sure) for end, length in zip(np.cumsum(lengths), lengths, strict=True)]
    return [torch.from_numpy(hip).sigmoid().numpy().swapaxes(0, 1) for hip in hips]


def outline(volume: Volume, hip: FoundHip, planes: Array | None, threshold: float = THRESHOLD) -> HipOutline:
    """The hip's mask, tidied and checked, from its probabilities."""
    mask = np.zeros(volume.pixels.shape, np.uint8)
    if planes is None or hip.centre_mm is None:
        return HipOutline(hip.side, hip, None, None, mask, Refusal("hip_not_found", hip.why))
    shares = restore_window(planes, volume, hip.centre_mm, hip.side)
    inside = tidy(enforce_rules(join_planes(shares > threshold)), volume, hip.centre_mm)
    reason = implausible_head(inside, volume)
    if not reason:
        rows, columns = window(volume, hip.centre_mm, hip.side)
        mask[:, rows, columns] = inside
    refused = Refusal("no_plausible_head", reason) if reason else None
    return HipOutline(hip.side, hip, hip.centre_mm, box(volume, hip.centre_mm), mask, refused)
