"""Annotated images → cases of a data set: hips cut out, duplicates found, and a report of what became of everything."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from ml.datasets.annotated import Annotated, Remark
from ml.datasets.cut import cut
from ml.datasets.duplicates import Seen, find_duplicates, seen
from ml.datasets.format import REPORT, Case, DataSet, write, write_case
from ml.datasets.hips import Finder, Hip, hips_of


@dataclass
class _Made:
    """Cases so far, what is to be said, and by which marks an image is known again."""

    cases: dict[str, Case] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)


def prepare(
    folder: Path, name: str, made_by: str, found: Iterable[Annotated | Remark], find: Finder, total: int | None = None
) -> DataSet:
    """Write the data set of annotated images into a folder.

    Raises
    ------
    DataSetError
        Nothing can be used; the report is written all the same.
    """
    made = _Made()
    for one in tqdm(found, desc="images", unit="image", total=total):
        if isinstance(one, Remark):
            made.remarks.append(one)
        else:
            _add(made, folder, one, find)
    _drop_duplicates(made)
    left_out = [{"what": remark.what, "why": remark.why} for remark in made.remarks if remark.kind == "left out"]
    cases = list(made.cases.values())
    (folder / REPORT).write_text(report(name, made_by, cases, made.remarks), encoding="utf-8")
    return write(folder, name, made_by, cases, left_out)


def report(name: str, made_by: str, cases: list[Case], remarks: list[Remark]) -> str:
    """What was used, what was left out and why, as Markdown."""
    lines = [f"# Data set {name}", "", f"Made by `{made_by}`.", ""]
    patients = {case.patient for case in cases}
    visits = {(case.patient, case.visit) for case in cases}
    lines += [f"**Used:** {len(cases)} hips of {len(patients)} patients, {len(visits)} visits.", ""]
    if cases:
        lines += ["| label | hips annotated | hips with it | volume, mL: median / largest |", "|---|---:|---:|---:|"]
        for label in ("femur", "femoral_head", "bme", "synovitis"):
            volumes = sorted(case.volumes_ml[label] for case in cases if label in case.labels)
            present = [volume for volume in volumes if volume > 0]
            spread = f"{present[len(present) // 2]:.2f} / {present[-1]:.2f}" if present else "—"
            lines.append(f"| {label} | {len(volumes)} | {len(present)} | {spread} |")
        counts = Counter(case.involvement for case in cases)
        lines += ["", "Inflammation: " + ", ".join(f"{word} {n}" for word, n in sorted(counts.items())) + ".", ""]
    for kind, title in (("left out", "Left out"), ("mended", "Mended"), ("marked", "Used, but to be looked at")):
        mine = [remark for remark in remarks if remark.kind == kind]
        lines += [f"## {title} ({len(mine)})", ""]
        lines += [f"- {_plain(remark.what)} {_plain(remark.why)}." for remark in mine] or ["Nothing."]
        lines += [""]
    return "\n".join(lines)


def _add(made: _Made, folder: Path, image: Annotated, find: Finder) -> None:
    hips, remarks = hips_of(image, find)
    made.remarks += remarks
    ids = []
    for hip in hips:
        case_id = f"{image.patient}_{image.visit}_{hip.side}"
        if case_id in made.cases:
            why = f"is a second image of {case_id}; the first was taken: give it another visit in a table"
            made.remarks.append(Remark("left out", f"{image.name}, {hip.side} hip", why))
            continue
        try:
            made.cases[case_id] = _write(folder, image, hip)
        except ValueError as error:
            made.remarks.append(Remark("left out", f"{image.name}, {hip.side} hip", f"can't be cut: {error}"))
            continue
        ids.append(case_id)
    made.seen.append(seen(image, ids))


def _write(folder: Path, image: Annotated, hip: Hip) -> Case:
    made = cut(image.volume, hip.masks, hip.centre_mm, hip.side)
    return write_case(
        folder,
        patient=image.patient,
        visit=image.visit,
        side=hip.side,
        labels=hip.labels,
        stack=made.stack,
        positions_mm=made.positions_mm,
        volumes_ml=made.volumes_ml(hip.labels, image.volume.spacing_mm[0]),
        spacing_mm=image.volume.spacing_mm,
        source=image.source,
    )


def _drop_duplicates(made: _Made) -> None:
    for image, why in find_duplicates(made.seen).items():
        made.remarks.append(Remark("left out", image.name, why))
        for case_id in image.case_ids:
            made.cases.pop(case_id).path.unlink()


def _plain(text: str) -> str:
    """Text of a file or table that can't become Markdown."""
    return "".join("\\" + c if c in "\\`*_|<>[]#" else c if c.isprintable() else "?" for c in text).rstrip(".")
