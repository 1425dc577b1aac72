"""Pseudo-3D U-Net: a 2.5D U-Net whose deep levels look across the slices too."""

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from ml.networks.network import Convolution, as_slices, as_stacks, with_neighbours
from ml.networks.unet import UNet
from ml.networks.unet25d import UNet25D

LITTLE = 0.05  # of the usual random weights: training begins within the slices


class UNetP3D(UNet25D):
    """A 2.5D U-Net with a convolution across the slices after each of its deep encoder blocks.

    Whether a bright line is the lining of a joint or the edge of an effusion, and whether a faint patch of marrow is oedema,
    shows in the slices around. The deep levels are small, so looking across them costs little.

    Parameters
    ----------
    base, levels, reach : as of `UNet25D`
    mixed : deepest levels, the bottleneck included, that look across; with each of them one slice more on each side is seen

    References
    ----------
    Qiu Z, Yao T, Mei T. Learning spatio-temporal representation with pseudo-3D residual networks. ICCV 2017. arXiv:1711.10305.
    """

    name = "unet_p3d"
    grows_from: ClassVar[tuple[str, ...]] = ("unet", "unet25d")

    def __init__(self, base: int = 16, levels: int = 4, reach: int = 1, mixed: int = 3) -> None:
        if not 0 < mixed <= levels + 1:
            raise ValueError(f"mixed is {mixed}; it must be 1 to {levels + 1} levels")
        super().__init__(base, levels, reach)
        self.settings["mixed"] = mixed
        self.across = nn.ModuleDict({str(level): Across(base * 2**level) for level in range(levels + 1 - mixed, levels + 1)})

    @classmethod
    @torch.no_grad()
    def around(cls, network: UNet) -> Self:
        """One that says what a U-Net or a 2.5D U-Net says: it begins with nothing taken from across the slices."""
        flat = network if isinstance(network, UNet25D) else UNet25D.around(network)
        deep = cls(**flat.settings)
        deep.load_state_dict(deep.state_dict() | flat.state_dict())
        for across in deep.across.values():
            assert isinstance(across, Across)
            nn.init.zeros_(across.add.weight)
        return deep

    def features(self, images: Tensor) -> Tensor:
        """What the segmentation head sees, shape (hip, base, slice, H, W)."""
        n_hips = len(images)
        features = as_slices(with_neighbours(images, self.reach)).contiguous(memory_format=torch.channels_last)
        encoded: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(self.pool(features) if level else features)
            if str(level) in self.across:
                features = self.across[str(level)](features, n_hips)
            encoded.append(features)
        return as_stacks(self.decode(encoded)[0], n_hips)


class Across(nn.Module):
    """Adds to each slice's features what a convolution across three slices makes of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.look = Convolution(3 * width, width, kernel=1)
        self.add = nn.Conv2d(width, width, 1, bias=False)
        with torch.no_grad():
            self.add.weight *= LITTLE

    def forward(self, slices: Tensor, n_hips: int) -> Tensor:
        """(hip × slice, C, H, W) → the same shape"""
        around = as_slices(with_neighbours(as_stacks(slices, n_hips), 1)).contiguous(memory_format=torch.channels_last)
        added: Tensor = self.add(self.look(around))
        return slices + added
