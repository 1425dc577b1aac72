"""`python -m ml calibrate BUNDLE`: how sure its network must be of synovitis somewhere, measured on hips that it never saw."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from ml import datasets
from ml.batches import Example, example_of
from ml.bundle import BundleError, bundle_hash, describe, has_seen, load_unet, name_bundle, save_unet
from ml.calibrate import LEAST_HIPS, make_sure
from ml.datasets import DataSetError
from ml.device import DeviceError, choose
from ml.train_command import synthetic_hips
from ml.whole import FolderError

FIRST_SEED = 15_000  # apart from those that validate trainings and calibrate intervals (from 10 000) and those of tests (20 000)
MAX_PATIENTS = 1_000
MEASURED = ("first_generator", "second_generator")  # what `python -m ml evaluate` said of the outlines before


def command(arguments: list[str]) -> int:
    """Run `python -m ml calibrate …`; 0 when the bundle is sealed anew, 2 with one line on stderr where it can't be."""
    parser = argparse.ArgumentParser(prog="python -m ml calibrate", description=__doc__)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="its weights' hash changes")
    parser.add_argument("--version", required=True, help="what it is called from now on")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dataset", type=Path, metavar="FOLDER", help="hips that it never saw; synthetic patients, if not given")
    what.add_argument("--patients", type=int, default=40, help=f"synthetic ones, 1 to {MAX_PATIENTS}")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 …; a GPU where there is one, if not given")
    options = parser.parse_args(arguments)
    if not 1 <= options.patients <= MAX_PATIENTS:
        parser.error(f"--patients {options.patients}: it must be 1 to {MAX_PATIENTS}")
    try:
        sure = calibrate_bundle(options, shlex.join(["python", "-m", "ml", "calibrate", *arguments]))
    except (BundleError, DataSetError, DeviceError, FolderError) as error:
        print(f"python -m ml calibrate: {error}", file=sys.stderr)
        return 2
    print(*(f"{label}: sure from a logit of {value:g} on" for label, value in sure.items()), sep="\n")
    print(bundle_hash(describe(options.bundle)))
    return 0


def calibrate_bundle(options: argparse.Namespace, made_by: str) -> dict[str, float]:
    """Measure, and write the bundle; what was measured of its outlines before is no longer said of it."""
    about = describe(options.bundle)
    network = load_unet(options.bundle, about).to(choose(options.device))
    hips, origin = _hips(options, about)
    sure = make_sure(network, hips)
    if not sure:
        raise DataSetError(f"it takes {LEAST_HIPS} hips with synovitis and {LEAST_HIPS} without, and these are too few")
    metrics = about["unet"].get("metrics")
    kept = {name: value for name, value in metrics.items() if name not in MEASURED} if isinstance(metrics, dict) else {}
    command = f"{about['unet'].get('command', options.bundle)} && {made_by}"
    save_unet(options.bundle, network, command, kept | {"sure": sure, "sure_measured_on": origin | {"n_hips": len(hips)}})
    name_bundle(options.bundle, None, options.version)
    return sure


def _hips(options: argparse.Namespace, about: dict[str, Any]) -> tuple[list[Example], dict[str, Any]]:
    """What to measure on, and what to remember of it."""
    if options.dataset is None:
        hips = synthetic_hips(range(FIRST_SEED, FIRST_SEED + options.patients))
        return hips, {"name": f"{options.patients} synthetic patients", "first_seed": FIRST_SEED}
    data = datasets.read(options.dataset)
    if has_seen(about, data.fingerprint):
        raise BundleError(f"{options.bundle} was made with this very data set; it must be measured on hips that it never saw")
    return [example_of(case) for case in data.cases], {"name": data.name, "fingerprint": data.fingerprint}
