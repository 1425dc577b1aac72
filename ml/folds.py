"""Folds by patient, stratified by involvement, frozen in a file with its hash."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml.datasets import Case, DataSet
from ml.manifest import write_json
from ml.whole import make_folder

FORMAT = 1
SPLITS = "splits.json"
VALIDATION_SHARE = 0.125  # of a fold's training patients


class SplitError(ValueError):
    """A file of folds does not fit the data set, or was changed."""


@dataclass(frozen=True)
class Fold:
    """Patients of one fold: `test` is measured, `validation` stops early and says where to cut, `training` is learnt from."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Splits:
    """The folds of a data set, and the hash that stands for them."""

    folds: tuple[Fold, ...]
    seed: int
    sha256: str


def strata(cases: Iterable[Case]) -> dict[str, str]:
    """Each patient's involvement over all hips and visits: "none", "bme", "synovitis", "both" or "unknown"."""
    found: dict[str, set[str]] = {}
    for case in cases:
        found.setdefault(case.patient, set()).add(case.involvement)
    return {patient: _together(words) for patient, words in sorted(found.items())}


def deal(strata_of: Mapping[str, str], n_groups: int, seed: Sequence[int]) -> list[list[str]]:
    """Patients dealt into groups of as equal a size as can be, each stratum on its own, in random order."""
    ordered = _ordered(strata_of, seed)
    return [ordered[first::n_groups] for first in range(n_groups)]


def hold_out(strata_of: Mapping[str, str], share: float, seed: int) -> set[str]:
    """A share of the patients, of each stratum alike: the nearest number, but one at least, and one at least stays.

    None where the share is 0, and of a single patient.

    Raises
    ------
    SplitError
        The share is not from 0 to below 1.
    """
    if not 0 <= share < 1:
        raise SplitError(f"a share of {share:g} of the patients can't be held out; it must be from 0 to below 1")
    if share == 0 or len(strata_of) < 2:
        return set()
    ordered = _ordered(strata_of, [seed, 17])
    n_held_out = min(max(1, round(share * len(ordered))), len(ordered) - 1)
    return {ordered[index * len(ordered) // n_held_out] for index in range(n_held_out)}


def _ordered(strata_of: Mapping[str, str], seed: Sequence[int]) -> list[str]:
    """The patients stratum by stratum, in random order within each."""
    rng = np.random.default_rng(seed)
    ordered: list[str] = []
    for stratum in sorted(set(strata_of.values())):
        members = sorted(patient for patient, word in strata_of.items() if word == stratum)
        ordered += [members[index] for index in rng.permutation(len(members))]
    return ordered


def make(data: DataSet, n_folds: int, seed: int) -> dict[str, Any]:
    """The folds as they are written: each patient is tested once.

    Raises
    ------
    SplitError
        There are fewer patients than folds, or too few to train on.
    """
    strata_of = strata(data.cases)
    if not 2 <= n_folds <= len(strata_of):
        raise SplitError(f"{len(strata_of)} patients can't be dealt into {n_folds} folds")
    groups = deal(strata_of, n_folds, [seed])
    rows = []
    for number, test in enumerate(groups):
        rest = {patient: word for patient, word in strata_of.items() if patient not in test}
        validation = hold_out(rest, VALIDATION_SHARE, seed + number)
        training = set(rest) - validation
        rows.append({"training": sorted(training), "validation": sorted(validation), "test": sorted(test)})
    splits = {
        "format": FORMAT,
        "dataset": data.name,
        "fingerprint": data.fingerprint,
        "seed": seed,
        "n_folds": n_folds,
        "involvement": strata_of,
        "folds": rows,
    }
    return splits | {"sha256": content_hash(splits)}


def freeze(data: DataSet, folder: Path, n_folds: int, seed: int) -> Splits:
    """The folds of `splits.json`; it is written where it is missing, and obeyed where it is there.

    Raises
    ------
    SplitError
        The file was changed, or belongs to other data or to another number of folds.
    """
    path = folder / SPLITS
    if not path.exists():
        splits = make(data, n_folds, seed)
        make_folder(folder)
        write_json(path, splits)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        said = found.pop("sha256")
        folds = tuple(Fold(*(tuple(row[part]) for part in ("training", "validation", "test"))) for row in found["folds"])
        about = found["fingerprint"], found["n_folds"], found["seed"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SplitError(f"{path} can't be read: {type(error).__name__} {error}") from error
    if content_hash(found) != said:
        raise SplitError(f"{path} was changed after it was frozen (its SHA-256 differs); restore it or start in another folder")
    if about[0] != data.fingerprint:
        raise SplitError(
            f"{path} was frozen for the data set {found['dataset']} with the fingerprint {about[0][:12]}; this one has "
            f"{data.fingerprint[:12]}. Results of two data sets don't mix: choose another folder"
        )
    if about[1:] != (n_folds, seed):
        raise SplitError(
            f"{path} has {about[1]} folds with seed {about[2]}, not {n_folds} with seed {seed}; choose another folder"
        )
    _refuse_overlap(folds, set(strata(data.cases)), path)
    return Splits(folds, seed, said)


def content_hash(splits: Mapping[str, Any]) -> str:
    """SHA-256 of the folds, whatever the order of keys in the file."""
    return hashlib.sha256(json.dumps(splits, sort_keys=True).encode()).hexdigest()


def _refuse_overlap(folds: Sequence[Fold], patients: set[str], path: Path) -> None:
    tested = [patient for fold in folds for patient in fold.test]
    if sorted(tested) != sorted(patients):
        raise SplitError(f"{path} does not test each patient of the data set exactly once")
    for number, fold in enumerate(folds, 1):
        parts = [set(fold.training), set(fold.validation), set(fold.test)]
        if sum(map(len, parts)) != len(set.union(*parts)):
            raise SplitError(f"{path}: fold {number} has a patient on both sides")


def _together(words: set[str]) -> str:
    present = {"bme", "synovitis"} if "both" in words else words & {"bme", "synovitis"}
    if len(present) == 2:
        return "both"
    return present.pop() if present else "none" if "none" in words else "unknown"
