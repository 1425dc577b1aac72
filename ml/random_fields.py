"""Random numbers and smooth random fields for augmentation."""

import torch
from torch import Tensor
from torch.nn import functional


def uniform(shape: tuple[int, ...], half_width: float, rng: torch.Generator) -> Tensor:
    """Uniform numbers between -half_width and +half_width."""
    return (torch.rand(shape, generator=rng) * 2 - 1) * half_width


def gains(shape: tuple[int, ...], spread: float, rng: torch.Generator) -> Tensor:
    """Positive factors around 1, log-normal with the given spread, none beyond 2.5 spreads."""
    return torch.exp(torch.randn(shape, generator=rng).clamp(-2.5, 2.5) * spread)


def smooth_field(shape: tuple[int, int, int, int], knots: tuple[int, int], rng: torch.Generator) -> Tensor:
    """Smooth fields of about unit spread, from a coarse grid of normal numbers."""
    coarse = torch.randn((shape[0], shape[1], *knots), generator=rng).clamp(-2.5, 2.5)
    return functional.interpolate(coarse, shape[2:], mode="bicubic", align_corners=True)
