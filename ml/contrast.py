"""Random tissue contrast: a phantom's slices as another sequence, scanner or generator might show them.

Done with the phantom's tissue map. Oedema stays brighter than the marrow around it, fluid stays bright and an effusion
stays brighter than cartilage: those orders
are what the labels mean; every other order of tissues is open.
"""

import torch
from torch import Tensor
from torch.nn import functional

from ml.phantom.anatomy import Tissue
from ml.random_fields import gains, stack_fields, uniform

RETUNED_SHARE = 0.65  # hips whose tissues get other brightnesses
REPAINTED_SHARE = 0.2  # hips that are painted anew from the tissue map, wholly or in part
SPOTTED_SHARE = 0.3  # hips with bright spots in muscle or fat
TEXTURED_SHARE = 0.5
MOTTLED_SHARE = 0.5
OEDEMATOUS_SHARE = 0.35  # hips that get further oedema, anywhere in their marrow
# Knots of the fields whose peaks it is, and from where on it is one: half of a whole head's marrow, large, middle, small.
OEDEMA_FIELDS = (((4, 5), 0.2), ((6, 8), 1.0), ((9, 11), 1.2), ((15, 19), 1.2))
FAINTEST_OEDEMA = 0.45  # above marrow, as a share of it
MOST_MOTTLE = 0.8  # brightness of an island of red marrow above fatty marrow, as a share of it
MOTTLE_OF_OEDEMA = 0.6  # as a share of what the hip's oedema is above marrow
DARK = (Tissue.AIR, Tissue.CORTEX, Tissue.GAS, Tissue.TENDON)
# Lowest and highest brightness when painted anew, fluid about 1. BME and synovitis follow from marrow and fluid.
PAINT = {
    Tissue.FAT: (0.03, 0.45),
    Tissue.MUSCLE: (0.12, 0.5),
    Tissue.MARROW: (0.04, 0.4),
    Tissue.CARTILAGE: (0.15, 0.45),
    Tissue.FLUID: (0.75, 1.3),
    Tissue.URINE: (0.8, 1.5),
    Tissue.VESSEL: (0.05, 1.2),
}
OTHER_PAINT = (0.1, 0.8)
DARK_PAINT = (0.0, 0.12)


def recontrast(images: Tensor, tissues: Tensor, n_slices: int, rng: torch.Generator) -> Tensor:
    """The slices with other tissue brightnesses, shared by the slices of a hip.

    Parameters
    ----------
    images : float32, shape (B, H, W), 0 outside the image (and 0 there afterwards)
    tissues : int64, shape (B, H, W), ids of `Tissue`
    n_slices : slices of one hip that lie beside each other

    Returns
    -------
    float32, shape (B, H, W)
    """
    n_hips = len(images) // n_slices
    ids = tissues.reshape(n_hips, -1)
    outside = images == 0
    gain = torch.gather(_retuning(n_hips, rng), 1, ids).reshape(images.shape)
    images = images * _soften(gain)
    paint = torch.gather(_palette(n_hips, rng), 1, ids).reshape(images.shape)
    bright = brightness(images, n_hips).repeat_interleave(n_slices)[:, None, None]
    share = _chosen(n_hips, REPAINTED_SHARE, rng) * torch.rand(n_hips, generator=rng).sqrt()
    share = share.repeat_interleave(n_slices)[:, None, None]
    images = images * (1 - share) + _soften(paint) * bright * share
    images = images + _spots(tissues, n_hips, rng) * bright
    images = images * _mottle(images, tissues, n_hips, rng) * _texture(images, n_hips, rng)
    return images.masked_fill(outside, 0.0)


def add_oedema(images: Tensor, tissues: Tensor, has_hip: Tensor, n_slices: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Further oedema for a share of the hips, of any place in the marrow, size, edge and brightness.

    A phantom's own lesions are few, and those of one hip are alike. Patients have them in the trochanter or far up in the
    ilium too, a faint one beside a bright one.

    Parameters
    ----------
    images : float32, shape (B, H, W), not negative
    tissues : int64, shape (B, H, W), ids of `Tissue`
    has_hip : bool, shape (hip,); the others stay as they are
    n_slices : slices of one hip that lie beside each other

    Returns
    -------
    The images, and the tissues with BME where it was put
    """
    n_hips = len(images) // n_slices
    is_marrow = tissues == Tissue.MARROW
    marrow = _level(images, is_marrow, n_hips)
    height = brightness(images, n_hips) * (0.05 + 0.6 * torch.rand(n_hips, generator=rng))
    height = torch.maximum(height, FAINTEST_OEDEMA * marrow) * _chosen(n_hips, OEDEMATOUS_SHARE, rng) * has_hip
    knots, onset = OEDEMA_FIELDS[int(torch.randint(len(OEDEMA_FIELDS), (1,), generator=rng))]
    least, edge = onset + torch.rand(n_hips, generator=rng), 0.1 + 0.5 * torch.rand(n_hips, generator=rng)
    height, least, edge = (value.repeat_interleave(n_slices)[:, None, None] for value in (height, least, edge))
    field, patches = (stack_fields(n_hips, n_slices, images.shape[1:], size, rng) for size in (knots, (21, 26)))
    share = ((field - least) / edge + 0.5).clamp(0, 1) * _soften(is_marrow.float())
    changed = images + share * height * (1 + 0.2 * patches).clamp(min=0.6)
    return changed, torch.where((share > 0.5) & (height > 0) & is_marrow, int(Tissue.BME), tissues)


def brightness(images: Tensor, n_hips: int) -> Tensor:
    """About the 99th percentile of each hip's slices, shape (hip,), positive."""
    return images.reshape(n_hips, -1)[:, ::37].quantile(0.99, dim=1).clamp(min=1e-3)


def _level(images: Tensor, where: Tensor, n_hips: int) -> Tensor:
    """Mean of each hip's slices where `where` is true, shape (hip,); 0 where it is nowhere."""
    return (images * where).reshape(n_hips, -1).sum(1) / where.reshape(n_hips, -1).sum(1).clamp(min=1)


def _chosen(n_hips: int, share: float, rng: torch.Generator) -> Tensor:
    return (torch.rand(n_hips, generator=rng) < share).float()


def _retuning(n_hips: int, rng: torch.Generator) -> Tensor:
    """Brightness factor of each tissue, shape (hip, tissue)."""
    gain = gains((n_hips, len(Tissue)), 0.3, rng)
    lift = torch.exp(torch.rand((n_hips, 2), generator=rng) * 0.4 - 0.08)
    gain[:, Tissue.BME] = gain[:, Tissue.MARROW] * lift[:, 0]
    gain[:, Tissue.FLUID] = gain[:, Tissue.FLUID].sqrt()
    gain[:, Tissue.SYNOVITIS] = gain[:, Tissue.FLUID] * lift[:, 1]
    # An effusion in the joint space is told from cartilage by its brightness alone.
    gain[:, Tissue.CARTILAGE] = torch.minimum(gain[:, Tissue.CARTILAGE], gain[:, Tissue.SYNOVITIS])
    chosen = _chosen(n_hips, RETUNED_SHARE, rng)[:, None]
    return gain * chosen + (1 - chosen)


def _palette(n_hips: int, rng: torch.Generator) -> Tensor:
    """Brightness of each tissue when painted anew, shape (hip, tissue)."""
    ranges = [DARK_PAINT if tissue in DARK else PAINT.get(tissue, OTHER_PAINT) for tissue in Tissue]
    low, high = torch.tensor(ranges).T
    palette = low + torch.rand((n_hips, len(Tissue)), generator=rng) * (high - low)
    palette[:, Tissue.BME] = palette[:, Tissue.MARROW] + 0.15 + 0.5 * torch.rand(n_hips, generator=rng)
    palette[:, Tissue.SYNOVITIS] = palette[:, Tissue.FLUID] * (0.75 + 0.3 * torch.rand(n_hips, generator=rng))
    return palette


def _soften(values: Tensor) -> Tensor:
    """Edges of a painted map one pixel softer, as partial volume makes them."""
    rows = functional.pad(values, (0, 0, 1, 1), mode="replicate")
    values = 0.25 * (rows[:, :-2] + rows[:, 2:]) + 0.5 * values
    columns = functional.pad(values, (1, 1), mode="replicate")
    return 0.25 * (columns[:, :, :-2] + columns[:, :, 2:]) + 0.5 * values


def _spots(tissues: Tensor, n_hips: int, rng: torch.Generator) -> Tensor:
    """Bright vessel- and bursa-like spots in muscle and fat, to be added; as a share of the brightest."""
    field = stack_fields(n_hips, len(tissues) // n_hips, tissues.shape[1:], (17, 21), rng)
    height = torch.rand(n_hips, generator=rng) * _chosen(n_hips, SPOTTED_SHARE, rng)
    spots = (field - 1.5).clamp(0, 0.4) / 0.4 * height.repeat_interleave(len(tissues) // n_hips)[:, None, None]
    is_soft = (tissues == Tissue.MUSCLE) | (tissues == Tissue.FAT)
    return spots * _soften(is_soft.float())


def _mottle(images: Tensor, tissues: Tensor, n_hips: int, rng: torch.Generator) -> Tensor:
    """Factors of 1 and more: islands of red marrow in fatty marrow, always fainter than the hip's own oedema."""
    is_marrow = tissues == Tissue.MARROW
    marrow, bme = _level(images, is_marrow, n_hips), _level(images, tissues == Tissue.BME, n_hips)
    room = (bme / marrow.clamp(min=1e-4) - 1).clamp(min=0)
    room = torch.where(bme > 0, room * MOTTLE_OF_OEDEMA, torch.tensor(MOST_MOTTLE)).clamp(max=MOST_MOTTLE)
    depth = room * torch.rand(n_hips, generator=rng) * _chosen(n_hips, MOTTLED_SHARE, rng)
    depth = depth.repeat_interleave(len(images) // n_hips)[:, None, None]
    n_slices = len(images) // n_hips
    fine, coarse = (stack_fields(n_hips, n_slices, images.shape[1:], knots, rng) for knots in ((19, 24), (11, 14)))
    islands = (0.7 * (fine + coarse)).clamp(0, 1.2)
    return 1 + depth * islands * _soften(is_marrow.float())


def _texture(images: Tensor, n_hips: int, rng: torch.Generator) -> Tensor:
    """Factors around 1: patchy marrow and muscle at two scales."""
    n_slices = len(images) // n_hips
    depth = torch.rand(n_hips, generator=rng) * _chosen(n_hips, TEXTURED_SHARE, rng) * 0.1
    depth = depth.repeat_interleave(n_slices)[:, None, None]
    coarse, fine = (stack_fields(n_hips, n_slices, images.shape[1:], knots, rng) for knots in ((9, 11), (32, 40)))
    field = coarse + 0.7 * fine
    return (1 + depth * field + uniform((len(images), 1, 1), 0.02, rng)).clamp(min=0.3)
