"""`python -m ml COMMAND …`: the command line of the image half; each command is imported when it is asked for."""

import sys
from importlib import import_module

COMMANDS = {
    "phantom": ("ml.phantom.command", "write synthetic studies of the hips as DICOM, with their truth"),
    "train": ("ml.train", "train the segmentation network on synthetic hips"),
    "seal": ("ml.seal", "write the hashes of a bundle's files into its description"),
    "evaluate": ("ml.evaluate", "measure a bundle on synthetic patients that training never saw"),
    "score": ("ml.score_command", "the UNet-score of a DICOM study"),
}


def main(arguments: list[str]) -> int:
    """Run one command; its module's `command(arguments)` gives the exit status."""
    if not arguments or arguments[0] not in COMMANDS:
        lines = [f"  {name:9} {about}" for name, (_, about) in COMMANDS.items()]
        print("usage: python -m ml COMMAND …", *lines, sep="\n", file=sys.stderr)
        return 2
    name, *rest = arguments
    status: int = import_module(COMMANDS[name][0]).command(rest)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
