"""2.5D U-Net that is told what the whole hip shows: a pixel of a dry joint is judged as one."""

import torch
from torch import Tensor, nn

from ml.labels import LABELS
from ml.networks.network import Convolution3D, label_head
from ml.networks.unet25d import UNet25D

N_LARGEST = 4  # slices with the most of a label stand for the hip, so that a part of a stack says what the whole one does
HIDDEN = 32
AREA_SCALE = 0.25  # of the logarithm of an area in pixels, which goes up to 10
BEGIN_SPREAD = 0.01


class HipHead(nn.Module):
    """Logits of each pixel, moved for the whole hip by what all of its slices show.

    Whether there is an effusion at all is a question about the hip: a bright lining is a little in many slices, an effusion much
    in some. What is said of each label (its area in the slices with the most of it) and the features (their highest mean and
    highest value in any slice) go through a small perceptron to one shift a label and hip.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.each = label_head(n_features, Convolution3D)
        self.of_features = nn.Conv1d(2 * n_features, HIDDEN, 1)
        self.of_labels = nn.Conv1d(2 * len(LABELS), HIDDEN, 1)
        self.shift = nn.Conv1d(HIDDEN, len(LABELS), 1)
        nn.init.normal_(self.shift.weight, std=BEGIN_SPREAD)
        nn.init.zeros_(self.shift.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """(hip, C, slice, H, W) → (hip, 4, slice, H, W)"""
        logits = self.each(features)
        areas = logits.float().sigmoid().sum((3, 4))  # (hip, 4, slice)
        largest = areas.topk(min(N_LARGEST, areas.shape[2]), dim=2).values
        labels = torch.cat([largest.mean(2), largest[:, :, 0]], dim=1).log1p() * AREA_SCALE
        seen = torch.cat([features.mean((3, 4)).amax(2), features.amax((2, 3, 4))], dim=1)
        hidden = (self.of_features(seen[:, :, None]) + self.of_labels(labels[:, :, None])).relu()
        return logits + self.shift(hidden)[..., None, None]


class UNetHip(UNet25D):
    """A 2.5D U-Net whose logits are moved, label by label, by what the whole hip shows (`HipHead`).

    Parameters
    ----------
    base, levels, reach : as of `UNet25D`
    """

    name = "unet_hip"
    stack_batch = (3, 6)
    head: HipHead

    def __init__(self, base: int = 16, levels: int = 4, reach: int = 1) -> None:
        super().__init__(base, levels, reach)
        self.head = HipHead(base)

    @staticmethod
    def place_of(name: str) -> str:
        """Where a weight of a U-Net lies here."""
        return name.replace("head.", "head.each.", 1) if name.startswith("head.") else name

    def output_layers(self) -> "list[nn.Conv1d | nn.Conv2d | nn.Conv3d]":
        """The one that moves the whole hip's logits: a shift there changes nothing of what the hip is judged by."""
        return [self.head.shift]
