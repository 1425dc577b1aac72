"""The tables of a cross-validation in words and Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ml.metrics import LESION, LESION_PARTS, MEASURED

HEADLINE = ("femoral_head", LESION)
CASES, CASES_PAGE = "cases.csv", "cases.md"

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
    parts += ["## Hip by hip", *_cases_summary(result)]
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


def cases_page(result: Mapping[str, Any]) -> str:
    """The per-case table in short: a line a hip."""
    shown = [label for label in reversed(HEADLINE) if label in result["labels"]]
    columns = [(label, network) for label in shown for network in result["networks"]]
    head = ["Hip", "Involvement", "Fold", *(f"{_word(label)}: {network['name']}" for label, network in columns)]
    lines = [
        [
            case["case"],
            case["involvement"],
            f"{case['fold']}",
            *(_percent(case[label].get(network["network"])) for label, network in columns),
        ]
        for case in result["cases"]
    ]
    about = (
        "Dice in % of each hip, outlined by the network that never saw its patient; the hip with the lowest lesion Dice first. "
        f"–: the hip has no lesion. Every label with every measure: [{CASES}]({CASES}); the tables: [report.md](report.md)."
    )
    return "\n\n".join(["# Hip by hip", about, _markdown(head, lines)]) + "\n"


def training_words(recipe: Mapping[str, Any], start: Mapping[str, Any]) -> str:
    """How a network was trained, in short: from what, how long, with which rate and loss; or which answer together."""
    if "members" in recipe:
        return f"the mean of the logits of {' and '.join(recipe['members'])}"
    origin = f"from {start['name']} {start['version']}" if start else "from random weights"
    length = f"{recipe['steps']} steps" if recipe["minutes"] is None else f"{recipe['minutes']:g} minutes"
    return f"{origin}, {length} a fold, learning rate {recipe['learning_rate']:g}, loss {recipe['loss']}, {recipe['precision']}"


def _cases_summary(result: Mapping[str, Any]) -> list[str]:
    """Where the per-case table is, and how its Dice are spread."""
    shown = [label for label in reversed(HEADLINE) if label in result["labels"]]
    lines = []
    for network in result["networks"]:
        cells = [network["name"]]
        for label in shown:
            found = (case[label].get(network["network"]) for case in result["cases"])
            cells += _spread([value for value in found if value is not None])
        lines.append(cells)
    head = ["Network", *(word for label in shown for word in ("hips", f"{_word(label)} Dice %: median (quartiles), lowest"))]
    return [
        f"[{CASES_PAGE}]({CASES_PAGE}) shows each of the {len(result['cases'])} hips, the lowest lesion Dice first; "
        f"[{CASES}]({CASES}) has every label and measure of each.",
        _markdown(head, lines),
    ]


def _spread(values: Sequence[float]) -> list[str]:
    """How many they are, their median with quartiles, and the lowest."""
    if not values:
        return ["0", "–"]
    lowest, low, median, high = (_percent(value) for value in np.percentile(values, (0, 25, 50, 75), method="nearest"))
    return [str(len(values)), f"{median} ({low} to {high}), {lowest}"]


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
        cells += [f"{network['n_parameters'] / 1e6:.2f} M", f"{network['ms_per_slice']:.1f}", steps, network["training"]]
        lines.append(cells)
    return [_markdown([*" | ".join(head).split(" | "), "parameters", "ms a slice", "steps", "trained"], lines)]


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
