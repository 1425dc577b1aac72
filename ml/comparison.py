"""The tables of a cross-validation: the article's Table 2 and Table 3, every label, and paired tests between networks."""

import csv
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml.case_table import STARTED
from ml.comparison_text import CASES_PAGE, HEADLINE, Table, as_markdown, cases_page, training_words
from ml.manifest import write_json
from ml.metrics import LESION, MEASURED
from scoring.mri.calibration import Bins, expected_calibration_error
from scoring.mri.overlap import pooled_dice
from scoring.statistics.adjusted_correlation import cluster_bootstrap
from scoring.statistics.groups import paired_t
from scoring.statistics.multiplicity import adjust
from scoring.statistics.proportions import mean_of_cases

FORMAT = 1
RESULT, REPORT = "result.json", "report.md"
N_RESAMPLES = 2000
NAMES = {
    "unet": "U-Net",
    "unet_pointrend": "U-Net + PointRend",
    "unetpp": "UNet++",
    "attention_unet": "Attention U-Net",
    "hrnet": "HRNet",
    "unet25d": "2.5D U-Net",
    "unet_p3d": "Pseudo-3D U-Net",
    "unet3d": "3D U-Net",
}
NAMES |= {network + STARTED: f"{name}, started from a bundle" for network, name in NAMES.items()}
NAMES["ensemble"] = "Networks together"
# Zheng Y, et al. Front Physiol 2023;14:1132214, Tables 2 and 3, in percent: femoral head, lesion.
ARTICLE_TABLE_2 = {
    "unet": (88.4839, 69.3622),
    "unetpp": (87.8504, 69.8737),
    "hrnet": (88.6196, 69.1818),
    "attention_unet": (87.8258, 69.1622),
}
ARTICLE_TABLE_3 = ((88.4839, 69.3622), (89.6641, 66.6253), (88.7303, 68.7982), (87.2320, 67.8388), (88.6699, 68.0801))
ARTICLE_NOTES = (
    "The article's Table 2 shows the first fold of Table 3, not averages. Its average lesion Dice is printed as 67.5409; the "
    "five folds as printed have the mean 68.1409. U-Net is not the best of its Table 2 in either column.",
    "The article does not say whether it split by patient. Here no patient is in training and test of a fold.",
)
METHOD_NOTES = (
    "Dice per hip volume, mean over the hips whose truth is not empty; each hip was outlined by the network that never saw its "
    "patient. SD: over hips (Table 2, labels) or over folds (Table 3).",
    "All together: Dice of all hips as if they were one, those without the label included; large lesions weigh most in it.",
    f"Intervals: 95 %, percentile bootstrap over patients with all their hips, {N_RESAMPLES} resamples, seed 0.",
    "Tests: paired t of the patients' mean Dice, two-sided; Holm over the pairs of networks of each label.",
    "HD95 in mm: median and quartiles over hips with truth; an outline that is missing altogether counts as infinite.",
    "Lesions are connected in space; one is found where the outline touches it, and false where no true one touches it.",
    "ECE: expected calibration error, 15 bins, over the pixels of the box around truth and outline, 5 pixels wider.",
    "Time: median over hips of one hip's normalisation, forward pass and copy back, divided by its slices.",
)

Row = Mapping[str, Any]


def compare(rows: Sequence[Row], folds: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> dict[str, Any]:
    """All tables from the per-case table and what each fold says of itself.

    Parameters
    ----------
    rows : `ml.crossval.Row` as mappings, one a hip and label
    folds : the contents of each `fold.json`
    missing : names of folds that are not done yet

    Returns
    -------
    dict, ready for JSON: numbers that are not defined are None
    """
    networks = list(dict.fromkeys(fold["network"] for fold in folds))
    labels = [label for label in MEASURED if any(row["label"] == label for row in rows)]
    chosen = {(network, label): _of(rows, network, label) for network in networks for label in labels}
    result = {
        "format": FORMAT,
        "is_complete": not missing,
        "missing": list(missing),
        "networks": [_network(network, [fold for fold in folds if fold["network"] == network]) for network in networks],
        "labels": labels,
        "cases": _cases(rows, [label for label in HEADLINE if label in labels]),
        "overall": [_overall(network, chosen, labels) for network in networks],
        "folds": [_by_fold(network, chosen, labels) for network in networks],
        "by_label": [_label(network, label, chosen[network, label], folds) for network in networks for label in labels],
        "tests": _tests(networks, labels, chosen),
        "notes": [*METHOD_NOTES, *ARTICLE_NOTES],
    }
    return _without_nan(result)


def _of(rows: Iterable[Row], network: str, label: str) -> list[Row]:
    return [row for row in rows if row["network"] == network and row["label"] == label]


def _network(network: str, folds: list[Mapping[str, Any]]) -> dict[str, Any]:
    first = folds[0]
    return {
        "network": network,
        "name": NAMES.get(network, network),
        "settings": dict(first["settings"]),
        "n_parameters": first["n_parameters"],
        "n_folds": len(folds),
        "steps": [fold["steps"] for fold in folds],
        "training_s": [fold["training_s"] for fold in folds],
        "ms_per_slice": float(np.median([fold["ms_per_slice"] for fold in folds])),
        "devices": sorted({fold["device"] for fold in folds}),
        "recipe": dict(first["recipe"]),
        "start": dict(first.get("start", {})),
        "training": training_words(first["recipe"], first.get("start", {})),
    }


def _cases(rows: Sequence[Row], shown: Sequence[str]) -> Table:
    """The per-case table in short: Dice of each hip by each network, the hip with the lowest lesion Dice first."""
    cases: dict[str, dict[str, Any]] = {}
    for row in rows:
        about = {name: row[name] for name in ("case", "patient", "visit", "side", "involvement", "fold")}
        case = cases.setdefault(row["case"], about | {label: {} for label in shown})
        if row["label"] in shown:
            case[row["label"]][row["network"]] = row["dice"] if row["truth_ml"] > 0 else math.nan

    def lowest(case: dict[str, Any]) -> float:
        return min((dice for dice in case.get(LESION, {}).values() if dice == dice), default=math.inf)

    return sorted(cases.values(), key=lambda case: (lowest(case), case["case"]))


def _present(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["truth_ml"] > 0]


def _mean(rows: Sequence[Row], measure: str = "dice") -> dict[str, Any]:
    """Mean, SD over hips, and an interval over patients."""
    present = [row for row in rows if not math.isnan(row[measure])]
    values = np.array([row[measure] for row in present], np.float64)
    patients = [row["patient"] for row in present]
    figures = mean_of_cases(values)
    low, high = math.nan, math.nan
    if len(set(patients)) >= 2:
        interval = cluster_bootstrap(lambda table: float(table.mean()), values[:, None], patients, n_resamples=N_RESAMPLES)
        low, high = interval.low, interval.high
    sd = figures.parts.get("sd", math.nan)
    return {"mean": figures.estimate, "sd": sd, "low": low, "high": high, "n": len(values), "n_patients": len(set(patients))}


def _overall(network: str, chosen: Mapping[tuple[str, str], list[Row]], labels: Sequence[str]) -> dict[str, Any]:
    """A row of Table 2."""
    article = ARTICLE_TABLE_2.get(network)
    row: dict[str, Any] = {"network": network, "name": NAMES.get(network, network)}
    for index, label in enumerate(HEADLINE):
        if label in labels:
            row[label] = _mean(_present(chosen[network, label]))
            row[label]["article"] = article[index] / 100 if article else None
    return row


def _by_fold(network: str, chosen: Mapping[tuple[str, str], list[Row]], labels: Sequence[str]) -> dict[str, Any]:
    """Table 3 of one network: the folds' means, their mean and SD."""
    shown = [label for label in HEADLINE if label in labels]
    numbers = sorted({row["fold"] for label in labels for row in chosen[network, label]})
    rows: Table = []
    for number in numbers:
        row: dict[str, Any] = {"fold": number}
        for label in shown:
            values = [one["dice"] for one in _present(chosen[network, label]) if one["fold"] == number]
            row[label] = {"mean": float(np.mean(values)) if values else math.nan, "n": len(values)}
        rows.append(row)
    average = {label: _spread([row[label]["mean"] for row in rows]) | _interval(chosen[network, label]) for label in shown}
    return {"network": network, "name": NAMES.get(network, network), "rows": rows, "average": average}


def _spread(values: list[float]) -> dict[str, float]:
    figures = mean_of_cases(values)
    return {"mean": figures.estimate, "sd": figures.parts.get("sd", math.nan)}


def _interval(rows: Sequence[Row]) -> dict[str, float]:
    figures = _mean(_present(rows))
    return {"low": figures["low"], "high": figures["high"]}


def _label(network: str, label: str, rows: list[Row], folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    present, empty = _present(rows), [row for row in rows if row["truth_ml"] == 0]
    distances = np.array([row["hd95_mm"] for row in present])
    errors = np.array([row["volume_error_ml"] for row in present])
    n_lesions = sum(row["n_lesions"] for row in rows)
    bins = [fold["calibration"][label] for fold in folds if fold["network"] == network and label in fold["calibration"]]
    return {
        "network": network,
        "name": NAMES.get(network, network),
        "label": label,
        "n_hips": len(present),
        "n_empty": len(empty),
        "dice": _mean(present),
        "dice_pooled": pooled_dice(*([row[name] for row in rows] for name in ("dice", "truth_ml", "predicted_ml"))),
        "hd95_mm": _quartiles(distances) | {"n_infinite": int(np.isinf(distances).sum())},
        "volume_error_ml": _spread(list(errors)),
        "absolute_volume_error_percent": _quartiles(np.abs([row["volume_error_percent"] for row in present])),
        "n_lesions": n_lesions,
        "lesion_sensitivity": sum(row["n_lesions_found"] for row in rows) / n_lesions if n_lesions else math.nan,
        "false_lesions_per_hip": float(np.mean([row["n_false_lesions"] for row in rows])) if rows else math.nan,
        "false_ml": _quartiles(np.array([row["predicted_ml"] for row in empty])),
        "ece": expected_calibration_error(_sum(bins)),
    }


def _quartiles(values: Any) -> dict[str, float]:
    array = np.asarray(values, np.float64)
    if not array.size:
        return dict.fromkeys(("p25", "median", "p75", "max"), math.nan)
    found = np.percentile(array, (25, 50, 75, 100), method="nearest")
    return dict(zip(("p25", "median", "p75", "max"), (float(value) for value in found), strict=True))


def _sum(parts: Iterable[Mapping[str, list[float]]]) -> Bins:
    return sum(
        (Bins(*(np.asarray(part[name]) for name in ("n", "probability", "n_true"))) for part in parts),
        start=Bins(*(np.zeros(1) for _ in range(3))),
    )


def _tests(networks: Sequence[str], labels: Sequence[str], chosen: Mapping[tuple[str, str], list[Row]]) -> Table:
    """Paired tests of every two networks, per headline label, over the patients that both outlined."""
    tests: Table = []
    for label in (label for label in HEADLINE if label in labels):
        means = {network: _patient_means(_present(chosen[network, label])) for network in networks}
        found: Table = []
        for first, second in itertools.combinations(networks, 2):
            shared = sorted(set(means[first]) & set(means[second]))
            result = paired_t([means[first][one] for one in shared], [means[second][one] for one in shared])
            found.append(
                {
                    "label": label,
                    "first": NAMES.get(first, first),
                    "second": NAMES.get(second, second),
                    "difference": result.estimate,
                    "low": result.low,
                    "high": result.high,
                    "p": result.p,
                    "n_patients": result.n_used,
                }
            )
        corrected = adjust([test["p"] for test in found])
        tests += [test | {"p_holm": float(p)} for test, p in zip(found, corrected, strict=True)]
    return tests


def _patient_means(rows: Iterable[Row]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["patient"], []).append(row["dice"])
    return {patient: float(np.mean(values)) for patient, values in found.items()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(out: Path, result: Mapping[str, Any]) -> None:
    """Write the result as JSON, as one CSV a table, and as Markdown."""
    write_json(out / RESULT, result)
    (out / REPORT).write_text(as_markdown(result), encoding="utf-8")
    (out / CASES_PAGE).write_text(cases_page(result), encoding="utf-8")
    for name in ("overall", "folds", "by_label", "tests"):
        flat = [_flat(row) for row in (_fold_rows(result) if name == "folds" else result[name])]
        columns = list(dict.fromkeys(key for row in flat for key in row))
        with (out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(flat)


def _fold_rows(result: Mapping[str, Any]) -> Table:
    """Table 3 as rows: each network's folds, then their average, with its SD over folds and the interval over hips."""
    return [
        {"network": table["network"], **row}
        for table in result["folds"]
        for row in (*table["rows"], {"fold": "average", **table["average"]})
    ]


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in row.items():
        found |= _flat(value, f"{prefix}{key}_") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
