"""The same commands on a GPU: the same probabilities, training that learns, and nobody waits inside the loops."""

import math

import numpy as np
import pytest
import torch

from ml import device, train
from ml.batches import Batches, Example
from ml.bundle import folded, load
from ml.networks import NETWORKS, build
from ml.predict import shares_of
from tests.ml.toys import make_stack

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device here")

NAMES = tuple(NETWORKS)


@pytest.fixture
def nobody_waits():
    """Inside, an operation that waits for the GPU is an error."""
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def seasoned(name, **settings):
    torch.manual_seed(1)
    network = build(name, **settings).train()
    images = torch.randn(2, 1, 4, 64, 64) if network.takes_stack else torch.randn(8, 1, 64, 64)
    for _ in range(3):
        network(images * torch.rand(1) * 3)
    network.shift_logits([2.5] * 4)
    network.sure += 0.5
    return folded(network.eval())


def crops():
    rng = np.random.default_rng(0)
    return [rng.normal(0, 1, (n, 128, 160)).astype(np.float32) for n in (7, 9)]


@pytest.mark.parametrize("base", [16, 64])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_probabilities_as_the_processor(name, base):
    network = seasoned(name, base=base)
    on_cpu = shares_of(network, crops(), device.CPU, 8)
    on_gpu = shares_of(network.to("cuda"), crops(), torch.device("cuda"), 8)
    for expected, found in zip(on_cpu, on_gpu, strict=True):
        assert expected.std() > 1e-3
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_networks_that_answer_together_say_the_same_as_on_the_processor():
    network = seasoned("ensemble", members=[{"name": name, "base": 16} for name in ("unet", "unet25d")])
    on_cpu = shares_of(network, crops(), device.CPU, 8)
    on_gpu = shares_of(network.to("cuda"), crops(), torch.device("cuda"), 8)
    for expected, found in zip(on_cpu, on_gpu, strict=True):
        assert expected.std() > 1e-3
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_probabilities_whatever_the_batch(name):
    network = seasoned(name).to("cuda")
    one, many = (shares_of(network, crops(), torch.device("cuda"), batch) for batch in (1, 16))
    for expected, found in zip(one, many, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_default_bundle_is_loaded_to_the_gpu():
    bundle = load()
    assert device.device_of(bundle.unet).type == "cuda"
    assert device.device_of(bundle.finder.net).type == "cuda"


def test_tf32_takes_no_part_in_prediction():
    torch.manual_seed(0)
    left, right = torch.randn(512, 512, device="cuda"), torch.randn(512, 512, device="cuda")
    exact = left.double() @ right.double()
    with device.full_precision():
        assert (left @ right - exact).abs().max() < 1e-3
        images, kernel = torch.randn(4, 64, 64, 64, device="cuda"), torch.randn(64, 64, 3, 3, device="cuda")
        found, wanted = (torch.conv2d(images.to(kind), kernel.to(kind)) for kind in (torch.float32, torch.float64))
        assert (found - wanted).abs().max() < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_nobody_waits_for_a_prediction_until_its_end(name, nobody_waits, monkeypatch):
    network, given = seasoned(name).to("cuda"), crops()
    fetched = []
    fake = lambda parts: fetched.append(torch.cat(parts)) or np.zeros(fetched[-1].shape, np.float32)  # noqa: E731
    monkeypatch.setattr("ml.predict.fetch", fake)
    shares_of(network, given, torch.device("cuda"), 4)
    assert fetched[0].shape == (16, 4, 128, 160)


def a_run(tmp_path, name, **changes):
    plan = train.Plan(steps=40, network=name, base=8, n_hips=2, n_slices=4, workers=0, warm_up=5, **changes)
    state = train.start(plan, tmp_path, torch.device("cuda"))
    batches = Batches([Example(make_stack(seed)) for seed in range(2)], 1, 40, 2, 4, state.network.takes_stack)
    return plan, state, [batches[0].to(state.device), batches[1].to(state.device)]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", NAMES)
def test_training_learns_and_its_steps_wait_for_nothing(name, precision, tmp_path):
    plan, state, batches = a_run(tmp_path, name, precision=precision)
    train.step(state, plan, batches[0], True)  # the first step builds the optimiser's tables
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(1, plan.steps):
            train.step(state, plan, batches[number % 2], True)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    losses = [float(loss) for loss in state.unread]
    assert all(math.isfinite(loss) for loss in losses)
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_half_precision_is_scaled(tmp_path):
    plan, state, batches = a_run(tmp_path, "unet", precision="fp16")
    assert state.scaler.is_enabled()
    for number in range(20):
        train.step(state, plan, batches[number % 2], True)
    losses = [float(loss) for loss in state.unread]
    assert math.isfinite(losses[-1])
    assert np.mean(losses[-4:]) < np.mean(losses[:4])


def test_what_is_sent_lies_in_pinned_memory_on_its_way():
    sent = device.send(np.ones((3, 4), np.float32), torch.device("cuda"))
    assert sent.device.type == "cuda"
    np.testing.assert_array_equal(device.fetch([sent, sent * 2]), np.repeat([[1.0], [2.0]], 3, axis=0) * np.ones((6, 4)))
    feed = Batches([Example(make_stack())], 1, 4, 1, 2).from_step(0, 0, is_pinned=True)
    assert next(feed).images.is_pinned()
