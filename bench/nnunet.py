"""nnU-Net v2's 2D predictor and trainer against ours, on the same crops of the same phantoms, in one run.

`python -m bench.nnunet [--train STEPS]`. nnU-Net runs in an environment of its own; without it the bench says how to make it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ml import augment, train
from ml.batches import Example
from ml.bundle import folded, load
from ml.dataset import stacks_of
from ml.device import choose, device_of
from ml.labels import LABELS, join_planes, split_planes
from ml.metrics import stack_dice
from ml.networks import Network
from ml.predict import BATCH, shares_of

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / "var" / "bench" / "nnunet"
WORKER, REQUIREMENTS = "bench/nnunet_worker.py", "bench/nnunet-requirements.txt"
AIM = 3.0
N_TRAIN, FIRST_TEST, N_TEST, N_SPEED = 6, 20_000, 2, 24
STEPS = 60  # of both, unless another number is asked for: a few minutes on two cores


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.nnunet", description=__doc__)
    parser.add_argument(
        "--train",
        type=int,
        default=STEPS,
        metavar="STEPS",
        help=f"of both, to compare Dice; {STEPS}, if not given; 0: speed alone",
    )
    parser.add_argument("--patients", type=int, default=N_TRAIN, help="synthetic patients to train on")
    parser.add_argument("--base", type=int, default=32, help="width of our U-Net in training; nnU-Net's is 32")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    options = parser.parse_args([] if arguments is None else arguments)
    python = ENVIRONMENT / "bin" / "python"
    if not python.is_file():
        folder = ENVIRONMENT.relative_to(ROOT)
        print(f"nnU-Net: not installed; `python3.11 -m venv {folder} && {folder}/bin/pip install -r {REQUIREMENTS}` installs it")
        return
    if options.train:
        print(
            f"nnU-Net and ours are trained for {options.train} steps each, {STEPS} of which take minutes; --train 0: speed alone"
        )
    hips = _hips("train", range(options.patients)) | _hips("test", range(FIRST_TEST, FIRST_TEST + N_TEST))
    inputs = {name: _centre(stack) for name, stack in hips.items()}
    plan = train.Plan(
        steps=max(options.train, 1), base=options.base, learning_rate=options.learning_rate, warm_up=min(150, options.train // 5)
    )
    with tempfile.TemporaryDirectory() as folder:
        theirs = _run_worker(python, Path(folder), inputs, options.train, plan.n_hips * plan.n_slices)
        with np.load(Path(folder) / "found.npz") as file:
            their_masks = {name: file[name] for name in file.files}
    _report_speed(inputs, theirs)
    if options.train:
        _report_training(plan, hips, inputs, theirs, their_masks)


def _hips(kind: str, seeds: range) -> dict[str, Any]:
    """The stacks of the seeds' hips; the stray crop, which is no hip, left out."""
    stacks = [stack for seed in seeds for stack in stacks_of(seed)[:-1]]
    return {f"{kind}{number}": stack for number, stack in enumerate(stacks)}


def _centre(stack: Any) -> tuple[np.ndarray, np.ndarray]:
    """A hip's crops as networks see them, (slice, 128, 160), and its bit planes."""
    images, targets = augment.centre_only(
        torch.from_numpy(stack.images.astype(np.float32)), torch.from_numpy(stack.masks), len(stack.images)
    )
    return images[:, 0].numpy(), join_planes(targets.numpy().swapaxes(0, 1) > 0.5)


def _run_worker(python: Path, folder: Path, inputs: dict[str, Any], steps: int, batch: int) -> dict[str, Any]:
    arrays = {name: image for name, (image, _) in inputs.items()} | {f"{name}_mask": mask for name, (_, mask) in inputs.items()}
    np.savez(folder / "hips.npz", **arrays)
    settings = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONSAFEPATH": "1"}  # bench/statistics.py is not Python's
    call = [str(python), str(ROOT / WORKER), str(folder), str(steps), str(batch), str(N_SPEED)]
    done = subprocess.run(call, env=os.environ | settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"nnU-Net failed:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}")
    return dict(json.loads((folder / "result.json").read_text()))


def _report_speed(inputs: dict[str, Any], theirs: dict[str, Any]) -> None:
    bundle = load()
    slices = np.concatenate([image for image, _ in inputs.values()])[:N_SPEED]
    times = []
    for _ in range(3):
        started = time.perf_counter()
        shares_of(bundle.unet, [slices], device_of(bundle.unet), BATCH)
        times.append(time.perf_counter() - started)
    ours = len(slices) / min(times)
    print(f"nnU-Net 2.5.2: {len(slices)} crops of 128 × 160, {theirs['device']}, {theirs['threads']} threads, mirroring off")
    print(
        f"  its 2D predictor   {theirs['slices_per_s']:8.1f} slices/s   {theirs['parameters']:,} parameters, {theirs['features']}"
    )
    print(
        f"  ours               {ours:8.1f} slices/s   {_n_parameters(bundle.unet):,} parameters   "
        f"ratio {ours / theirs['slices_per_s']:.2f} (aim ≥ {AIM:g})"
    )


def _report_training(plan: train.Plan, hips: dict, inputs: dict, theirs: dict[str, Any], their_masks: dict) -> None:
    training = [Example(stack) for name, stack in hips.items() if name.startswith("train")]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        state = train.train(plan, train.Material(training, training[:1], {}), Path(folder), "python -m bench.nnunet", choose())
        ours_s = time.perf_counter() - started
    network = folded(state.average)
    truth = {name: mask for name, (_, mask) in inputs.items() if name.startswith("test")}
    ours = {name: _outlines(network, inputs[name][0]) for name in truth}
    batch = plan.n_hips * plan.n_slices
    print(f"  trained for {plan.steps} steps of {batch} slices (nnU-Net's plan says {theirs['planned_batch']})")
    print(f"  on {len(training)} hips; Dice of {len(truth)} other hips:")
    for who, masks, seconds, n in (
        ("nnU-Net", their_masks, theirs["train_s"], theirs["parameters"]),
        (f"ours, base {plan.base}", ours, ours_s, _n_parameters(state.average)),
    ):
        dice = stack_dice((_planes(masks[name]), _planes(truth[name]), LABELS) for name in truth)
        figures = "  ".join(f"{label} {'–' if value is None else f'{value:.3f}'}" for label, value in dice.items())
        print(f"    {who:16s} {figures}   {seconds:.0f} s, {n:,} parameters")


def _outlines(network: Network, images: np.ndarray) -> np.ndarray:
    (shares,) = shares_of(network, [images], device_of(network), BATCH)
    return join_planes(shares > 0.5)


def _planes(mask: np.ndarray) -> np.ndarray:
    """(slice, 4, row, column) bool."""
    return split_planes(mask).swapaxes(0, 1)


def _n_parameters(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


if __name__ == "__main__":
    main(sys.argv[1:])
