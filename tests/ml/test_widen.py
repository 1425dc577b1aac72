"""A wider network begins with what a narrower one says."""

import pytest
import torch

from ml.networks import build
from ml.networks.widen import widen

SIZES = dict.fromkeys(("unet3d", "unet25d", "unet_p3d"), (1, 1, 8, 32, 32))


def trained(name: str, base: int) -> torch.nn.Module:
    """A network whose normalisation has seen something."""
    torch.manual_seed(3)
    network = build(name, base=base)
    network.train()
    for _ in range(3):
        network(torch.randn(SIZES.get(name, (4, 1, 32, 32))) + 0.5)
    return network.eval()


@pytest.mark.parametrize("name", ["unet", "unetpp", "attention_unet", "unet25d", "unet_p3d", "unet3d"])
@pytest.mark.parametrize("times", [2, 3])
def test_a_wider_network_says_the_same(name: str, times: int) -> None:
    narrow = trained(name, 4)
    wide = build(name, base=4 * times).eval()
    widen(narrow, wide, seed=1)  # type: ignore[arg-type]
    images = torch.randn(SIZES.get(name, (2, 1, 32, 32)))
    with torch.inference_mode():
        assert torch.allclose(wide(images), narrow(images), atol=1e-4)


def test_the_copies_of_a_channel_learn_differently() -> None:
    narrow, wide = trained("unet", 4), build("unet", base=8)
    widen(narrow, wide, seed=1)  # type: ignore[arg-type]
    wide.train()
    wide(torch.randn(2, 1, 32, 32)).square().mean().backward()
    gradient = wide.encoder[1][0].weight.grad  # type: ignore[index, union-attr]
    assert not torch.allclose(gradient[0::2], gradient[1::2])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no whole number of copies"):
        widen(build("unet", base=4), build("unet", base=6), seed=1)
    with pytest.raises(ValueError, match="no whole number of copies"):
        widen(build("unet", base=8), build("unet", base=4), seed=1)
    with pytest.raises(ValueError, match="has no"):
        widen(build("unet", base=4), build("unetpp", base=4), seed=1)
