"""U-Net as the article has it: one slice of one hip in, four overlapping label maps (as logits) out."""

import torch
from torch import Tensor, nn

from ml.networks.network import DoubleConvolution, Network, label_head


class UNet(Network):
    """Encoder and decoder with skip connections.

    Parameters
    ----------
    base : int
        Channels of the first level; each level below has twice as many.
    levels : int
        Number of 2 × 2 max-poolings; rows and columns must be divisible by 2 ** levels.

    References
    ----------
    Zheng Y, et al. Front Physiol 2023;14:1132214, "Network structure" and Figure 2A.
    """

    name = "unet"

    def __init__(self, base: int = 16, levels: int = 4) -> None:
        super().__init__()
        self.settings = {"base": base, "levels": levels}
        self.n_features, self.multiple = base, 2**levels
        widths = [base * 2**level for level in range(levels + 1)]
        self.encoder = nn.ModuleList(
            DoubleConvolution(n_in, n_out) for n_in, n_out in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in widths[:-1])
        self.decoder = nn.ModuleList(DoubleConvolution(2 * width, width) for width in widths[:-1])
        self.head = label_head(base)

    def features(self, images: Tensor) -> Tensor:
        """What the segmentation head sees, shape (B, base, H, W)."""
        return self.decoded(images)[0]

    def decoded(self, images: Tensor) -> list[Tensor]:
        """The decoder's output at each level, the finest first: (B, base · 2ⁿ, H / 2ⁿ, W / 2ⁿ)."""
        return self.decode(self.encode(images))

    def encode(self, images: Tensor) -> list[Tensor]:
        """The encoder's output at each level, the finest first; the last one is the bottleneck's."""
        encoded: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            encoded.append(block(self.pool(encoded[-1]) if level else images))
        return encoded

    def decode(self, encoded: list[Tensor]) -> list[Tensor]:
        """The decoder's output at each level, the finest first, from the encoder's."""
        *skips, features = encoded
        decoded: list[Tensor] = []
        for up, block in zip(reversed(self.up), reversed(self.decoder), strict=True):
            features = block(torch.cat([skips.pop(), up(features)], dim=1))  # (B, 2 C, H, W)
            decoded.insert(0, features)
        return decoded
