"""`python -m ml repeatability`: the smallest change of the score that a second scan of the same inflammation can't explain."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from ml.bundle import DEFAULT, load
from ml.crops import SIDES
from ml.docs_table import put_block
from ml.evaluate import true_score
from ml.rescans import scan
from ml.study_score import score_volume
from scoring.statistics.agreement import icc
from scoring.statistics.measurement_error import sdd, sem

FIRST_SEED = 20_000
AFFECTED = 0.05  # a mean true score from which a hip counts as affected


@dataclass(frozen=True)
class Rescanned:
    """Scores of a hip, one a scan: found ones and those of the true outlines of the same scans. NaN where there is none."""

    found: tuple[float, ...]
    true: tuple[float, ...]


def command(arguments: list[str]) -> int:
    """Run `python -m ml repeatability …`."""
    parser = argparse.ArgumentParser(prog="python -m ml repeatability", description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT, metavar="FOLDER")
    parser.add_argument("--patients", type=int, default=30, help="test patients (seeds from 20 000)")
    parser.add_argument("--scans", type=int, default=2, help="scans of each")
    parser.add_argument("--docs", type=Path, metavar="FILE.md", help="put the table here")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    text = table(rescans(options.model, options.patients, options.scans))
    print(text)
    if options.docs is not None:
        put_block(options.docs, "repeatability", text)
    return 0


def rescans(model: Path, n_patients: int, n_scans: int) -> list[Rescanned]:
    """Hips of test patients, scanned `n_scans` times: same inflammation, contrast and protocol; position and noise anew."""
    bundle = load(model)
    hips = []
    for seed in tqdm(range(FIRST_SEED, FIRST_SEED + n_patients), desc="scanned again", unit="patient"):
        cases = [scan(seed, visit) for visit in range(n_scans)]
        scored = [score_volume(case.volume, bundle) for case in cases]
        for index, side in enumerate(SIDES):
            scores = [one.hips[index].score for one in scored]
            found = tuple(_number(None if score is None else score.unet_score) for score in scores)
            hips.append(Rescanned(found, tuple(_number(true_score(case, side)) for case in cases)))
    return hips


def table(hips: Sequence[Rescanned]) -> str:
    """SEM, smallest detectable change and ICC of the scores, in Markdown."""
    found, true = (np.array(rows) for rows in ([hip.found for hip in hips], [hip.true for hip in hips]))
    is_affected = np.nan_to_num(np.nanmean(true, axis=1)) >= AFFECTED
    groups = {"all hips": np.ones(len(hips), bool), f"affected hips (true score ≥ {AFFECTED:g})": is_affected}
    lines = ["| Hips | Score | n (left out) | Mean | SEM | SDC, 95 % (interval) | SDC as share of the mean | ICC(A,1) |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for about, chosen in groups.items():
        for name, scores in (("model's outlines", found), ("true outlines", true)):
            lines.append(f"| {about} | {name} | {_row(scores[chosen])} |")
    n_missing = int(np.isnan(found).any(axis=1).sum())
    lines += ["", f"{n_missing} of {len(hips)} hips had no score in at least one scan."]
    return "\n".join(lines)


def _row(scores: npt.NDArray[np.float64]) -> str:
    complete = scores[~np.isnan(scores).any(axis=1)]
    if len(complete) < 3:
        return f"{len(complete)} ({len(scores) - len(complete)}) | – | – | – | – | –"
    error, smallest, agreement = sem(complete), sdd(complete), icc(complete, form="A,1")
    mean = float(complete.mean())
    share = f"{100 * smallest.estimate / mean:.0f} %" if mean > 0 else "–"
    return (
        f"{len(complete)} ({len(scores) - len(complete)}) | {mean:.2f} | {error.estimate:.3f} | "
        f"{smallest.estimate:.3f} ({smallest.low:.3f}–{smallest.high:.3f}) | {share} | {agreement.estimate:.3f}"
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
