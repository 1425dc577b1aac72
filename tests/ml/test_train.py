"""Training runs from the command to a bundle, resumes, and never trains through a NaN."""

import math

import numpy as np
import pytest
import torch

from ml import bundle, dataset, train
from tests.ml.toys import make_stack

ARGUMENTS = ["--phantoms", "3", "--seed", "5", "--base", "4", "--threads", "1", "--workers", "0"]


@pytest.fixture
def toy_data(monkeypatch):
    """Toy stacks instead of synthetic patients, and a small batch."""
    monkeypatch.setattr(dataset, "prepare", lambda *_: None)
    monkeypatch.setattr(dataset, "read", lambda seeds, _: [make_stack(seed, 4) for seed in list(seeds)[:3]])
    monkeypatch.setattr(train, "N_STACKS", 2)
    monkeypatch.setattr(train, "N_SLICES", 1)


def run(out, n_steps):
    return train.command([*ARGUMENTS, "--steps", str(n_steps), "--out", str(out), "--data", "unused"])


def plan(**changes):
    values = {
        "phantoms": 3, "seed": 5, "base": 4, "steps": 10, "minutes": math.inf, "learning_rate": 1e-3,
        "bf16": False, "threads": 1, "workers": 0,
    }  # fmt: skip
    return train.Plan(**(values | changes))


def test_the_command_writes_a_bundle_that_names_it(toy_data, tmp_path):
    assert run(tmp_path, 2) == 0
    description = bundle.describe(tmp_path)
    command = description["unet"]["command"]
    assert command.startswith("python -m ml train --phantoms 3 --seed 5 --base 4")
    assert description["unet"]["metrics"]["steps"] == 2
    assert set(description["unet"]["metrics"]["validation"]) == {"femur", "femoral_head", "bme", "synovitis"}
    assert set(description["files"]) == {"unet.safetensors"}
    network = bundle.load_unet(tmp_path, description)
    assert torch.isfinite(network(torch.zeros(1, 1, 128, 160))).all()


def test_a_second_run_goes_on_from_the_weights_of_a_first_and_names_both(toy_data, tmp_path):
    run(tmp_path / "one", 2)
    train.command([*ARGUMENTS, "--steps", "1", "--start", str(tmp_path / "one"), "--out", str(tmp_path / "two"), "--data", "-"])
    command = bundle.describe(tmp_path / "two")["unet"]["command"]
    assert command.count("python -m ml train") == 2
    assert " && " in command
    first, second = (bundle.load_unet(tmp_path / name, bundle.describe(tmp_path / name)) for name in ("one", "two"))
    fresh = train._start(plan(seed=99), tmp_path / "three").network
    kernels = [network.encoder[4][0].weight.detach() for network in (first, second, fresh)]
    assert (kernels[1] - kernels[0]).abs().mean() < 0.2 * (kernels[2] - kernels[0]).abs().mean()


def test_the_same_seed_gives_the_same_weights(toy_data, tmp_path):
    for name in ("one", "two"):
        run(tmp_path / name, 2)
    hashes = {bundle.describe(tmp_path / name)["files"]["unet.safetensors"] for name in ("one", "two")}
    assert len(hashes) == 1


def test_a_run_goes_on_from_its_checkpoint(toy_data, tmp_path):
    first = train.train(plan(), tmp_path, tmp_path, "command")
    train._save_checkpoint(first, plan(), tmp_path)
    again = train._start(plan(), tmp_path)
    assert again.step == 10
    for name, value in first.average.state_dict().items():
        torch.testing.assert_close(again.average.state_dict()[name], value)


def test_a_checkpoint_of_another_plan_is_refused(toy_data, tmp_path):
    train._save_checkpoint(train._start(plan(), tmp_path), plan(), tmp_path)
    with pytest.raises(train.TrainingError, match="belongs to another plan"):
        train._start(plan(seed=6), tmp_path)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path):
    state = train._start(plan(), tmp_path)
    images = torch.full((2, 1, 128, 160), float("nan"))
    before = [value.clone() for value in state.network.parameters()]
    with pytest.raises(train.TrainingError, match="loss is nan at step 0"):
        train._step(state, plan(), images, torch.zeros(2, 7, 128, 160))
    assert all(torch.equal(a, b) for a, b in zip(before, state.network.parameters(), strict=True))


def test_the_learning_rate_rises_and_falls_to_nothing():
    run_plan = plan(steps=1000, learning_rate=1.0)
    rates = [train.learning_rate(run_plan, step, 0.0) for step in range(1001)]
    assert rates[0] < 0.01
    assert max(rates) == pytest.approx(0.95, abs=0.05)
    assert rates[-1] == pytest.approx(0)
    assert all(np.diff(rates[200:]) < 0)
    assert train.learning_rate(plan(minutes=10.0), 0, 600.0) == pytest.approx(0)


def test_patients_of_validation_and_test_cannot_be_trained_on(capsys):
    with pytest.raises(SystemExit):
        train.command(["--phantoms", "10001", "--out", "nowhere"])
    assert "validation and tests" in capsys.readouterr().err
