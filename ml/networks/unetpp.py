"""UNet++: skip connections grown into a triangle of convolutions, with deep supervision of its top row."""

import torch
from torch import Tensor, nn

from ml.networks.network import Criterion, DoubleConvolution, Extra, Network, label_head


class UNetPlusPlus(Network):
    """Nested U-Nets of depth 1 to `levels` that share one encoder.

    Node (i, j) lies on level i and sees all nodes to its left on that level and, enlarged, its lower neighbour. Each node of
    the top row but the first has a head; training averages the loss over them, the deepest gives the result.

    Parameters
    ----------
    base, levels : see `ml.networks.unet.UNet`

    References
    ----------
    Zhou Z, Siddiquee MMR, Tajbakhsh N, Liang J. UNet++: a nested U-Net architecture for medical image segmentation. DLMIA
    2018. arXiv:1807.10165.
    """

    name = "unetpp"

    def __init__(self, base: int = 16, levels: int = 4) -> None:
        super().__init__()
        self.settings = {"base": base, "levels": levels}
        self.n_features, self.multiple = base, 2**levels
        widths = [base * 2**level for level in range(levels + 1)]
        self.encoder = nn.ModuleList(
            DoubleConvolution(n_in, n_out) for n_in, n_out in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        nodes = [(level, place) for level in range(levels) for place in range(1, levels - level + 1)]
        self.up = nn.ModuleDict({_key(i, j): nn.ConvTranspose2d(2 * widths[i], widths[i], 2, stride=2) for i, j in nodes})
        self.nodes = nn.ModuleDict({_key(i, j): DoubleConvolution((j + 1) * widths[i], widths[i]) for i, j in nodes})
        self.shallow_heads = nn.ModuleList(label_head(base) for _ in range(levels - 1))
        self.head = label_head(base)

    def features(self, images: Tensor) -> Tensor:
        """The last node of the top row, shape (B, base, H, W)."""
        return self.top_row(images)[-1]

    def top_row(self, images: Tensor) -> list[Tensor]:
        """All nodes of the top row that have a head, the shallowest first, each (B, base, H, W)."""
        rows: list[list[Tensor]] = []
        features = images
        for level, block in enumerate(self.encoder):
            features = block(features if level == 0 else self.pool(features))
            rows.append([features])
            for place in range(1, level + 1):  # the diagonal that this level makes possible, upwards
                row = level - place
                enlarged = self.up[_key(row, place)](rows[row + 1][place - 1])
                rows[row].append(self.nodes[_key(row, place)](torch.cat([*rows[row], enlarged], dim=1)))
        return rows[0][1:]

    def loss(self, images: Tensor, targets: Tensor, criterion: Criterion, extra: Extra | None = None) -> Tensor:
        """The criterion's mean over all heads; see `Network.loss`."""
        top_row = self.top_row(images)
        heads = [*self.shallow_heads, self.head]
        losses = [criterion(head(features), targets) for head, features in zip(heads, top_row, strict=True)]
        loss = torch.stack(losses).mean()
        return loss if extra is None else loss + extra(top_row[-1])


def _key(level: int, place: int) -> str:
    return f"{level}_{place}"
