"""Each network: its shapes, its size against its paper, gradients, learning, and coming back from a file as it went."""

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional

from ml import augment, bundle
from ml.labels import LABELS
from ml.losses import segmentation_loss
from ml.networks import NETWORKS, Network, build, unet3d, unet25d, unet_p3d
from ml.networks.network import RARE_LOGIT, Convolution3D, as_slices
from ml.networks.unet_pointrend import PointHead, UNetPointRend, sample, uncertainty
from ml.plan import Plan, TrainingError, begin
from tests.ml.toys import make_stack

NAMES = tuple(NETWORKS)
STACKED = [name for name in NAMES if NETWORKS[name].takes_stack]
TINY = {
    "unet": {"base": 4, "levels": 3},
    "unet_pointrend": {"base": 4, "points": 128},
    "unetpp": {"base": 4, "levels": 3},
    "attention_unet": {"base": 4, "levels": 3},
    "hrnet": {"base": 4},
    "unet25d": {"base": 4, "levels": 3},
    "unet_p3d": {"base": 4, "levels": 3},
    "unet3d": {"base": 4, "levels": 3},
}


def tiny(name: str) -> Network:
    torch.manual_seed(0)
    return build(name, **TINY[name])


def noise(network: Network, n: int = 3, rows: int = 64, columns: int = 80) -> torch.Tensor:
    shape = (1, 1, n, rows, columns) if network.takes_stack else (n, 1, rows, columns)
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def spoilt(network: Network) -> Network:
    """With running statistics that are not those of a new network, so that evaluation mode has something to get wrong."""
    network.train()
    for _ in range(3):
        network(noise(network) * 2 + 1)
    return network.eval()


@pytest.mark.parametrize("name", NAMES)
def test_four_maps_of_the_size_of_the_input_that_begin_with_rare(name):
    network = build(name).eval()
    assert network.name == name
    images = torch.zeros(1, 1, 2, 128, 160) if network.takes_stack else torch.zeros(2, 1, 128, 160)
    with torch.no_grad():
        logits, features = network(images), network.features(images)
    batch, *rest = images.shape
    assert logits.shape == (batch, 4, *rest[1:])
    assert features.shape == (batch, network.n_features, *rest[1:])
    assert logits.mean() == pytest.approx(RARE_LOGIT, abs=1.5)
    assert all(size % network.multiple == 0 for size in (128, 160))


@pytest.mark.parametrize("name", NAMES)
def test_base_64_is_possible(name):
    with torch.device("meta"):
        network = build(name, base=64)
        images = torch.zeros(1, 1, 4, 128, 160) if network.takes_stack else torch.zeros(1, 1, 128, 160)
        assert network(images).shape[1] == 4


def n_parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def n_parameters_3d(network: nn.Module) -> int:
    """Of the same network with cubes for kernels: k × k × k weights for each k × k."""
    return sum(weight.numel() * (weight.shape[-1] if weight.ndim == 4 else 1) for weight in network.parameters())


@pytest.mark.parametrize(
    ("name", "sizes", "millions"),
    [
        ("unet", {"base": 32}, 7.76),  # Zhou 2018, Table 2, "U-Net", 32 to 512 channels
        ("unetpp", {"base": 32}, 9.04),  # Zhou 2018, Table 2, "UNet++", 32 to 512 channels
        # Wang 2021, Table 4: HRNetV2-W48 for Cityscapes; ours has 4 labels instead of 19 and 1 channel instead of 3
        ("hrnet", {"base": 48, "stem": 64, "modules": (1, 4, 3), "blocks": 4, "stride": 4, "last": 720}, 65.8),
        ("unet3d", {"base": 64, "levels": 3, "flat_levels": 0}, 19.07),  # Çiçek 2016, section 2: 19 069 955
    ],
)
def test_as_many_parameters_as_its_paper_says(name, sizes, millions):
    with torch.device("meta"):
        assert n_parameters(build(name, **sizes)) / 1e6 == pytest.approx(millions, rel=0.001)


def test_attention_u_net_has_the_papers_parameters_but_for_a_second_gate():
    """Oktay 2018, Table 2: 5.88 M for the 3D U-Net of 16 to 256 channels, 6.40 M with gates (two a level; ours one)."""
    with torch.device("meta"):
        network = build("attention_unet", base=16)
    gates = n_parameters_3d(network.gates)
    assert (n_parameters_3d(network) - gates) / 1e6 == pytest.approx(5.88, rel=0.002)
    assert gates / 1e6 == pytest.approx((6.40 - 5.88) / 2, rel=0.1)


def test_point_rendering_adds_the_papers_perceptron():
    """Kirillov 2020, section 4: three hidden layers of 256 channels, the coarse prediction put to each."""
    with torch.device("meta"):
        plain, rendered = build("unet", base=64), build("unet_pointrend", base=64)
        n_head = n_parameters(PointHead(64, 256))
    assert rendered.settings["hidden"] == 256
    assert n_head == (64 + 4 + 1) * 256 + 2 * (256 + 4 + 1) * 256 + (256 + 4 + 1) * 4
    assert n_parameters(rendered) == n_parameters(plain) - (64 + 1) * 4 + (512 + 1) * 4 + n_head


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_reaches_every_parameter(name):
    network = tiny(name).train()
    images = noise(network)
    targets = (torch.rand(images.shape[0], 4, *images.shape[2:]) < 0.3).float()
    asked = []

    def criterion(logits, truth):
        assert logits.shape == truth.shape
        assert logits.ndim == 4
        assert logits.shape[:2] == (3, 4)
        asked.append(logits.shape)
        return segmentation_loss(logits, truth)

    plain = network.loss(images, targets, criterion)
    plain.backward()
    assert asked
    dead = [key for key, weight in network.named_parameters() if weight.grad is None or not weight.grad.abs().sum() > 0]
    assert dead == []


@pytest.mark.parametrize("name", NAMES)
def test_a_further_loss_sees_the_features_and_is_added(name):
    network = tiny(name).eval()
    images = noise(network)
    targets = torch.zeros(images.shape[0], 4, *images.shape[2:])
    seen = []

    def extra(features):
        seen.append(features)
        return torch.tensor(3.0)

    with torch.no_grad():
        torch.manual_seed(5)
        plain = network.loss(images, targets, segmentation_loss)
        torch.manual_seed(5)
        both = network.loss(images, targets, segmentation_loss, extra)
        expected = as_slices(network.features(images))
    assert both == pytest.approx(float(plain) + 3)
    torch.testing.assert_close(seen[0], expected)


@pytest.mark.parametrize("name", NAMES)
def test_two_slices_can_be_learnt_by_heart(name):
    torch.manual_seed(0)
    network = build(name, **TINY[name] | {"base": 8}).train()
    stack = make_stack()
    images = torch.from_numpy(stack.images[5:7].astype("float32"))
    inputs, targets = augment.centre_only(images, torch.from_numpy(stack.masks[5:7]), 2)
    inputs, targets = inputs[:, :, 16:112:2, 32:128:2], targets[:, :, 16:112:2, 32:128:2]  # 48 × 48
    given, wanted = (planes.transpose(0, 1)[None] if network.takes_stack else planes for planes in (inputs, targets))
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        network.loss(given, wanted, segmentation_loss).backward()
        optimizer.step()
    with torch.no_grad():
        predicted = as_slices(network(given)) > 0
    overlap = 2 * (predicted & (targets > 0.5)).sum((0, 2, 3)) / (predicted.sum((0, 2, 3)) + targets.sum((0, 2, 3)))
    assert dict(zip(LABELS, overlap.tolist(), strict=True)) == pytest.approx(dict.fromkeys(LABELS, 1.0), abs=0.15)


@pytest.mark.parametrize("name", NAMES)
def test_it_comes_back_from_a_file_with_its_settings(name, tmp_path):
    network = spoilt(tiny(name))
    network.sure[3] = 7.5
    safetensors.torch.save_file(network.state_dict(), tmp_path / "weights.safetensors")
    again = build(name, **network.settings)
    again.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"))
    assert again.settings == network.settings
    assert again.sure.tolist() == [0, 0, 0, 7.5]
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(noise(network)), network(noise(network)), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_folder_gives_it_back_by_its_name(name, tmp_path):
    network = spoilt(tiny(name))
    bundle.save_unet(tmp_path, network, "python -m ml train", {})
    description = bundle.describe(tmp_path)
    assert bundle.network_name(description) == name
    again = bundle.load_unet(tmp_path, description)
    assert type(again) is type(network)
    assert not again.training
    with torch.no_grad():
        wanted, found = network(noise(network)).sigmoid(), again(noise(network)).sigmoid()
    assert (wanted - found).abs().mean() < 2e-3  # kernels are kept as float16


@pytest.mark.parametrize("name", NAMES)
def test_folded_weights_give_the_same(name):
    network = spoilt(tiny(name))
    network = network.laid_out()
    images = noise(network)
    n_norms = sum(isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) for module in network.modules())
    with torch.no_grad():
        before = network(images).sigmoid()
        folded = bundle.folded(network)
        after = folded(images).sigmoid()
    assert n_norms > 0
    assert not any(isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) for module in folded.modules())
    weights = [module.weight for module in folded.modules() if isinstance(module, nn.Conv2d | nn.Conv3d)]
    assert all(weight.is_contiguous(memory_format=network.memory_format) for weight in weights)
    np.testing.assert_allclose(after, before, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if not NETWORKS[name].takes_stack])
def test_the_other_slices_of_a_batch_change_nothing(name):
    network = spoilt(tiny(name))
    images = noise(network, 5)
    with torch.no_grad():
        together = network(images).sigmoid()
        apart = torch.cat([network(images[n : n + 1]).sigmoid() for n in range(5)])
    np.testing.assert_allclose(together, apart, atol=1e-5)


@pytest.mark.parametrize("name", STACKED)
def test_the_other_stacks_of_a_batch_change_nothing(name):
    network = spoilt(tiny(name))
    stacks = torch.randn(3, 1, 6, 32, 48)
    with torch.no_grad():
        together = network(stacks).sigmoid()
        apart = torch.cat([network(stacks[n : n + 1]).sigmoid() for n in range(3)])
    np.testing.assert_allclose(together, apart, atol=1e-5)


@pytest.mark.parametrize("name", STACKED)
@pytest.mark.parametrize("n_slices", [1, 2, 3, 5, 8])
def test_a_stack_may_have_any_number_of_slices(name, n_slices):
    network = build(name, base=4, levels=4).eval()
    with torch.no_grad():
        assert network(torch.randn(2, 1, n_slices, 32, 32)).shape == (2, 4, n_slices, 32, 32)


@pytest.mark.parametrize("name", STACKED)
def test_a_stack_longer_than_what_is_computed_at_once_is_one_stack(name, monkeypatch):
    network = spoilt(tiny(name))
    stack = torch.randn(1, 1, 19, 32, 32)
    with torch.no_grad():
        in_parts = network(stack)
        monkeypatch.setattr("ml.networks.network.AT_ONCE", 100)
        np.testing.assert_allclose(in_parts, network(stack), atol=1e-5)


@pytest.mark.parametrize("name", STACKED)
def test_a_slice_of_a_stack_sees_its_neighbours(name):
    """Once it has learnt to: a 3D U-Net begins within its slices."""
    network = spoilt(tiny(name))
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight)
    stack = torch.randn(1, 1, 8, 32, 32, generator=torch.Generator().manual_seed(1))
    other = stack.clone()
    other[:, :, 3] += 1
    with torch.no_grad():
        change = (network(other) - network(stack)).abs().amax(dim=(0, 1, 3, 4))
    assert (change > 0)[[2, 3, 4]].all()


def test_a_25d_unet_around_a_unet_says_what_the_unet_says():
    unet = spoilt(tiny("unet"))
    around = unet25d.UNet25D.around(unet).eval()
    images = noise(unet, 5)
    with torch.no_grad():
        alone, stacked, without_stack = unet(images), around(images.transpose(0, 1)[None]), around(images)
    np.testing.assert_allclose(as_slices(stacked), alone, atol=1e-5)
    np.testing.assert_allclose(without_stack, alone, atol=1e-5)
    assert around.settings == {**unet.settings, "reach": 1}


@pytest.mark.parametrize("reach", [1, 2])
def test_a_25d_unet_sees_as_many_slices_as_it_reaches(reach):
    network = spoilt(build("unet25d", base=4, levels=3, reach=reach))
    stack = torch.randn(1, 1, 9, 32, 32, generator=torch.Generator().manual_seed(1))
    other = stack.clone()
    other[:, :, 4] += 1
    with torch.no_grad():
        change = (network(other) - network(stack)).abs().amax(dim=(0, 1, 3, 4))
    assert (change > 0).nonzero()[:, 0].tolist() == list(range(4 - reach, 5 + reach))


@pytest.mark.parametrize("name", ["unet", "unet25d"])
def test_a_pseudo_3d_unet_around_another_says_what_the_other_says(name):
    other = spoilt(tiny(name))
    around = unet_p3d.UNetP3D.around(other).eval()
    images = noise(around, 5)
    with torch.no_grad():
        wanted = other(images if other.takes_stack else as_slices(images))
        np.testing.assert_allclose(as_slices(around(images)), as_slices(wanted), atol=1e-5)
    assert around.settings == {**other.settings, "reach": 1, "mixed": 3}


def test_a_pseudo_3d_unet_has_a_few_more_parameters_than_a_unet():
    """Three of its levels look across: a 1 × 1 convolution over three slices, its normalisation and one back, of 64, 128, 256."""
    with torch.device("meta"):
        flat, deep = build("unet25d", base=16), build("unet_p3d", base=16)
    assert n_parameters(deep) - n_parameters(flat) == sum(3 * width**2 + 2 * width + width**2 for width in (64, 128, 256))


def test_a_shallow_unet_can_t_become_a_pseudo_3d_unet(tmp_path):
    bundle.save_unet(tmp_path, build("unet", base=4, levels=1), "a test", {})
    with pytest.raises(TrainingError, match="can't be the start of a unet_p3d"):
        begin(Plan(steps=1, network="unet_p3d", base=4, start=str(tmp_path)))


@pytest.mark.parametrize("mixed", [1, 3])
def test_a_pseudo_3d_unet_sees_a_slice_further_with_each_level_that_looks_across(mixed):
    network = spoilt(build("unet_p3d", base=4, levels=3, mixed=mixed))
    stack = torch.randn(1, 1, 13, 32, 32, generator=torch.Generator().manual_seed(1))
    other = stack.clone()
    other[:, :, 6] += 5
    with torch.no_grad():
        change = (network(other) - network(stack)).abs().amax(dim=(0, 1, 3, 4))
    assert (change > 0).nonzero()[:, 0].tolist() == list(range(5 - mixed, 8 + mixed))


@pytest.mark.parametrize("name", NAMES)
def test_shifted_logits_stay_shifted(name):
    network = spoilt(tiny(name))
    with torch.no_grad():
        before = network(noise(network))
        network.shift_logits([0, 0, -0.5, 1.0])
        change = as_slices(network(noise(network)) - before).mean((0, 2, 3))
    assert change[[0, 1]].abs().max() < (0.05 if name == "unet_pointrend" else 1e-5)
    assert change[2] == pytest.approx(-0.5, abs=0.1 if name == "unet_pointrend" else 1e-5)
    assert change[3] == pytest.approx(1.0, abs=0.2 if name == "unet_pointrend" else 1e-5)


def test_only_points_in_doubt_are_rendered():
    network = UNetPointRend(base=4, points=64).eval()
    with torch.no_grad():
        fine, coarse = torch.randn(1, 4, 32, 32), torch.randn(1, 4, 4, 4)
        logits = torch.full((1, 4, 32, 32), -8.0)
        logits[:, 2, 10:14, 10:14] = 0.1  # 16 pixels where one label is in doubt
        rendered = network._rendered(logits, coarse, fine)
    changed = (rendered - logits).abs().amax(dim=1)[0] > 1e-6
    assert changed[10:14, 10:14].all()
    assert changed.sum() <= 64
    assert uncertainty(logits)[0, 10, 10] == pytest.approx(-0.1)


def test_rendering_does_not_jump_with_the_last_bit():
    network = UNetPointRend(base=4, points=100).eval()
    generator = torch.Generator().manual_seed(3)
    fine, coarse, logits = (torch.randn(1, 4, *size, generator=generator) for size in ((64, 64), (8, 8), (64, 64)))
    with torch.no_grad():
        for seed in range(20):
            nudge = 1e-6 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(seed))
            first, second = (network._rendered(planes, coarse, fine) for planes in (logits, logits + nudge))
            assert (first.sigmoid() - second.sigmoid()).abs().max() < 1e-4


def test_points_are_read_where_they_lie():
    planes = torch.arange(12.0).view(1, 1, 3, 4)
    places = torch.tensor([[[-0.75, -2 / 3], [0.75, 2 / 3], [-0.25, 0.0]]])  # (column, row): first, last, middle row second
    assert sample(planes, places).flatten().tolist() == pytest.approx([0, 11, 5])


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("vnet", {}, "no network 'vnet'; there are unet, unet_pointrend"),
        ("unet", {"width": 3}, "unet can't be built with"),
        ("unet_pointrend", {"levels": 3}, "at least 4"),
        ("hrnet", {"stride": 3}, "stride is 3"),
        ("unet25d", {"reach": -1}, "reach is -1"),
        ("unet_p3d", {"mixed": 6}, "mixed is 6"),
    ],
)
def test_what_can_not_be_built_is_refused_in_words(name, wrong, words):
    with pytest.raises(ValueError, match=words):
        build(name, **wrong)


@pytest.mark.parametrize(("depth", "step"), [(1, (1, 2, 2)), (3, (2, 2, 2))])
def test_convolutions_of_stacks_are_pytorchs(depth, step):
    """They are computed in two dimensions; output and gradients are the same. Beyond its ends a stack repeats itself."""
    torch.manual_seed(0)
    images = torch.randn(2, 6, 4, 8, 10, dtype=torch.float64).contiguous(memory_format=torch.channels_last_3d)
    repeated = functional.pad(images, (0, 0, 0, 0, depth // 2, depth // 2), mode="replicate")
    size = (depth, 3, 3)
    pairs = (
        (Convolution3D(6, 5, size, padding=(depth // 2, 1, 1)), nn.Conv3d(6, 5, size, padding=(0, 1, 1)), repeated),
        (unet3d.UpConvolution3D(6, 5, step, stride=step), nn.ConvTranspose3d(6, 5, step, stride=step), images),
    )
    for ours, theirs, seen in pairs:
        ours.double(), theirs.double()
        theirs.load_state_dict(ours.state_dict())
        outputs = [ours(images), theirs(seen)]
        torch.testing.assert_close(*outputs)
        for output in outputs:
            output.square().sum().backward()
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


def test_gradients_across_slices_are_right_in_bfloat16():
    """PyTorch 2.13 leaves parts of the weight gradient of 3D convolutions unwritten in bfloat16 on a CPU."""
    torch.manual_seed(0)
    layer = Convolution3D(32, 32, (3, 3, 3), padding=1)
    images, wanted = torch.randn(2, 32, 4, 24, 32), torch.randn(2, 32, 4, 24, 32)
    gradients = []
    for is_short in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=is_short):
            found = layer(images)
        assert found.dtype == (torch.bfloat16 if is_short else torch.float32)
        gradients.append(torch.autograd.grad((found.float() * wanted).sum(), layer.weight)[0])
    torch.testing.assert_close(*gradients, rtol=0.02, atol=0.01 * gradients[0].abs().max().item())


def test_a_3d_unet_begins_within_its_slices():
    """Short stacks never reach the outer planes of the deepest kernels: what they never teach must not be random."""
    network = build("unet3d", base=4).eval()
    images = torch.randn(1, 1, 8, 32, 32)
    changed = images.clone()
    changed[:, :, 4:] += 1  # slices are pooled in twos: none lies in a pool with the other half
    with torch.no_grad():
        assert torch.equal(network(images)[:, :, :4], network(changed)[:, :, :4])
        assert not torch.equal(network(images)[:, :, 4:], network(changed)[:, :, 4:])
