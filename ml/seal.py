"""`python -m ml seal FOLDER`: a bundle whose files were changed on purpose gets their new hashes, and a name if one is given."""

import argparse
import sys
from pathlib import Path

from ml.bundle import DEFAULT, BundleError, name_bundle, seal


def command(arguments: list[str]) -> int:
    """Run `python -m ml seal …`; prints the bundle's own hash, or 2 with one line on stderr where there is no bundle."""
    parser = argparse.ArgumentParser(prog="python -m ml seal", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT)
    parser.add_argument("--name", help="shown beside each score, with the version; as it was, if not given")
    parser.add_argument("--version", help="one that no bundle of that name had")
    options = parser.parse_args(arguments)
    try:
        name_bundle(options.folder, options.name, options.version)
        print(seal(options.folder))
    except (BundleError, OSError) as error:
        print(f"python -m ml seal: {error}", file=sys.stderr)
        return 2
    return 0
