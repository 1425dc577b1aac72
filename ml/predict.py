"""`segment`: hips of a Volume found, cut out, outlined by the network and laid back on the original grid."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from ml.bundle import Bundle
from ml.crops import CROP_COLUMNS, CROP_ROWS, SIDES, Array, Box, Point, box, distance_mm, normalised_crops, restore
from ml.dicom.volume import Volume
from ml.hips import FoundHip, find_hips
from ml.labels import LABELS, Mask, enforce_rules, join_planes
from ml.tidy import implausible_head, tidy

BATCH = 8
REACH_MM = 60.0  # slices farther from the head's centre are not looked at
THRESHOLD = 0.5


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
    right, left = (_outline(volume, hip, planes.get(hip.side)) for hip in found)
    return Prediction(right, left, enforce_rules(right.mask | left.mask))


def locate(volume: Volume, bundle: Bundle, refused: Refusal) -> Prediction:
    """Where the hips of a Volume are that can't be scored: found as ever, not outlined, with the reason."""
    empty = np.zeros(volume.pixels.shape, np.uint8)
    outlines = []
    for hip in find(volume, bundle, {}):
        if hip.centre_mm is None:
            outlines.append(_outline(volume, hip, None))
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


def probabilities(volume: Volume, bundle: Bundle, hips: list[FoundHip], device: str | None, batch: int) -> dict[str, Array]:
    """Label probabilities of each hip's crop, float32, shape (4, slice, 128, 160); both hips go through together."""
    crops: list[Array] = []
    places: list[tuple[str, int]] = []
    for hip in hips:
        assert hip.centre_mm is not None
        near = np.flatnonzero(np.abs(distance_mm(volume, hip.centre_mm)) <= REACH_MM)
        crops.extend(normalised_crops(volume, hip.centre_mm, hip.side)[near])
        places.extend((hip.side, int(index)) for index in near)
    shape = (len(LABELS), len(volume.pixels), CROP_ROWS, CROP_COLUMNS)
    planes: dict[str, Array] = {hip.side: np.zeros(shape, np.float32) for hip in hips}
    for start in range(0, len(crops), batch):
        shares = _run(bundle, np.stack(crops[start : start + batch]), device)
        for (side, index), share in zip(places[start : start + batch], shares, strict=True):
            planes[side][:, index] = share
    return planes


@torch.inference_mode()
def _run(bundle: Bundle, crops: Array, device: str | None) -> npt.NDArray[np.float32]:
    target = device or next(bundle.unet.parameters()).device
    inputs = torch.from_numpy(crops)[:, None].to(target).contiguous(memory_format=torch.channels_last)
    probabilities: npt.NDArray[np.float32] = bundle.unet(inputs).float().sigmoid().cpu().numpy()
    return probabilities


def _outline(volume: Volume, hip: FoundHip, planes: Array | None) -> HipOutline:
    """The hip's mask, tidied and checked."""
    empty = np.zeros(volume.pixels.shape, np.uint8)
    if planes is None or hip.centre_mm is None:
        return HipOutline(hip.side, hip, None, None, empty, Refusal("hip_not_found", hip.why))
    mask = enforce_rules(join_planes(restore(planes, volume, hip.centre_mm, hip.side) > THRESHOLD))
    mask = tidy(mask, volume, hip.centre_mm)
    reason = implausible_head(mask, volume)
    refused = Refusal("no_plausible_head", reason) if reason else None
    return HipOutline(hip.side, hip, hip.centre_mm, box(volume, hip.centre_mm), empty if refused else mask, refused)
