"""`python -m ml COMMAND …`: the command line of the image half; each command is imported when it is asked for."""

import sys
from importlib import import_module

COMMANDS = {
    "phantom": ("ml.phantom.command", "write synthetic studies of the hips as DICOM, with their truth"),
    "panels": ("ml.panels.command", "pictures of hips for experts: image, truth, prediction"),
    "prepare": ("ml.datasets.command", "make a data set of annotated hips"),
    "train": ("ml.train_command", "train a segmentation network on a data set or on synthetic hips"),
    "seal": ("ml.seal", "write the hashes of a bundle's files into its description"),
    "calibrate": ("ml.calibrate_command", "measure how sure a bundle's network must be of synovitis"),
    "join": ("ml.join", "make one bundle of several, whose networks answer together"),
    "crossval": ("ml.crossval", "cross-validate networks on a data set, by patient"),
    "evaluate": ("ml.evaluate", "measure a bundle on synthetic patients that training never saw"),
    "score": ("ml.score_command", "the UNet-score of a DICOM study"),
    "quality": ("ml.quality.command", "set the thresholds of the quality flags on synthetic patients and test them"),
    "interval": ("ml.interval_command", "calibrate the interval of the score on synthetic patients and measure its coverage"),
    "repeatability": ("ml.repeatability", "how far the score moves when a synthetic patient is scanned again"),
    "protocol_changes": ("ml.protocol_changes", "how far the score moves under another protocol"),
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
