"""`make bench` compares with nnU-Net in speed and, after the same few steps of both, in Dice; nnU-Net itself is not run here."""

import numpy as np
import pytest

from bench import nnunet
from tests.ml.toys import make_stack


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What nnU-Net was asked for, and what was reported of ours; its environment is an empty file."""
    asked = {}
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    monkeypatch.setattr(nnunet, "ENVIRONMENT", tmp_path)
    monkeypatch.setattr(nnunet, "_hips", lambda kind, seeds: {f"{kind}{seed}": make_stack(seed, 4) for seed in list(seeds)[:2]})
    monkeypatch.setattr(nnunet, "_report_speed", lambda *_: asked.update(has_speed=True))

    def worker(python, folder, inputs, steps, batch):
        np.savez(folder / "found.npz", **{name: mask for name, (_, mask) in inputs.items()})
        asked.update(theirs=(steps, batch), hips=sorted(inputs))
        return {"planned_batch": 12, "train_s": 1.0, "parameters": 7}

    monkeypatch.setattr(nnunet, "_run_worker", worker)
    return asked


def test_both_are_trained_for_the_same_few_steps_unless_told_otherwise(asked, monkeypatch, capsys):
    monkeypatch.setattr(nnunet, "_report_training", lambda plan, *_: asked.update(ours=(plan.steps, plan.n_hips * plan.n_slices)))
    nnunet.main()
    assert asked["has_speed"]
    assert asked["ours"] == asked["theirs"] == (nnunet.STEPS, 18)
    assert f"trained for {nnunet.STEPS} steps each" in capsys.readouterr().out


def test_speed_alone_trains_neither(asked, monkeypatch):
    monkeypatch.setattr(nnunet, "_report_training", lambda *_: pytest.fail("ours was trained"))
    nnunet.main(["--train", "0"])
    assert asked["theirs"] == (0, 18)


def test_dice_of_both_stand_in_one_table(asked, capsys):
    nnunet.main(["--train", "1", "--base", "4"])
    out = capsys.readouterr().out
    assert "trained for 1 steps of 18 slices" in out
    theirs, ours = (line for line in out.splitlines() if "parameters" in line)
    assert "nnU-Net" in theirs
    assert "femoral_head 1.000" in theirs  # the stand-in for nnU-Net gives the truth
    assert "ours, base 4" in ours


def test_without_its_environment_it_says_how_to_make_it(monkeypatch, capsys):
    monkeypatch.setattr(nnunet, "ENVIRONMENT", nnunet.ROOT / "var" / "bench" / "none")
    nnunet.main()
    assert "pip install -r bench/nnunet-requirements.txt" in capsys.readouterr().out
