"""HRNet: streams of several resolutions side by side that exchange what they know; the finest is kept throughout."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.networks.network import Convolution, Criterion, Extra, Network, label_head

N_STREAMS = 4
EXPANSION = 4  # of a bottleneck, He 2016


class HRNet(Network):
    """HRNetV2: stem, a stage of bottlenecks, three stages that each add a coarser stream, all streams into the head.

    Parameters
    ----------
    base : channels of the finest stream; each coarser one has twice as many
    stem : channels of the stem and the first stage; 2 · base if not given (the paper has 64)
    modules : exchanges of the second, third and fourth stage (the paper has 1, 4, 3)
    blocks : residual blocks of each stream between two exchanges (the paper has 4)
    stride : 2 or 4, the finest stream's pixel in pixels of the image. The paper has 4, for photographs of 1024 × 2048 pixels;
        a hip's crop is 128 × 160, and at a quarter of that a joint space is one pixel.
    last : channels before the head; 4 · base if not given (the paper has 15 · base)

    References
    ----------
    Wang J, et al. Deep high-resolution representation learning for visual recognition. IEEE TPAMI 2021;43:3349.
    arXiv:1908.07919.
    """

    name = "hrnet"

    def __init__(
        self,
        base: int = 16,
        stem: int | None = None,
        modules: tuple[int, int, int] = (1, 1, 1),
        blocks: int = 2,
        stride: int = 2,
        last: int | None = None,
    ) -> None:
        super().__init__()
        if stride not in (2, 4):
            raise ValueError(f"stride is {stride}; the finest stream has 1/2 or 1/4 of the resolution")
        stem, last = stem or 2 * base, last or 4 * base
        self.settings = {
            "base": base,
            "stem": stem,
            "modules": list(modules),
            "blocks": blocks,
            "stride": stride,
            "last": last,
        }
        self.n_features, self.multiple = last, stride * 2 ** (N_STREAMS - 1)
        widths = [base * 2**index for index in range(N_STREAMS)]
        self.stem = nn.Sequential(Convolution(1, stem, stride=stride // 2), Convolution(stem, stem, stride=2))
        self.first = nn.Sequential(*(Bottleneck(stem if n == 0 else EXPANSION * stem, stem) for n in range(blocks)))
        self.into_two = nn.ModuleList(
            [Convolution(EXPANSION * stem, widths[0]), Convolution(EXPANSION * stem, widths[1], stride=2)]
        )
        self.coarser = nn.ModuleList(Convolution(widths[n - 1], widths[n], stride=2) for n in range(2, N_STREAMS))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Exchange(widths[: n + 2], blocks) for _ in range(n_modules))) for n, n_modules in enumerate(modules)
        )
        self.mix = Convolution(sum(widths), last, kernel=1)
        self.head = label_head(last)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (B, 4, H, W), interpolated from the finest stream's grid."""
        return self._enlarged(self.head(self._mixed(images)))

    def features(self, images: Tensor) -> Tensor:
        """What the head sees, interpolated to the size of the images."""
        return self._enlarged(self._mixed(images))

    def loss(self, images: Tensor, targets: Tensor, criterion: Criterion, extra: Extra | None = None) -> Tensor:
        """See `Network.loss`; the logits are enlarged, not the features, which is the same and cheaper."""
        mixed = self._mixed(images)
        loss = criterion(self._enlarged(self.head(mixed)), targets)
        return loss if extra is None else loss + extra(self._enlarged(mixed))

    def _mixed(self, images: Tensor) -> Tensor:
        """All streams together on the finest one's grid, shape (B, last, H / stride, W / stride)."""
        start = self.first(self.stem(images))
        streams = [layer(start) for layer in self.into_two]
        for index, stage in enumerate(self.stages):
            if index:
                streams = [*streams, self.coarser[index - 1](streams[-1])]
            streams = stage(streams)
        finest, *others = streams
        mixed: Tensor = self.mix(torch.cat([finest, *(_as_large(other, finest) for other in others)], dim=1))
        return mixed

    def _enlarged(self, planes: Tensor) -> Tensor:
        return functional.interpolate(planes, scale_factor=self.settings["stride"], mode="bilinear", align_corners=False)


class Residual(nn.Module):
    """Two 3 × 3 convolutions beside a straight connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(Convolution(width, width), Convolution(width, width, relu=False))

    def forward(self, planes: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return functional.relu(planes + self.body(planes))


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions beside a straight connection; the output has 4 · `width` channels."""

    def __init__(self, n_in: int, width: int) -> None:
        super().__init__()
        n_out = EXPANSION * width
        self.body = nn.Sequential(
            Convolution(n_in, width, kernel=1), Convolution(width, width), Convolution(width, n_out, kernel=1, relu=False)
        )
        self.straight = nn.Identity() if n_in == n_out else Convolution(n_in, n_out, kernel=1, relu=False)

    def forward(self, planes: Tensor) -> Tensor:
        """(B, n_in, H, W) → (B, 4 · width, H, W)."""
        return functional.relu(self.straight(planes) + self.body(planes))


class Exchange(nn.Module):
    """Residual blocks on each stream, then each stream becomes the sum of all, brought to its resolution."""

    def __init__(self, widths: list[int], blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(*(Residual(width) for _ in range(blocks))) for width in widths)
        self.ways = nn.ModuleList(
            nn.ModuleList(_way(widths, source, target) for source in range(len(widths))) for target in range(len(widths))
        )

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        """One tensor a stream, the finest first → the same shapes."""
        streams = [block(stream) for block, stream in zip(self.blocks, streams, strict=True)]
        fused = []
        for own, ways in zip(streams, self.ways, strict=True):
            assert isinstance(ways, nn.ModuleList)
            parts = [_as_large(way(stream), own) for way, stream in zip(ways, streams, strict=True)]
            fused.append(functional.relu(sum(parts[1:], start=parts[0])))
        return fused


def _way(widths: list[int], source: int, target: int) -> nn.Module:
    """From one stream to another: as it is, a 1 × 1 convolution upwards, 3 × 3 convolutions of stride 2 downwards."""
    if source == target:
        return nn.Identity()
    if source > target:
        return Convolution(widths[source], widths[target], kernel=1, relu=False)
    halvings = [Convolution(widths[source], widths[source], stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*halvings, Convolution(widths[source], widths[target], stride=2, relu=False))


def _as_large(planes: Tensor, other: Tensor) -> Tensor:
    if planes.shape[2:] == other.shape[2:]:
        return planes
    return functional.interpolate(planes, other.shape[2:], mode="bilinear", align_corners=False)
