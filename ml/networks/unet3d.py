"""3D U-Net over a hip's stack of slices, as the article's forerunner had it; few and thick slices are pooled late."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.networks.network import Convolution3D, Network, as_slices, as_stacks, label_head


class UNet3D(Network):
    """Encoder and decoder over (slice, row, column).

    Slices are 3 to 5 mm thick and pixels 0.8 mm wide. The first levels therefore work within the slice (kernels 1 × 3 × 3,
    pooling 1 × 2 × 2), until a pixel is wider than a slice is thick; the levels below work in all three directions.

    Parameters
    ----------
    base : channels of the first level's output; each level below has twice as many. The paper has 64.
    levels : number of max-poolings; rows and columns must be divisible by 2 ** levels. The paper has 3.
    flat_levels : levels that work within the slice. The paper, on cubic voxels, has 0.

    Notes
    -----
    Any number of slices may be given: the last one is repeated up to a multiple of the pooling.

    References
    ----------
    Çiçek Ö, et al. 3D U-Net: learning dense volumetric segmentation from sparse annotation. MICCAI 2016. arXiv:1606.06650.
    Han Q, et al. (2021), reference of Zheng Y, et al. Front Physiol 2023;14:1132214: "a 3D-UNet algorithm".
    """

    name = "unet3d"
    takes_stack = True
    memory_format = torch.channels_last_3d

    def __init__(self, base: int = 16, levels: int = 4, flat_levels: int = 3) -> None:
        super().__init__()
        self.settings = {"base": base, "levels": levels, "flat_levels": flat_levels}
        self.n_features, self.multiple = base, 2**levels
        self.slice_multiple = 2 ** max(levels - flat_levels, 0)
        widths = [base * 2**level for level in range(levels + 1)]
        depths = [1 if level < flat_levels else 3 for level in range(levels + 1)]
        steps = [(1 if level < flat_levels else 2, 2, 2) for level in range(levels)]  # from a level to the one below
        self.encoder = nn.ModuleList(
            DoubleConvolution3D(n_in, width // 2, width, depth)
            for n_in, width, depth in zip([1, *widths[:-1]], widths, depths, strict=True)
        )
        self.pools = nn.ModuleList(nn.MaxPool3d(step) for step in steps)
        self.up = nn.ModuleList(
            UpConvolution3D(2 * width, 2 * width, step, stride=step) for width, step in zip(widths[:-1], steps, strict=True)
        )
        self.decoder = nn.ModuleList(
            DoubleConvolution3D(3 * width, width, width, depth) for width, depth in zip(widths[:-1], depths[:-1], strict=True)
        )
        self.head = label_head(base, Convolution3D)

    def features(self, images: Tensor) -> Tensor:
        """What the segmentation head sees, shape (hip, base, slice, H, W)."""
        n_slices = images.shape[2]
        n_more = -n_slices % self.slice_multiple
        features = functional.pad(images, (0, 0, 0, 0, 0, n_more), mode="replicate") if n_more else images
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(features if level == 0 else self.pools[level - 1](features))
            skips.append(features)
        skips.pop()
        for up, block in zip(reversed(self.up), reversed(self.decoder), strict=True):
            features = block(torch.cat([skips.pop(), up(features)], dim=1))  # (hip, 3 C, slice, H, W)
        return features[:, :, :n_slices]


class UpConvolution3D(nn.ConvTranspose3d):
    """A transposed convolution of a stack whose kernel is its stride, computed in two dimensions; as `Convolution3D`."""

    def forward(self, planes: Tensor) -> Tensor:  # type: ignore[override]
        """(hip, C, slice, H, W) → the same, enlarged by the stride"""
        depth = self.stride[0]
        weight = self.weight.transpose(1, 2).flatten(1, 2)  # (C, depth × C', 2, 2)
        assert self.bias is not None
        bias = self.bias.repeat(depth)
        larger = functional.conv_transpose2d(as_slices(planes), weight, bias, stride=self.stride[1:])  # type: ignore[arg-type]
        return as_stacks(larger.unflatten(1, (depth, -1)).flatten(0, 1), len(planes))


class DoubleConvolution3D(nn.Sequential):
    """Twice a convolution, batch normalisation and ReLU; the kernel is `depth` × 3 × 3."""

    def __init__(self, n_in: int, n_middle: int, n_out: int, depth: int) -> None:
        layers: list[nn.Module] = []
        for n_from, n_to in ((n_in, n_middle), (n_middle, n_out)):
            layers += [
                _within_slices(Convolution3D(n_from, n_to, (depth, 3, 3), padding=(depth // 2, 1, 1), bias=False)),
                nn.BatchNorm3d(n_to),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


@torch.no_grad()
def _within_slices(convolution: nn.Conv3d) -> nn.Conv3d:
    """The same, beginning with nothing taken from the slices beside: weights that short stacks never reach stay 0, not random."""
    middle = convolution.kernel_size[0] // 2
    convolution.weight[:, :, :middle] = 0
    convolution.weight[:, :, middle + 1 :] = 0
    return convolution
