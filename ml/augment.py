"""Augmentation suited to MR: what differs between scanners, sequences and people, except the side.

Slices of one hip lie beside each other in the batch and share what belongs to a scan: tissue contrast, gamma, noise
level, bias field. Everything random comes from one generator, so a seed gives the same batch again.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ml.contrast import add_oedema, brightness, recontrast
from ml.crops import CROP_COLUMNS, CROP_ROWS, CROP_SPACING_MM
from ml.labels import BITS, BME_PLANE, FEMUR_PLANE, SYNOVITIS_PLANE
from ml.phantom.anatomy import Tissue
from ml.random_fields import gains, smooth_field, uniform

NORMALISE_STRIDE = 3


@dataclass(frozen=True)
class Settings:
    """Widths of the random changes; lengths in mm, angles in degrees, the rest shares."""

    rotation_deg: float = 20.0
    scale: float = 0.14
    stretch: float = 0.08
    shift_mm: float = 9.0
    elastic_mm: float = 2.5
    bias: float = 0.35
    gamma: float = 0.45
    noise: float = 0.09
    blur_px: float = 1.3
    coarse: float = 2.2
    retune: bool = True  # change the contrast between tissues


def augment(
    images: Tensor,
    masks: Tensor,
    tissues: Tensor,
    n_slices: int,
    rng: torch.Generator,
    settings: Settings,
    has_tissues: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Network input, targets and tissues of a batch drawn by `ml.dataset.draw`.

    Parameters
    ----------
    images : float32, shape (B, H, W), not negative, 0 outside the image
    masks, tissues : uint8, shape (B, H, W)
    n_slices : slices of one hip that lie beside each other
    has_tissues : bool, shape (hip,), optional
        Hips whose tissues are known (all, where it is left out); the contrast between tissues of the others stays as it is.

    Returns
    -------
    float32, shape (B, 1, 128, 160), normalised as `ml.crops.normalise` does; float32, shape (B, 4, 128, 160), 0 or 1;
    int64, shape (B, 128, 160), 0 outside the image
    """
    n_hips = len(images) // n_slices
    inside = (images > 0).float()
    targets = torch.stack([(masks & bit) > 0 for bit in BITS.values()], dim=1).float()  # (B, 4, H, W)
    grid = _random_grid(n_hips, images.shape[1:], rng, settings).repeat_interleave(n_slices, dim=0)
    moved = _sample(torch.cat([images[:, None], inside[:, None], targets], dim=1), grid, "bilinear")
    image, inside, targets = moved[:, :1], moved[:, 1:2] > 0.5, (moved[:, 2:] > 0.5).float()
    ids = _sample(tissues[:, None].float(), grid, "nearest")[:, 0].long()
    if settings.retune and (has_tissues is None or has_tissues.any()):
        is_known = torch.ones(n_hips, dtype=torch.bool) if has_tissues is None else has_tissues
        has_hip = is_known & (targets[:, FEMUR_PLANE].reshape(n_hips, -1).amax(1) > 0)
        lit, ids_there = add_oedema(image[:, 0], ids, has_hip, n_slices, rng)
        is_new = (ids_there == Tissue.BME) & (ids != Tissue.BME) & (targets[:, SYNOVITIS_PLANE] == 0)
        targets[:, BME_PLANE] = torch.maximum(targets[:, BME_PLANE], is_new.float())
        other = recontrast(lit, ids_there, n_slices, rng)[:, None]
        image = torch.where(is_known.repeat_interleave(n_slices)[:, None, None, None], other, image)
        ids = ids_there
    image = _acquire(image, n_hips, rng, settings)
    keep = inside & _window(n_hips, n_slices, rng)
    image, targets = image * keep, targets * keep
    return _normalise(image, n_hips, rng), targets, ids * keep[:, 0]


def centre_only(images: Tensor, masks: Tensor, n_slices: int) -> tuple[Tensor, Tensor]:
    """Input and targets without any random change."""
    top, left = (images.shape[1] - CROP_ROWS) // 2, (images.shape[2] - CROP_COLUMNS) // 2
    window = (slice(None), slice(top, top + CROP_ROWS), slice(left, left + CROP_COLUMNS))
    targets = torch.stack([(masks[window] & bit) > 0 for bit in BITS.values()], dim=1).float()
    return _normalise(images[window][:, None], len(images) // n_slices, None), targets


def _random_grid(n_hips: int, canvas: torch.Size, rng: torch.Generator, settings: Settings) -> Tensor:
    """Where each crop pixel comes from on the canvas: rotated, scaled, stretched, shifted and bent, one way a hip."""
    angle = torch.deg2rad(uniform((n_hips,), settings.rotation_deg, rng))
    scale = torch.exp(uniform((n_hips,), settings.scale, rng))
    stretch = torch.exp(uniform((n_hips,), settings.stretch, rng))
    rows = (torch.arange(CROP_ROWS) - (CROP_ROWS - 1) / 2)[None, :, None]
    columns = (torch.arange(CROP_COLUMNS) - (CROP_COLUMNS - 1) / 2)[None, None, :]
    y, x = rows * (scale * stretch)[:, None, None], columns * (scale / stretch)[:, None, None]
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    y, x = cos * y - sin * x, sin * y + cos * x  # (hip, 128, 160)
    shift = uniform((n_hips, 2, 1, 1), settings.shift_mm / CROP_SPACING_MM, rng)
    bend = smooth_field((n_hips, 2, CROP_ROWS, CROP_COLUMNS), (4, 5), rng) * (settings.elastic_mm / CROP_SPACING_MM)
    y, x = y + shift[:, 0] + bend[:, 0], x + shift[:, 1] + bend[:, 1]
    return torch.stack([x * 2 / (canvas[1] - 1), y * 2 / (canvas[0] - 1)], dim=-1)


def _sample(planes: Tensor, grid: Tensor, mode: str) -> Tensor:
    return functional.grid_sample(planes, grid, mode=mode, padding_mode="zeros", align_corners=True)


def _acquire(image: Tensor, n_hips: int, rng: torch.Generator, settings: Settings) -> Tensor:
    """Resolution, blur, gamma, receive field, ghosts and noise of another scanner, each for a share of the hips."""
    n_slices = len(image) // n_hips
    bright = brightness(image, n_hips)
    image = image / bright.repeat_interleave(n_slices)[:, None, None, None]

    def sometimes(share: float, change: Callable[[Tensor], Tensor]) -> None:
        chosen = (torch.rand(n_hips, generator=rng) < share).repeat_interleave(n_slices).nonzero()[:, 0]
        if len(chosen):
            image[chosen] = change(image[chosen])

    sometimes(0.4, lambda part: _coarsen(part, rng, settings.coarse))
    sometimes(0.35, lambda part: _blur(part, rng, settings.blur_px))
    sometimes(0.6, lambda part: _bend_greys(part, n_slices, rng, settings.gamma))
    sometimes(0.1, lambda part: part + 0.08 * torch.roll(part, int(torch.randint(20, 70, (1,), generator=rng)), dims=3))
    sometimes(0.7, lambda part: _shade(part, n_slices, rng, settings.bias))
    sometimes(0.75, lambda part: _with_noise(part, n_slices, rng, settings.noise))
    return image


def _bend_greys(image: Tensor, n_slices: int, rng: torch.Generator, width: float) -> Tensor:
    power = torch.exp(uniform((len(image) // n_slices, 1, 1, 1), width, rng)).repeat_interleave(n_slices, dim=0)
    return image.clamp(min=0).pow(power)


def _shade(image: Tensor, n_slices: int, rng: torch.Generator, depth: float) -> Tensor:
    field = smooth_field((len(image) // n_slices, 1, CROP_ROWS, CROP_COLUMNS), (3, 3), rng) * depth
    return image * field.exp().repeat_interleave(n_slices, dim=0)


def _coarsen(image: Tensor, rng: torch.Generator, most: float) -> Tensor:
    """Fewer rows or columns, or both, and back."""
    factors = 1 + torch.rand(2, generator=rng) * (most - 1)
    size = (int(CROP_ROWS / factors[0]), int(CROP_COLUMNS / factors[1]))
    small = functional.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
    return functional.interpolate(small, image.shape[2:], mode="bilinear", align_corners=False)


def _blur(image: Tensor, rng: torch.Generator, most_px: float) -> Tensor:
    sigma = 0.3 + float(torch.rand(1, generator=rng)) * (most_px - 0.3)
    rows, columns = (_blur_matrix(size, sigma) for size in image.shape[2:])
    return rows @ image @ columns.T


def _blur_matrix(size: int, sigma: float) -> Tensor:
    """Gaussian weights as a matrix: far faster than a convolution of one channel."""
    places = torch.arange(size, dtype=torch.float32)
    weights = torch.exp(-0.5 * ((places[:, None] - places) / sigma) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)


def _with_noise(image: Tensor, n_slices: int, rng: torch.Generator, most: float) -> Tensor:
    """Rician noise; for half of the batches on a coarser grid, as an interpolated image has it."""
    level = torch.rand((len(image) // n_slices, 1, 1, 1), generator=rng).repeat_interleave(n_slices, dim=0) * most
    is_coarse = bool(torch.rand(1, generator=rng) < 0.5)
    size = (CROP_ROWS // 2, CROP_COLUMNS // 2) if is_coarse else (CROP_ROWS, CROP_COLUMNS)
    noise = torch.randn((len(image), 2, *size), generator=rng)
    if is_coarse:
        noise = functional.interpolate(noise, (CROP_ROWS, CROP_COLUMNS), mode="bilinear", align_corners=False) * 1.5
    noise = noise * level
    return torch.sqrt((image + noise[:, :1]) ** 2 + noise[:, 1:] ** 2)


def _window(n_hips: int, n_slices: int, rng: torch.Generator) -> Tensor:
    """False beyond an image edge that cuts a tenth of the hips, shape (B, 1, 128, 160)."""
    keep = torch.ones(n_hips, 1, CROP_ROWS, CROP_COLUMNS, dtype=torch.bool)
    is_cut = torch.rand(n_hips, generator=rng) < 0.1
    sides = torch.randint(0, 4, (n_hips,), generator=rng)
    depths = torch.rand(n_hips, generator=rng) * 0.3
    for hip in is_cut.nonzero()[:, 0].tolist():
        axis, is_far = divmod(int(sides[hip]), 2)
        plane = keep[hip, 0] if axis == 0 else keep[hip, 0].T
        n_cut = int(depths[hip] * len(plane))
        plane[len(plane) - n_cut if is_far else 0 : None if is_far else n_cut] = False
    return keep.repeat_interleave(n_slices, dim=0)


def _normalise(image: Tensor, n_hips: int, rng: torch.Generator | None) -> Tensor:
    """`ml.crops.normalise` per hip, from every third pixel, with a small error of the scale."""
    sample = image[:, :, ::NORMALISE_STRIDE, ::NORMALISE_STRIDE].reshape(n_hips, -1)
    sample = torch.where(sample == 0, torch.nan, sample)
    levels = torch.nanquantile(sample, torch.tensor([0.05, 0.5, 0.95]), dim=1).nan_to_num(0.0)
    spread = (levels[2] - levels[0]).clamp(min=1e-6)
    middle = levels[1]
    if rng is not None:
        middle = middle + spread * gains((n_hips,), 0.06, rng).log()
        spread = spread * gains((n_hips,), 0.1, rng)
    n_slices = len(image) // n_hips
    middle, spread = (value.repeat_interleave(n_slices)[:, None, None, None] for value in (middle, spread))
    return ((image - middle) / spread).clamp(-3, 6)
