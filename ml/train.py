"""Training of the segmentation network on synthetic hips: `python -m ml train`."""

import argparse
import json
import math
import shlex
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ml import augment, dataset
from ml.bundle import describe, load_unet, save_unet, unet_of
from ml.labels import LABELS
from ml.losses import missed_loss, regional_dice_loss, segmentation_loss
from ml.metrics import stack_dice
from ml.networks.unet import UNet
from ml.phantom.anatomy import Tissue

DATA_FOLDER = Path("var/ml")
VALIDATION_SEEDS = range(10_000, 10_012)
MAX_TRAINING_SEED = 9_999
N_STACKS, N_SLICES = 6, 3  # a batch is 6 hips × 3 slices
WARM_UP_STEPS = 150
EMA_DECAY = 0.998
GRADIENT_NORM = 5.0
CALIBRATION_SHIFTS = (-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5)
CHECKPOINT = "checkpoint.pt"
CHECKPOINT_PARTS = ("network", "extra", "average", "optimizer")
BME_WEIGHT = 0.5
MISSED_WEIGHT = 0.02
# Tissues outside the femur that are learnt beside the labels and left behind: pelvic oedema lies in the pelvis, and
# synovitis is told from the film and the cartilage that every joint has.
EXTRA = {
    "pelvis": (Tissue.MARROW, Tissue.CORTEX, Tissue.BME),
    "film": (Tissue.FLUID,),
    "cartilage": (Tissue.CARTILAGE,),
}
EXTRA_WEIGHT = 0.3


class TrainingError(RuntimeError):
    """Training can't go on: the loss is not finite, or a checkpoint belongs to another run."""


@dataclass(frozen=True)
class Plan:
    """One training run. It ends after `steps` or after `minutes`, whichever comes first; the learning rate follows."""

    phantoms: int
    seed: int
    base: int
    steps: int
    minutes: float
    learning_rate: float
    bf16: bool
    threads: int
    workers: int
    start: str = ""


@dataclass
class State:
    """What a run carries from step to step and keeps in its checkpoint."""

    network: UNet
    extra: nn.Conv2d
    average: UNet
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0


def command(arguments: list[str]) -> int:
    """Run `python -m ml train …`; 0 when the bundle is written."""
    parser = argparse.ArgumentParser(prog="python -m ml train", description=__doc__)
    parser.add_argument("--phantoms", type=int, default=400, help="synthetic patients to train on, seeds 0, 1, …")
    parser.add_argument("--seed", type=int, default=1, help="of the weights, the order and the augmentation")
    parser.add_argument("--base", type=int, default=16, help="channels of the first level")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop by the clock as well")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--bf16", action="store_true", help="bfloat16 convolutions (fast on processors with AMX)")
    parser.add_argument("--threads", type=int, default=1, help="of the network; one is fastest on a busy machine")
    parser.add_argument("--workers", type=int, default=1, help="processes that augment")
    parser.add_argument("--start", default="", metavar="FOLDER", help="go on from the weights of another run's bundle")
    parser.add_argument("--out", type=Path, required=True, help="bundle folder; a checkpoint in it is resumed")
    parser.add_argument("--data", type=Path, help="where examples are kept; default var/ml/phantoms-<fingerprint>")
    options = vars(parser.parse_args(arguments))
    out, data = options.pop("out"), options.pop("data")
    plan = Plan(**options)
    if not 1 <= plan.phantoms <= MAX_TRAINING_SEED + 1:
        parser.error(f"--phantoms must be 1 to {MAX_TRAINING_SEED + 1}: higher seeds are for validation and tests")
    made_by = shlex.join(["python", "-m", "ml", "train", *arguments])
    if plan.start:
        made_by = f"{describe(Path(plan.start))['unet']['command']} && {made_by}"
    train(plan, out, data or DATA_FOLDER / f"phantoms-{dataset.fingerprint()}", made_by)
    return 0


def train(plan: Plan, out: Path, data: Path, made_by: str) -> State:
    """Make the examples, train, and write the bundle; interim bundles and checkpoints every 100 steps.

    Parameters
    ----------
    made_by : the command, kept in the bundle

    Raises
    ------
    TrainingError
        The loss is not finite, or `out` holds a checkpoint of another plan.
    """
    torch.set_num_threads(plan.threads)
    seeds = range(plan.phantoms)
    dataset.prepare([*seeds, *VALIDATION_SEEDS], data)
    stacks = list(dataset.read(seeds, data))
    validation = list(dataset.read(VALIDATION_SEEDS, data))
    out.mkdir(parents=True, exist_ok=True)
    state = _start(plan, out)
    _log(out, {"event": "start", "step": state.step, "plan": asdict(plan), "data": str(data), "n_stacks": len(stacks)})
    started = time.monotonic() - state.seconds
    losses: list[float] = []
    batches = _batches(stacks, plan, state.step)
    with tqdm(total=plan.steps, initial=state.step, desc="training", unit="step") as bar:
        while state.step < plan.steps and state.seconds < plan.minutes * 60:
            losses.append(_step(state, plan, *next(batches)))
            state.seconds = time.monotonic() - started
            bar.update()
            bar.set_postfix(loss=f"{losses[-1]:.3f}")
            if state.step % 100 == 0:
                _log(out, {"step": state.step, "seconds": round(state.seconds), "loss": float(np.mean(losses[-100:]))})
                _save_checkpoint(state, plan, out)
            if state.step % 500 == 0:
                _write(state, plan, out, validation, made_by)
    _log(out, {"step": state.step, "calibration": calibrate(state.average, validation)})
    _write(state, plan, out, validation, made_by)
    return state


def learning_rate(plan: Plan, step: int, seconds: float) -> float:
    """Linear warm-up, then half a cosine to 0 at the end of the run."""
    progress = min(1.0, max(step / plan.steps, seconds / (plan.minutes * 60)))
    warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
    return plan.learning_rate * warm_up * 0.5 * (1 + math.cos(math.pi * progress))


def _start(plan: Plan, out: Path) -> State:
    torch.manual_seed(plan.seed)
    network = UNet(base=plan.base)
    if plan.start:
        network = load_unet(Path(plan.start), describe(Path(plan.start)))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    extra = nn.Conv2d(plan.base, len(EXTRA), 1)
    average = unet_of(network.state_dict(), network.settings)
    parameters = [*network.parameters(), *extra.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=plan.learning_rate, weight_decay=1e-3)
    state = State(network, extra, average, optimizer)
    path = out / CHECKPOINT
    if path.exists():
        kept = torch.load(path, weights_only=True)
        if kept["plan"] != asdict(plan):
            raise TrainingError(f"{path} belongs to another plan: {kept['plan']}; choose another --out or delete it")
        for part in CHECKPOINT_PARTS:
            getattr(state, part).load_state_dict(kept[part])
        state.step, state.seconds = kept["step"], kept["seconds"]
    return state


def _save_checkpoint(state: State, plan: Plan, out: Path) -> None:
    kept = {part: getattr(state, part).state_dict() for part in CHECKPOINT_PARTS}
    kept |= {"plan": asdict(plan), "step": state.step, "seconds": state.seconds}
    partial = out / f"{CHECKPOINT}.part"
    torch.save(kept, partial)
    partial.rename(out / CHECKPOINT)


def _step(state: State, plan: Plan, images: Tensor, targets: Tensor) -> float:
    """One batch forward, backward and into the weights; its loss."""
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(plan, state.step, state.seconds)
    state.network.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=plan.bf16):
        features = state.network.features(images.contiguous(memory_format=torch.channels_last))
        logits, extra = state.network.head(features), state.extra(features)
    n_labels = len(LABELS)
    femur, bme = targets[:, LABELS.index("femur")], LABELS.index("bme")
    loss = segmentation_loss(logits, targets[:, :n_labels])
    loss = loss + BME_WEIGHT * regional_dice_loss(logits[:, bme], targets[:, bme], femur)
    loss = loss + MISSED_WEIGHT * missed_loss(logits[:, bme], targets[:, bme], femur)
    loss = loss + EXTRA_WEIGHT * segmentation_loss(extra, targets[:, n_labels:])
    if not torch.isfinite(loss):
        raise TrainingError(f"the loss is {loss.item()} at step {state.step}; lower --learning-rate")
    state.optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), GRADIENT_NORM, error_if_nonfinite=True)
    state.optimizer.step()
    state.step += 1
    _follow(state)
    return float(loss.item())


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """The augmented batch of each step; it depends on the seed and the step alone, so a resumed run sees the same."""

    def __init__(self, stacks: list[dataset.Stack], seed: int, n_steps: int) -> None:
        self.stacks, self.seed, self.n_steps = stacks, seed, n_steps

    def __len__(self) -> int:
        return self.n_steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Network input, float32, shape (18, 1, 128, 160); targets, float32, shape (18, 7, 128, 160), labels and `EXTRA`."""
        arrays = dataset.draw(self.stacks, np.random.default_rng([self.seed, step]), min(N_STACKS, len(self.stacks)), N_SLICES)
        images, masks, tissues = (torch.from_numpy(array) for array in arrays)
        rng = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        inputs, targets, ids = augment.augment(images, masks, tissues, N_SLICES, rng, augment.Settings())
        is_outside_femur = targets[:, 0] == 0
        extra = [torch.isin(ids, torch.tensor(group)) & is_outside_femur for group in EXTRA.values()]
        return inputs, torch.cat([targets, torch.stack(extra, dim=1).float()], dim=1)


def _batches(stacks: list[dataset.Stack], plan: Plan, first_step: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches from `first_step` on, made in processes of their own while the network works."""
    steps = range(first_step, plan.steps)
    return iter(
        DataLoader(
            Batches(stacks, plan.seed, plan.steps),
            batch_size=None,
            sampler=steps,
            num_workers=plan.workers,
            prefetch_factor=4 if plan.workers else None,
            multiprocessing_context="fork" if plan.workers else None,
        )
    )


@torch.no_grad()
def _follow(state: State) -> None:
    """Move the averaged weights and statistics towards the network's; faster at the beginning."""
    decay = min(EMA_DECAY, state.step / (state.step + 20))
    averages = state.average.state_dict()
    for name, value in state.network.state_dict().items():
        if value.is_floating_point():
            averages[name].lerp_(value, 1 - decay)


@torch.inference_mode()
def calibrate(network: UNet, stacks: list[dataset.Stack]) -> dict[str, float]:
    """Shift the lesions' logits so that the cut at 0.5 gives the best mean Dice on validation patients; the shifts.

    The loss makes a missed lesion dearer than a false one, so untouched probabilities of lesions are too high.
    """
    hips = [stack for stack in stacks if len(stack.images) > dataset.N_STRAY_SLICES]
    shifts = {}
    for label in ("bme", "synovitis"):
        index, bias = LABELS.index(label), float(network.head.bias[LABELS.index(label)])  # type: ignore[index]
        scores = {}
        for shift in CALIBRATION_SHIFTS:
            network.head.bias[index] = bias + shift  # type: ignore[index]
            scores[shift] = stack_dice(_outlines(network, hips))[label] or 0.0
        shifts[label] = max(scores, key=lambda shift: scores[shift])
        network.head.bias[index] = bias + shifts[label]  # type: ignore[index]
    return shifts


def _write(state: State, plan: Plan, out: Path, validation: list[dataset.Stack], made_by: str) -> None:
    metrics = {"validation": validate(state.average, validation), "steps": state.step, "seconds": round(state.seconds)}
    _log(out, {"step": state.step, **metrics})
    save_unet(out, state.average, made_by, metrics)


@torch.inference_mode()
def validate(network: nn.Module, stacks: list[dataset.Stack]) -> dict[str, float | None]:
    """Dice of each label per stack on the crop's grid, mean over the stacks whose truth is not empty."""
    return stack_dice(_outlines(network, stacks))


def _outlines(network: nn.Module, stacks: list[dataset.Stack]) -> Iterator[tuple[Tensor, Tensor]]:
    """Predicted and true label planes, bool, of each stack."""
    for stack in stacks:
        images = torch.from_numpy(stack.images.astype(np.float32))
        inputs, targets = augment.centre_only(images, torch.from_numpy(stack.masks), len(images))
        logits = network(inputs.contiguous(memory_format=torch.channels_last))
        yield logits > 0, targets > 0.5


def _log(out: Path, entry: dict[str, Any]) -> None:
    with (out / "log.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
