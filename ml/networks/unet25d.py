"""2.5D U-Net: the article's U-Net, which sees each slice between the slices beside it."""

from typing import ClassVar, Self

import torch
from torch import Tensor

from ml.networks.network import Convolution3D, DoubleConvolution, as_slices, as_stacks, by_parts, label_head, with_neighbours
from ml.networks.unet import UNet


class UNet25D(UNet):
    """A U-Net whose first convolution sees the slices beside too.

    How thick an effusion is, and whether a bright spot goes on, shows across slices. All else works within the slice and costs
    what a U-Net costs.

    Parameters
    ----------
    base, levels : as of `UNet`
    reach : slices seen on each side; beyond its ends a stack repeats itself
    """

    name = "unet25d"
    grows_from: ClassVar[tuple[str, ...]] = ("unet",)
    takes_stack = True
    memory_format = torch.contiguous_format  # its weights have four dimensions, its images five

    def __init__(self, base: int = 16, levels: int = 4, reach: int = 1) -> None:
        if reach < 0:
            raise ValueError(f"reach is {reach}; it must be 0 or more slices on each side")
        super().__init__(base, levels)
        self.settings["reach"] = self.reach = reach
        self.encoder[0] = DoubleConvolution(2 * reach + 1, base)
        self.head = label_head(base, Convolution3D)

    @classmethod
    @torch.no_grad()
    def around(cls, unet: UNet) -> Self:
        """One that says what a U-Net says: it begins with nothing taken from the slices beside."""
        network = cls(**unet.settings)
        weights = network.state_dict()
        for name, value in unet.state_dict().items():
            if name == "encoder.0.0.weight":
                weights[name].zero_()[:, network.reach] = value[:, 0]
            else:
                weights[name].copy_(value.reshape(weights[name].shape))
        return network

    def forward(self, images: Tensor) -> Tensor:
        """As `Network.forward`; slices that are given without their stack, (B, 1, H, W), are stacks of one."""
        return super().forward(images[:, :, None])[:, :, 0] if images.ndim == 4 else super().forward(images)

    def features(self, images: Tensor) -> Tensor:
        """What the segmentation head sees, shape (hip, base, slice, H, W)."""
        slices = as_slices(with_neighbours(images, self.reach)).contiguous(memory_format=torch.channels_last)
        features = super().features(slices) if self.training else by_parts(super().features, slices)
        return as_stacks(features, len(images))
