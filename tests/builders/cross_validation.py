"""A small result of `python -m ml crossval`, as JSON and as a row."""

import itertools
import json
from pathlib import Path
from typing import Any

from hipapp.core.storage import put_content
from hipapp.imaging.models import CrossValidation

NUMBERS = itertools.count()
# (hip, involvement, fold, Dice of the lesion by U-Net and by HRNet); None: the hip has no lesion
HIPS = [("P2_V1_left", "bme", 2, 0.12, None), ("P1_V1_right", "both", 1, 0.7, 0.3), ("P3_V1_right", "none", 1, None, None)]
CASES = "network,fold,case,label,dice\n" + "".join(
    f"{network},{fold},{case},lesion,{'' if dice is None else dice}\n"
    for case, _, fold, *both in HIPS
    for network, dice in zip(("unet", "hrnet"), both, strict=True)
)


def make_result(name: str = "phantoms") -> dict[str, Any]:
    """Two networks, two folds, two labels; one measure that is not defined."""
    networks = [("unet", "U-Net", 0.93, 0.81), ("hrnet", "HRNet", 0.91, 0.76)]
    figures = lambda mean: {"mean": mean, "sd": 0.05, "low": mean - 0.02, "high": mean + 0.02, "n": 8, "n_patients": 4}  # noqa: E731
    spread = {"p25": 1.0, "median": 2.0, "p75": 3.0, "max": 4.0}
    return {
        "format": 1,
        "is_complete": True,
        "missing": [],
        "labels": ["femoral_head", "lesion"],
        "networks": [
            {
                "network": key, "name": name, "n_parameters": 1_900_000, "ms_per_slice": 7.5, "steps": [900, 900],
                "devices": ["a CPU"], "training": f"from random weights, 5 minutes a fold, loss of {name}",
            }
            for key, name, *_ in networks
        ],
        "cases": [
            {
                "case": case, "patient": case[:2], "visit": "V1", "side": case[6:], "involvement": involvement, "fold": fold,
                "femoral_head": {"unet": 0.953, "hrnet": 0.949}, "lesion": {"unet": unet, "hrnet": hrnet},
            }
            for case, involvement, fold, unet, hrnet in HIPS
        ],
        "overall": [
            {
                "network": key,
                "name": name,
                "femoral_head": figures(head) | {"article": 0.884839},
                "lesion": figures(lesion) | {"article": None},
            }
            for key, name, head, lesion in networks
        ],
        "folds": [
            {
                "network": key,
                "name": name,
                "rows": [{"fold": n, "femoral_head": {"mean": head}, "lesion": {"mean": lesion}} for n in (1, 2)],
                "average": {"femoral_head": figures(head), "lesion": figures(lesion)},
            }
            for key, name, head, lesion in networks
        ],
        "by_label": [
            {
                "network": key,
                "name": name,
                "label": label,
                "n_hips": 8,
                "n_empty": 2 if label == "lesion" else 0,
                "dice": figures(dice),
                "dice_pooled": dice,
                "hd95_mm": spread | {"median": None},
                "volume_error_ml": {"mean": -0.4, "sd": 1.1},
                "lesion_sensitivity": 0.875,
                "false_lesions_per_hip": 0.25,
                "false_ml": spread,
                "ece": 0.031,
            }
            for key, name, head, lesion in networks
            for label, dice in (("femoral_head", head), ("lesion", lesion))
        ],
        "tests": [
            {
                "label": "lesion", "first": "U-Net", "second": "HRNet", "difference": 0.05, "low": 0.01, "high": 0.09, "p": 0.012,
                "p_holm": 0.012, "n_patients": 4,
            }
        ],
        "notes": ["Dice per hip volume."],
        "made_by": "python -m ml crossval data --steps 900 --out out",
        "made_at": "2026-11-22T20:00:00Z",
        "data_set": {"name": name, "fingerprint": "a" * 64, "n_patients": 4, "n_hips": 8, "labels": [], "sources": ["phantom"]},
        "n_folds": 2,
        "seed": 1,
        "splits_sha256": "b" * 64,
    }  # fmt: skip


def write_result(folder: Path, **changes: Any) -> Path:
    """The folder with a `result.json` and a `cases.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.csv").write_text(CASES)
    (folder / "result.json").write_text(json.dumps(make_result() | changes))
    return folder


def make_cross_validation(**changes: Any) -> CrossValidation:
    """A row of `make_result`."""
    values = {
        "data_set": "phantoms", "fingerprint": "a" * 64, "splits_sha256": "b" * 64, "sha256": f"{next(NUMBERS):064}",
        "n_patients": 4, "n_hips": 8, "n_folds": 2, "result": make_result(),
        "cases": put_content(CASES.encode(), "comparisons", ".csv"),
    }  # fmt: skip
    return CrossValidation.objects.create(**(values | changes))
