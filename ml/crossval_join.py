"""What several networks of a cross-validation say together, a row of its own: the mean of their logits, fold by fold."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import torch

from ml import manifest
from ml.batches import example_of
from ml.calibrate import make_sure
from ml.case_table import write_rows
from ml.crossval_fold import CASES, FOLD, RECIPE, WEIGHTS, figures_of, measure_fold, read_fold, read_network
from ml.datasets import DataSet
from ml.folds import Fold, Splits
from ml.networks.ensemble import Ensemble
from ml.whole import make_folder


class JoinError(RuntimeError):
    """Networks of a cross-validation can't answer together."""


def check_members(out: Path, members: Sequence[str], made_here: Collection[str], n_folds: int) -> None:
    """Refuse rows that can't answer together, before anything is trained.

    Parameters
    ----------
    out : folder of a cross-validation
    members : rows of its tables, as its folders are called: "unet", "unet25d_started" …
    made_here : rows that the command itself makes

    Raises
    ------
    JoinError
        There are not two different members, or a fold of one is neither done nor to be made.
    """
    if len(set(members)) < 2 or len(set(members)) < len(members):
        raise JoinError(f"two or more different rows can answer together, not {' '.join(members)}")
    folders = [
        out / member / f"fold_{number}" for member in members if member not in made_here for number in range(1, n_folds + 1)
    ]
    if missing := [str(folder) for folder in folders if not (folder / FOLD).exists()]:
        raise JoinError(f"only rows whose folds are all there can answer together; {missing[0]} is not done")


def join_folds(out: Path, members: Sequence[str], data: DataSet, splits: Splits, made_by: str, device: torch.device) -> None:
    """Measure the ensemble of each fold's networks, all done, on the fold's test patients, where that was not done before."""
    for number, fold in enumerate(splits.folds, 1):
        folders = [out / member / f"fold_{number}" for member in members]
        _join_fold(out / Ensemble.name / f"fold_{number}", number, fold, folders, data, splits.sha256, made_by, device)


def _join_fold(
    out: Path, number: int, fold: Fold, folders: list[Path], data: DataSet, splits_sha256: str, made_by: str, device: torch.device
) -> None:
    members = {folder.parent.name: hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest() for folder in folders}
    recipe = {"network": Ensemble.name, "members": members, "version": RECIPE}
    if (out / FOLD).exists() and read_fold(out)["recipe"] == recipe:
        return
    abouts = [read_fold(folder) for folder in folders]
    if any(about["splits_sha256"] != splits_sha256 for about in abouts):
        raise JoinError(f"the networks of fold {number} were trained on other folds than those of splits.json")
    network = Ensemble([read_network(folder) for folder in folders]).eval()
    learnt = {label for case in data.cases if case.patient in set(fold.training) for label in case.labels}
    test = [case for case in data.cases if case.patient in set(fold.test)]
    validation = [example_of(case) for case in data.cases if case.patient in set(fold.validation)]
    network.to(device)
    sure = make_sure(network, validation) if any(one["sure"] for one in abouts) else {}
    measured = measure_fold(Ensemble.name, number, network, test, learnt, device)
    make_folder(out)
    write_rows(out / CASES, measured.rows)
    about = {
        "network": Ensemble.name,
        "fold": number,
        "splits_sha256": splits_sha256,
        "fingerprint": data.fingerprint,
        "recipe": recipe,
        "start": {},
        "steps": sum(one["steps"] for one in abouts),
        "training_s": round(sum(one["training_s"] for one in abouts), 1),
        "sure": sure,
        "command": made_by,
    }
    manifest.write_json(out / FOLD, about | figures_of(network, measured, device))
