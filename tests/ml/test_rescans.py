"""Patients scanned again: what is held and what changes, and the tables of both commands on known numbers."""

import numpy as np
import pytest

from ml.phantom.acquisition import draw_acquisition
from ml.phantom.anatomy import Tissue, draw_anatomy
from ml.phantom.appearance import draw_look
from ml.protocol_changes import CHANGES, REFERENCE, Outcome
from ml.protocol_changes import table as protocol_table
from ml.repeatability import Rescanned
from ml.repeatability import table as repeatability_table
from ml.rescans import _first_look, laid, retuned
from scoring.statistics.measurement_error import sdd


@pytest.fixture
def acquisition():
    return draw_acquisition(np.random.default_rng(2), draw_anatomy(2), target="both")


def test_another_protocol_keeps_the_middle_and_the_directions(acquisition):
    thin, thick = laid(acquisition, 3.0, 0.3, 0.6), laid(acquisition, 6.0, 1.0, 1.3)
    middles = [one.affine @ [*((np.array(one.shape) - 1) / 2), 1] for one in (acquisition, thin, thick)]
    np.testing.assert_allclose(middles[1], middles[0], atol=1e-6)
    np.testing.assert_allclose(middles[2], middles[0], atol=1e-6)
    np.testing.assert_array_equal(thin.directions, acquisition.directions)
    for one in (thin, thick):
        np.testing.assert_allclose(np.array(one.shape) * one.spacing_mm, (88, 300, 380), rtol=0.05)


def test_a_second_scan_has_the_contrast_of_the_first():
    from ml.phantom import generate

    seen = []
    generate(
        4, style="stir", target="both", n_slices=1, protocol=lambda a, look: seen.append(look) or (laid(a, 80, 0, 8.0), look)
    )
    assert _first_look(4) == seen[0]


def test_retuned_tissues_are_brighter_and_oedema_goes_with_them():
    look = draw_look(np.random.default_rng(0), "stir")
    wet = retuned(look, {Tissue.BME: 1.5})
    assert wet.palette[Tissue.BME] == pytest.approx(1.5 * look.palette[Tissue.BME])
    assert wet.brightest == pytest.approx(1.5 * look.brightest)
    assert wet.palette[Tissue.MUSCLE] == look.palette[Tissue.MUSCLE]


def test_every_change_changes_something(acquisition):
    look = draw_look(np.random.default_rng(0), "stir")
    for change in CHANGES.values():
        assert change(acquisition, look) != (acquisition, look)


def test_the_smallest_detectable_change_is_that_of_the_statistics():
    rng = np.random.default_rng(0)
    true = rng.lognormal(0, 1, 40)
    found = true[:, None] + rng.normal(0, 0.1, (40, 2))
    hips = [Rescanned(tuple(row), (value, value)) for row, value in zip(found, true, strict=True)]
    text = repeatability_table([*hips, Rescanned((float("nan"), 1.0), (1.0, 1.0))])
    expected = sdd(found).estimate
    assert f"{expected:.3f}" in text
    assert expected == pytest.approx(1.96 * np.sqrt(2) * 0.1, rel=0.3)
    assert "40 (1)" in text
    assert "1 of 41 hips had no score" in text


def test_changes_are_told_against_the_reference():
    dice = {"femoral_head": 0.9, "bme": 0.8, "synovitis": float("nan")}
    before, after = Outcome(1.0, 0.1, 1.1, dice), Outcome(0.8, 0.08, 1.0, dice)
    text = protocol_table({REFERENCE: [before, before], "thin": [after, Outcome(None, None, None, dice)]})
    row = next(line for line in text.splitlines() if line.startswith("| thin"))
    assert row == (
        "| thin | 1 of 2 | -0.20 (-0.20 to -0.20) | -0.020 (-0.020 to -0.020) | -0.10 (-0.10 to -0.10) "
        "| -0.20 (-0.20 to -0.20) | 0.900, 0.800, – |"
    )
