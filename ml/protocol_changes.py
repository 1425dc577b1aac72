"""`python -m ml protocol_changes`: what another field strength, slice thickness, resolution or contrast does to the score."""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ml.bundle import DEFAULT, Bundle, load
from ml.crops import SIDES
from ml.docs_table import put_block
from ml.evaluate import Case, compare, true_score
from ml.phantom.acquisition import Acquisition
from ml.phantom.anatomy import Tissue
from ml.phantom.appearance import Look
from ml.rescans import GAP_MM, PIXEL_MM, THICKNESS_MM, Change, laid, retuned, scan
from ml.study_score import score_volume

FIRST_SEED = 20_000
DICE_LABELS = ("femoral_head", "bme", "synovitis")
REFERENCE = "reference: 4 mm slices, gap 0.4 mm, pixels 0.9 mm, SNR 25"
WATER = (Tissue.FLUID, Tissue.SYNOVITIS, Tissue.BME, Tissue.URINE)


def _look(**values: float) -> Change:
    return lambda acquisition, look: (acquisition, replace(look, **values))  # type: ignore[arg-type]


def _slices(thickness_mm: float, gap_mm: float) -> Change:
    return lambda acquisition, look: (laid(acquisition, thickness_mm, gap_mm, PIXEL_MM), look)


def _pixels(pixel_mm: float) -> Change:
    def change(acquisition: Acquisition, look: Look) -> tuple[Acquisition, Look]:
        return laid(acquisition, THICKNESS_MM, GAP_MM, pixel_mm), replace(look, resolution_mm=max(0.8, pixel_mm))

    return change


def _tissues(factor: float, *tissues: Tissue) -> Change:
    return lambda acquisition, look: (acquisition, retuned(look, dict.fromkeys(tissues, factor)))


CHANGES: dict[str, Change] = {
    "low field: SNR 10": _look(snr=10.0),
    "3 T: SNR 50, shading doubled": _look(snr=50.0, bias=0.4),
    "strong shading (a surface coil)": _look(bias=0.45),
    "slices of 3 mm": _slices(3.0, 0.3),
    "slices of 5 mm": _slices(5.0, 0.5),
    "slices of 6 mm, gap 1 mm": _slices(6.0, 1.0),
    "pixels of 0.6 mm": _pixels(0.6),
    "pixels of 1.3 mm": _pixels(1.3),
    "blur of 1 mm": _look(blur_mm=1.0),
    "fat suppression fails in patches": _look(leak=0.8),
    "marrow 1.4 times as bright": _tissues(1.4, Tissue.MARROW),
    "muscle 1.4 times as bright": _tissues(1.4, Tissue.MUSCLE),
    "water 1.3 times as bright (longer TE)": _tissues(1.3, *WATER),
    "water 0.75 times as bright (shorter TE)": _tissues(0.75, *WATER),
}


@dataclass(frozen=True)
class Outcome:
    """One hip under one protocol: scores (None where there is none) and Dice by label (NaN where the truth is empty)."""

    score: float | None
    per_slice: float | None
    truth: float | None
    dice: dict[str, float]


def command(arguments: list[str]) -> int:
    """Run `python -m ml protocol_changes …`."""
    parser = argparse.ArgumentParser(prog="python -m ml protocol_changes", description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT, metavar="FOLDER")
    parser.add_argument("--patients", type=int, default=15, help="test patients (seeds from 20 000)")
    parser.add_argument("--docs", type=Path, metavar="FILE.md", help="put the table here")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    text = table(outcomes(load(options.model), options.patients))
    print(text)
    if options.docs is not None:
        put_block(options.docs, "protocol-changes", text)
    return 0


def outcomes(bundle: Bundle, n_patients: int) -> dict[str, list[Outcome]]:
    """By protocol, both hips of each patient, in the same order everywhere."""
    found: dict[str, list[Outcome]] = {name: [] for name in (REFERENCE, "the same, positioned anew", *CHANGES)}
    for seed in tqdm(range(FIRST_SEED, FIRST_SEED + n_patients), desc="protocols", unit="patient"):
        found[REFERENCE] += _hips(scan(seed), bundle)
        found["the same, positioned anew"] += _hips(scan(seed, visit=1), bundle)
        for name, change in CHANGES.items():
            found[name] += _hips(scan(seed, change=change), bundle)
    return found


def _hips(case: Case, bundle: Bundle) -> list[Outcome]:
    by_side = {hip.side: hip for hip in score_volume(case.volume, bundle).hips}
    rows = []
    for side in SIDES:
        if side not in case.centres_mm:
            rows.append(Outcome(None, None, None, dict.fromkeys(DICE_LABELS, float("nan"))))
            continue
        result = compare(case, by_side[side])
        dice = {label: result.dice[label] if result.truth_ml[label] > 0 else float("nan") for label in DICE_LABELS}
        score = by_side[side].score
        per_slice = None if score is None else score.mean_per_slice
        rows.append(Outcome(result.predicted_score, per_slice, true_score(case, side), dice))
    return rows


def table(found: dict[str, list[Outcome]]) -> str:
    """Score, true score and Dice against the reference protocol, in Markdown."""
    names = (
        "Protocol",
        "Hips with a score",
        "Score − reference: median (10th to 90th)",
        "The same a slice",
        "The same of the true score",
        "Error: score − truth",
        "Dice head, BME, synovitis",
    )
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    before = found[REFERENCE]
    for name, rows in found.items():
        scores = [(a.score, b.score) for a, b in zip(rows, before, strict=True)]
        per_slice = [(a.per_slice, b.per_slice) for a, b in zip(rows, before, strict=True)]
        truths = [(a.truth, b.truth) for a, b in zip(rows, before, strict=True)]
        dice = ", ".join(_mean([row.dice[label] for row in rows]) for label in DICE_LABELS)
        moved = "–" if name == REFERENCE else _change(scores)
        moved_a_slice = "–" if name == REFERENCE else _change(per_slice, 3)
        moved_truly = "–" if name == REFERENCE else _change(truths)
        error = _change([(row.score, row.truth) for row in rows])
        n = sum(row.score is not None for row in rows)
        lines.append(f"| {name} | {n} of {len(rows)} | {moved} | {moved_a_slice} | {moved_truly} | {error} | {dice} |")
    return "\n".join(lines)


def _change(pairs: list[tuple[float | None, float | None]], decimals: int = 2) -> str:
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    if not differences:
        return "–"
    low, middle, high = np.percentile(differences, (10, 50, 90))
    return f"{middle:+.{decimals}f} ({low:+.{decimals}f} to {high:+.{decimals}f})"


def _mean(values: list[float]) -> str:
    known = [value for value in values if not np.isnan(value)]
    return f"{np.mean(known):.3f}" if known else "–"
