"""`python -m ml evaluate`: the segmentation figures of design.md §7 on synthetic patients that training never saw."""

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ml.bundle import DEFAULT, load, record
from ml.crops import SIDES, Box, Point
from ml.dicom.volume import Volume
from ml.docs_table import put_block
from ml.labels import BITS, BME, FEMORAL_HEAD, LABELS, SYNOVITIS, Mask
from ml.metrics import mean_or_none, quantiles
from ml.study_score import ScoredHip, score_volume
from ml.tidy import without_slivers
from scoring.errors import ScoringError
from scoring.mri.overlap import dice
from scoring.mri.unet_score import score_hip
from scoring.statistics.agreement import icc

FIRST_TEST_SEED = 20_000
LESIONS = ("bme", "synovitis")


@dataclass(frozen=True)
class Case:
    """One synthetic study with its truth, of either generator; `centres_mm` are LPS, of the sides in view."""

    name: str
    volume: Volume
    mask: Mask
    centres_mm: dict[str, Point]


@dataclass(frozen=True)
class HipResult:
    """One hip, true against predicted. Volumes in mL, distances in mm, scores None where there is none.

    `true_score` treats the true mask as the outlines are treated: a slice on which the head has less than the 100 mm² of
    a hip slice is not assessable. `true_score_all_slices` takes those too; a head of a few pixels then divides the fluid
    of the whole slice, and that one slice can outweigh all others.
    """

    case: str
    side: str
    found: bool
    refused: str
    centre_error_mm: float
    dice: dict[str, float]
    truth_ml: dict[str, float]
    predicted_ml: dict[str, float]
    contrast: float
    true_score: float | None
    true_score_all_slices: float | None
    predicted_score: float | None

    @property
    def is_affected(self) -> bool:
        """Whether the truth has a lesion."""
        return any(self.truth_ml[label] > 0 for label in LESIONS)


def command(arguments: list[str]) -> int:
    """Run `python -m ml evaluate …`."""
    parser = argparse.ArgumentParser(prog="python -m ml evaluate", description=__doc__)
    parser.add_argument("--generator", choices=tuple(GENERATORS), default="first")
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--model", type=Path, default=DEFAULT, metavar="FOLDER")
    parser.add_argument("--true-centres", action="store_true", help="use the true head centres instead of finding them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every hip and the summary here")
    parser.add_argument("--record", action="store_true", help="keep the summary in the bundle's description")
    parser.add_argument("--docs", type=Path, nargs="+", default=[], metavar="PAGE", help="write the table into these pages too")
    options = parser.parse_args(arguments)
    results = evaluate(options.generator, options.patients, options.model, options.true_centres)
    summary = summarise(results)
    if options.json is not None:
        hips = [asdict(result) for result in results]
        options.json.write_text(json.dumps({"summary": summary, "hips": hips}, indent=1) + "\n")
    if options.record:
        record(options.model, f"{options.generator}_generator", summary | {"n_patients": options.patients})
    for page in options.docs:
        put_block(page, f"{options.generator} generator", table(summary))
    print(table(summary))
    return 0


def evaluate(generator: str, n_patients: int, model: Path = DEFAULT, true_centres: bool = False) -> list[HipResult]:
    """Every hip in view of the first `n_patients` test patients of a generator, through the whole pipeline.

    Parameters
    ----------
    generator : "first" (`ml.phantom`, seeds 20 000, 20 001, …) or "second" (`tests.builders.second_generator`)
    true_centres : leave out the hip finder
    """
    bundle = load(model)
    results: list[HipResult] = []
    cases = GENERATORS[generator](n_patients)
    for case in tqdm(cases, total=n_patients, desc=f"{generator} generator", unit="patient"):
        scored = score_volume(case.volume, bundle, case.centres_mm if true_centres else None)
        results += [compare(case, hip) for hip in scored.hips if hip.side in case.centres_mm]
    return results


def true_score(case: Case, side: str) -> float | None:
    """The UNet-score of one hip by its true outlines; None where there is none."""
    return _true_score(case.volume, _hip_slices(_one_side(case, side), case.volume), side)


def summarise(results: list[HipResult]) -> dict[str, Any]:
    """The figures of design.md §7 over hips."""
    affected = [r for r in results if r.is_affected]
    figures: dict[str, Any] = {
        "n_hips": len(results),
        "n_found": sum(r.found for r in results),
        "n_refused": sum(bool(r.refused) for r in results),
        "normal_share": 1 - len(affected) / len(results) if results else None,
        "centre_error_mm": quantiles(r.centre_error_mm for r in results if r.found),
        "bme_contrast": quantiles(r.contrast for r in results if math.isfinite(r.contrast)),
        "icc_all": _agreement(results),
        "icc_affected": _agreement(affected),
        "icc_all_slices": _agreement(results, "true_score_all_slices"),
    }
    for label in LABELS:
        present = [r for r in results if r.truth_ml[label] > 0]
        figures[label] = {
            "n": len(present),
            "dice": mean_or_none(r.dice[label] for r in present),
            "dice_spread": quantiles(r.dice[label] for r in present),
            "truth_ml": quantiles(r.truth_ml[label] for r in present),
            "false_ml": quantiles(r.predicted_ml[label] for r in results if r.truth_ml[label] == 0),
        }
    return figures


def table(summary: dict[str, Any]) -> str:
    """The summary as a table in Markdown."""
    lines = ["| label | hips | Dice | median | truth mL: median (range) | mL where truth is empty: median (max) |"]
    lines += ["|---|---|---|---|---|---|"]
    for label in LABELS:
        row = summary[label]
        spread, truth, false = row["dice_spread"], row["truth_ml"], row["false_ml"]
        size = f"{truth['median']:.1f} ({truth['min']:.2f}–{truth['max']:.1f})" if truth else "–"
        empty = f"{false['median']:.2f} ({false['max']:.2f})" if false else "–"
        median = f"{spread['median']:.3f}" if spread else "–"
        name = "femur (inside the crop)" if label == "femur" else label
        lines.append(f"| {name} | {row['n']} | {_figure(row['dice'])} | {median} | {size} | {empty} |")
    error, contrast = summary["centre_error_mm"], summary["bme_contrast"]
    lines += [
        "",
        f"{summary['n_hips']} hips ({summary['n_found']} found, {summary['n_refused']} without a score, "
        f"{100 * (summary['normal_share'] or 0):.0f} % normal)  ",
        f"ICC(A,1) of the UNet-score: {_icc_text(summary['icc_all'])} over all hips, "
        f"{_icc_text(summary['icc_affected'])} over affected hips  ",
        f"(with the truth's heads below 100 mm² as denominators too: {_icc_text(summary['icc_all_slices'])} over all hips)  ",
    ]
    if error:
        lines.append(f"error of the found centre: median {error['median']:.1f} mm, largest {error['max']:.1f} mm  ")
    if contrast:
        lines.append(
            f"BME over marrow, ratio of intensities: median {contrast['median']:.2f} "
            f"({contrast['min']:.2f}–{contrast['max']:.2f})"
        )
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _icc_text(value: dict[str, Any]) -> str:
    interval = "" if value["low"] is None else f" ({value['low']:.3f}–{value['high']:.3f})"
    return f"{_figure(value['icc'])}{interval}, n = {value['n']}"


def compare(case: Case, hip: ScoredHip) -> HipResult:
    """One hip, true against predicted."""
    truth = _one_side(case, hip.side)
    predicted = hip.outline.mask
    voxel_ml = float(np.prod(case.volume.spacing_mm)) / 1000
    planes = {label: ((truth & bit) > 0, (predicted & bit) > 0) for label, bit in BITS.items()}
    planes["femur"] = (planes["femur"][0] & _in_box(case.volume, hip.outline.box), planes["femur"][1])
    return HipResult(
        case=case.name,
        side=hip.side,
        found=hip.outline.found.found,
        refused=hip.refused.code if hip.refused else "",
        centre_error_mm=_distance(hip.outline.centre_mm, case.centres_mm[hip.side]),
        dice={label: dice(true, guess) for label, (true, guess) in planes.items()},
        truth_ml={label: float(true.sum()) * voxel_ml for label, (true, _) in planes.items()},
        predicted_ml={label: float(guess.sum()) * voxel_ml for label, (_, guess) in planes.items()},
        contrast=_contrast(case.volume.pixels, truth),
        true_score=_true_score(case.volume, _hip_slices(truth, case.volume), hip.side),
        true_score_all_slices=_true_score(case.volume, truth, hip.side),
        predicted_score=None if hip.score is None else hip.score.unet_score,
    )


def _one_side(case: Case, side: str) -> Mask:
    """The truth on the hip's side of the plane midway between the heads."""
    if len(case.centres_mm) < len(SIDES):
        return case.mask
    right, left = (np.asarray(case.centres_mm[name]) for name in SIDES)
    axes = [np.arange(n) for n in case.mask.shape]
    steps = (left - right) @ case.volume.affine[:3, :3]  # along the line between the heads, per index
    start = (case.volume.affine[:3, 3] - (left + right) / 2) @ (left - right)
    along = start + steps[0] * axes[0][:, None, None] + steps[1] * axes[1][:, None] + steps[2] * axes[2]
    return np.where((along > 0) == (side == "left"), case.mask, 0).astype(np.uint8)


def _in_box(volume: Volume, box: Box | None) -> npt.NDArray[np.bool_]:
    """The crop's columns of voxels: the femur goes on below, where nobody looks; everywhere without a box."""
    _, n_rows, n_columns = volume.pixels.shape
    inside = np.ones((n_rows, n_columns), bool)
    if box is not None:
        rows, columns = np.arange(n_rows)[:, None], np.arange(n_columns)
        inside = (rows > box.row_min) & (rows < box.row_max) & (columns > box.column_min) & (columns < box.column_max)
    return inside[None]


def _distance(found: Point | None, true: Point) -> float:
    return math.nan if found is None else math.dist(found, true)


def _contrast(pixels: npt.NDArray[np.float32], truth: Mask) -> float:
    """Mean intensity of the oedema over that of the head's other marrow; NaN without oedema."""
    oedema, marrow = (truth & BME) > 0, (truth & (FEMORAL_HEAD | BME | SYNOVITIS)) == FEMORAL_HEAD
    if not oedema.any() or not marrow.any():
        return math.nan
    return float(pixels[oedema].mean() / pixels[marrow].mean())


def _hip_slices(truth: Mask, volume: Volume) -> Mask:
    """The truth without the head on slices that are no hip slices."""
    head = (truth & FEMORAL_HEAD) > 0
    slivers = head & ~without_slivers(head, volume)
    return np.where(slivers, truth & (255 - FEMORAL_HEAD), truth).astype(np.uint8)


def _true_score(volume: Volume, truth: Mask, side: str) -> float | None:
    try:
        return score_hip(truth, volume.pixels, volume.spacing_mm, side).unet_score
    except ScoringError:
        return None


def _agreement(results: list[HipResult], truth: str = "true_score") -> dict[str, Any]:
    """ICC(A,1) between true and predicted scores of the hips that have both."""
    both = ((getattr(r, truth), r.predicted_score) for r in results)
    pairs = [(true, predicted) for true, predicted in both if true is not None and predicted is not None]
    if len(pairs) < 3:
        return {"icc": None, "low": None, "high": None, "n": len(pairs)}
    result = icc(np.array(pairs), form="A,1")
    low, high = (float(value) if math.isfinite(value) else None for value in (result.low, result.high))
    return {"icc": float(result.estimate), "low": low, "high": high, "n": len(pairs)}


def first_cases(n_patients: int, first_seed: int = FIRST_TEST_SEED) -> Iterator[Case]:
    """Patients of `ml.phantom`."""
    from ml.phantom import generate

    for seed in range(first_seed, first_seed + n_patients):
        phantom = generate(seed)
        centres = {side: hip.centre_mm for side, hip in phantom.hips.items()}
        yield Case(f"first-{seed}", phantom.volume, phantom.masks, centres)


def second_cases(n_patients: int) -> Iterator[Case]:
    """Patients of the second generator, which lives with the tests and is there only in a checkout."""
    generator = import_module("tests.builders.second_generator")
    if n_patients > len(generator.TEST_SEEDS):
        raise SystemExit(f"the second generator has {len(generator.TEST_SEEDS)} fixed test seeds; lower --patients")
    for seed in generator.TEST_SEEDS[:n_patients]:
        study = generator.make_study(seed)
        centres = {side: hip.centre_mm for side, hip in study.hips.items()}
        yield Case(f"second-{seed}", study.volume, study.masks, centres)


GENERATORS: dict[str, Callable[[int], Iterator[Case]]] = {"first": first_cases, "second": second_cases}
