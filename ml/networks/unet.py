"""U-Net as the article has it: one slice of one hip in, four overlapping label maps (as logits) out."""

import torch
from torch import Tensor, nn

from ml.labels import LABELS

RARE_LOGIT = -2.5  # an untrained network says what is true of most pixels: no label


class DoubleConvolution(nn.Sequential):
    """Twice a 3 × 3 convolution, batch normalisation and ReLU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
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

    def __init__(self, base: int = 16, levels: int = 4) -> None:
        super().__init__()
        self.settings = {"base": base, "levels": levels}
        widths = [base * 2**level for level in range(levels + 1)]
        self.encoder = nn.ModuleList(
            DoubleConvolution(n_in, n_out) for n_in, n_out in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in widths[:-1])
        self.decoder = nn.ModuleList(DoubleConvolution(2 * width, width) for width in widths[:-1])
        self.head = nn.Conv2d(base, len(LABELS), 1)
        nn.init.constant_(self.head.bias, RARE_LOGIT)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the labels in the order of `ml.labels.LABELS`.

        Parameters
        ----------
        images : float32, shape (B, 1, H, W)
            Normalised crops (`ml.crops.normalise`).

        Returns
        -------
        float32, shape (B, 4, H, W)
        """
        logits: Tensor = self.head(self.features(images))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """What the segmentation head sees, shape (B, base, H, W)."""
        skips: list[Tensor] = []
        features = images
        for level, block in enumerate(self.encoder):
            features = block(features if level == 0 else self.pool(features))
            skips.append(features)
        skips.pop()
        for up, block in zip(reversed(self.up), reversed(self.decoder), strict=True):
            features = block(torch.cat([skips.pop(), up(features)], dim=1))  # (B, 2 C, H, W)
        return features
