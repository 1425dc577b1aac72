"""`python -m ml quality`: set the flags' thresholds on synthetic patients and measure what they catch."""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from tqdm import tqdm

from ml.crops import Point
from ml.dicom.volume import Volume
from ml.docs_table import put_block
from ml.labels import Mask
from ml.phantom import Phantom, generate
from ml.phantom.acquisition import Acquisition
from ml.phantom.anatomy import Tissue
from ml.phantom.appearance import Look
from ml.quality import defects
from ml.quality.features import LOOK, hip_numbers, stack_numbers
from ml.quality.flags import HIP_KINDS, STACK_KINDS, STOPPING, THRESHOLDS, Thresholds, judge, read_thresholds
from scoring.statistics.proportions import proportion

SET_SEED, TEST_SEED = 10_000, 20_000
FALSE_ALARMS = 0.02  # of clean stacks or hips, a kind of fault
# A score is stopped only so many times as far from the middle of the clean ones as their worst lies. Contrast says what was
# measured at all; a score lives with some noise and motion.
STOP_MARGIN = {"contrast": 1.5, "noise": 3.0, "motion": 6.0, "cut_off": 1.5}
LEAST_CUT = 0.35
MOST_LEAK = 0.12  # of fat suppression that works
SHRINK = 0.05
DIGITS = 5

Hip = tuple[str, Point, Mask]


@dataclass(frozen=True)
class Numbers:
    """Numbers of one picture: by kind, one a stack or one a hip; the looks of its hips."""

    values: dict[str, list[float]]
    looks: list[npt.NDArray[np.float64]]


def command(arguments: list[str]) -> int:
    """Run `python -m ml quality …`."""
    parser = argparse.ArgumentParser(prog="python -m ml quality", description=__doc__)
    parser.add_argument("--patients", type=int, default=80, help="clean patients that set the thresholds (seeds from 10 000)")
    parser.add_argument("--tests", type=int, default=30, help="patients that test them (seeds from 20 000)")
    parser.add_argument("--keep", action="store_true", help="test the thresholds that there are; set none")
    parser.add_argument("--docs", type=Path, metavar="FILE.md", help="put the tables here")
    options = parser.parse_args(arguments)
    if not options.keep:
        clean = [measure(p.volume, hips_of(p)) for p in _clean(SET_SEED, options.patients)]
        THRESHOLDS.write_text(json.dumps(thresholds_of(clean), indent=1) + "\n")
    text = report(read_thresholds(), json.loads(THRESHOLDS.read_text()), options.tests)
    print(text)
    if options.docs is not None:
        put_block(options.docs, "quality", text)
    return 0


def measure(volume: Volume, hips: list[Hip]) -> Numbers:
    """All numbers of a picture."""
    of_hips = [hip_numbers(volume, centre, side, mask) for side, centre, mask in hips]
    values = {kind: [value] for kind, value in stack_numbers(volume, [centre for _, centre, _ in hips]).items()}
    values |= {"noise": [n.noise for n in of_hips], "contrast": [n.marrow for n in of_hips], "cut_off": [n.cut for n in of_hips]}
    return Numbers(values, [n.look for n in of_hips])


def thresholds_of(clean: list[Numbers]) -> dict[str, Any]:
    """What `thresholds.json` holds: a kind is marked beyond all but 2 % of the clean ones."""
    looks = np.array([look for numbers in clean for look in numbers.looks])
    mean, spread = looks.mean(0), np.cov(looks.T)
    spread = (1 - SHRINK) * spread + SHRINK * np.diag(np.diag(spread) + 1e-6)
    away = looks - mean
    values = {kind: [v for numbers in clean for v in numbers.values[kind]] for kind in clean[0].values}
    precision = np.linalg.inv(spread)
    values["unlike"] = list(np.sqrt(np.einsum("ij,jk,ik->i", away, precision, away)))
    limits = {}
    for kind, found in values.items():
        mark, highest, middle = (float(np.quantile(found, q)) for q in (1 - FALSE_ALARMS, 1.0, 0.5))
        mark = max(mark, middle + 1e-3)
        least = LEAST_CUT if kind == "cut_off" else mark
        stop = max(middle + STOP_MARGIN[kind] * (highest - middle), least) if kind in STOPPING else None
        limits[kind] = {"mark": _short(mark), "stop": None if stop is None else _short(stop), "n": len(found)}
    return {
        "command": "python -m ml quality",
        "false_alarms": FALSE_ALARMS,
        "limits": limits,
        "look": {"names": list(LOOK), "mean": mean.round(DIGITS).tolist(), "precision": precision.round(DIGITS).tolist()},
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def hips_of(phantom: Phantom, masks: Mask | None = None) -> list[Hip]:
    """Side, centre and true outlines of a phantom's hips."""
    mask = phantom.masks if masks is None else masks
    return [(side, hip.centre_mm, mask) for side, hip in phantom.hips.items()]


def _faultless(acquisition: Acquisition, look: Look) -> tuple[Acquisition, Look]:
    return acquisition, replace(look, ghost=0.0, wrap=False, leak=min(look.leak, MOST_LEAK))


def _clean(first: int, n: int) -> Iterator[Phantom]:
    for seed in tqdm(range(first, first + n), desc="clean phantoms", unit="patient"):
        phantom = generate(seed, style="stir", protocol=_faultless)
        if phantom.hips:
            yield phantom


def spoilt(phantom: Phantom) -> Iterator[tuple[str, str, Volume, list[Hip]]]:
    """The fault that should be found, its strength in words, and the picture with it."""
    rng = np.random.default_rng([phantom.seed, 81])
    volume, hips = phantom.volume, hips_of(phantom)
    side, centre, _ = hips[0]
    axis = int(rng.integers(1, 3))
    for amplitude in (0.5, 1.0, 2.0):
        yield "motion", f"to and fro by {amplitude:g} mm", defects.moved(volume, rng, amplitude, axis), hips
    for level in (0.1, 0.2, 0.4):
        yield "noise", f"noise of {level:g} of the spread added", defects.noisy(volume, rng, level), hips
    for share in (0.1, 0.25):
        folded = defects.wrapped(volume, share, axis)
        yield "wrap", f"{100 * share:.0f} % of the field folded in", folded, _inside(folded, phantom)
    for share in (0.6, 1.2):
        yield "fat", f"patches of fat {share:g} times as bright as the brightest", _leaky(phantom, rng, share), hips
    for style in ("t1", "t2"):
        other = generate(phantom.seed, style=style, protocol=_faultless)
        yield "contrast", f"{style.upper()} without fat suppression", other.volume, hips_of(other)
    yield "contrast", "bright for dark", defects.inverted(volume), hips
    for beyond in (15.0, 0.0):
        keep_high = side == "left"
        cut = defects.cut_off(volume, centre, beyond, 2, keep_high)
        yield "cut_off", f"the picture ends {beyond:g} mm from the head's centre", cut, [(side, centre, _laid(cut, phantom))]
    yield "cut_off", "the stack begins at the head's centre", *_half_stack(phantom)
    for words, change in UNLIKE.items():
        yield "unlike", words, change(volume), hips


UNLIKE: dict[str, Callable[[Volume], Volume]] = {
    "five grey values": lambda volume: defects.posterised(volume, 5),
    "blurred by 4 mm": lambda volume: replace(volume, pixels=_blurred(volume, 4.0)),
    "edges alone": lambda volume: replace(volume, pixels=np.abs(volume.pixels - _blurred(volume, 2.0))),
    "upside down": lambda volume: replace(volume, pixels=np.ascontiguousarray(volume.pixels[:, ::-1])),
}


def _blurred(volume: Volume, sigma_mm: float) -> npt.NDArray[np.float32]:
    sigma = (0.0, sigma_mm / float(volume.spacing_mm[1]), sigma_mm / float(volume.spacing_mm[2]))
    return np.asarray(ndimage.gaussian_filter(volume.pixels, sigma), np.float32)


def _leaky(phantom: Phantom, rng: np.random.Generator, share: float) -> Volume:
    """Patches some 10 cm wide in which fat shines, and marrow half as much."""
    volume = phantom.volume
    shape = volume.pixels.shape
    knots = [max(2, int(n * mm / 50) + 2) for n, mm in zip(shape, volume.spacing_mm, strict=True)]
    coarse = rng.standard_normal(knots)
    zoom = [n / m for n, m in zip(shape, knots, strict=True)]
    patches = np.clip(ndimage.zoom(coarse, zoom, order=1) - 0.2, 0, 1)
    shine = np.zeros(len(Tissue), np.float32)
    shine[[Tissue.FAT, Tissue.MARROW, Tissue.BME]] = 1, 0.5, 0.5
    return defects.unsuppressed(volume, patches.astype(np.float32) * shine[phantom.tissues], share)


def _half_stack(phantom: Phantom) -> tuple[Volume, list[Hip]]:
    side, centre, _ = hips_of(phantom)[0]
    cut = defects.cut_off(phantom.volume, centre, 0.0, 0)
    return cut, [(side, centre, _laid(cut, phantom))]


def _laid(volume: Volume, phantom: Phantom) -> Mask:
    """The phantom's outlines on a part of its grid."""
    first = np.rint(phantom.volume.to_index(volume.to_lps((0, 0, 0)))).astype(int)
    parts = tuple(slice(start, start + n) for start, n in zip(first, volume.pixels.shape, strict=True))
    return np.ascontiguousarray(phantom.masks[parts])


def _inside(volume: Volume, phantom: Phantom) -> list[Hip]:
    """The hips whose centres lie in a part of the picture; the first one if none does."""
    mask = _laid(volume, phantom)
    faces = np.array(volume.pixels.shape) - 0.5
    hips = hips_of(phantom, mask)
    kept = [hip for hip in hips if np.all(volume.to_index(hip[1]) > -0.5) and np.all(volume.to_index(hip[1]) < faces)]
    return kept or hips[:1]


def report(thresholds: Thresholds, kept: dict[str, Any], n_tests: int) -> str:
    """Thresholds with their false alarms, and what they catch, in Markdown."""
    words = STACK_KINDS | HIP_KINDS
    caught: dict[tuple[str, str], list[tuple[bool, bool]]] = {}
    by_any: dict[tuple[str, str], list[bool]] = {}
    alarms: dict[str, list[tuple[bool, bool]]] = {kind: [] for kind in words}
    for phantom in _clean(TEST_SEED, n_tests):
        for kind, found in _verdicts(phantom.volume, hips_of(phantom), thresholds).items():
            alarms[kind] += found
        for kind, strength, volume, hips in spoilt(phantom):
            of_all = _verdicts(volume, hips, thresholds)
            caught.setdefault((kind, strength), []).extend(of_all[kind])
            by_any.setdefault((kind, strength), []).append(any(marked for found in of_all.values() for marked, _ in found))
    other: dict[str, list[tuple[bool, bool]]] = {kind: [] for kind in words}
    for volume, hips in _second(n_tests):
        for kind, found in _verdicts(volume, hips, thresholds).items():
            other[kind] += found
    lines = ["| Flag | Marked from | No score from | Clean phantoms: marked, stopped | Second generator: marked, stopped |"]
    lines += ["|---|---|---|---|---|"]
    for kind in words:
        limit = kept["limits"][kind]
        stop = "–" if limit["stop"] is None else f"{limit['stop']:.3g}"
        lines.append(f"| {kind} | {limit['mark']:.3g} | {stop} | {_rates(alarms[kind])} | {_rates(other[kind])} |")
    names = ("Flag", "Fault put in", "Pictures or hips", "Marked (95 % interval)", "Stopped", "Pictures marked by any flag")
    lines += ["", f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for (kind, strength), verdicts in caught.items():
        marked = proportion(sum(m for m, _ in verdicts), len(verdicts))
        stopped = sum(s for _, s in verdicts) / len(verdicts)
        share = f"{100 * marked.estimate:.0f} % ({100 * marked.low:.0f}–{100 * marked.high:.0f})"
        either = by_any[kind, strength]
        marked_at_all = f"{sum(either)} of {len(either)}"
        lines.append(f"| {kind} | {strength} | {len(verdicts)} | {share} | {100 * stopped:.0f} % | {marked_at_all} |")
    return "\n".join(lines)


def _verdicts(volume: Volume, hips: list[Hip], thresholds: Thresholds) -> dict[str, list[tuple[bool, bool]]]:
    """By kind, whether each stack or hip is marked, and whether it is stopped."""
    verdicts: dict[str, list[tuple[bool, bool]]] = {}
    for _, kind, value, limit in judge(volume, hips, thresholds):
        stops = limit.stop is not None and value >= limit.stop
        verdicts.setdefault(kind, []).append((stops or value >= limit.mark, stops))
    return verdicts


def _rates(verdicts: list[tuple[bool, bool]]) -> str:
    n = len(verdicts)
    return f"{sum(m for m, _ in verdicts)} and {sum(s for _, s in verdicts)} of {n}"


def _second(n: int) -> Iterator[tuple[Volume, list[Hip]]]:
    """The second generator lives with the tests and is there only in a checkout."""
    generator = import_module("tests.builders.second_generator")
    for seed in tqdm(generator.TEST_SEEDS[:n], desc="second generator", unit="patient"):
        study = generator.make_study(seed)
        yield study.volume, [(side, hip.centre_mm, study.masks) for side, hip in study.hips.items()]
