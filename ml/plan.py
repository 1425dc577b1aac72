"""What a training run is to be: its settings, what is refused of them, and the network that it begins with."""

import math
from dataclasses import dataclass
from pathlib import Path

from ml.bundle import describe, load_unet
from ml.crops import CROP_COLUMNS, CROP_ROWS
from ml.networks import NETWORKS, Network, build
from ml.networks.widen import widen

WARM_UP_STEPS = 150
STACK_BATCH = (4, 4)  # hips, and slices of each, for networks that take whole stacks
EMA_DECAY = 0.998
MAX_SEED = 2**32 - 1


class TrainingError(RuntimeError):
    """Training can't go on: the loss is not finite, or a checkpoint belongs to another run."""


@dataclass(frozen=True)
class Plan:
    """One training run. It ends after `steps` or after `minutes`, whichever comes first; the learning rate follows.

    Attributes
    ----------
    network, base : what is trained
    steps, minutes : its length
    learning_rate, warm_up : the highest rate, and the steps until it is reached; then half a cosine to 0
    loss : a key of `ml.losses.LOSSES`
    has_extra : learn the tissues of `ml.batches.EXTRA` beside the labels
    n_hips, n_slices : a batch is so many slices of so many hips
    augmentation : a key of `ml.batches.AUGMENTATIONS`
    rows, columns : of the part of each crop that a step sees; smaller ones are faster, whole crops can be outlined anyway
    precision : a key of `ml.precision.PRECISIONS`
    n_checks : validations, evenly over the run
    patience : end after so many validations without a better lesion Dice and keep the best weights; 0: never, keep the last
    workers : processes that augment
    start : folder of a bundle whose weights to go on from
    """

    steps: int
    network: str = "unet"
    base: int = 16
    seed: int = 1
    minutes: float = math.inf
    learning_rate: float = 2e-3
    warm_up: int = WARM_UP_STEPS
    loss: str = "plain"
    has_extra: bool = False
    n_hips: int = 6
    n_slices: int = 3
    augmentation: str = "full"
    rows: int = CROP_ROWS
    columns: int = CROP_COLUMNS
    precision: str = "fp32"
    n_checks: int = 12
    patience: int = 0
    ema_decay: float = EMA_DECAY
    threads: int = 1
    workers: int = 1
    start: str = ""

    @property
    def is_calibrated(self) -> bool:
        """Whether lesions are cut anew and doubted after training (`ml.calibrate`): a loss that favours them says too many."""
        return self.loss != "plain"


def check_plan(plan: Plan) -> None:
    """Refuse a plan that no material could be trained with, before any is made or read.

    Raises
    ------
    TrainingError
        A number is out of its range, or the network can't start from the bundle.
    BundleError
        What it would start from is no bundle, or a damaged one.
    """
    refuse_numbers(plan)
    begin(plan)


def refuse_numbers(plan: Plan) -> None:
    """Refuse a plan with a number out of its range (TrainingError)."""
    for name in ("steps", "minutes", "base", "learning_rate", "n_hips", "n_slices", "threads"):
        if not getattr(plan, name) > 0:
            raise TrainingError(f"{_word(name)} is {getattr(plan, name)}; it must be above 0")
    for name in ("warm_up", "patience", "workers"):
        if getattr(plan, name) < 0:
            raise TrainingError(f"{_word(name)} is {getattr(plan, name)}; it can't be below 0")
    if math.isinf(plan.learning_rate):
        raise TrainingError(f"learning rate is {plan.learning_rate}; it must be a number")
    if not 0 <= plan.seed <= MAX_SEED:
        raise TrainingError(f"seed is {plan.seed}; it must be from 0 to {MAX_SEED}")
    sizes = ((plan.rows, CROP_ROWS), (plan.columns, CROP_COLUMNS))
    if any(not 32 <= size <= most or size % 32 for size, most in sizes):
        raise TrainingError(
            f"a window of {plan.rows} × {plan.columns} can't be used: multiples of 32, at most {CROP_ROWS} × {CROP_COLUMNS}"
        )


def _word(name: str) -> str:
    return name.removeprefix("n_").replace("_", " ")


def batch_shape(network: str, n_hips: int | None, n_slices: int | None, usual: tuple[int, int]) -> tuple[int, int]:
    """Hips, and slices of each, of a batch: what is asked for, or what is `usual`, or what networks of stacks need."""
    hips, slices = STACK_BATCH if NETWORKS[network].takes_stack else usual
    return hips if n_hips is None else n_hips, slices if n_slices is None else n_slices


def begin(plan: Plan) -> Network:
    """A new network; where the plan starts from a bundle, one that says what the bundle's network says, if need be wider."""
    network = build(plan.network, base=plan.base)
    kind = type(network)
    if plan.start:
        start = load_unet(Path(plan.start), describe(Path(plan.start)))
        if start.name not in (plan.network, *kind.grows_from):
            raise TrainingError(f"{plan.start} holds a {start.name}, not a {plan.network}; name it with --network")
        try:
            start = start if start.name == plan.network else kind.around(start)
            widen(start, network, plan.seed)
        except ValueError as error:
            raise TrainingError(f"{plan.start} can't be the start of a {plan.network} of --base {plan.base}: {error}") from error
        network.sure.zero_()  # how sure it is, is measured anew
    return network
