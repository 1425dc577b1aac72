"""Attention U-Net: gates let through of each skip connection what the coarser level finds worth looking at."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.networks.network import DoubleConvolution, Network, label_head


class AttentionUNet(Network):
    """A U-Net with additive attention gates on all skip connections but the first.

    Parameters
    ----------
    base, levels : see `ml.networks.unet.UNet`

    Notes
    -----
    As in the paper, the decoder enlarges by interpolation, and the gates work on the grid of the coarser level.

    References
    ----------
    Oktay O, et al. Attention U-Net: learning where to look for the pancreas. MIDL 2018. arXiv:1804.03999, section 2.2.
    """

    name = "attention_unet"

    def __init__(self, base: int = 16, levels: int = 4) -> None:
        super().__init__()
        self.settings = {"base": base, "levels": levels}
        self.n_features, self.multiple = base, 2**levels
        widths = [base * 2**level for level in range(levels + 1)]
        self.encoder = nn.ModuleList(
            DoubleConvolution(n_in, n_out) for n_in, n_out in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.gates = nn.ModuleList(AttentionGate(width) for width in widths[1:-1])
        self.decoder = nn.ModuleList(DoubleConvolution(3 * width, width) for width in widths[:-1])
        self.head = label_head(base)

    def features(self, images: Tensor) -> Tensor:
        """What the segmentation head sees, shape (B, base, H, W)."""
        skips: list[Tensor] = []
        features = images
        for level, block in enumerate(self.encoder):
            features = block(features if level == 0 else self.pool(features))
            skips.append(features)
        skips.pop()
        for level in reversed(range(len(self.decoder))):
            skip = skips[level] if level == 0 else self.gates[level - 1](skips[level], features)
            features = self.decoder[level](torch.cat([skip, _twice(features)], dim=1))  # (B, 3 C, H, W)
        return features


class AttentionGate(nn.Module):
    """Weighs each place of a skip connection, 0 to 1, by what is there and by what the coarser level says."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(width, width, 2, stride=2, bias=False)
        self.gate = nn.Conv2d(2 * width, width, 1)
        self.weight = nn.Conv2d(width, 1, 1)
        self.mix = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, skip: Tensor, coarser: Tensor) -> Tensor:
        """(B, C, H, W), gated by (B, 2 C, H / 2, W / 2)."""
        weights = self.weight(functional.relu(self.skip(skip) + self.gate(coarser))).sigmoid()
        mixed: Tensor = self.mix(skip * _twice(weights))
        return mixed


def _twice(planes: Tensor) -> Tensor:
    return functional.interpolate(planes, scale_factor=2, mode="bilinear", align_corners=False)
