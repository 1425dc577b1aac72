"""`python -m ml seal FOLDER`: a bundle whose files were changed on purpose gets their new hashes."""

import argparse
from pathlib import Path

from ml.bundle import DEFAULT, seal


def command(arguments: list[str]) -> int:
    """Run `python -m ml seal …`; prints the bundle's own hash."""
    parser = argparse.ArgumentParser(prog="python -m ml seal", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT)
    print(seal(parser.parse_args(arguments).folder))
    return 0
