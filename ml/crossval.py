"""Cross-validation by patient of several networks on one data set: `python -m ml crossval`.

Each fold of each network has a folder of its own, written completely or gone on with; the tables are made of what is there.
"""

import argparse
import fcntl
import math
import multiprocessing
import os
import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ml import comparison, datasets, folds
from ml.batches import AUGMENTATIONS
from ml.bundle import BundleError, bundle_hash, describe, has_seen
from ml.case_table import STARTED, read_rows, write_rows
from ml.comparison_text import as_markdown, overview
from ml.crossval_fold import BUNDLE, CASES, FOLD, FoldError, Job, make_bundle, read_fold, read_network, recipe, run_fold
from ml.crossval_join import JoinError, check_members, join_folds
from ml.datasets import DataSet, DataSetError
from ml.device import CPU, DeviceError, choose
from ml.docs_table import PageError, around, put_block
from ml.folds import SplitError, Splits
from ml.losses import LOSSES
from ml.networks import NETWORKS
from ml.networks.ensemble import Ensemble
from ml.plan import Plan, TrainingError, batch_shape, check_plan
from ml.precision import PRECISIONS
from ml.train_command import add_window
from ml.whole import FolderError

LOCK = ".lock"
DOCS_MARK = "networks"
UNLIMITED_STEPS = 1_000_000
N_CHECKS = 4


class CrossValidationError(RuntimeError):
    """A folder of results can't be gone on with."""


ERRORS = (
    BundleError, CrossValidationError, SplitError, DataSetError, DeviceError, TrainingError, PageError, FolderError, FoldError,
    JoinError,
)  # fmt: skip


def command(arguments: list[str]) -> int:
    """Run `python -m ml crossval …`; 0 when every fold is done, 2 with one line on stderr where it can't be."""
    options = _parser().parse_args(arguments)
    made_by = shlex.join(["python", "-m", "ml", "crossval", *arguments])
    try:
        result = cross_validate(options, made_by)
        print(as_markdown(result))
        if options.docs:
            put_block(options.docs, DOCS_MARK, overview(result))
    except ERRORS as error:
        print(f"python -m ml crossval: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml crossval", description=__doc__)
    parser.add_argument("dataset", type=Path, help="folder made by `python -m ml prepare`")
    parser.add_argument("--networks", nargs="+", choices=tuple(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results; what it holds is gone on with")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes-per-fold", type=float, metavar="M", help="of training")
    length.add_argument("--steps", type=int, metavar="N", help="of training in each fold")
    parser.add_argument("--base", type=int, default=16, help="channels of the first level")
    parser.add_argument("--seed", type=int, default=1, help="of the folds, the weights and the augmentation")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--warm-up", type=int, default=40, metavar="STEPS")
    parser.add_argument("--loss", choices=[name for name in LOSSES if name != "regional"], default="plain")
    parser.add_argument("--augmentation", choices=tuple(AUGMENTATIONS), default="light")
    add_window(parser, (96, 128))
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--patience", type=int, default=0, help="stop after so many of the 4 validations without a better one")
    parser.add_argument("--hips", type=int, help="of a batch; 6, or what networks that take whole stacks need")
    parser.add_argument("--slices", type=int, help="of each hip in a batch; 2, or what networks that take whole stacks need")
    parser.add_argument("--parallel", type=int, help="folds at a time; one a GPU, or one, if not given")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 …; every GPU where there are some, if not given")
    parser.add_argument("--threads", type=int, help="of the network; the cores shared among the folds, if not given")
    parser.add_argument("--workers", type=int, default=1, help="processes that augment for each fold")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="FOLDER",
        help="bundle whose weights each network starts from: a row of its own; it must not have seen these patients",
    )
    parser.add_argument(
        "--join",
        nargs="+",
        metavar="ROW",
        help="rows whose networks answer together in a row of their own, as their folders are called (unet25d_started)",
    )
    parser.add_argument("--bundle", action="store_true", help="make each fold's network a bundle, with the default hip finder")
    parser.add_argument("--docs", type=Path, metavar="PAGE", help="write Table 2 between the marks `networks` of a page too")
    return parser


def cross_validate(options: argparse.Namespace, made_by: str) -> dict[str, Any]:
    """Train and measure what is missing, then write the tables; the result as in `result.json`."""
    data = datasets.read(options.dataset)
    devices = _devices(options.device)
    n_parallel = len(devices) if options.parallel is None else options.parallel
    plans = _checked_plans(options, n_parallel)
    splits = folds.freeze(data, options.out, options.folds, options.seed)
    jobs = list(_jobs(options, data, splits, plans, made_by))
    with _alone(options.out):
        open_jobs = [job for job in jobs if not _is_done(job)]
        print(f"{len(jobs) - len(open_jobs)} of {len(jobs)} folds are done", file=sys.stderr)
        for job in jobs:
            if job.has_bundle and job not in open_jobs and not (job.folder / BUNDLE).exists():
                make_bundle(job, read_network(job.folder))
        for job in _run(open_jobs, devices, n_parallel):
            tqdm.write(f"{job.name} is done", file=sys.stderr)
            summarise(options.out, data, splits, jobs, made_by)
        if options.join:
            join_folds(options.out, options.join, data, splits, made_by, devices[0])
        return summarise(options.out, data, splits, jobs, made_by)


def _checked_plans(options: argparse.Namespace, n_parallel: int) -> list[Plan]:
    """The plan of each network. What could not be trained or written down at the end is refused here, before the first fold."""
    if n_parallel < 1:
        raise CrossValidationError(f"parallel is {n_parallel}; it must be above 0")
    if options.docs:
        around(options.docs, DOCS_MARK)
    threads = max(1, (os.cpu_count() or 1) // n_parallel) if options.threads is None else options.threads
    plans = [_plan(options, network, threads) for network in dict.fromkeys(options.networks)]
    for plan in plans:
        check_plan(plan)
    if options.join:
        made_here = [plan.network + (STARTED if options.start else "") for plan in plans]
        check_members(options.out, options.join, made_here, options.folds)
    return plans


def _plan(options: argparse.Namespace, network: str, threads: int) -> Plan:
    n_hips, n_slices = batch_shape(network, options.hips, options.slices, (6, 2))
    return Plan(
        network=network,
        base=options.base,
        seed=options.seed,
        steps=UNLIMITED_STEPS if options.steps is None else options.steps,
        minutes=math.inf if options.minutes_per_fold is None else options.minutes_per_fold,
        learning_rate=options.learning_rate,
        warm_up=options.warm_up,
        loss=options.loss,
        n_hips=n_hips,
        n_slices=n_slices,
        augmentation=options.augmentation,
        rows=options.window[0],
        columns=options.window[1],
        precision=options.precision,
        n_checks=N_CHECKS,
        patience=options.patience,
        ema_decay=0.99,
        threads=threads,
        workers=options.workers,
        start=str(options.start or ""),
    )


def _jobs(options: argparse.Namespace, data: DataSet, splits: Splits, plans: Iterable[Plan], made_by: str) -> Iterator[Job]:
    """Fold by fold, so that the networks can be compared before all is done."""
    start = _start(options.start, data) if options.start else {}
    made_of = (splits.sha256, data.fingerprint, made_by, options.bundle, start)
    for number, fold in enumerate(splits.folds, 1):
        for plan in plans:
            yield Job(options.dataset, options.out, number, fold, plan, *made_of)


def _start(folder: Path, data: DataSet) -> dict[str, str]:
    """What stands in each fold's record of the bundle that it starts from.

    Raises
    ------
    CrossValidationError
        The bundle's own record names this data set: it may have learnt from the patients that are to test it.
    """
    description = describe(folder)
    if has_seen(description, data.fingerprint):
        raise CrossValidationError(
            f"{folder} was made with this very data set; a network that starts from it would know its test patients. "
            "Choose another --start"
        )
    about = {key: str(description.get(key, "")) for key in ("name", "version")}
    return about | {"sha256": bundle_hash(description)}


def _devices(name: str | None) -> list[torch.device]:
    if name is None and torch.cuda.is_available():
        return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return [choose(name)]


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Two commands in one folder would train the same fold twice."""
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CrossValidationError(f"another process is at work in {out}; wait for it, or choose another --out") from error
        yield


def _is_done(job: Job) -> bool:
    if not (job.folder / FOLD).exists():
        return False
    found = read_fold(job.folder)
    for key, wanted, word in (
        ("splits_sha256", job.splits_sha256, "folds"),
        ("fingerprint", job.fingerprint, "data set"),
        ("recipe", recipe(job.plan), "settings"),
        ("start", job.start, "starts"),
    ):
        if found.get(key, {}) != wanted:
            raise CrossValidationError(
                f"{job.folder} was made with other {word}: {found.get(key)} instead of {wanted}. Results don't mix: "
                "choose another --out, or delete this fold to train it anew"
            )
    return True


def _run(jobs: list[Job], devices: list[torch.device], n_parallel: int) -> Iterator[Job]:
    """Each job, when it is done."""
    if n_parallel == 1:
        for job in jobs:
            run_fold(job, devices[0])
            yield job
        return
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    for index in range(n_parallel):
        queue.put(str(devices[index % len(devices)]))
    with ProcessPoolExecutor(n_parallel, mp_context=context, initializer=_take_device, initargs=(queue,)) as pool:
        waiting = {pool.submit(_run_in_process, job): job for job in jobs}
        for done in as_completed(waiting):
            done.result()
            yield waiting[done]


_device = CPU


def _take_device(queue: Any) -> None:
    """The device of this process, once for all its folds."""
    global _device
    _device = torch.device(queue.get())


def _run_in_process(job: Job) -> None:
    run_fold(job, _device)


def summarise(out: Path, data: DataSet, splits: Splits, jobs: list[Job], made_by: str) -> dict[str, Any]:
    """Gather every fold in the folder that is done into `cases.csv` and the tables, as JSON, CSV and Markdown."""
    done = finished(out, splits)
    if not done:
        raise CrossValidationError("no fold is done yet")
    rows = [row for folder in done for row in read_rows(folder / CASES)]
    write_rows(out / CASES, rows)
    missing = [job.name for job in jobs if job.folder not in done]
    result = comparison.compare([asdict(row) for row in rows], list(done.values()), missing) | {
        "made_by": made_by,
        "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data_set": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "labels": list(data.labels),
            "n_patients": len({case.patient for case in data.cases}),
            "n_hips": len(data.cases),
            "sources": sorted({case.source for case in data.cases}),
        },
        "n_folds": len(splits.folds),
        "seed": splits.seed,
        "splits_sha256": splits.sha256,
    }
    comparison.write(out, result)
    return result


def finished(out: Path, splits: Splits) -> dict[Path, dict[str, Any]]:
    """What each fold in the folder that is done says of itself, network by network; earlier commands' networks too."""
    entries = [*(network + end for network in NETWORKS for end in ("", STARTED)), Ensemble.name]
    paths = [out / entry / f"fold_{number}" / FOLD for entry in entries for number in range(1, len(splits.folds) + 1)]
    found = {path.parent: read_fold(path.parent) for path in paths if path.exists()}
    return {folder: about for folder, about in found.items() if about["splits_sha256"] == splits.sha256}
