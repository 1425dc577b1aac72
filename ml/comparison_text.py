"""The tables of a cross-validation in words and Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ml.metrics import LESION, LESION_PARTS, MEASURED

HEADLINE = ("femoral_head", LESION)

Table = list[dict[str, Any]]


def as_markdown(result: Mapping[str, Any]) -> str:
    """The tables for people."""
    data = result.get("data_set")
    parts = ["# Cross-validation"]
    if data:
        parts.append(
            f"Data set {data['name']}: {data['n_hips']} hips of {data['n_patients']} patients, fingerprint "
            f"{data['fingerprint'][:12]}; {result['n_folds']} folds by patient (`splits.json`, SHA-256 "
            f"{result['splits_sha256'][:12]}).\n\n`{result['made_by']}`"
        )
    if not result["is_complete"]:
        parts.append(f"**Not complete.** Missing: {', '.join(result['missing'])}. The tables are over the folds that are done.")
    parts += ["## Table 2: the networks", *_table_2(result)]
    parts += ["## Table 3: fold by fold", *(_table_3(table) for table in result["folds"])]
    parts += ["## Every label", _labels(result)]
    if result["tests"]:
        parts += ["## Differences between networks", _tests_table(result["tests"])]
    parts += ["## How it was measured", "\n".join(f"- {note}" for note in result["notes"])]
    return "\n\n".join(parts) + "\n"


def overview(result: Mapping[str, Any]) -> str:
    """Table 2 with what it was measured on, for a page that says more."""
    data = result["data_set"]
    devices = ", ".join(sorted({device for network in result["networks"] for device in network["devices"]}))
    lines = [
        f"{data['n_hips']} hips of {data['n_patients']} patients ({', '.join(data['sources'])}), {result['n_folds']} folds by "
        f"patient, {devices}. Dice per hip volume, mean over hips."
    ]
    if not result["is_complete"]:
        lines.append(f"Not complete: {', '.join(result['missing'])}.")
    return "\n\n".join([*lines, *_table_2(result)])


def _table_2(result: Mapping[str, Any]) -> list[str]:
    about = {network["network"]: network for network in result["networks"]}
    shown = [label for label in HEADLINE if label in result["labels"]]
    head = ["Network", *(f"{_word(label)} Dice % (95 % interval), SD | article" for label in shown)]
    lines = []
    for row in result["overall"]:
        network = about[row["network"]]
        cells = [row["name"]]
        for label in shown:
            figures = row[label]
            cells.append(f"{_percent(figures['mean'])} ({_range(figures)}), {_percent(figures['sd'])}")
            cells.append(_percent(figures["article"]))
        steps = f"{np.median(network['steps']):.0f}"
        cells += [f"{network['n_parameters'] / 1e6:.2f} M", f"{network['ms_per_slice']:.1f}", steps]
        lines.append(cells)
    return [_markdown([*" | ".join(head).split(" | "), "parameters", "ms a slice", "steps"], lines)]


def _table_3(table: Mapping[str, Any]) -> str:
    shown = list(table["average"])
    lines = [[f"{row['fold']}", *(_percent(row[label]["mean"]) for label in shown)] for row in table["rows"]]
    average = [f"{_percent(table['average'][label]['mean'])} ± {_percent(table['average'][label]['sd'])}" for label in shown]
    lines.append(["average ± SD", *average])
    lines.append(["95 % interval over hips", *(_range(table["average"][label]) for label in shown)])
    return f"{table['name']}\n\n" + _markdown(["Fold", *(f"{_word(label)} Dice %" for label in shown)], lines)


def _labels(result: Mapping[str, Any]) -> str:
    head = [
        "Label", "Network", "hips", "Dice % (95 % interval)", "all together %", "HD95 mm (quartiles)",
        "volume error mL ± SD", "lesions found %",
        "false lesions a hip", "mL where empty: median (max)", "ECE",
    ]  # fmt: skip
    lines = []
    for row in sorted(result["by_label"], key=lambda row: MEASURED.index(row["label"])):
        is_lesion = row["label"] in (*LESION_PARTS, LESION)
        distance, false = row["hd95_mm"], row["false_ml"]
        lines.append(
            [
                _word(row["label"]),
                row["name"],
                str(row["n_hips"]),
                f"{_percent(row['dice']['mean'])} ({_range(row['dice'])})",
                _percent(row["dice_pooled"]),
                f"{_number(distance['median'], 1)} ({_number(distance['p25'], 1)} to {_number(distance['p75'], 1)})",
                f"{_number(row['volume_error_ml']['mean'], 2)} ± {_number(row['volume_error_ml']['sd'], 2)}",
                _percent(row["lesion_sensitivity"]) if is_lesion else "",
                _number(row["false_lesions_per_hip"], 2) if is_lesion else "",
                f"{_number(false['median'], 2)} ({_number(false['max'], 2)})" if row["n_empty"] else "–",
                _number(row["ece"], 3),
            ]
        )
    return _markdown(head, lines)


def _tests_table(tests: Table) -> str:
    head = ["Label", "Networks", "difference of Dice, points (95 % interval)", "patients", "p", "p (Holm)"]
    lines = [
        [
            _word(test["label"]),
            f"{test['first']} − {test['second']}",
            f"{_percent(test['difference'])} ({_range(test)})",
            str(test["n_patients"]),
            _p(test["p"]),
            _p(test["p_holm"]),
        ]
        for test in tests
    ]
    return _markdown(head, lines)


def _markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines))


def _word(label: str) -> str:
    return "BME" if label == "bme" else label.replace("_", " ")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _range(figures: Mapping[str, Any]) -> str:
    return f"{_percent(figures['low'])} to {_percent(figures['high'])}"


def _number(value: float | None, n_digits: int) -> str:
    return "–" if value is None else f"{value:.{n_digits}f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
