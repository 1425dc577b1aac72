"""The curves of a training run as a picture, from its log."""

import json
from pathlib import Path
from typing import Any

from ml.labels import LABELS

LOG, PICTURE = "log.jsonl", "curves.png"
COLOURS = {"femur": "#7f7f7f", "femoral_head": "#1f77b4", "bme": "#d62728", "synovitis": "#2ca02c", "lesion": "#9467bd"}


def read_log(out: Path) -> list[dict[str, Any]]:
    """The entries of a run's log, in order."""
    path = out / LOG
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def draw_curves(out: Path) -> Path:
    """Draw loss, learning rate and the Dice of validation over the steps into `curves.png` of the run's folder."""
    from matplotlib.figure import Figure

    entries = read_log(out)
    losses = [entry for entry in entries if "loss" in entry]
    checks = [entry for entry in entries if "validation" in entry]
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([entry["step"] for entry in losses], [entry["loss"] for entry in losses], color="#1f77b4")
    left.set(xlabel="step", ylabel="training loss")
    rate = left.twinx()
    rate.plot([entry["step"] for entry in losses], [entry["learning_rate"] for entry in losses], color="#bbbbbb", lw=1)
    rate.set_ylabel("learning rate")
    for label in (*LABELS, "lesion"):
        points = [(entry["step"], entry["validation"][label]) for entry in checks if entry["validation"].get(label) is not None]
        if points:
            right.plot(*zip(*points, strict=True), marker=".", label=label.replace("_", " "), color=COLOURS[label])
    right.set(xlabel="step", ylabel="Dice on validation patients", ylim=(0, 1))
    if right.lines:
        right.legend(loc="lower right", frameon=False)
    path = out / PICTURE
    figure.savefig(path, dpi=110)
    return path
