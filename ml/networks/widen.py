"""A wider network that says the same as a narrower one, so that training goes on from there instead of from nothing."""

import torch
from torch import Tensor, nn

from ml.networks.network import Network

SPREAD = 0.5  # of how unequally the copies of a channel share its weights, as a part of an equal share


@torch.no_grad()
def widen(narrow: Network, wide: Network, seed: int) -> None:
    """Give `wide` weights with which it computes what `narrow` does.

    Each channel becomes neighbouring copies of itself, whose outgoing weights add up to those of the one. How they share
    them is drawn at random, so that training makes the copies differ.

    Parameters
    ----------
    narrow, wide : of the same kind; the widths of `wide` are multiples of those of `narrow`

    Raises
    ------
    ValueError
        The one can't grow into the other.

    References
    ----------
    Chen T, Goodfellow I, Shlens J. Net2Net: accelerating learning via knowledge transfer. ICLR 2016. arXiv:1511.05641.
    """
    rng = torch.Generator().manual_seed(seed)
    modules = dict(narrow.named_modules())
    for name, module in wide.named_modules():
        for key, target in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            source = getattr(modules.get(name), key, None)
            if not isinstance(source, Tensor):
                raise ValueError(f"a {narrow.name} with {narrow.settings} has no {name}.{key}")
            inputs = 0 if isinstance(module, nn.ConvTranspose2d | nn.ConvTranspose3d) else 1
            target.copy_(_copies(source, target.shape, inputs if source.ndim > 1 else None, rng))


def _copies(source: Tensor, shape: torch.Size, inputs: int | None, rng: torch.Generator) -> Tensor:
    """The channels of a layer repeated to fill a shape; the dimension of its inputs shares the weights among the copies."""
    for dimension in range(min(2, source.ndim)):
        times, rest = divmod(shape[dimension], source.shape[dimension])
        if rest or not times:
            raise ValueError(f"weights of shape {tuple(source.shape)} can't fill {tuple(shape)}: no whole number of copies")
        if times == 1:
            continue
        source = source.repeat_interleave(times, dimension)
        if dimension == inputs:
            noise = torch.randn(source.shape, generator=rng).unflatten(dimension, (-1, times))
            shares = (1 + SPREAD * (noise - noise.mean(dimension + 1, keepdim=True))) / times
            source = source * shares.flatten(dimension, dimension + 1)
    if source.shape != shape:
        raise ValueError(f"weights of shape {tuple(source.shape)} can't fill {tuple(shape)}")
    return source
