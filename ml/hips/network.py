"""The small network that says, 6 mm cell by cell, what is femoral head, femur and pelvis, and on which side."""

from itertools import pairwise

import torch
from torch import Tensor, nn

PARTS = ("other", "head_right", "head_left", "femur_right", "femur_left", "pelvis")


class Block(nn.Sequential):
    """Two 3 × 3 convolutions, each with batch norm and ReLU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        layers: list[nn.Module] = []
        for n in (n_in, n_out):
            layers += [nn.Conv2d(n, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
        super().__init__(*layers)


class HipNet(nn.Module):
    """A U-Net of which the first step halves the image; its output has one logit a part and cell.

    Parameters
    ----------
    widths : channels of each level, the finest (6 mm) first
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 96)) -> None:
        super().__init__()
        self.widths = widths
        self.stem = nn.Sequential(
            nn.Conv2d(2, widths[0], 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.down = nn.ModuleList(Block(a, b) for a, b in zip((widths[0], *widths), widths, strict=False))
        self.up = nn.ModuleList(Block(fine + coarse, fine) for fine, coarse in pairwise(widths))
        self.head = nn.Conv2d(widths[0], len(PARTS), 1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 2, H, W) → logits (B, parts, H / 2, W / 2); H and W are multiples of 16."""
        x = self.stem(image)
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.max_pool2d(x, 2))
            skips.append(x)
        for level in reversed(range(len(self.up))):
            x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            x = self.up[level](torch.cat([skips[level], x], dim=1))
        return torch.as_tensor(self.head(x))
