"""`python -m ml prepare OUT …`: a data set folder from DICOM with segmentations, from NIfTI with masks, or from phantoms."""

import argparse
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from ml.datasets import dicom, nifti
from ml.datasets.annotated import Annotated, Remark
from ml.datasets.format import REPORT, DataSet, DataSetError, write
from ml.datasets.hips import Finder
from ml.datasets.phantoms import write_phantoms
from ml.datasets.places import Heads
from ml.datasets.prepare import prepare, report
from ml.datasets.table import read_label_map, read_table
from ml.dicom.volume import Volume


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    p = argparse.ArgumentParser(prog="python -m ml prepare", description="Make a data set folder of annotated hips.")
    p.add_argument("out", type=Path, help="folder of the data set; it must be new or empty")
    source = p.add_mutually_exclusive_group(required=True)
    source.add_argument("--dicom", type=Path, metavar="FOLDER", help="DICOM images with DICOM segmentations")
    source.add_argument("--nifti", type=Path, metavar="FOLDER", help="NIfTI images with masks, found by their names")
    source.add_argument("--table", type=Path, metavar="CSV", help="file, patient, visit, side, sequence, mask, mask_LABEL …")
    source.add_argument("--phantoms", type=int, metavar="N", help="synthetic patients")
    p.add_argument("--label-map", type=Path, metavar="CSV", help="what the values of multi-label masks mean: value, label, side")
    p.add_argument("--any-sequence", action="store_true", help="keep images that are not fluid-sensitive and fat-suppressed")
    p.add_argument("--bundle", type=Path, help="bundle whose finder looks for hips without an outlined head")
    p.add_argument("--seed", type=int, default=0, help="seed of the first synthetic patient; the next have the next seeds")
    p.add_argument("--involved", action="store_true", help="synthetic patients with inflammation of a hip only, as the article's")
    p.add_argument("--name", help="name of the data set; the folder's where not given")
    p.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="processes that paint phantoms")
    return p


def command(arguments: list[str]) -> int:
    """Make the data set; 2 and one line on stderr where nothing came of it."""
    options = parser().parse_args(arguments)
    out: Path = options.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return _refuse(f"{out} is not an empty folder; name a new one")
    made_by = shlex.join(["python", "-m", "ml", "prepare", *arguments])
    try:
        out.mkdir(parents=True, exist_ok=True)
        data = _make(options, options.name or out.name, made_by)
    except (DataSetError, OSError) as error:
        more = f"; {out / REPORT} says why" if (out / REPORT).exists() else ""
        return _refuse(f"{error}{more}")
    n_patients = len({case.patient for case in data.cases})
    print(f"{len(data.cases)} hips of {n_patients} patients in {out}; left out: {len(data.left_out)} ({out / REPORT})")
    return 0


def _make(options: argparse.Namespace, name: str, made_by: str) -> DataSet:
    out: Path = options.out
    if options.phantoms is not None:
        _check_numbers(options)
        cases = list(write_phantoms(out, options.phantoms, options.seed, options.processes, options.involved))
        (out / REPORT).write_text(report(name, made_by, cases, []), encoding="utf-8")
        return write(out, name, made_by, cases)
    found, total = _images(options)
    return prepare(out, name, made_by, found, _finder(options.bundle), total)


def _check_numbers(options: argparse.Namespace) -> None:
    if options.phantoms < 1:
        raise DataSetError("at least one synthetic patient is needed")
    if options.seed < 0:
        raise DataSetError(f"the seed is {options.seed}; it can't be below 0")
    if options.processes < 1:
        raise DataSetError("at least one process is needed")


def _images(options: argparse.Namespace) -> tuple[Iterable[Annotated | Remark], int | None]:
    label_map = read_label_map(options.label_map) if options.label_map else None
    for folder in filter(None, (options.dicom, options.nifti)):
        if not folder.exists():
            raise DataSetError(f"{folder} is not there")
    if options.dicom:
        return dicom.read_folder(options.dicom, options.any_sequence), None
    if options.nifti:
        rows = nifti.rows_of(options.nifti)
        return nifti.read_rows(rows, label_map, options.any_sequence), len(rows)
    rows = read_table(options.table)
    as_nifti = [row for row in rows if row.file.name.endswith((".nii", ".nii.gz"))]
    if as_nifti and len(as_nifti) < len(rows):
        raise DataSetError(f"{options.table} mixes NIfTI and DICOM files; make two tables")
    if as_nifti:
        return nifti.read_rows(rows, label_map, options.any_sequence), len(rows)
    return dicom.read_rows(rows, options.any_sequence), None


def _finder(bundle: Path | None) -> Finder:
    """The hip finder, loaded when it is first needed."""
    loaded: list[Any] = []

    def find(volume: Volume) -> Heads:
        from ml.hips import find_hips  # torch is loaded only where a hip has to be found

        if not loaded:
            loaded.append(_load_finder(bundle))
        return {hip.side: hip.centre_mm for hip in find_hips(volume, loaded[0]) if hip.found and hip.centre_mm}

    return find


def _load_finder(bundle: Path | None) -> Any:
    from ml.bundle import DEFAULT
    from ml.hips import load_finder

    folder = bundle or DEFAULT
    try:
        return load_finder(folder)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataSetError(f"{folder} has no hip finder that can be used ({why})") from error


def _refuse(message: str) -> int:
    print(f"python -m ml prepare: {message}", file=sys.stderr)
    return 2
