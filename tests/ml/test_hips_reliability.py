"""Reliability of the finder's confidence: its arithmetic on known claims, its table and its picture."""

from xml.etree import ElementTree

import numpy as np
import pytest

from ml.docs_table import put_block
from ml.hips import reliability
from ml.hips.reliability import Asked, Claim, calibration_error, picture, summarise, table


def claims(confidence, n_right, n):
    return [Claim("coronal", "right", confidence, 3.0 if k < n_right else 40.0) for k in range(n)]


def test_a_confidence_that_is_right_as_often_as_it_says_has_no_error():
    assert calibration_error(claims(0.75, 75, 100) + claims(0.25, 25, 100)) == pytest.approx(0)
    assert calibration_error(claims(0.9, 50, 100)) == pytest.approx(0.4)


def test_a_place_far_from_the_head_or_without_one_is_no_hip():
    assert Claim("x", "right", 0.9, 11.9).is_hip
    assert not Claim("x", "right", 0.9, 12.1).is_hip
    assert not Claim("x", "right", 0.9, None).is_hip


def asked():
    found = [*claims(0.97, 39, 40), *claims(0.1, 1, 20), Claim("axial", "left", 0.7, None)]
    return Asked(found, {"coronal": 30, "axial": 2}, {"coronal": 60, "axial": 0})


def test_summary_counts_what_was_found_and_what_wrongly():
    summary = summarise(asked())
    coronal, axial = summary["groups"]["coronal"], summary["groups"]["axial"]
    assert (coronal["heads"], coronal["found"], coronal["found_wrongly"]) == (60, 39, 1)
    assert (axial["found"], axial["found_wrongly"], axial["highest_wrong"]) == (0, 1, 0.7)
    assert sum(row["n"] for row in summary["bins"]) == summary["n_claims"] == 61
    assert summary["n_middle"] == 21


def test_table_and_picture_show_every_bin():
    summary = summarise(asked())
    assert "| coronal | 30 | 60 | 39 |" in table(summary)
    drawn = ElementTree.fromstring(picture(summary))
    assert len(drawn.findall("{http://www.w3.org/2000/svg}circle")) == len(summary["bins"])


def test_a_study_is_shown_as_it_is_with_dark_marrow_and_with_metal():
    from ml.phantom import generate

    phantom = generate(15_003, style="stir", target="both", n_slices=14)
    plain, dark, metal = reliability._with_hips("first", phantom, 0)
    assert [case.group for case in (plain, dark, metal)] == ["first: coronal", "first: heads of dark marrow", "first: metal head"]
    assert set(plain.heads) == set(dark.heads) == {"right", "left"}
    assert set(metal.heads) == {"left"}
    at = tuple(np.rint(phantom.volume.to_index(plain.heads["right"])).astype(int))
    assert dark.volume.pixels[at] == pytest.approx(reliability.DARK * plain.volume.pixels[at])
    assert metal.volume.pixels[at] < 0.1 * plain.volume.pixels[at]


def test_claims_of_a_phantom_are_near_its_heads():
    from ml.hips import load_finder
    from ml.phantom import generate

    phantom = generate(15_003, style="stir", target="right", n_slices=14)
    case = reliability.Case("one", phantom.volume, {side: np.array(hip.centre_mm) for side, hip in phantom.hips.items()})
    found = reliability.claims_of(case, load_finder(reliability.DEFAULT))
    assert [claim.is_hip for claim in found if claim.side == "right"] == [True]


def test_a_table_replaces_only_what_stands_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n")
    put_block(page, "a", "| new |\n")
    assert page.read_text() == "before\n<!-- a -->\n| new |\n<!-- /a -->\nafter\n"
    with pytest.raises(ValueError, match="<!-- b -->"):
        put_block(page, "b", "x")
