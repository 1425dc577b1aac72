"""Training runs from the command to a bundle, resumes bit for bit, stops when it should, and trains through no NaN."""

import json
import math

import numpy as np
import pytest
import torch

from ml import batches, bundle, dataset, folds, train, train_command
from ml.batches import Example
from ml.datasets import format as data_format
from ml.labels import LABELS
from ml.networks import NETWORKS, build
from ml.plan import Plan, begin
from tests.ml.toys import make_stack

ARGUMENTS = ["--phantoms", "3", "--seed", "5", "--base", "4", "--threads", "1", "--workers", "0", "--hips", "2", "--slices", "1"]


@pytest.fixture
def toy_data(monkeypatch):
    """Toy stacks instead of synthetic patients."""
    monkeypatch.setattr(dataset, "prepare", lambda *_: None)
    monkeypatch.setattr(dataset, "read", lambda seeds, _: [make_stack(seed, 6) for seed in list(seeds)[:3]])


@pytest.fixture
def no_data(monkeypatch):
    """Synthetic patients that must not be asked for: what is refused is refused before they are made."""
    monkeypatch.setattr(dataset, "prepare", lambda *_: pytest.fail("synthetic patients were made for nothing"))


@pytest.fixture
def one_label(tmp_path):
    """The arguments of a training run on a data set of four patients with one label."""
    folder = tmp_path / "data"
    cases = [
        data_format.write_case(
            folder, patient=f"P{n}", visit="V1", side="right", labels=["bme"], stack=make_stack(n, 4),
            positions_mm=np.zeros(4), volumes_ml={"bme": 1.0}, spacing_mm=(4, 1, 1), source="nifti",
        )
        for n in range(4)
    ]  # fmt: skip
    data_format.write(folder, "toys", "test", cases)
    return ["--dataset", str(folder), "--steps", "2", "--base", "4", "--workers", "0", "--hips", "2", "--slices", "1"]


def run(out, n_steps, *more):
    return train_command.command([*ARGUMENTS, "--steps", str(n_steps), "--out", str(out), "--data", "unused", *more])


def plan(**changes):
    values = {
        "steps": 6, "seed": 5, "base": 4, "learning_rate": 1e-3, "n_hips": 2, "n_slices": 1, "workers": 0, "n_checks": 3,
    }  # fmt: skip
    return train.Plan(**(values | changes))


def material(n_hips=3, labels=LABELS, has_tissues=True):
    hips = [Example(make_stack(seed, 4), labels, has_tissues) for seed in range(n_hips)]
    return train.Material(hips, hips[:1], {"name": "toys", "fingerprint": "0"})


def weights(state):
    return [value.clone() for part in (state.network, state.average) for value in part.state_dict().values()]


def test_the_command_writes_a_bundle_that_names_it(toy_data, tmp_path):
    assert run(tmp_path, 2) == 0
    description = bundle.describe(tmp_path)
    assert description["unet"]["command"].startswith("python -m ml train --phantoms 3 --seed 5 --base 4")
    metrics = description["unet"]["metrics"]
    assert metrics["steps"] == 2
    assert set(metrics["validation"]) == {*LABELS, "lesion"}
    assert set(metrics["calibration"]) == {"bme", "synovitis"}
    assert set(description["files"]) == {"unet.safetensors"}
    network = bundle.load_unet(tmp_path, description)
    assert metrics["sure"] == {}  # three toys are too few to tell
    assert torch.isfinite(network(torch.zeros(1, 1, 128, 160))).all()


def test_how_sure_a_network_must_be_is_kept_with_its_weights(toy_data, tmp_path, monkeypatch):
    def made_sure(network, hips):
        network.sure[3] = 7.5
        return {"synovitis": 7.5}

    monkeypatch.setattr(train_command, "make_sure", made_sure)
    assert run(tmp_path, 1) == 0
    description = bundle.describe(tmp_path)
    network = bundle.load_unet(tmp_path, description)
    assert description["unet"]["metrics"]["sure"] == {"synovitis": 7.5}
    assert network.sure.tolist() == [0, 0, 0, 7.5]


def test_a_run_says_where_it_comes_from(toy_data, tmp_path):
    run(tmp_path, 2)
    notes = json.loads((tmp_path / train.MANIFEST).read_text())
    assert notes["state"] == "done"
    assert notes["steps"] == 2
    assert {"torch", "numpy", "python"} <= set(notes["versions"])
    assert notes["data"]["n_training_hips"] == 3
    assert notes["plan"]["loss"] == "regional"
    assert notes["plan"]["minutes"] is None
    assert notes["precision"] == "fp32"
    assert notes["device"]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_run_goes_on_from_the_weights_of_a_first_and_names_both(toy_data, tmp_path):
    run(tmp_path / "one", 2)
    run(tmp_path / "two", 1, "--start", str(tmp_path / "one"))
    command = bundle.describe(tmp_path / "two")["unet"]["command"]
    assert command.count("python -m ml train") == 2
    assert " && " in command
    first, second = (bundle.load_unet(tmp_path / name, bundle.describe(tmp_path / name)) for name in ("one", "two"))
    fresh = train.start(plan(seed=99), tmp_path).network
    kernels = [network.encoder[4][0].weight.detach() for network in (first, second, fresh)]
    assert (kernels[1] - kernels[0]).abs().mean() < 0.2 * (kernels[2] - kernels[0]).abs().mean()


@pytest.mark.parametrize("network", ["unet", "unet_pointrend", "unet3d"])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(network, tmp_path, monkeypatch):
    """Interrupted at step 3, after the checkpoint of step 2; networks that draw at random included."""
    wanted = plan(network=network, n_slices=2, loss="small-lesions", patience=9, rows=64, columns=96)
    whole = train.train(wanted, material(), tmp_path / "whole", "command")
    real_step = train.step

    def interrupted(state, *rest):
        if state.step == 3:
            raise KeyboardInterrupt
        real_step(state, *rest)

    monkeypatch.setattr(train, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.train(wanted, material(), tmp_path / "parts", "command")
    monkeypatch.setattr(train, "step", real_step)
    again = train.train(wanted, material(), tmp_path / "parts", "command")
    assert json.loads((tmp_path / "parts" / train.MANIFEST).read_text())["resumed_at_step"] == 2
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(again), strict=True))
    whole_log, parts_log = ((tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "parts"))
    steps = [[json.loads(line)["step"] for line in log] for log in (whole_log, parts_log)]
    assert steps[0] == steps[1]


def test_the_same_seed_gives_the_same_weights_also_with_a_worker(tmp_path):
    first, again = (train.train(plan(steps=2, workers=n), material(), tmp_path / str(n), "c") for n in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(again), strict=True))


def test_a_checkpoint_of_another_plan_is_refused(tmp_path):
    train.train(plan(steps=2), material(), tmp_path, "command")
    with pytest.raises(train.TrainingError, match="belongs to another plan"):
        train.start(plan(steps=2, seed=6), tmp_path)


def test_a_loss_that_is_not_finite_ends_the_run_before_it_reaches_the_weights(tmp_path):
    state = train.start(plan(), tmp_path)
    before = weights(state)
    parameters = [value.clone() for value in state.network.parameters()]
    batch = batches.Batch(
        torch.full((2, 1, 128, 160), math.nan), torch.zeros(2, 4, 128, 160), torch.zeros(2, 3, 128, 160), torch.ones(2, 4)
    )
    with pytest.raises(train.TrainingError, match="is nan at step 0"):
        train.step(state, plan(), batch, True)
    assert all(torch.equal(a, b) for a, b in zip(parameters, state.network.parameters(), strict=True))
    kept = [value for name, value in state.average.state_dict().items() if "running" not in name]
    assert all(torch.isfinite(value).all() for value in kept)
    assert len(before) > 0


def test_nothing_of_a_run_with_nan_is_kept(tmp_path, monkeypatch):
    real = batches.Batches.__getitem__

    def broken(self, step):
        batch = real(self, step)
        return batch._replace(images=batch.images * math.nan) if step == 4 else batch

    monkeypatch.setattr(batches.Batches, "__getitem__", broken)
    with pytest.raises(train.TrainingError, match="step 4"):
        train.train(plan(), material(), tmp_path, "command")
    kept = torch.load(tmp_path / train.CHECKPOINT, weights_only=True)
    assert kept["step"] == 4
    assert all(torch.isfinite(value).all() for part in ("network", "average") for value in kept[part].values())


def test_a_run_that_no_longer_improves_stops_and_gives_its_best_weights(tmp_path, monkeypatch):
    scores = iter([0.5, 0.6, 0.4, 0.3, 0.9, 0.9])
    monkeypatch.setattr(train, "validate", lambda state, _: {"lesion": next(scores)})
    kept = {}
    state = train.train(
        plan(n_checks=6, patience=2), material(), tmp_path, "c",
        keep=lambda state, _: kept.setdefault(state.step, weights(state)),
    )  # fmt: skip
    assert state.step == 4
    best = kept[2][len(kept[2]) // 2 :]
    assert all(torch.equal(a, b) for a, b in zip(best, state.average.state_dict().values(), strict=True))
    assert json.loads((tmp_path / train.MANIFEST).read_text())["is_stopped_early"]


def test_the_learning_rate_rises_and_falls_to_nothing():
    run_plan = plan(steps=1000, learning_rate=1.0)
    rates = [train.learning_rate(run_plan, step, step / 1000) for step in range(1001)]
    assert rates[0] < 0.01
    assert max(rates) == pytest.approx(0.95, abs=0.05)
    assert rates[-1] == pytest.approx(0)
    assert all(np.diff(rates[200:]) < 0)


def test_the_clock_ends_a_run(tmp_path):
    state = train.train(plan(steps=100_000, minutes=1 / 60), material(), tmp_path, "command")
    assert 1 <= state.step < 1000
    assert state.seconds >= 1


def test_a_data_set_with_one_label_trains_and_no_patient_is_on_both_sides(one_label, tmp_path):
    out = tmp_path / "out"
    assert train_command.command([*one_label, "--network", "unetpp", "--loss", "small-lesions", "--out", str(out)]) == 0
    data = data_format.read(tmp_path / "data")
    notes = json.loads((out / train.MANIFEST).read_text())
    assert notes["data"] == {"name": "toys", "fingerprint": data.fingerprint, "n_training_hips": 3, "n_validation_hips": 1}
    split = train_command.from_data_set(data, 1, 0.5)
    assert len(split.training) + len(split.validation) == 4
    assert folds.hold_out(folds.strata(data.cases), 0.5, 1) < {case.patient for case in data.cases}


def test_a_loss_that_needs_all_labels_refuses_others(tmp_path):
    with pytest.raises(train.TrainingError, match="all labels annotated"):
        train.train(plan(loss="regional"), material(labels=("bme",)), tmp_path, "command")
    with pytest.raises(train.TrainingError, match="phantoms only"):
        train.train(plan(has_extra=True), material(has_tissues=False), tmp_path, "command")


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_takes_a_step_in_half_precision(network, tmp_path):
    state = train.train(
        plan(steps=1, network=network, n_slices=4, precision="bf16", has_extra=True, n_checks=1, rows=64),
        material(),
        tmp_path,
        "c",
    )
    assert state.precision == "bf16"
    assert all(torch.isfinite(value).all() for value in state.average.state_dict().values())


def test_a_window_of_each_crop_keeps_image_and_labels_together(tmp_path):
    """The window of a batch is a part of the whole crops of the same step, one place a hip."""
    hips = [Example(make_stack(seed, 4)) for seed in range(3)]
    whole = batches.Batches(hips, 5, 10, 2, 3)[4]
    part = batches.Batches(hips, 5, 10, 2, 3, window=(64, 96))[4]
    assert part.images.shape == (6, 1, 64, 96)
    places = []
    for index in range(6):
        found = [
            (top, left)
            for top in range(65) for left in range(65)
            if torch.equal(whole.images[index, 0, top : top + 64, left : left + 96], part.images[index, 0])
        ]  # fmt: skip
        (top, left) = found[0]
        assert torch.equal(whole.targets[index, :, top : top + 64, left : left + 96], part.targets[index])
        places.append((top, left))
    assert places[0] == places[1] == places[2] != places[3] == places[4] == places[5]
    with pytest.raises(train.TrainingError, match="multiples of 32"):
        train.train(plan(rows=100), material(), tmp_path, "command")


def test_patients_of_validation_and_test_cannot_be_trained_on(capsys):
    with pytest.raises(SystemExit):
        train_command.command(["--phantoms", "10001", "--out", "nowhere"])
    assert "validation and tests" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["--steps", "0"], "steps is 0; it must be above 0"),
        (["--base", "0"], "base is 0"),
        (["--learning-rate", "nan"], "learning rate is nan"),
        (["--window", "50", "50"], "multiples of 32"),
        (["--minutes", "0"], "minutes is 0.0; it must be above 0"),
        (["--hips", "0"], "hips is 0; it must be above 0"),
        (["--slices", "-1"], "slices is -1; it must be above 0"),
        (["--threads", "0"], "threads is 0"),
        (["--learning-rate", "inf"], "learning rate is inf"),
        (["--workers", "-1"], "workers is -1; it can't be below 0"),
        (["--patience", "-2"], "patience is -2; it can't be below 0"),
        (["--warm-up", "-5"], "warm up is -5"),
        (["--seed", "-1"], "seed is -1; it must be from 0 to 4294967295"),
        (["--seed", "4294967296"], "seed is 4294967296"),
        (["--start", "nowhere"], "nowhere is no bundle"),
        (["--device", "tpu"], "is no device"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(no_data, tmp_path, capsys, wrong, why):
    assert train_command.command([*ARGUMENTS, "--out", str(tmp_path), *wrong]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1


def test_a_start_without_weights_or_network_is_refused_in_one_line(no_data, tmp_path, capsys):
    bundle.save_unet(tmp_path / "start", NETWORKS["unet"](base=4), "test", {})
    arguments = [*ARGUMENTS, "--out", str(tmp_path / "out"), "--start", str(tmp_path / "start")]
    (tmp_path / "start" / bundle.UNET_WEIGHTS).rename(tmp_path / "weights")
    assert train_command.command(arguments) == 2
    assert "unet.safetensors is missing" in capsys.readouterr().err
    (tmp_path / "weights").rename(tmp_path / "start" / bundle.UNET_WEIGHTS)
    path = tmp_path / "start" / "bundle.json"
    path.write_text(json.dumps(bundle.describe(tmp_path / "start") | {"unet": {}}))
    assert train_command.command(arguments) == 2
    said = capsys.readouterr().err
    assert "describes no segmentation network" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("option", ["--out", "--data"])
def test_a_file_in_the_place_of_a_folder_is_refused_in_one_line(no_data, tmp_path, capsys, option):
    (tmp_path / "file").write_text("a file")
    assert train_command.command([*ARGUMENTS, "--out", str(tmp_path / "out"), option, str(tmp_path / "file")]) == 2
    said = capsys.readouterr().err
    assert "file can't be used as a folder" in said
    assert said.count("\n") == 1


def test_a_damaged_checkpoint_is_refused_in_words(tmp_path):
    train.train(plan(steps=2), material(), tmp_path, "command")
    (tmp_path / train.CHECKPOINT).write_bytes((tmp_path / train.CHECKPOINT).read_bytes()[:1000])
    with pytest.raises(train.TrainingError, match=r"checkpoint\.pt can't be read .* delete it"):
        train.start(plan(steps=2), tmp_path)


def test_patience_needs_hips_that_validate(tmp_path):
    with pytest.raises(train.TrainingError, match="patience 2 needs hips that validate"):
        train.train(plan(patience=2), train.Material(material().training, [], {}), tmp_path, "command")


@pytest.mark.parametrize(
    ("more", "why"), [(["nan"], "from 0 to below 1"), (["0", "--patience", "2"], "needs hips that validate")]
)
def test_a_share_for_validation_that_is_none_is_refused_in_one_line(one_label, tmp_path, capsys, more, why):
    assert train_command.command([*one_label, "--out", str(tmp_path / "out"), "--validation", *more]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1


def test_a_checkpoint_of_before_there_was_doubt_is_gone_on_with(tmp_path):
    stopped = train.train(plan(), material(), tmp_path, "test")
    kept = torch.load(tmp_path / train.CHECKPOINT, weights_only=True)
    for part in ("network", "average"):
        del kept[part]["sure"]
    torch.save(kept, tmp_path / train.CHECKPOINT)
    again = train.start(plan(), tmp_path)
    assert again.step == stopped.step
    assert not again.average.sure.any()


def test_a_network_that_goes_on_from_a_sure_one_is_measured_anew(tmp_path):
    network = build("unet", base=4)
    network.sure[3] = 9.0
    bundle.save_unet(tmp_path, network, "a test", {})
    assert bundle.load_unet(tmp_path, bundle.describe(tmp_path)).sure[3] == 9.0
    for name in ("unet", "unet25d", "unet_p3d"):
        assert not begin(Plan(steps=1, network=name, base=4, start=str(tmp_path))).sure.any()


def test_a_start_may_be_narrower_and_must_be_of_the_same_kind(toy_data, tmp_path, capsys):
    run(tmp_path / "narrow", 1)
    start = ["--start", str(tmp_path / "narrow")]
    assert run(tmp_path / "wide", 1, "--base", "8", *start) == 0
    assert bundle.describe(tmp_path / "wide")["unet"]["settings"]["base"] == 8
    assert run(tmp_path / "beside", 1, "--network", "unet25d", *start) == 0  # a U-Net that sees the slices beside too
    assert bundle.describe(tmp_path / "beside")["unet"]["network"] == "unet25d"
    assert run(tmp_path / "other", 1, "--network", "unetpp", *start) == 2
    assert "holds a unet, not a unetpp" in capsys.readouterr().err
    assert run(tmp_path / "odd", 1, "--base", "6", *start) == 2
    assert "no whole number of copies" in capsys.readouterr().err
