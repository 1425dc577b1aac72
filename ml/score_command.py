"""`python -m ml score PATH`: the UNet-score of a DICOM study as JSON, without a database."""

import argparse
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ml.bundle import DEFAULT, Bundle, BundleError, load
from ml.interval import NoIntervalError
from ml.predict import Refusal
from ml.study_score import ScoredHip, StudyScore, VolumeScore, score_path

PRODUCT = "hip-inflammation: research use only"
UNSCORABLE = 2  # the exit status of every input that no score can come from
FAILED = 1


def command(arguments: list[str]) -> int:
    """Run `python -m ml score …`.

    Returns
    -------
    int
        0 with a score; 2 where there is none, with one line on stderr and the JSON all the same; 1 where the program
        itself can't work (no weights, an output that can't be written).
    """
    options = _options(arguments)
    try:
        bundle = load(options.model)
    except BundleError as error:
        return _say(f"the model can't be used: {error}", FAILED)
    try:
        result = _score(options.path, bundle, options.any_sequence, options.interval)
    except NoIntervalError as error:
        return _say(str(error), FAILED)
    report = as_json(result, bundle)
    text = json.dumps(report, indent=1, allow_nan=False)
    try:
        if options.json is not None:
            options.json.write_text(text + "\n")
        if options.masks is not None and result.scored is not None and result.scored.prediction.mask.any():
            save_masks(options.masks, result.scored)
    except OSError as error:
        return _say(f"{error.filename} can't be written: {error.strerror}", FAILED)
    print(text)
    if result.refused is not None:
        return _say(result.refused.message, UNSCORABLE)
    return 0


def as_json(result: StudyScore, bundle: Bundle) -> dict[str, Any]:
    """The report of design.md §4, complete also where there is no score."""
    scored = result.scored
    warnings = list(result.warnings)
    if scored is not None:
        warnings += [flag.message for flag in scored.flags]
        warnings += [f"{hip.side}: {text}" for hip in scored.hips if hip.score for text in hip.score.warnings]
    return {
        "product": PRODUCT,
        "model": {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256},
        "series": _series(result),
        "hips": [_hip(hip, scored) for hip in scored.hips] if scored is not None else [],
        "patient": _patient(scored),
        "refused": _refusal(result.refused),
        "flags": [asdict(flag) for flag in scored.flags] if scored is not None else [],
        "warnings": warnings,
    }


def save_masks(path: Path, scored: VolumeScore) -> None:
    """Write the bit planes, slice by slice as each file's own pixel array lies, with SOP Instance UIDs and frame numbers."""
    sources = scored.volume.sources
    planes = [source.to_source(plane) for source, plane in zip(sources, scored.prediction.mask, strict=True)]
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            masks=np.stack(planes).astype(np.uint8),
            uids=np.array([source.uid for source in sources]),
            frames=np.array([source.frame or 0 for source in sources], np.int32),
        )


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ml score", description=__doc__)
    parser.add_argument("path", type=Path, help="folder, file or zip of DICOM")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here too")
    parser.add_argument("--masks", type=Path, metavar="FILE.npz", help="write the outlines here, where there are any")
    parser.add_argument("--any-sequence", action="store_true", help="score a coronal stack that is not fat-suppressed")
    parser.add_argument("--interval", action="store_true", help="give each score an interval; takes several times as long")
    parser.add_argument("--model", type=Path, default=DEFAULT, metavar="FOLDER", help="another bundle than the default")
    return parser.parse_args(arguments)


def _score(path: Path, bundle: Bundle, any_sequence: bool, with_interval: bool) -> StudyScore:
    try:
        return score_path(path, bundle, any_sequence, with_interval)
    except FileNotFoundError:
        return StudyScore(None, None, Refusal("no_images", f"there is nothing at {path}"))
    except OSError as error:
        return StudyScore(None, None, Refusal("unreadable", f"{path} can't be read: {error.strerror or error}"))


def _say(message: str, status: int) -> int:
    print(" ".join(message.split()), file=sys.stderr)
    return status


def _series(result: StudyScore) -> dict[str, Any] | None:
    if result.choice is None:
        return None
    volume = result.choice.volume
    return {
        "uid": result.choice.series.uid,
        "plane": result.choice.plane,
        "n_slices": len(volume.pixels),
        "spacing_mm": [round(float(mm), 5) for mm in volume.spacing_mm],
        "fat_suppressed": result.choice.fat_suppressed,
        "why": result.choice.why,
    }


def _hip(hip: ScoredHip, scored: VolumeScore) -> dict[str, Any]:
    outline, score = hip.outline, hip.score
    uids = scored.volume.uids
    frames = [source.frame for source in scored.volume.sources]
    slices = [{"uid": uids[item.index], "frame": frames[item.index], **asdict(item)} for item in (score.slices if score else ())]
    figures = ("unet_score", "bme_femoral", "bme_acetabular", "synovitis", "mean_per_slice", "lesion_ml")
    counts = ("n_role_slices", "n_assessable_slices", "coverage", "assessable_coverage")
    return {
        "side": hip.side,
        "found": outline.found.found,
        "confidence": round(outline.found.confidence, 4),
        "centre_mm": None if outline.centre_mm is None else [round(float(mm), 2) for mm in outline.centre_mm],
        "radius_mm": outline.found.radius_mm,
        "box": None if outline.box is None else {k: round(v, 2) for k, v in asdict(outline.box).items()},
        **{name: _number(getattr(score, name)) if score else None for name in figures},
        "interval": None if hip.interval is None else {k: _number(v) for k, v in asdict(hip.interval).items()},
        **{name: getattr(score, name) if score else 0 for name in counts},
        "slices": [{name: _number(value) for name, value in row.items()} for row in slices],
        "refused": _refusal(hip.refused),
    }


def _patient(scored: VolumeScore | None) -> dict[str, Any]:
    names = ("right", "left", "sum", "mean", "worst", "worst_score")
    report = {name: None if scored is None else _number(getattr(scored.patient, name)) for name in names}
    return report | {"worst_of": [] if scored is None else list(scored.patient.worst_of)}


def _refusal(refused: Refusal | None) -> dict[str, str] | None:
    return None if refused is None else {"code": refused.code, "message": refused.message}


def _number(value: Any) -> Any:
    """A value as JSON holds it: numbers that are not finite become null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
