"""How far the hip finder's confidence can be trusted: `python -m ml.hips.reliability [FOLDER …]`.

Synthetic studies that neither training nor calibration has seen, of both generators, with hips and without, go through the
finder. Each side for which it names a place is a claim with a confidence; the truth says whether it is right. A confidence that
means something is right in 80 % of the claims made with 0.8.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ml.dicom.volume import Volume
from ml.docs_table import put_block
from ml.hips.finder import Finder, ask, load_finder, to_volume_index
from ml.hips.scenes.pelvis import hip_pelvis
from ml.hips.scenes.stack import draw_stack
from ml.hips.scenes.stream import KINDS, Kind
from ml.hips.verify import candidates, choose
from ml.labels import FEMORAL_HEAD
from ml.phantom import generate
from ml.quality import defects
from scoring.statistics.proportions import proportion

DEFAULT = Path(__file__).parents[1] / "weights" / "default"
FIRST_SEED, SCENE_SEED = 20_000, 990_000  # test patients; scenes far from those of training and of the verdict
HIT_MM = 12.0
DARK = 0.25  # of its signal is left of a head's marrow
METAL = (1.0, 1.6)  # so many times the head's radius is wiped out
EDGES = (0.0, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
PICTURE = "hip-finder-reliability.svg"


@dataclass(frozen=True)
class Case:
    """A study: what is known of it. `heads` are LPS centres by side, of heads whose middle is in view."""

    group: str
    volume: Volume
    heads: dict[str, np.ndarray]


@dataclass(frozen=True)
class Claim:
    """A place named for a side. `error_mm` is from the true head of that side, None where there is none."""

    group: str
    side: str
    confidence: float
    error_mm: float | None

    @property
    def is_hip(self) -> bool:
        """Whether the place is a hip of that side."""
        return self.error_mm is not None and self.error_mm < HIT_MM


@dataclass(frozen=True)
class Asked:
    """What a finder said of many studies: its claims, and how many heads each group has."""

    claims: list[Claim]
    n_studies: dict[str, int]
    n_heads: dict[str, int]


def cases(n: int) -> Iterator[Case]:
    """Test studies of both generators; `n` sets how many with hips, and of the first one those without."""
    for seed in range(FIRST_SEED, FIRST_SEED + n):
        yield from _with_hips("first", generate(seed), seed)
    for plane in ("axial", "sagittal"):
        for seed in range(FIRST_SEED, FIRST_SEED + n // 2):
            yield Case(f"first: {plane} called coronal", generate(seed, plane=plane).volume, {})
    for scene in ("pelvis", "knee", "abdomen", "head", "objects"):
        for seed in range(FIRST_SEED, FIRST_SEED + max(1, n // (3 if scene == "pelvis" else 8))):
            yield Case("first: boneless pelvis" if scene == "pelvis" else "first: other parts", _without(seed, scene), {})
    yield from _scenes(n)
    yield from _second(n)


def _with_hips(name: str, study: Any, seed: int) -> Iterator[Case]:
    """A study of either generator as it is, with the marrow of its heads made dark, and with metal in place of one head."""
    heads = {side: np.array(hip.centre_mm) for side, hip in study.hips.items()}
    yield Case(f"{name}: coronal", study.volume, heads)
    dark = np.where(study.masks & FEMORAL_HEAD, DARK * study.volume.pixels, study.volume.pixels)
    yield Case(f"{name}: heads of dark marrow", replace(study.volume, pixels=dark.astype(np.float32)), heads)
    if heads:
        side = list(heads)[seed % len(heads)]
        wiped_out_mm = study.hips[side].radius_mm * np.random.default_rng([seed, 92]).uniform(*METAL)
        volume = defects.metal(study.volume, study.hips[side].centre_mm, wiped_out_mm, side)
        yield Case(f"{name}: metal head", volume, {other: head for other, head in heads.items() if other != side})


def _without(seed: int, scene: str) -> Volume:
    return generate(seed, hips=False, scene=scene).volume


def _scenes(n: int) -> Iterator[Case]:
    """Stacks of the painted pelves: hips of every tilt, size and field of view, beside a prosthesis, and none at all."""
    rng = np.random.default_rng(SCENE_SEED + 777)
    makers = {kind.name: kind.make for kind in KINDS}
    for group, name in (("scenes: hips", "pelvis"), ("scenes: prosthesis", "prosthesis"), ("scenes: boneless", "no bones")):
        for k in range(n // 2):
            kind = Kind(name, 1.0, hip_pelvis, {"coronal": 1.0})
            prosthesis = ("right", "left")[k % 2]
            scene = hip_pelvis(rng, prosthesis=prosthesis) if name == "prosthesis" else makers[name](rng)
            stack = draw_stack(rng, kind, scene)
            yield Case(group, stack.volume, {head.side: head.centre_mm for head in stack.heads})


def _second(n: int) -> Iterator[Case]:
    """The second generator lives with the tests and is there only in a checkout."""
    generator = import_module("tests.builders.second_generator")
    for seed in generator.TEST_SEEDS[:n]:
        yield from _with_hips("second", generator.make_study(seed), seed)
    for kind, seeds in generator.NEGATIVE_SEEDS.items():
        group = "second: axial, sagittal called coronal" if kind.endswith("_pelvis") else "second: without hips"
        for seed in seeds:
            yield Case(group, generator.make_negative(seed, kind).volume, {})


def claims_of(case: Case, finder: Finder) -> list[Claim]:
    """What the finder says of a study: at most one place a side, whatever its confidence."""
    answer = ask(case.volume, finder.net)
    made = []
    for side, (candidate, confidence) in choose(candidates(answer), finder.verdict).items():
        place = case.volume.to_lps(to_volume_index(answer.canvas, case.volume, candidate.ball.centre_mm))
        head = case.heads.get(side)
        made.append(Claim(case.group, side, confidence, None if head is None else float(np.linalg.norm(place - head))))
    return made


def survey(finders: dict[str, Finder], studies: Iterator[Case], n: int | None = None) -> dict[str, Asked]:
    """Every study through every finder; a study is made once."""
    asked = {name: Asked([], {}, {}) for name in finders}
    for case in tqdm(studies, total=n, desc="hip finder", unit="study"):
        for name, finder in finders.items():
            of = asked[name]
            of.claims.extend(claims_of(case, finder))
            of.n_studies[case.group] = of.n_studies.get(case.group, 0) + 1
            of.n_heads[case.group] = of.n_heads.get(case.group, 0) + len(case.heads)
    return asked


def calibration_error(claims: list[Claim]) -> float:
    """Expected calibration error: mean over ten equal bins of |share right − mean confidence|, weighed by claims."""
    confidence, is_hip = _arrays(claims)
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = [abs(float((is_hip - confidence)[bins == k].sum())) for k in range(10)]
    return sum(gaps) / max(len(claims), 1)


def summarise(asked: Asked, threshold: float = 0.5) -> dict[str, Any]:
    """Per group, what was found and what was found wrongly; ECE and Brier score; the bins of the picture."""
    groups = {}
    for group, n_studies in asked.n_studies.items():
        mine = [claim for claim in asked.claims if claim.group == group]
        hits = [claim for claim in mine if claim.is_hip and claim.confidence >= threshold]
        wrong = [claim for claim in mine if not claim.is_hip]
        errors = [claim.error_mm for claim in hits if claim.error_mm is not None]
        groups[group] = {
            "studies": n_studies,
            "heads": asked.n_heads[group],
            "found": len(hits),
            "median_mm": float(np.median(errors)) if errors else None,
            "worst_mm": max(errors, default=None),
            "found_wrongly": sum(claim.confidence >= threshold for claim in wrong),
            "highest_wrong": max((claim.confidence for claim in wrong), default=None),
        }
    confidence, is_hip = _arrays(asked.claims)
    middle = [claim for claim in asked.claims if 0.05 < claim.confidence < 0.95]
    return {
        "groups": groups,
        "n_claims": len(asked.claims),
        "ece": calibration_error(asked.claims),
        "brier": float(((confidence - is_hip) ** 2).mean()),
        "n_middle": len(middle),
        "ece_middle": calibration_error(middle),
        "bins": _bins(confidence, is_hip),
    }


def _arrays(claims: list[Claim]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([c.confidence for c in claims], float), np.array([c.is_hip for c in claims], float)


def _bins(confidence: np.ndarray, is_hip: np.ndarray) -> list[dict[str, float]]:
    rows = []
    for low, high in pairwise(EDGES):
        inside = (confidence >= low) & ((confidence < high) | (high == EDGES[-1]))
        n = int(inside.sum())
        if n:
            share = proportion(int(is_hip[inside].sum()), n)
            right = {"right": share.estimate, "right_low": share.low, "right_high": share.high}
            rows.append({"low": low, "high": high, "n": n, "confidence": float(confidence[inside].mean()), **right})
    return rows


def group_rows(groups: dict[str, Any]) -> list[str]:
    """What was found of each group of studies, as lines of Markdown."""
    lines = ["| Pictures | Studies | Hips | Found | Median, worst | Found wrongly | Highest confidence of a wrong place |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for group, row in groups.items():
        distance = "–" if row["median_mm"] is None else f"{row['median_mm']:.1f}, {row['worst_mm']:.1f} mm"
        highest = "–" if row["highest_wrong"] is None else f"{row['highest_wrong']:.2f}"
        found = row["found"] if row["heads"] else "–"
        lines.append(
            f"| {group} | {row['studies']} | {row['heads']} | {found} | {distance} | {row['found_wrongly']} | {highest} |"
        )
    return lines


def table(summary: dict[str, Any]) -> str:
    """The summary in Markdown."""
    lines = group_rows(summary["groups"])
    lines += [
        "",
        f"{summary['n_claims']} claims: expected calibration error {summary['ece']:.3f} (ten bins), "
        f"Brier score {summary['brier']:.3f}; "
        f"of the {summary['n_middle']} between 0.05 and 0.95 alone {summary['ece_middle']:.3f}.",
        "",
        "| Confidence | Claims | Mean confidence | Share that is a hip (95 % interval) |",
        "|---|---|---|---|",
    ]
    for row in summary["bins"]:
        lines.append(
            f"| {row['low']:g}–{row['high']:g} | {row['n']} | {row['confidence']:.2f} "
            f"| {row['right']:.2f} ({row['right_low']:.2f}–{row['right_high']:.2f}) |"
        )
    return "\n".join(lines)


def picture(summary: dict[str, Any]) -> str:
    """The reliability diagram as SVG: share that is a hip over mean confidence, with 95 % intervals."""
    size, left, top = 320, 60, 20
    x, y = (lambda v: left + v * size), (lambda v: top + (1 - v) * size)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size + 90} {size + 80}" font-family="sans-serif" font-size="12">',
        f'<rect width="{size + 90}" height="{size + 80}" fill="#fff"/>',
        f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="#666"/>',
        f'<path d="M{x(0)} {y(0)}L{x(1)} {y(1)}" stroke="#999" stroke-dasharray="4 3"/>',
    ]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<text x="{x(tick)}" y="{top + size + 16}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{left - 8}" y="{y(tick) + 4}" text-anchor="end">{tick:g}</text>')
    for row in summary["bins"]:
        at = x(row["confidence"])
        parts.append(
            f'<path d="M{at:.1f} {y(row["right_low"]):.1f}V{y(row["right_high"]):.1f}" stroke="#0072b2" stroke-width="2"/>'
        )
        parts.append(f'<circle cx="{at:.1f}" cy="{y(row["right"]):.1f}" r="4" fill="#0072b2"/>')
        parts.append(f'<text x="{at + 7:.1f}" y="{y(row["right"]) + 12:.1f}" fill="#444" font-size="10">{row["n"]}</text>')
    parts.append(f'<text x="{left + size / 2}" y="{top + size + 38}" text-anchor="middle">mean confidence of the claims</text>')
    middle = top + size / 2
    parts.append(f'<text transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">share that is a hip</text>')
    parts.append(f'<text x="{left}" y="{top + size + 56}" fill="#444" font-size="10">claims a bin; 95 % intervals</text></svg>')
    return "\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m ml.hips.reliability", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*", default=[DEFAULT], help="bundles or trained finders, compared")
    parser.add_argument("--patients", type=int, default=40, help="coronal patients of each generator")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every claim here")
    parser.add_argument("--docs", type=Path, metavar="FILE.md", help="put the table and the picture of the first folder here")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    finders = {str(folder): load_finder(folder) for folder in given.folders}
    asked = survey(finders, cases(given.patients))
    summaries = {name: summarise(one) for name, one in asked.items()}
    for name, summary in summaries.items():
        print(f"{name}\n{table(summary)}\n")
    if given.json is not None:
        kept = {name: {"summary": summaries[name], "claims": [asdict(c) for c in asked[name].claims]} for name in asked}
        given.json.write_text(json.dumps(kept, indent=1) + "\n")
    if given.docs is not None:
        summary = summaries[str(given.folders[0])]
        put_block(given.docs, "hip-finder", f"{table(summary)}\n\n![Reliability]({PICTURE})")
        given.docs.with_name(PICTURE).write_text(picture(summary))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
