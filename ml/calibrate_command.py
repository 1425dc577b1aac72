"""`python -m ml calibrate BUNDLE`: how sure its network must be of synovitis somewhere, measured on hips that it never saw."""

import argparse
import shlex
import sys
from pathlib import Path

from ml import datasets
from ml.batches import Example, example_of
from ml.bundle import BundleError, bundle_hash, describe, load_unet, save_unet
from ml.calibrate import make_sure
from ml.datasets import DataSetError
from ml.device import DeviceError, choose
from ml.train_command import validation_hips
from ml.whole import FolderError

MAX_PATIENTS = 10_000  # seeds from 20 000 on are for tests
MEASURED = ("first_generator", "second_generator")  # what `python -m ml evaluate` said of the outlines before


def command(arguments: list[str]) -> int:
    """Run `python -m ml calibrate …`; 0 when the bundle is sealed anew, 2 with one line on stderr where it can't be."""
    parser = argparse.ArgumentParser(prog="python -m ml calibrate", description=__doc__)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="its weights' hash changes: give it another version")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dataset", type=Path, metavar="FOLDER", help="hips to measure on; synthetic patients, if not given")
    what.add_argument("--patients", type=int, default=40, help=f"synthetic ones, 1 to {MAX_PATIENTS}, of seeds for validation")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 …; a GPU where there is one, if not given")
    options = parser.parse_args(arguments)
    if not 1 <= options.patients <= MAX_PATIENTS:
        parser.error(f"--patients {options.patients}: it must be 1 to {MAX_PATIENTS}")
    try:
        device = choose(options.device)
        about = describe(options.bundle)
        network = load_unet(options.bundle, about).to(device)
        sure = make_sure(network, _hips(options))
        if not sure:
            raise DataSetError("synovitis is annotated in none of these hips")
        command = shlex.join(["python", "-m", "ml", "calibrate", *arguments])
        kept = {name: value for name, value in about["unet"].get("metrics", {}).items() if name not in MEASURED}
        save_unet(options.bundle, network, f"{about['unet'].get('command', options.bundle)} && {command}", kept | {"sure": sure})
    except (BundleError, DataSetError, DeviceError, FolderError) as error:
        print(f"python -m ml calibrate: {error}", file=sys.stderr)
        return 2
    print(*(f"{label}: sure from a logit of {value:g} on" for label, value in sure.items()), sep="\n")
    print(bundle_hash(describe(options.bundle)))
    return 0


def _hips(options: argparse.Namespace) -> list[Example]:
    if options.dataset is None:
        return validation_hips(options.patients)
    return [example_of(case) for case in datasets.read(options.dataset).cases]
