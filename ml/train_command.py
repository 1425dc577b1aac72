"""`python -m ml train`: what is trained, on what, how long; a data set or synthetic hips."""

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml import dataset, datasets, folds, precision
from ml.batches import AUGMENTATIONS, Example, example_of
from ml.bundle import BundleError, describe, save_unet
from ml.calibrate import calibrate, make_sure
from ml.crops import CROP_COLUMNS, CROP_ROWS
from ml.datasets import DataSetError
from ml.device import DeviceError, choose
from ml.folds import SplitError
from ml.losses import LOSSES
from ml.networks import NETWORKS
from ml.plan import WARM_UP_STEPS, Plan, TrainingError, batch_shape, check_plan
from ml.train import Material, State, figures_of, train
from ml.whole import FolderError, make_folder

DATA_FOLDER = Path("var/ml")
VALIDATION_SEEDS = range(10_000, 10_012)
MAX_TRAINING_SEED = 9_999


def command(arguments: list[str]) -> int:
    """Run `python -m ml train …`; 0 when the bundle is written, 2 with one line on stderr where it can't be."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.phantoms is not None:
        last = options.first_seed + options.phantoms - 1
        if options.phantoms < 1 or options.first_seed < 0 or last > MAX_TRAINING_SEED:
            parser.error(
                f"--phantoms {options.phantoms} from --first-seed {options.first_seed} on: training has at least one patient, "
                f"of seeds 0 to {MAX_TRAINING_SEED}; higher seeds are for validation and tests"
            )
    try:
        _run(options, shlex.join(["python", "-m", "ml", "train", *arguments]))
    except (TrainingError, DeviceError, DataSetError, SplitError, BundleError, FolderError) as error:
        print(f"python -m ml train: {error}", file=sys.stderr)
        return 2
    return 0


def _run(options: argparse.Namespace, made_by: str) -> None:
    plan = _plan(options)
    check_plan(plan)
    device = choose(options.device)
    make_folder(options.out)
    if plan.start:
        made_by = f"{describe(Path(plan.start))['unet'].get('command', plan.start)} && {made_by}"
    if options.phantoms is not None:
        material = synthetic(options.phantoms, options.data, options.first_seed)
    else:
        material = from_data_set(datasets.read(options.dataset), plan.seed, options.validation)

    def write(state: State, figures: dict[str, Any]) -> None:
        save_unet(options.out, state.average, made_by, {"data": material.origin} | figures)

    state = train(plan, material, options.out, made_by, device, write)
    hips = material.validation if options.phantoms is None else _whole(material.validation)
    shifts = calibrate(state.average, hips) if plan.is_calibrated else {}
    sure = make_sure(state.average, hips) if plan.is_calibrated else {}
    write(state, figures_of(state, material.validation) | {"calibration": shifts, "sure": sure})


def _plan(options: argparse.Namespace) -> Plan:
    is_default_recipe = options.phantoms is not None
    n_hips, n_slices = batch_shape(options.network, options.hips, options.slices, (6, 3))
    return Plan(
        network=options.network,
        base=options.base,
        seed=options.seed,
        steps=options.steps,
        minutes=options.minutes,
        learning_rate=options.learning_rate,
        warm_up=options.warm_up,
        loss=options.loss or ("regional" if is_default_recipe else "plain"),
        has_extra=is_default_recipe,
        n_hips=n_hips,
        n_slices=n_slices,
        augmentation=options.augmentation,
        rows=options.window[0],
        columns=options.window[1],
        precision="bf16" if options.bf16 else options.precision,
        patience=options.patience,
        threads=options.threads,
        workers=options.workers,
        start=options.start,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml train", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--phantoms", type=int, help="synthetic patients to train on, as the default bundle is")
    what.add_argument("--dataset", type=Path, metavar="FOLDER", help="a data set of `python -m ml prepare`")
    parser.add_argument("--first-seed", type=int, default=0, help="of the synthetic patients; the others follow it")
    parser.add_argument("--validation", type=float, default=0.1, help="share of a data set's patients that validate")
    parser.add_argument("--network", choices=tuple(NETWORKS), default="unet")
    parser.add_argument("--base", type=int, default=16, help="channels of the first level")
    parser.add_argument("--seed", type=int, default=1, help="of the weights, the order and the augmentation")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop by the clock as well")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--warm-up", type=int, default=WARM_UP_STEPS, metavar="STEPS")
    parser.add_argument("--loss", choices=tuple(LOSSES), help="regional for --phantoms, else plain, if not given")
    parser.add_argument("--hips", type=int, help="of a batch; 6, or what networks that take whole stacks need")
    parser.add_argument("--slices", type=int, help="of each hip in a batch; 3, or what networks that take whole stacks need")
    parser.add_argument("--augmentation", choices=tuple(AUGMENTATIONS), default="full")
    add_window(parser, (CROP_ROWS, CROP_COLUMNS))
    parser.add_argument(
        "--precision", choices=precision.PRECISIONS, default="fp32", help="auto: what a short probe finds fastest"
    )
    parser.add_argument("--bf16", action="store_true", help="the same as --precision bf16")
    parser.add_argument("--patience", type=int, default=0, help="stop after so many of the 12 validations without a better one")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 …; a GPU where there is one, if not given")
    parser.add_argument("--threads", type=int, default=1, help="of the network; one is fastest on a busy machine")
    parser.add_argument("--workers", type=int, default=1, help="processes that augment")
    parser.add_argument("--start", default="", metavar="FOLDER", help="go on from a run's bundle; a larger --base widens it")
    parser.add_argument("--out", type=Path, required=True, help="bundle folder; a checkpoint in it is resumed")
    parser.add_argument("--data", type=Path, help="where synthetic examples are kept; default var/ml/phantoms-<fingerprint>")
    return parser


def add_window(parser: argparse.ArgumentParser, default: tuple[int, int]) -> None:
    """The option of how much of each crop a step sees."""
    about = f"part of each crop that a step sees, default {default[0]} {default[1]}; multiples of 32"
    parser.add_argument("--window", nargs=2, type=int, default=default, metavar=("ROWS", "COLUMNS"), help=about)


def synthetic(n_patients: int, folder: Path | None = None, first_seed: int = 0) -> Material:
    """Hips and stray crops of synthetic patients, made where the folder does not hold them; 12 further ones validate."""
    training = _stacks(range(first_seed, first_seed + n_patients), folder)
    origin = {"name": f"{n_patients} synthetic patients", "first_seed": first_seed, "fingerprint": dataset.fingerprint()}
    return Material(training, _stacks(VALIDATION_SEEDS, folder), origin)


def synthetic_hips(seeds: range) -> list[Example]:
    """Whole hips of synthetic patients, without stray crops."""
    return _whole(_stacks(seeds, None))


def _stacks(seeds: range, folder: Path | None) -> list[Example]:
    folder = folder or DATA_FOLDER / f"phantoms-{dataset.fingerprint()}"
    make_folder(folder)
    dataset.prepare(seeds, folder)
    return [Example(stack) for stack in dataset.read(seeds, folder)]


def _whole(examples: Sequence[Example]) -> list[Example]:
    """Without stray crops."""
    return [example for example in examples if len(example.stack.images) > dataset.N_STRAY_SLICES]


def from_data_set(data: datasets.DataSet, seed: int, share: float) -> Material:
    """All hips of a data set, those of a share of its patients for validation."""
    held_out = folds.hold_out(folds.strata(data.cases), share, seed)
    validation = [example_of(case) for case in data.cases if case.patient in held_out]
    training = [example_of(case) for case in data.cases if case.patient not in held_out]
    return Material(training, validation, {"name": data.name, "fingerprint": data.fingerprint})
