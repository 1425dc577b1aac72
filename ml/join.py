"""`python -m ml join BUNDLE BUNDLE … --out FOLDER`: one bundle in which the networks of several answer together."""

import argparse
import shlex
import sys
from pathlib import Path

from ml.bundle import (
    FINDER_FILES,
    UNET_WEIGHTS,
    BundleError,
    add_finder,
    bundle_hash,
    check_finder,
    describe,
    load_unet,
    save_unet,
)
from ml.networks.ensemble import Ensemble


def command(arguments: list[str]) -> int:
    """Run `python -m ml join …`; 0 when the bundle is written, 2 with one line on stderr where it can't be."""
    parser = argparse.ArgumentParser(prog="python -m ml join", description=__doc__)
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE", help="two or more; the hip finder is the first's")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="new or empty")
    options = parser.parse_args(arguments)
    try:
        print(join(options.bundles, options.out, shlex.join(["python", "-m", "ml", "join", *arguments])))
    except (BundleError, ValueError, OSError) as error:
        print(f"python -m ml join: {error}", file=sys.stderr)
        return 2
    return 0


def join(folders: list[Path], out: Path, made_by: str) -> str:
    """Write the ensemble of several bundles' networks, with the first one's hip finder where it has one; the bundle's hash.

    Raises
    ------
    BundleError
        A folder holds no bundle, two hold the same network, or `out` holds something.
    FolderError
        `out` is a file.
    ValueError
        The networks can't be joined.
    """
    if out.is_dir() and any(out.iterdir()):
        raise BundleError(f"{out} is not empty; choose another --out")
    descriptions = [describe(folder) for folder in folders]
    networks = [load_unet(folder, about) for folder, about in zip(folders, descriptions, strict=True)]
    if len({about["files"][UNET_WEIGHTS] for about in descriptions}) < len(folders):
        raise BundleError("two of the bundles hold the same weights: what they say together is what each says alone")
    network = Ensemble(networks)
    has_finder = any((folders[0] / name).is_file() for name in FINDER_FILES)
    if has_finder:
        check_finder(folders[0], descriptions[0])
    members = [
        {"name": about.get("name"), "version": about.get("version"), "files": about.get("files"), "unet": about["unet"]}
        for about in descriptions
    ]
    save_unet(out, network.eval(), made_by, {"members": members})
    if any(one.sure.any() for one in networks):
        note = f"how sure each must be does not hold for them together; `python -m ml calibrate {out} --version …` measures it"
        print(f"python -m ml join: {note}", file=sys.stderr)
    return add_finder(out, folders[0]) if has_finder else bundle_hash(describe(out))
