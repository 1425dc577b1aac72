"""One fold of one network in a cross-validation: trained or gone on with, measured on its test patients, and kept."""

import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from tqdm import tqdm

from ml import assess, datasets, manifest
from ml.batches import example_of
from ml.bundle import DEFAULT, add_finder, save_unet
from ml.calibrate import calibrate, make_sure
from ml.case_table import STARTED, Row, read_rows, write_rows
from ml.crops import CROP_SPACING_MM
from ml.datasets import Case
from ml.folds import Fold
from ml.metrics import measured_planes
from ml.networks import Network, build
from ml.plan import Plan
from ml.train import CHECKPOINT, Material, train
from scoring.mri.calibration import Bins, calibration_bins, expected_calibration_error, neighbourhood
from scoring.mri.overlap import compare_masks

RECIPE = 5  # one more whenever the same settings come to mean another training or measurement
CASES, FOLD, WEIGHTS, BUNDLE = "cases.csv", "fold.json", "weights.safetensors", "bundle"
SAID = (  # in `fold.json`
    "network", "fold", "splits_sha256", "fingerprint", "recipe", "steps", "training_s", "settings", "n_parameters",
    "ms_per_slice", "calibration", "sure",
)  # fmt: skip


class FoldError(RuntimeError):
    """What is kept of a fold can't be used."""


@dataclass(frozen=True)
class Job:
    """One fold of one network.

    `start` says which bundle the network starts from; empty: from random weights.
    """

    data: Path
    out: Path
    number: int
    fold: Fold
    plan: Plan
    splits_sha256: str
    fingerprint: str
    made_by: str
    has_bundle: bool
    start: dict[str, str] = field(default_factory=dict)

    @property
    def entry(self) -> str:
        """Its row in the tables: a network that starts from a bundle is another one than the same from random weights."""
        return self.plan.network + (STARTED if self.start else "")

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return self.out / self.entry / f"fold_{self.number}"

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.entry} fold {self.number}"


def recipe(plan: Plan) -> dict[str, Any]:
    """What must be the same in all folds of a folder; threads and processes may differ."""
    kept = asdict(plan) | {"minutes": None if math.isinf(plan.minutes) else plan.minutes}
    return {name: value for name, value in kept.items() if name not in ("threads", "workers", "start")} | {"version": RECIPE}


def run_fold(job: Job, device: torch.device) -> None:
    """Train one network on one fold, or go on, measure it on the fold's test patients, and keep all of it."""
    data = datasets.read(job.data)
    of = {
        part: [example_of(case) for case in data.cases if case.patient in set(getattr(job.fold, part))]
        for part in ("training", "validation")
    }
    origin = {"name": data.name, "fingerprint": data.fingerprint, "fold": job.number}
    material = Material(of["training"], of["validation"], origin)
    state = train(job.plan, material, job.folder, job.made_by, device)
    network = state.average.eval()
    shifts = calibrate(network, material.validation) if job.plan.is_calibrated else {}
    sure = make_sure(network, material.validation) if job.plan.is_calibrated else {}
    learnt = {label for example in material.training for label in example.labels}
    test = [case for case in data.cases if case.patient in set(job.fold.test)]
    measured = measure_fold(job.entry, job.number, network, test, learnt, device)
    weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    safetensors.torch.save_file(weights, job.folder / WEIGHTS)
    write_rows(job.folder / CASES, measured.rows)
    if job.has_bundle:
        make_bundle(job, network)
    about = {
        "network": job.entry,
        "fold": job.number,
        "splits_sha256": job.splits_sha256,
        "fingerprint": job.fingerprint,
        "recipe": recipe(job.plan),
        "start": job.start,
        "steps": state.step,
        "training_s": round(state.seconds, 1),
        "shifts": shifts,
        "sure": sure,
        "command": job.made_by,
    }
    manifest.write_json(job.folder / FOLD, about | figures_of(network, measured, device))
    (job.folder / CHECKPOINT).unlink(missing_ok=True)


@dataclass
class Measured:
    """A fold's test hips as a network outlines them.

    Attributes
    ----------
    rows : of the per-case table
    bins : of each label's calibration
    seconds : a slice, of each hip
    """

    rows: list[Row] = field(default_factory=list)
    bins: dict[str, Bins] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


def measure_fold(
    entry: str, number: int, network: Network, test: Iterable[Case], learnt: Iterable[str], device: torch.device
) -> Measured:
    """Every test hip of a fold, outlined by a network in evaluation mode and held against its truth; see `measure`."""
    found = Measured()
    for case in tqdm(test, desc=f"measuring {entry} fold {number}", unit="hip"):
        started = time.perf_counter()
        logits, truth = assess.hip_logits(network, example_of(case).stack, device)
        found.seconds.append((time.perf_counter() - started) / len(logits))
        for row, counts in measure(entry, number, case, logits, truth, learnt):
            found.rows.append(row)
            found.bins[row.label] = found.bins[row.label] + counts if row.label in found.bins else counts
    return found


def measure(
    entry: str, number: int, case: Case, logits: np.ndarray, truth: np.ndarray, learnt: Iterable[str]
) -> Iterator[tuple[Row, Bins]]:
    """Every label of a hip that was annotated, on the grid of the crop.

    Parameters
    ----------
    entry, number : the row in the tables, and the fold
    logits, truth : float32 and bool, shape (slice, 4, 128, 160)
    learnt : labels that the network was taught; the others are not looked at
    """
    known = [label for label in case.labels if label in set(learnt)]
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    true, guessed = measured_planes(truth, known), measured_planes(assess.outline(probabilities, known), known)
    said = assess.measured_probabilities(probabilities, known)
    spacing = (case.spacing_mm[0], CROP_SPACING_MM, CROP_SPACING_MM)
    for label in true:
        overlap = compare_masks(true[label], guessed[label], spacing)
        box = neighbourhood(true[label], guessed[label])
        counts = calibration_bins(true[label][box], said[label][box])
        yield (
            Row(
                network=entry,
                fold=number,
                case=case.id,
                patient=case.patient,
                visit=case.visit,
                side=case.side,
                involvement=case.involvement,
                source=case.source,
                n_slices=len(logits),
                label=label,
                dice=overlap.dice,
                hd95_mm=overlap.hd95_mm,
                assd_mm=overlap.assd_mm,
                truth_ml=overlap.truth_ml,
                predicted_ml=overlap.predicted_ml,
                volume_error_ml=overlap.volume_difference_ml,
                volume_error_percent=overlap.volume_difference_percent,
                n_lesions=overlap.n_lesions,
                n_lesions_found=overlap.n_lesions_found,
                lesion_sensitivity=overlap.lesion_sensitivity,
                n_false_lesions=overlap.n_false_lesions,
                ece=expected_calibration_error(counts),
            ),
            counts,
        )


def figures_of(network: Network, measured: Measured, device: torch.device) -> dict[str, Any]:
    """What a fold says of its network and of its test hips together."""
    seconds, bins = measured.seconds, measured.bins
    return {
        "settings": network.settings,
        "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "ms_per_slice": round(1000 * float(np.median(seconds[1:] or seconds)), 3),
        "calibration": {label: {name: values.tolist() for name, values in vars(of).items()} for label, of in bins.items()},
        **manifest.origin(device),
    }


def read_fold(folder: Path) -> dict[str, Any]:
    """What a fold that is done says of itself.

    Raises
    ------
    FoldError
        The file is damaged, or an earlier version of this code made it, which trained or measured in another way.
    """
    path = folder / FOLD
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FoldError(f"{path} can't be read ({error}); delete this fold to make it anew") from error
    missing = [name for name in SAID if not isinstance(about, dict) or name not in about]
    if missing:
        raise FoldError(f"{path} can't be read (it has no {missing[0]}); delete this fold to make it anew")
    made = about["recipe"].get("version") if isinstance(about["recipe"], dict) else None
    if made != RECIPE:
        raise FoldError(
            f"{path} was made in another way, recipe {made}, not {RECIPE}. Results don't mix: choose another --out, or delete "
            "this fold to make it anew"
        )
    return dict(about)


def read_network(folder: Path) -> Network:
    """The network of a fold that is done, with the weights as they were trained, in evaluation mode."""
    about = read_fold(folder)
    network = build(about["recipe"]["network"], **about["settings"])
    network.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    return network.laid_out().eval()


def make_bundle(job: Job, network: Network) -> Path:
    """The fold's network with the default hip finder as a bundle, in `bundle` of its folder."""
    folder = job.folder / BUNDLE
    present = [row for row in read_rows(job.folder / CASES) if row.truth_ml > 0]
    labels = dict.fromkeys(row.label for row in present)
    figures = {
        "fold": job.number,
        "fingerprint": job.fingerprint,
        "splits_sha256": job.splits_sha256,
        "test_dice": {label: float(np.mean([row.dice for row in present if row.label == label])) for label in labels},
    }
    save_unet(folder, network, job.made_by, {"cross_validation": figures})
    add_finder(folder, DEFAULT)
    return folder
