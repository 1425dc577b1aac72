"""A cross-validation from the command to its tables: once through, gone on with, one label only, and refusals."""

import csv
import fcntl
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ml import bundle, crossval, crossval_fold, train
from ml.case_table import read_rows
from ml.datasets import format as data_format
from ml.networks import build
from ml.networks.network import RARE_LOGIT
from tests.ml.toys import make_stack

SMALL = ["--steps", "2", "--base", "4", "--folds", "2", "--workers", "0", "--hips", "2", "--threads", "1", "--precision", "fp32"]


def make_data(folder, labels=("femur", "femoral_head", "bme", "synovitis"), source="phantom", n_patients=4):
    cases = [
        data_format.write_case(
            folder, patient=f"P{n}", visit="V1", side="right", labels=labels, stack=make_stack(n, 4), positions_mm=np.zeros(4),
            volumes_ml=dict.fromkeys(labels, 1.0), spacing_mm=(4, 1, 1), source=source,
        )
        for n in range(n_patients)
    ]  # fmt: skip
    return data_format.write(folder, "toys", "test", cases)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two networks, one of slices and one of stacks, over two folds."""
    folder = tmp_path_factory.mktemp("crossval")
    make_data(folder / "data")
    arguments = [str(folder / "data"), *SMALL, "--slices", "2", "--out", str(folder / "out"), "--bundle"]
    arguments += ["--networks", "unet", "unet3d"]
    assert crossval.command(arguments) == 0
    return folder, arguments


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_per_case_table_has_every_hip_once_for_each_network_and_label(done):
    rows = read(done[0] / "out" / "cases.csv")
    keys = [(row["network"], row["case"], row["label"]) for row in rows]
    assert len(keys) == len(set(keys)) == 2 * 4 * 5
    assert {row["label"] for row in rows} == {"femur", "femoral_head", "bme", "synovitis", "lesion"}
    assert all(0 <= float(row["dice"]) <= 1 for row in rows)
    lesions = {(row["network"], row["case"]): float(row["truth_ml"]) for row in rows if row["label"] == "lesion"}
    for part in ("bme", "synovitis"):
        assert all(float(row["truth_ml"]) < lesions[row["network"], row["case"]] for row in rows if row["label"] == part)


def test_the_rows_agree_with_the_weights_that_were_kept(done):
    """A fold's safetensors outline its test hips as its table says."""
    folder = done[0] / "out" / "unet" / "fold_1"
    network = crossval_fold.read_network(folder)
    row = next(row for row in read_rows(folder / "cases.csv") if row.label == "femur")
    case = next(case for case in data_format.read(done[0] / "data").cases if case.id == row.case)
    logits, truth = crossval_fold.assess.hip_logits(network, case.load(), torch.device("cpu"))
    again = next(
        found for found, _ in crossval_fold.measure("unet", 1, case, logits, truth, case.labels) if found.label == "femur"
    )
    assert again.predicted_ml == pytest.approx(row.predicted_ml, rel=1e-3)


def test_the_tables_are_there_as_json_csv_and_markdown(done):
    out = done[0] / "out"
    result = json.loads((out / "result.json").read_text())
    assert result["is_complete"]
    assert [network["network"] for network in result["networks"]] == ["unet", "unet3d"]
    assert result["networks"][0]["n_parameters"] == sum(
        p.numel() for p in crossval_fold.read_network(out / "unet/fold_1").parameters()
    )
    rows = [row for row in read(out / "cases.csv") if row["network"] == "unet" and row["label"] == "lesion"]
    overall = result["overall"][0]["lesion"]
    assert overall["mean"] == pytest.approx(np.mean([float(row["dice"]) for row in rows]))
    assert overall["article"] == pytest.approx(0.693622)
    assert [row["fold"] for row in result["folds"][0]["rows"]] == [1, 2]
    assert {test["label"] for test in result["tests"]} == {"femoral_head", "lesion"}
    report = (out / "report.md").read_text()
    assert "Table 2" in report
    assert "68.1409" in report
    assert {path.name for path in out.glob("*.csv")} == {"cases.csv", "overall.csv", "folds.csv", "by_label.csv", "tests.csv"}


def test_table_2_goes_into_a_page(done, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- networks -->\nto be replaced\n<!-- /networks -->\nafter\n")
    assert crossval.command([*done[1], "--docs", str(page)]) == 0
    text = page.read_text()
    assert "to be replaced" not in text
    assert text.index("before") < text.index("| 3D U-Net |") < text.index("after")
    assert "2 folds by patient" in text


def test_nothing_is_trained_again_and_a_network_can_be_added(done, monkeypatch):
    trained = []
    real = crossval_fold.train
    monkeypatch.setattr(crossval_fold, "train", lambda plan, *rest: trained.append(plan.network) or real(plan, *rest))
    assert crossval.command(done[1]) == 0
    assert trained == []
    assert crossval.command([*done[1], "--networks", "attention_unet"]) == 0
    assert trained == ["attention_unet", "attention_unet"]
    result = json.loads((done[0] / "out" / "result.json").read_text())
    assert [network["network"] for network in result["networks"]] == ["unet", "attention_unet", "unet3d"]


def test_a_network_that_starts_from_a_bundle_is_a_row_of_its_own(done, tmp_path):
    start = tmp_path / "start"
    bundle.save_unet(start, build("unet", base=4), "test", {})
    arguments = [*done[1], "--networks", "unet", "--start", str(start), "--learning-rate", "1e-9"]
    assert crossval.command(arguments) == 0
    folder = done[0] / "out" / "unet_started" / "fold_1"
    about = json.loads((folder / "fold.json").read_text())
    assert about["start"] == {"name": "unet", "version": "1", "sha256": bundle.bundle_hash(bundle.describe(start))}
    begun = bundle.load_unet(start, bundle.describe(start)).state_dict()
    ended = crossval_fold.read_network(folder).state_dict()
    assert all(
        torch.allclose(ended[name], value, atol=1e-6)
        for name, value in begun.items()
        if name.endswith("weight") and value.ndim > 1
    )
    result = json.loads((done[0] / "out" / "result.json").read_text())
    names = {row["network"]: row["name"] for row in result["overall"]}
    assert names["unet_started"] == "U-Net, started from a bundle"
    assert names["unet"] == "U-Net"
    assert {row.network for row in read_rows(folder / "cases.csv")} == {"unet_started"}


def test_networks_answer_together_in_a_row_of_their_own(done, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(done[0] / "out", out)
    arguments = [*done[1], "--networks", "unet", "--out", str(out), "--join", "unet", "unet3d"]
    assert crossval.command(arguments) == 0
    folder = out / "ensemble" / "fold_2"
    rows, about = read_rows(folder / "cases.csv"), json.loads((folder / "fold.json").read_text())
    members = [crossval_fold.read_network(out / name / "fold_2") for name in ("unet", "unet3d")]
    case = next(case for case in data_format.read(done[0] / "data").cases if case.id == rows[0].case)
    logits = [crossval_fold.assess.hip_logits(member, case.load(), torch.device("cpu"))[0] for member in members]
    truth = crossval_fold.assess.hip_logits(members[0], case.load(), torch.device("cpu"))[1]
    again = crossval_fold.measure("ensemble", 2, case, np.mean(logits, axis=0), truth, case.labels)
    assert [found.dice for found, _ in again] == pytest.approx([row.dice for row in rows[:5]], abs=1e-3)
    assert {row.network for row in rows} == {"ensemble"}
    assert about["n_parameters"] == sum(weight.numel() for member in members for weight in member.parameters())
    assert "Networks together" in (out / "report.md").read_text()
    assert "the mean of the logits of unet and unet3d" in (out / "report.md").read_text()

    monkeypatch.setattr(crossval_fold.assess, "hip_logits", lambda *_: pytest.fail("it was measured again"))
    assert crossval.command(arguments) == 0


@pytest.mark.parametrize(
    ("rows", "why"),
    [(["unet"], "two or more different rows"), (["unet", "unet"], "two or more"), (["unet", "hrnet"], "is not done")],
)
def test_rows_that_can_not_answer_together_are_refused(refused, rows, why):
    assert why in refused("--join", *rows)


def test_a_loss_that_favours_lesions_is_calibrated_on_the_validation_patients(done, tmp_path, monkeypatch):
    """As `ml train` does; the plain loss is not."""

    def made_sure(network, hips):
        network.sure[3] = 7.5
        return {"synovitis": 7.5, "hips": len(hips)}

    monkeypatch.setattr(crossval_fold, "make_sure", made_sure)
    out = tmp_path / "out"
    arguments = [*done[1], "--networks", "unet", "--loss", "small-lesions", "--out", str(out)]
    assert crossval.command(arguments) == 0
    folder = out / "unet" / "fold_1"
    shifts = json.loads((folder / "fold.json").read_text())["shifts"]
    assert set(shifts) == {"bme", "synovitis"}
    network = crossval_fold.read_network(folder)
    assert json.loads((folder / "fold.json").read_text())["sure"] == {"synovitis": 7.5, "hips": 1}
    assert network.sure.tolist() == [0, 0, 0, 7.5]
    bias = network.head.bias.detach()
    trained = json.loads((done[0] / "out" / "unet" / "fold_1" / "fold.json").read_text())
    assert trained["shifts"] == trained["sure"] == {}
    said = [float(bias[2]), float(bias[3])]
    assert said == pytest.approx([RARE_LOGIT + shifts["bme"], RARE_LOGIT + shifts["synovitis"]], abs=0.2)  # two steps of training


def test_another_start_in_the_same_folder_is_refused(done, tmp_path, capsys):
    bundle.save_unet(tmp_path, build("unet", base=4), "test", {})
    arguments = [*done[1], "--networks", "unet", "--learning-rate", "1e-9", "--start", str(tmp_path)]
    assert crossval.command([*arguments, "--folds", "2"]) == 2
    assert "other starts" in capsys.readouterr().err


def test_a_start_that_learnt_from_these_patients_is_refused(done, capsys):
    start = done[0] / "out" / "unet" / "fold_1" / "bundle"
    assert crossval.command([*done[1], "--networks", "unet", "--start", str(start)]) == 2
    assert "this very data set" in capsys.readouterr().err


@pytest.fixture
def refused(done, tmp_path, capsys, monkeypatch):
    """What a command says that can't be run: one line, before a fold is trained or a folder is made."""
    monkeypatch.setattr(crossval, "run_fold", lambda *_: pytest.fail("a fold was trained"))

    def say(*more):
        out = tmp_path / "new"
        assert crossval.command([*done[1], "--networks", "unet", "--out", str(out), *map(str, more)]) == 2
        assert not out.exists()
        said = capsys.readouterr().err
        assert said.startswith("python -m ml crossval: ")
        assert said.count("\n") == 1
        return said

    return say


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["--steps", "0"], "steps is 0; it must be above 0"),
        (["--steps", "-3"], "steps is -3"),
        (["--parallel", "0"], "parallel is 0; it must be above 0"),
        (["--parallel", "-1"], "parallel is -1"),
        (["--threads", "0"], "threads is 0"),
        (["--workers", "-1"], "workers is -1"),
        (["--hips", "0"], "hips is 0"),
        (["--seed", "-1"], "seed is -1"),
        (["--folds", "0"], "can't be dealt into 0 folds"),
        (["--device", "tpu"], "is no device"),
        (["--start", "nowhere"], "nowhere is no bundle"),
        (["--docs", "nowhere.md"], "nowhere.md can't be read"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_trained(refused, wrong, why):
    assert why in refused(*wrong)


@pytest.mark.parametrize(("minutes", "why"), [("0", "minutes is 0.0"), ("-1", "minutes is -1.0"), ("nan", "minutes is nan")])
def test_folds_of_no_minutes_are_refused(done, tmp_path, capsys, minutes, why):
    arguments = [str(done[0] / "data"), "--out", str(tmp_path / "new"), "--minutes-per-fold", minutes]
    assert crossval.command(arguments) == 2
    assert f"{why}; it must be above 0" in capsys.readouterr().err


def test_a_start_that_nothing_can_start_from_is_refused(refused, tmp_path):
    start = tmp_path / "start"
    bundle.save_unet(start, build("unet", base=4), "test", {})
    assert "holds a unet, not a hrnet" in refused("--start", start, "--networks", "unet", "hrnet")
    path = start / "bundle.json"
    sealed = path.read_text()
    path.write_text(json.dumps({key: value for key, value in json.loads(sealed).items() if key != "files"}))
    assert "names no files" in refused("--start", start)
    path.write_text(sealed)
    (start / bundle.UNET_WEIGHTS).unlink()
    assert "unet.safetensors is missing" in refused("--start", start)


def test_a_page_without_marks_is_refused(refused, tmp_path):
    (tmp_path / "page.md").write_text("no marks")
    assert "needs the marks <!-- networks -->" in refused("--docs", tmp_path / "page.md")


def test_a_file_in_the_place_of_the_folder_is_refused(done, tmp_path, capsys):
    (tmp_path / "file").write_text("a file")
    assert crossval.command([*done[1], "--out", str(tmp_path / "file")]) == 2
    assert "file can't be used as a folder" in capsys.readouterr().err


@pytest.mark.parametrize("written", [b"{", b"[]", b"{}", b"\xff\xfe"])
def test_a_fold_that_can_t_be_read_is_named(done, tmp_path, capsys, written):
    out = shutil.copytree(done[0] / "out", tmp_path / "out")
    (out / "unet" / "fold_1" / "fold.json").write_bytes(written)
    assert crossval.command([*done[1], "--out", str(out)]) == 2
    assert f"{Path('unet', 'fold_1', 'fold.json')} can't be read" in capsys.readouterr().err


def test_folds_of_another_recipe_are_no_part_of_tables_made_now(done, tmp_path, capsys):
    out = shutil.copytree(done[0] / "out", tmp_path / "out")
    path = out / "unet3d" / "fold_2" / "fold.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"recipe": about["recipe"] | {"version": 4}}))
    assert crossval.command([*done[1], "--networks", "unet", "--out", str(out)]) == 2
    assert "recipe 4, not 5. Results don't mix" in capsys.readouterr().err


@pytest.mark.parametrize("entry", ["ensemble", "unet3d"])
def test_a_damaged_fold_of_networks_together_is_named(done, tmp_path, capsys, entry):
    out = shutil.copytree(done[0] / "out", tmp_path / "out")
    (out / "ensemble" / "fold_1").mkdir(parents=True)
    (out / entry / "fold_1" / "fold.json").write_text("{")
    assert crossval.command([*done[1], "--networks", "unet", "--out", str(out), "--join", "unet", "unet3d"]) == 2
    assert f"{Path(entry, 'fold_1', 'fold.json')} can't be read" in capsys.readouterr().err


def test_each_fold_is_a_bundle(done):
    folder = done[0] / "out" / "unet3d" / "fold_2" / "bundle"
    found = bundle.load(folder, "cpu")
    assert found.description["unet"]["network"] == "unet3d"
    assert set(found.description["unet"]["metrics"]["cross_validation"]["test_dice"]) >= {"lesion"}


def test_other_settings_in_the_same_folder_are_refused(done, capsys):
    assert crossval.command([*done[1], "--learning-rate", "0.5"]) == 2
    assert "other settings" in capsys.readouterr().err
    assert crossval.command([*done[1], "--folds", "3"]) == 2
    assert "not 3 with seed 1" in capsys.readouterr().err


def test_two_commands_at_once_are_refused(done, capsys):
    with (done[0] / "out" / crossval.LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert crossval.command(done[1]) == 2
    assert "another process" in capsys.readouterr().err


def test_a_run_that_was_killed_goes_on_inside_its_fold(tmp_path, monkeypatch):
    """Killed at step 5 of the second fold: the first fold stays as it is, the second goes on from step 3's validation."""
    make_data(tmp_path / "data")
    small = [*SMALL[2:], "--steps", "6", "--slices", "1", "--networks", "unet"]
    arguments = [str(tmp_path / "data"), *small, "--out", str(tmp_path / "out")]
    assert crossval.command([*arguments[:-1], str(tmp_path / "whole")]) == 0
    real, folders = train.step, []

    def killed(state, *rest):
        if state.step == 0:
            folders.append("fold")
        if len(folders) == 2 and state.step == 5:
            raise KeyboardInterrupt
        real(state, *rest)

    monkeypatch.setattr(train, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        crossval.command(arguments)
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["missing"] == ["unet fold 2"]
    assert "Not complete" in (tmp_path / "out" / "report.md").read_text()
    monkeypatch.setattr(train, "step", real)
    assert crossval.command(arguments) == 0
    notes = json.loads((tmp_path / "out" / "unet" / "fold_2" / train.MANIFEST).read_text())
    assert notes["resumed_at_step"] == 5
    for name in ("fold_1", "fold_2"):
        weights = [(tmp_path / which / "unet" / name / crossval_fold.WEIGHTS).read_bytes() for which in ("out", "whole")]
        assert weights[0] == weights[1]


def test_a_data_set_with_one_label_works(tmp_path):
    make_data(tmp_path / "data", labels=("bme",), source="nifti")
    out = tmp_path / "out"
    arguments = [
        str(tmp_path / "data"),
        *SMALL,
        "--slices",
        "1",
        "--networks",
        "unetpp",
        "--out",
        str(out),
        "--loss",
        "small-lesions",
    ]
    assert crossval.command(arguments) == 0
    assert {row["label"] for row in read(out / "cases.csv")} == {"bme", "lesion"}
    result = json.loads((out / "result.json").read_text())
    assert "femoral_head" not in result["overall"][0]
    assert result["overall"][0]["lesion"]["mean"] is not None


@pytest.mark.slow
def test_folds_in_processes_of_their_own_give_the_same(tmp_path):
    make_data(tmp_path / "data")
    for name, more in (("one", []), ("two", ["--parallel", "2"])):
        arguments = [str(tmp_path / "data"), *SMALL, "--slices", "1", "--networks", "unet", "--out", str(tmp_path / name), *more]
        assert crossval.command(arguments) == 0
    one, two = ([(row.case, row.label, row.dice) for row in read_rows(tmp_path / n / "cases.csv")] for n in ("one", "two"))
    assert one == two
