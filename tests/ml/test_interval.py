"""Intervals of scores: variants come back to their place, and calibration covers what it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ml import interval
from ml.bundle import Bundle
from ml.interval import Calibration, NoIntervalError, Spread, calibration_of, fit, section, spread_of
from ml.predict import probabilities, segment
from ml.study_score import score_volume
from tests.ml.test_predict import Threshold, finder, make_bundle, volume  # noqa: F401  (fixtures)

SHA = "a" * 64


def calibration(**changes):
    return replace(Calibration((1.0, 0.5, 0.1, 0.02), factor=2.0, level=0.9, n_hips=50, unet_sha256=SHA), **changes)


def with_interval(kept):
    return Bundle(Threshold(), None, "toy", "1", "0" * 64, {"files": {"unet.safetensors": SHA}, "interval": section(kept, {})})


def test_the_interval_is_the_weighed_sum_and_never_below_nothing():
    found = calibration().interval(Spread(score=1.0, changed=0.1, cut=0.2))
    half = 2.0 * (0.1 + 0.5 * 0.2 + 0.1 * 1.0 + 0.02)
    assert (found.low, found.high, found.level) == (pytest.approx(1 - half), pytest.approx(1 + half), 0.9)
    assert calibration().interval(Spread(score=0.01, changed=0.3, cut=0.0)).low == 0.0


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_coverage_on_unseen_hips_is_the_level(level):
    rng = np.random.default_rng(0)

    def hips(n):
        scores = rng.lognormal(-0.5, 1, n)
        changed, cut = 0.1 * scores * rng.uniform(0.5, 2, n), 0.05 * scores * rng.uniform(0.5, 2, n)
        truths = scores + (changed + 0.03) * rng.standard_t(4, n)
        return [Spread(*map(float, row)) for row in zip(scores, changed, cut, strict=True)], truths

    known, truths = hips(200)
    fitted = fit(known, truths, SHA, level)
    unseen, truths = hips(2000)
    intervals = [fitted.interval(spread) for spread in unseen]
    held = np.mean([one.low <= truth <= one.high for one, truth in zip(intervals, np.maximum(truths, 0), strict=True)])
    assert held == pytest.approx(level, abs=0.05)
    assert fitted.n_hips == 200


def test_a_bundle_keeps_the_calibration_and_another_network_has_none():
    assert calibration_of(with_interval(calibration())) == calibration()
    with pytest.raises(NoIntervalError, match="python -m ml interval"):
        calibration_of(with_interval(calibration(unet_sha256="b" * 64)))
    with pytest.raises(NoIntervalError):
        calibration_of(make_bundle())


def test_a_picture_moved_there_and_back_is_itself():
    rows, columns = np.mgrid[:128, :160]
    picture = np.exp(-((rows - 60) ** 2 + (columns - 85) ** 2) / 200).astype(np.float32)
    planes = np.stack([picture] * 4)[:, None]  # (label, slice, H, W)
    for seed in range(4):
        motion = interval._motion(torch.Generator().manual_seed(seed))
        moved = interval._sampled(torch.from_numpy(planes.transpose(1, 0, 2, 3)), motion, "border").numpy().transpose(1, 0, 2, 3)
        assert np.abs(moved - planes).max() > 0.1
        np.testing.assert_allclose(interval._moved_back(moved, motion, planes), planes, atol=0.03)


def test_a_turn_keeps_shapes_on_a_crop_that_is_not_square():
    rows, columns = np.mgrid[:128, :160] - np.array([63.5, 79.5])[:, None, None]
    disc = (np.hypot(rows, columns) < 40).astype(np.float32)
    motion = interval._motion(torch.Generator().manual_seed(1))
    moved = interval._sampled(torch.from_numpy(disc)[None, None], motion, "border")[0, 0].numpy() > 0.5
    found = np.argwhere(moved)
    extent = np.ptp(found, axis=0)
    assert abs(int(extent[0]) - int(extent[1])) <= 2


def test_spread_of_a_clear_hip_is_small_and_the_same_twice(volume, finder):  # noqa: F811
    bundle = make_bundle()
    hip = score_volume(volume, bundle).hips[0]
    first, again = (spread_of(volume, bundle, hip.outline, hip.score.unet_score) for _ in range(2))
    assert first == again
    assert 0 < first.changed < 0.3 * hip.score.unet_score
    assert 0 <= first.cut < 0.1 * hip.score.unet_score


def test_the_batch_does_not_change_the_variants(volume, finder):  # noqa: F811
    bundle = make_bundle()
    hip = segment(volume, bundle).right
    one, many = (
        probabilities(volume, bundle, [hip.found], None, batch, interval._change(interval._motion(rng), interval._look(rng)))
        for batch, rng in ((1, torch.Generator().manual_seed(2)), (8, torch.Generator().manual_seed(2)))
    )
    np.testing.assert_allclose(one["right"], many["right"], atol=1e-5)


def test_scores_have_intervals_only_where_asked(volume, finder):  # noqa: F811
    bundle = with_interval(calibration())
    assert all(hip.interval is None for hip in score_volume(volume, bundle).hips)
    scored = score_volume(volume, bundle, with_interval=True)
    right = scored.hips[0]
    assert right.interval.low <= right.score.unet_score <= right.interval.high
    with pytest.raises(NoIntervalError):
        score_volume(volume, make_bundle(), with_interval=True)


def test_the_command_calibrates_measures_and_leaves_the_hash(tmp_path, monkeypatch, capsys):
    import shutil

    from ml import interval_command
    from ml.bundle import DEFAULT, describe, load

    folder, page = tmp_path / "bundle", tmp_path / "page.md"
    shutil.copytree(DEFAULT, folder)
    page.write_text("<!-- interval -->\n<!-- /interval -->\n")
    rng = np.random.default_rng(0)

    def hips_of(_cases, _bundle, n, _about):
        for score in rng.lognormal(-0.5, 1, 2 * n):
            yield interval_command.Hip(Spread(float(score), 0.1, 0.05), max(0.0, float(score + rng.normal(0, 0.1))))

    monkeypatch.setattr(interval_command, "hips_of", hips_of)
    before = load(folder).sha256
    words = ["--model", str(folder), "--patients", "40", "--tests", "30", "--docs", str(page)]
    assert interval_command.command(words) == 0
    bundle = load(folder)
    assert bundle.sha256 == before
    assert calibration_of(bundle).n_hips == 80
    measured = describe(folder)["interval"]["coverage"]
    assert 0.75 < measured["second generator"]["coverage"] <= 1
    assert "| second generator | 60 |" in page.read_text()
    assert "Half-width" in capsys.readouterr().out
