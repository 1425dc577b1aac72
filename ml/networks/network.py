"""What all segmentation networks have in common: one way in, one way out, one loss, settings that build them again."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.labels import LABELS

AT_ONCE = 8  # slices
RARE_LOGIT = -2.5  # an untrained network says what is true of most pixels: no label

Criterion = Callable[[Tensor, Tensor], Tensor]
Extra = Callable[[Tensor], Tensor]


class Network(nn.Module):
    """A network that gives each pixel of a crop four overlapping labels.

    Attributes
    ----------
    name : key in `ml.networks.NETWORKS`
    takes_stack : False for networks of single slices, images of shape (B, 1, H, W);
        True for networks of whole stacks, images of shape (hip, 1, slice, H, W)
    grows_from : names of the networks that its class method `around` makes one of, which says the same at first
    memory_format : the layout of weights and images that is fastest; see `laid_out`
    settings : all that `ml.networks.build` needs to make the same network again
    n_features : channels of what the head sees
    multiple : rows and columns must be divisible by this
    head : the last convolution; its output is the logits
    sure : float32, shape (4,), a logit for each label, kept with the weights: `ml.doubt.doubted` lowers what never reaches it;
        0, as of a new network or of weights that hold none: nothing is lowered
    """

    name: ClassVar[str]
    takes_stack: ClassVar[bool] = False
    grows_from: ClassVar[tuple[str, ...]] = ()
    memory_format: ClassVar[torch.memory_format] = torch.channels_last
    settings: dict[str, Any]
    n_features: int
    multiple: int
    head: nn.Module
    sure: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sure", torch.zeros(len(LABELS)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the labels in the order of `ml.labels.LABELS`.

        Parameters
        ----------
        images : float32, shape (B, 1, H, W) or (hip, 1, slice, H, W)
            Normalised crops (`ml.crops.normalise`).

        Returns
        -------
        float32, shape (B, 4, H, W) or (hip, 4, slice, H, W)
        """
        logits: Tensor = self.head(self.features(images))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """What the head sees, shape (B, n_features, H, W) or (hip, n_features, slice, H, W)."""
        raise NotImplementedError

    @classmethod
    def around(cls, network: Any) -> Self:
        """One that says what a network of another kind says, one of `grows_from`; ValueError for any other."""
        raise ValueError(f"a {cls.name} can't begin with what a {network.name} says")

    def loss(self, images: Tensor, targets: Tensor, criterion: Criterion, extra: Extra | None = None) -> Tensor:
        """The loss of a batch, from one pass through the network.

        Parameters
        ----------
        images, targets : float, shape (B, 1, H, W) and (B, 4, H, W), or (hip, 1 | 4, slice, H, W)
        criterion : (logits, targets), each (B, 4, H, W) → scalar
            It knows which labels are annotated. A stack's slices are given to it one after the other, hip by hip;
            networks with several outputs call it several times, with the same B.
        extra : features (B, n_features, H, W) → scalar, optional
            A further loss, of something learnt beside the labels; added.
        """
        features = self.features(images)
        loss = criterion(as_slices(self.head(features)), as_slices(targets))
        return loss if extra is None else loss + extra(as_slices(features))

    @torch.no_grad()
    def shift_logits(self, shifts: Sequence[float]) -> None:
        """Add a constant to each label's logits, for good: calibration writes into the weights."""
        for layer in self.output_layers():
            assert layer.bias is not None
            layer.bias += torch.as_tensor(shifts, dtype=layer.bias.dtype, device=layer.bias.device)

    def laid_out(self) -> Self:
        """The network itself, its weights laid out as is fastest."""
        return self.to(memory_format=self.memory_format)  # type: ignore[call-overload, no-any-return]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        state_dict.setdefault(f"{prefix}sure", torch.zeros(len(LABELS)))  # weights of before there was doubt
        super()._load_from_state_dict(state_dict, prefix, *others)

    def output_layers(self) -> "list[nn.Conv1d | nn.Conv2d | nn.Conv3d]":
        """The convolutions that give logits."""
        assert isinstance(self.head, nn.Conv2d | nn.Conv3d)
        return [self.head]


def by_parts(network: Callable[[Tensor], Tensor], slices: Tensor) -> Tensor:
    """What a network of slices says of many, eight at a time: their features stay in the processor's cache; a GPU takes all."""
    parts = slices.split(AT_ONCE) if slices.device.type == "cpu" else [slices]
    return torch.cat([network(part) for part in parts])


def as_slices(planes: Tensor) -> Tensor:
    """(hip, C, slice, H, W) as (hip × slice, C, H, W); slices stay as they are."""
    return planes.transpose(1, 2).flatten(0, 1) if planes.ndim == 5 else planes


def as_stacks(planes: Tensor, n_hips: int) -> Tensor:
    """(hip × slice, C, H, W) as (hip, C, slice, H, W): what `as_slices` made flat."""
    return planes.unflatten(0, (n_hips, -1)).transpose(1, 2)


def with_neighbours(planes: Tensor, reach: int) -> Tensor:
    """Each slice's channels between those of the slices beside it; beyond its ends a stack repeats itself.

    (hip, C, slice, H, W) → (hip, (2 reach + 1) C, slice, H, W)
    """
    padded = functional.pad(planes, (0, 0, 0, 0, reach, reach), mode="replicate")
    return torch.cat([padded[:, :, first : first + planes.shape[2]] for first in range(2 * reach + 1)], dim=1)


def label_head(n_features: int, kind: type[nn.Conv2d] | type[nn.Conv3d] = nn.Conv2d) -> nn.Conv2d | nn.Conv3d:
    """A 1 × 1 convolution, of slices or of stacks, to one logit a label that begins by saying "rare"."""
    head = kind(n_features, len(LABELS), 1)
    assert head.bias is not None
    nn.init.constant_(head.bias, RARE_LOGIT)
    return head


class Convolution(nn.Sequential):
    """A convolution, batch normalisation and, unless told otherwise, ReLU; the size stays, or is divided by the stride."""

    def __init__(self, n_in: int, n_out: int, kernel: int = 3, stride: int = 1, relu: bool = True) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(n_in, n_out, kernel, stride=stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(n_out),
        ]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class DoubleConvolution(nn.Sequential):
    """Twice a 3 × 3 convolution, batch normalisation and ReLU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(*Convolution(n_in, n_out), *Convolution(n_out, n_out))


class Convolution3D(nn.Conv3d):
    """A convolution of a stack, computed in two dimensions: each slice lies in one image with the slices that its kernel reaches.

    Beyond its ends a stack repeats itself, so that the short ones of training look like a part of a long one; within the
    slices the padding is 0. Otherwise the same sums as those of `nn.Conv3d`. On a CPU they are faster, and right in bfloat16,
    in which PyTorch 2.13 leaves parts of the weight gradient of 3D convolutions unwritten (values of 1e30 or NaN, a different
    one in each run).
    """

    def forward(self, planes: Tensor) -> Tensor:
        """(hip, C, slice, H, W) → (hip, C', slice, H, W)"""
        depth = self.kernel_size[0]
        planes = with_neighbours(planes, depth // 2) if depth > 1 else planes
        weight = self.weight.transpose(1, 2).flatten(1, 2)  # (C', depth × C, 3, 3)
        return as_stacks(functional.conv2d(as_slices(planes), weight, self.bias, padding=self.padding[1:]), len(planes))  # type: ignore[arg-type]
