"""Several networks that answer together."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from ml.networks.network import Network, as_slices, as_stacks, by_parts


class Ensemble(Network):
    """The mean of what several trained networks say: each is wrong in places of its own. It is joined, not trained.

    Slices that are given without their stack, (B, 1, H, W), are stacks of one. How sure the members must be (`sure`) is no
    matter: it is measured of what they say together.

    Parameters
    ----------
    members : of any kind, of slices and of stacks, but no ensembles; the mean is of their logits

    Attributes
    ----------
    settings : {"members": a network's name and settings for each of them}
    """

    name = "ensemble"
    takes_stack = True
    memory_format = torch.contiguous_format  # of the images, which have five dimensions

    def __init__(self, members: Sequence[Network]) -> None:
        if len(members) < 2 or any(isinstance(member, Ensemble) for member in members):
            raise ValueError("an ensemble has two or more members, and none of them is an ensemble")
        super().__init__()
        self.members = nn.ModuleList(members)
        self.multiple = max(member.multiple for member in members)
        self.settings = {"members": [{"name": member.name, **member.settings} for member in members]}

    def forward(self, images: Tensor) -> Tensor:
        """As `Network.forward`."""
        if images.ndim == 4:
            return as_slices(self(images[:, :, None]))
        slices = as_slices(images).contiguous(memory_format=torch.channels_last)
        answers = (
            member(images) if member.takes_stack else as_stacks(by_parts(member, slices), len(images)) for member in self.each
        )
        return torch.stack(list(answers)).mean(dim=0)

    def laid_out(self) -> Self:
        """Each member as is fastest for it."""
        for member in self.each:
            member.laid_out()
        return self

    @property
    def each(self) -> list[Network]:
        """The members."""
        return list(self.members)  # type: ignore[arg-type]

    def output_layers(self) -> "list[nn.Conv1d | nn.Conv2d | nn.Conv3d]":
        """Those of all members."""
        return [layer for member in self.each for layer in member.output_layers()]
