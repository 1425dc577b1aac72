"""`python -m ml phantom OUT N --seed S`: write synthetic patients as DICOM with their truth."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from ml.phantom.acquisition import PLANES
from ml.phantom.appearance import STYLES
from ml.phantom.files import write
from ml.phantom.generate import generate
from ml.phantom.scenes import SCENES


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(2)


def _whole(low: int, high: int) -> "argparse._ActionType":
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from error
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not between {low} and {high}")
        return value

    return parse


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    p = _Parser(prog="python -m ml phantom", description="Write synthetic hip MRI as DICOM, with truth masks.")
    p.add_argument("out", type=Path, help="folder for the patients; it must be new or empty")
    p.add_argument("n", type=_whole(1, 100_000), help="number of patients")
    p.add_argument("--seed", type=_whole(0, 10**9), default=0, help="seed of the first patient; the next have the next seeds")
    p.add_argument("--visits", type=_whole(1, 50), default=1, help="visits of each patient")
    p.add_argument("--normal-only", action="store_true", help="patients without lesions")
    p.add_argument("--plane", choices=list(PLANES), default="coronal")
    p.add_argument("--style", choices=STYLES, help="contrast; drawn where not given")
    p.add_argument(
        "--target", choices=["right", "left", "both"], help="what the field of view is aimed at; drawn where not given"
    )
    p.add_argument("--scene", choices=list(SCENES), help="a picture without hips")
    return p


def command(arguments: list[str]) -> int:
    """Write the patients; 2 and one line on stderr when the arguments or the folder will not do."""
    options = parser().parse_args(arguments)
    out: Path = options.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        print(f"python -m ml phantom: {out} is not an empty folder; name a new one", file=sys.stderr)
        return 2
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"python -m ml phantom: {out} cannot be made: {error.strerror}", file=sys.stderr)
        return 2
    jobs = [(options.seed + k, visit) for k in range(options.n) for visit in range(options.visits)]
    for seed, visit in tqdm(jobs, unit="study", desc="phantoms"):
        phantom = generate(
            seed,
            visit=visit,
            involvement="normal" if options.normal_only else None,
            plane=options.plane,
            hips=options.scene is None,
            scene=options.scene,
            target=options.target,
            style=options.style,
        )
        folder = out / f"PHANTOM_{seed:05d}"
        write(phantom, folder / f"visit_{visit + 1}" if options.visits > 1 else folder)
    return 0
