"""`python -m ml interval`: calibrate the interval of the UNet-score on validation patients, measure it on test patients."""

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ml.bundle import DEFAULT, UNET_WEIGHTS, Bundle, load, record_section
from ml.docs_table import put_block
from ml.evaluate import Case, first_cases, second_cases, true_score
from ml.interval import LEVEL, METHOD, SECTION, Calibration, Spread, fit, section, spread_of
from ml.study_score import score_volume
from scoring.statistics.proportions import proportion

VALIDATION_SEED = 10_000


@dataclass(frozen=True)
class Hip:
    """One scored hip with its true score."""

    spread: Spread
    truth: float


def command(arguments: list[str]) -> int:
    """Run `python -m ml interval …`; the calibration goes into the bundle's description, whose hash stays."""
    parser = argparse.ArgumentParser(prog="python -m ml interval", description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT, metavar="FOLDER")
    parser.add_argument("--patients", type=int, default=60, help="validation patients (seeds from 10 000)")
    parser.add_argument("--tests", type=int, default=40, help="test patients of each generator (first: seeds from 20 000)")
    parser.add_argument("--docs", type=Path, metavar="FILE.md", help="put the table here")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    bundle = load(options.model)
    known = list(hips_of(first_cases(options.patients, VALIDATION_SEED), bundle, options.patients, "calibrating"))
    sha256 = hashlib.sha256((options.model / UNET_WEIGHTS).read_bytes()).hexdigest()
    calibration = fit([hip.spread for hip in known], [hip.truth for hip in known], sha256, LEVEL)
    tests = {"first generator, unseen patients": first_cases, "second generator": second_cases}
    measured = {
        name: coverage(list(hips_of(make(options.tests), bundle, options.tests, name)), calibration)
        for name, make in tests.items()
    }
    record_section(options.model, SECTION, section(calibration, measured))
    text = table(calibration, measured)
    print(text)
    if options.docs is not None:
        put_block(options.docs, "interval", text)
    return 0


def hips_of(cases: Iterator[Case], bundle: Bundle, n: int, about: str) -> Iterator[Hip]:
    """Every hip of the cases that has a true and a found score."""
    for case in tqdm(cases, total=n, desc=about, unit="patient"):
        for hip in score_volume(case.volume, bundle).hips:
            truth = true_score(case, hip.side) if hip.side in case.centres_mm else None
            if hip.score is None or hip.score.unet_score is None or truth is None:
                continue
            spread = spread_of(case.volume, bundle, hip.outline, hip.score.unet_score)
            if spread is not None:
                yield Hip(spread, truth)


def coverage(hips: list[Hip], calibration: Calibration) -> dict[str, Any]:
    """How often the interval holds the true score, and how wide it is."""
    intervals = [calibration.interval(hip.spread) for hip in hips]
    held = [interval.low <= hip.truth <= interval.high for interval, hip in zip(intervals, hips, strict=True)]
    share = proportion(sum(held), len(held))
    widths = np.array([interval.high - interval.low for interval in intervals])
    scores, errors = (np.array(values) for values in ([h.spread.score for h in hips], [h.spread.score - h.truth for h in hips]))
    return {
        "n_hips": len(hips),
        "held": sum(held),
        "coverage": share.estimate,
        "low": share.low,
        "high": share.high,
        "median_width": float(np.median(widths)),
        "median_width_by_score": {
            name: float(np.median(widths[chosen])) if chosen.any() else None
            for name, chosen in (("below 0.5", scores < 0.5), ("0.5 and above", scores >= 0.5))
        },
        "median_error": float(np.median(np.abs(errors))),
        "median_score": float(np.median(scores)),
    }


def table(calibration: Calibration, measured: dict[str, dict[str, Any]]) -> str:
    """The figures in Markdown."""
    level = f"{100 * calibration.level:.0f} %"
    changed, cut, score, constant = calibration.weights
    lines = [
        f"Level {level}; {METHOD}; fitted on {calibration.n_hips} hips of validation patients.",
        f"Half-width = {calibration.factor:.3g} × ({changed:.3g} × spread over changed pictures + {cut:.3g} × spread over cuts "
        f"+ {score:.3g} × score + {constant:.3g}).",
        "",
        "| Patients | Hips | True score inside (95 % interval) | Median width: all, score < 0.5, ≥ 0.5 | Median error, score |",
        "|---|---|---|---|---|",
    ]
    for name, row in measured.items():
        widths = [row["median_width"], *row["median_width_by_score"].values()]
        width = ", ".join("–" if value is None else f"{value:.2f}" for value in widths)
        share = f"{100 * row['coverage']:.0f} % ({100 * row['low']:.0f}–{100 * row['high']:.0f})"
        lines.append(f"| {name} | {row['n_hips']} | {share} | {width} | {row['median_error']:.2f}, {row['median_score']:.2f} |")
    return "\n".join(lines)
