"""Random numbers and smooth random fields for augmentation."""

import torch
from torch import Tensor
from torch.nn import functional

SLICE_PX = 5.0  # between neighbouring slices: 4 mm in pixels of 0.8 mm


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


def stack_fields(n_hips: int, n_slices: int, size: torch.Size, knots: tuple[int, int], rng: torch.Generator) -> Tensor:
    """Smooth fields that go on from slice to slice as they do within one, shape (n_hips × n_slices, H, W), about unit spread."""
    step = SLICE_PX * (knots[0] - 1) / (size[0] - 1)  # from one slice to the next, in knots
    at = torch.rand(n_hips, 1, generator=rng) + step * torch.arange(n_slices)  # (hip, slice)
    below, share = at.long(), at.frac()
    planes = smooth_field((n_hips, int(below.max()) + 2, *size), knots, rng)
    hip = torch.arange(n_hips)[:, None]
    weights = torch.stack([1 - share, share]) / (share.square() + (1 - share).square()).sqrt()
    lower, upper = weights[..., None, None]
    return (lower * planes[hip, below] + upper * planes[hip, below + 1]).flatten(0, 1)
