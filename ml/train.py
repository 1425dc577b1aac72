"""Training of a segmentation network: one loop for every network and all material."""

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ml import assess, manifest, precision
from ml.batches import EXTRA, Batch, Batches, Example
from ml.curves import LOG, draw_curves, read_log
from ml.device import CPU
from ml.labels import LABELS
from ml.losses import criterion, segmentation_loss
from ml.metrics import LESION
from ml.networks import Network
from ml.plan import Plan, TrainingError, begin, refuse_numbers
from ml.whole import make_folder, whole

GRADIENT_NORM = 5.0
EXTRA_WEIGHT = 0.3
CHECKPOINT, MANIFEST = "checkpoint.pt", "run.json"
CHECKPOINT_EVERY = 100  # steps
READ_EVERY = 20  # steps between two looks at the loss on a GPU, each of which waits for it
BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


@dataclass(frozen=True)
class Material:
    """What a run learns from, and the hips of other patients on which it is checked; `origin` goes into the manifest."""

    training: Sequence[Example]
    validation: Sequence[Example]
    origin: dict[str, Any]


@dataclass
class State:
    """What a run carries from step to step and keeps in its checkpoint.

    `average` follows the weights of `network` and is what a run gives. `best` is kept for early stopping.
    """

    network: Network
    extra: nn.Conv2d
    average: Network
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    device: torch.device
    precision: str
    step: int = 0
    seconds: float = 0.0
    n_checked: int = 0
    n_worse: int = 0
    best_score: float = -math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    unread: list[Tensor] = field(default_factory=list)  # losses still on the device


CHECKPOINT_PARTS = ("network", "extra", "average", "optimizer", "scaler")
CHECKPOINT_VALUES = ("precision", "step", "seconds", "n_checked", "n_worse", "best_score", "best")


def train(
    plan: Plan,
    material: Material,
    out: Path,
    made_by: str,
    device: torch.device = CPU,
    keep: Callable[[State, dict[str, Any]], None] | None = None,
) -> State:
    """Train; `out` gets the manifest, the log, the curves and every 100 steps a checkpoint, from which a next call goes on.

    Parameters
    ----------
    made_by : the command, kept in the manifest
    keep : called with the state and its figures after each validation

    Raises
    ------
    TrainingError
        The loss is not finite, or `out` holds a checkpoint of another plan, or labels are missing that the loss needs.
    """
    refuse_numbers(plan)
    _refuse_unfit(plan, material)
    torch.set_num_threads(plan.threads)
    make_folder(out)
    state = start(plan, out, device)
    notes = _manifest(plan, material, state, made_by)
    manifest.write_json(out / MANIFEST, notes)
    batches = Batches(
        material.training,
        plan.seed,
        plan.steps,
        plan.n_hips,
        plan.n_slices,
        is_consecutive=state.network.takes_stack,
        augmentation=plan.augmentation,
        window=(plan.rows, plan.columns),
    )
    is_known = bool(batches.annotated.all())
    started = time.monotonic() - state.seconds
    feed = batches.from_step(state.step, plan.workers, is_pinned=device.type == "cuda")
    with tqdm(total=100, desc=f"training {plan.network}", bar_format=BAR) as bar:
        while not is_over(state, plan):
            step(state, plan, next(feed).to(device), is_known)
            state.seconds = time.monotonic() - started
            bar.update(100 * progress(state, plan) - bar.n)
            if len(state.unread) >= (1 if device.type == "cpu" else READ_EVERY):
                bar.set_postfix(step=state.step, loss=f"{_read_losses(state, out, plan):.3f}")
            if progress(state, plan) * plan.n_checks >= state.n_checked + 1:
                _read_losses(state, out, plan)
                _check(state, plan, material.validation, out, keep)
                _save_checkpoint(state, plan, out)
            elif state.step % CHECKPOINT_EVERY == 0:
                _read_losses(state, out, plan)
                _save_checkpoint(state, plan, out)
    if plan.patience and state.best:
        state.average.load_state_dict(state.best)
    ended = {"ended_at": _now(), "steps": state.step, "seconds": round(state.seconds, 1), "state": "done"}
    manifest.write_json(out / MANIFEST, notes | ended | {"is_stopped_early": progress(state, plan) < 1})
    draw_curves(out)
    return state


def progress(state: State, plan: Plan) -> float:
    """How much of the run is behind, 0 to 1, by steps or by the clock."""
    return min(1.0, max(state.step / plan.steps, state.seconds / (plan.minutes * 60)))


def is_over(state: State, plan: Plan) -> bool:
    """Whether the run has ended, or has not become better for too long."""
    return progress(state, plan) >= 1 or (plan.patience > 0 and state.n_worse >= plan.patience)


def learning_rate(plan: Plan, step: int, share: float) -> float:
    """Linear warm-up, then half a cosine to 0 at the end of the run, of which `share` is behind."""
    warm_up = min(1.0, (step + 1) / max(1, plan.warm_up))
    return plan.learning_rate * warm_up * 0.5 * (1 + math.cos(math.pi * share))


def start(plan: Plan, out: Path, device: torch.device = CPU) -> State:
    """A fresh state, or the one that the folder's checkpoint holds."""
    torch.manual_seed(plan.seed)
    network = begin(plan)
    extra = nn.Conv2d(network.n_features, len(EXTRA), 1).to(device)
    network = network.to(device).laid_out()
    average = copy.deepcopy(network).eval().requires_grad_(False)
    parameters = [*network.parameters(), *(extra.parameters() if plan.has_extra else [])]
    optimizer = torch.optim.AdamW(parameters, lr=plan.learning_rate, weight_decay=1e-3, fused=device.type == "cuda")
    path = out / CHECKPOINT
    kept = _read_checkpoint(path, device) if path.exists() else None
    chosen = kept["precision"] if kept else precision.choose(plan.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=chosen == "fp16")
    state = State(network, extra, average, optimizer, scaler, device, chosen)
    if kept is not None:
        if kept["plan"] != asdict(plan):
            raise TrainingError(f"{path} belongs to another plan: {kept['plan']}; choose another --out or delete it")
        for part in CHECKPOINT_PARTS:
            getattr(state, part).load_state_dict(kept[part])
        for name in CHECKPOINT_VALUES:
            setattr(state, name, kept[name])
    _cut_log(out, state.step)
    return state


def _read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise TrainingError(f"{path} can't be read ({str(error).splitlines()[0]}); delete it to begin anew") from error
    return kept


def step(state: State, plan: Plan, batch: Batch, is_annotated: bool) -> None:
    """One batch forward, backward and into the weights.

    On a CPU a loss or gradient that is not finite ends the run before it reaches the weights. On a GPU nobody waits for
    the loss of a step: it is read, and the run ended, before anything of it is kept.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(plan, state.step, progress(state, plan))
    torch.manual_seed(plan.seed * 1_000_003 + state.step)  # networks that draw at random draw the same when resumed
    network = state.network
    network.train()
    # A stack's slices reach the criterion one after the other, as they lie in the batch.
    images, targets = batch.as_stacks(plan.n_slices)[:2] if network.takes_stack else batch[:2]
    wanted = criterion(plan.loss, None if is_annotated else batch.annotated, plan.n_slices)

    def beside(features: Tensor) -> Tensor:
        return EXTRA_WEIGHT * segmentation_loss(state.extra(features), batch.extra)

    with precision.autocast(state.precision, state.device):
        images = images.contiguous(memory_format=network.memory_format)
        loss = network.loss(images, targets, wanted, beside if plan.has_extra else None)
    state.optimizer.zero_grad()
    state.scaler.scale(loss).backward()
    state.scaler.unscale_(state.optimizer)
    norm = nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
    state.unread.append(loss.detach() if state.precision == "fp16" else torch.where(norm.isfinite(), loss.detach(), norm))
    if state.device.type == "cpu":
        _refuse_not_finite(state.unread, state.step + 1, plan)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.step += 1
    _follow(state, plan)


@torch.no_grad()
def _follow(state: State, plan: Plan) -> None:
    """Move the averaged weights and statistics towards the network's; faster at the beginning."""
    decay = min(plan.ema_decay, state.step / (state.step + 20))
    pairs = zip(state.average.state_dict().values(), state.network.state_dict().values(), strict=True)
    averages, values = zip(*((mean, value) for mean, value in pairs if value.is_floating_point()), strict=True)
    torch._foreach_lerp_(averages, values, 1 - decay)


def _read_losses(state: State, out: Path, plan: Plan) -> float:
    """Wait for the losses since the last reading, note each hundred in the log, and give the last one."""
    if not state.unread:
        return math.nan
    values = _refuse_not_finite(state.unread, state.step, plan)
    state.unread.clear()
    first = state.step - len(values)
    for number, value in enumerate(values, first + 1):
        if number % (10 if plan.steps < 1000 else 50) == 0 or number == 1:
            rate = learning_rate(plan, number - 1, progress(state, plan))
            entry = {"step": number, "seconds": round(state.seconds, 1), "loss": round(value, 5), "learning_rate": rate}
            _log(out, entry)
    return values[-1]


def _refuse_not_finite(losses: list[Tensor], last: int, plan: Plan) -> list[float]:
    values: list[float] = torch.stack(losses).tolist()
    for number, value in enumerate(values, last - len(values)):
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss or its gradient is {value} at step {number}; lower --learning-rate ({plan.learning_rate})"
            )
    return values


def _check(state: State, plan: Plan, validation: Sequence[Example], out: Path, keep: Any) -> None:
    """Measure on the validation patients; note whether the lesions became better."""
    state.n_checked = int(progress(state, plan) * plan.n_checks)
    figures = figures_of(state, validation)
    score = _score(figures["validation"])
    state.n_worse = 0 if score > state.best_score else state.n_worse + 1
    if score > state.best_score:
        state.best_score = score
        if plan.patience:
            state.best = {name: value.clone() for name, value in state.average.state_dict().items()}
    _log(out, {"step": state.step, **figures})
    if keep is not None:
        keep(state, figures)


def figures_of(state: State, validation: Sequence[Example]) -> dict[str, Any]:
    return {"validation": validate(state, validation), "steps": state.step, "seconds": round(state.seconds)}


def _score(figures: dict[str, float | None]) -> float:
    """Lesion Dice; where no validation patient has a lesion, the mean of what there is."""
    lesion = figures.get(LESION)
    known = [value for value in figures.values() if value is not None]
    return lesion if lesion is not None else sum(known) / len(known) if known else 0.0


def validate(state: State, examples: Sequence[Example]) -> dict[str, float | None]:
    """Dice of each label per hip on the crop's grid, mean over the hips whose truth is not empty."""
    return assess.mean_dice(state.average, examples, state.device, state.precision)


def _refuse_unfit(plan: Plan, material: Material) -> None:
    if not material.training:
        raise TrainingError("there is no hip to learn from")
    if plan.patience and not material.validation:
        raise TrainingError(f"patience {plan.patience} needs hips that validate, and there are none")
    if plan.has_extra and not all(example.has_tissues for example in material.training):
        raise TrainingError("tissues beside the labels can be learnt from phantoms only")
    if plan.loss == "regional" and not all(set(LABELS) <= set(example.labels) for example in material.training):
        raise TrainingError("the loss 'regional' needs hips with all labels annotated; use --loss plain or small-lesions")


def _manifest(plan: Plan, material: Material, state: State, made_by: str) -> dict[str, Any]:
    sizes = {"n_training_hips": len(material.training), "n_validation_hips": len(material.validation)}
    return {
        "command": made_by,
        "started_at": _now(),
        "state": "running",
        "plan": {name: None if value == math.inf else value for name, value in asdict(plan).items()},
        "settings": state.network.settings,
        "n_parameters": sum(parameter.numel() for parameter in state.network.parameters()),
        "precision": state.precision,
        "data": material.origin | sizes,
        "resumed_at_step": state.step,
        **manifest.origin(state.device),
    }


def _save_checkpoint(state: State, plan: Plan, out: Path) -> None:
    kept: dict[str, Any] = {part: getattr(state, part).state_dict() for part in CHECKPOINT_PARTS}
    kept |= {name: getattr(state, name) for name in CHECKPOINT_VALUES} | {"plan": asdict(plan)}
    with whole(out / CHECKPOINT) as partial:
        torch.save(kept, partial)


def _cut_log(out: Path, last: int) -> None:
    """Forget what the log says of steps after the checkpoint: they are done again."""
    entries = [entry for entry in read_log(out) if entry["step"] <= last]
    (out / LOG).write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def _log(out: Path, entry: dict[str, Any]) -> None:
    with (out / LOG).open("a") as file:
        file.write(json.dumps(entry) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
