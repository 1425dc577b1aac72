"""Outlines on the wrong hip, beside the hips, or of something that is no head do not become truth unseen."""

import numpy as np
import pytest

from ml.datasets import command, read
from ml.datasets.cut import cut, on_canvas
from ml.labels import BITS, LABELS
from tests.ml.datasets.cases import CENTRES, LEFT, RIGHT, cropped, pelvis, save

pytestmark = pytest.mark.usefixtures("heads")

SIDES = ("right", "left")
VOXEL_ML = 4.4 * 2.2 * 2.2 / 1000


@pytest.fixture
def made(tmp_path):
    """Makes a data set of NIfTI masks by their names; gives its cases by side and the report."""

    def make(masks, made_by=None, name="P1_V1"):
        volume = (made_by or pelvis()).volume
        save(tmp_path / "in" / f"{name}.nii.gz", volume, volume.pixels)
        for what, mask in masks.items():
            save(tmp_path / "in" / f"{name}_{what}.nii.gz", volume, mask)
        status = command.command([str(tmp_path / "out"), "--nifti", str(tmp_path / "in")])
        text = (tmp_path / "out" / "report.md").read_text().replace("\\_", "_")
        return ({case.side: case for case in read(tmp_path / "out").cases} if status == 0 else {}), text

    return make


def sided(**others):
    """Masks of both hips with their sides; `others` are put in the place of some, or away where None."""
    masks = {f"{label}_{side}": pelvis().masks[side][label] for side in SIDES for label in LABELS} | others
    return {name: mask for name, mask in masks.items() if mask is not None}


def unsided(**others):
    return {label: pelvis().plane(label) for label in LABELS} | others


def box(*spans):
    """A mask of rows and columns on some slices."""
    mask = np.zeros(pelvis().volume.pixels.shape, bool)
    mask[tuple(slice(*span) for span in spans)] = True
    return mask


CORNER = box((5, 9), (80, 90), (160, 168))


# Sides


@pytest.mark.parametrize("label", ["femur", "bme", "synovitis"])
def test_masks_exchanged_under_right_heads_are_seen(made, label):
    right, left = (pelvis().masks[side][label] for side in SIDES)
    cases, text = made(sided(**{f"{label}_right": left, f"{label}_left": right}))
    assert cases == {}
    for side, on in (SIDES, SIDES[::-1]):
        assert f"(P1 V1) has its sides swapped: the {label} called {side} lies on the {on} hip; rename the masks" in text


def test_one_lesion_mask_on_the_other_hip_makes_no_healthy_one(made):
    cases, text = made(sided(bme_right=None, bme_left=pelvis().masks["right"]["bme"]))
    assert cases == {}
    assert "the bme called left lies on the right hip" in text


def test_a_part_of_a_mask_on_the_other_hip_is_marked(made):
    whole = pelvis().masks["left"]["bme"].copy()
    right = np.argwhere(pelvis().masks["right"]["bme"])[: whole.sum() // 3]
    whole[tuple(right.T)] = True
    cases, text = made(sided(bme_left=whole))
    assert set(cases) == set(SIDES)
    assert "24% of the bme called left on the right hip" in text


def test_a_lesion_mask_on_the_other_side_of_the_only_head_is_seen(made):
    """Where nothing shows the other head, it is expected 180 mm away."""
    masks = {f"{label}_right": pelvis().masks["right"][label] for label in LABELS}
    cases, text = made(masks | {"bme_right": pelvis().masks["left"]["bme"]})
    assert cases == {}
    assert "the bme called right lies on the left hip" in text


def test_two_heads_on_one_hip_are_refused(made):
    cases, text = made(sided(femoral_head_left=np.roll(pelvis().masks["right"]["femoral_head"], 2, axis=2)))
    assert cases == {}
    assert "has the outlines of both heads on one hip" in text


def test_a_finder_that_takes_the_outlined_head_for_the_other_one_is_not_heard(made, heads):
    heads.update(left=CENTRES["right"])
    cases, text = made(sided(femoral_head_left=None))
    assert set(cases) == {"right"}
    assert "has a left hip without an outline of its head, and the hip finder does not see it" in text


# Beside the hips


@pytest.mark.parametrize(
    "masks", [unsided(bme=CORNER), sided(bme_right=CORNER & False, bme_left=CORNER)], ids=["unsided", "sided"]
)
def test_a_lesion_mask_beside_the_hips_is_no_annotation(made, masks):
    cases, text = made(masks)
    assert "bme" not in cases["left"].labels
    assert "synovitis" in cases["left"].labels
    assert ("bme" in cases["right"].labels) == ("bme_right" in masks)
    assert "of bme outside its canvas: bme counts as not outlined of the" in text


def test_lesions_alone_beside_the_hips_leave_no_hip(made):
    cases, text = made({"bme": CORNER})
    assert cases == {}
    assert "hip has no outline left that can be used" in text


def test_a_notable_part_beside_the_hips_is_marked(made):
    bme = pelvis().plane("bme")
    n_left = int(pelvis().masks["left"]["bme"].sum())
    stray = np.zeros_like(bme)
    stray[tuple(np.argwhere(box((5, 9), (80, 90), (86, 94)))[: n_left // 4].T)] = True
    cases, text = made(unsided(bme=bme | stray))
    assert all("bme" in case.labels for case in cases.values())
    assert (
        f"left hip has {n_left // 4 * VOXEL_ML:.2f} of {(n_left + n_left // 4) * VOXEL_ML:.2f} mL of bme outside its canvas"
        in text
    )
    assert text.count("outside its canvas") == 1


def test_a_femur_that_goes_on_below_the_canvas_is_no_matter(made):
    shafts = box((3, 10), (50, 90), (25, 35)) | box((3, 10), (50, 90), (135, 145))
    cases, text = made(unsided(femur=pelvis().plane("femur") | shafts))
    assert all(case.labels == LABELS for case in cases.values())
    assert "canvas" not in text


def test_a_femur_of_one_hip_is_missing_on_the_other(made):
    cases, text = made(unsided(femur=pelvis().masks["right"]["femur"]))
    assert "femur" in cases["right"].labels
    assert "femur" not in cases["left"].labels
    assert "left hip has no femur on its canvas: it counts as not outlined" in text


def test_lesions_of_a_hip_that_is_not_used_are_said(made, heads):
    del heads["left"]
    cases, text = made({"bme": pelvis().plane("bme")})
    assert set(cases) == {"right"}
    assert "of the bme on the left hip, which is not used" in text


@pytest.mark.parametrize("part", [slice(None), RIGHT, LEFT])
def test_the_canvas_is_what_is_cut(part):
    one = cropped(pelvis(), part)
    side = "left" if part == LEFT else "right"
    where = on_canvas(one.volume, CENTRES[side])
    whole = cut(one.volume, np.full(where.shape, BITS["bme"], np.uint8), CENTRES[side], side)
    assert whole.volumes_ml(("bme",), 4.4)["bme"] == pytest.approx(where.sum() * VOXEL_ML, rel=0.02)


# Heads


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (box((4, 11), (70, 90), (0, 15)), "its largest section is a rectangle"),
        (box((4, 11), (40, 43), (40, 50)), "its largest section has 145 mm²"),
        (box((4, 11), (20, 80), (10, 60)), "its largest section has 14520 mm²"),
        (box((4, 11), (40, 60), (40, 44)) | box((4, 11), (56, 60), (40, 60)), "is not round"),
    ],
    ids=["box at the edge", "too small", "too large", "an L"],
)
def test_what_can_be_no_head_leaves_its_hip_out(made, head, why):
    cases, text = made(sided(femoral_head_right=head, femur_right=None))
    assert set(cases) == {"left"}
    assert "right hip has a head that is not plausible" in text
    assert why in text


def test_a_head_far_from_its_femur_leaves_its_hip_out(made):
    head = np.roll(pelvis().masks["right"]["femoral_head"], 35, axis=1)
    cases, text = made(sided(femoral_head_right=head, bme_right=None, synovitis_right=None))
    assert set(cases) == {"left"}
    assert "there is no neck of a femur at it" in text


def test_a_head_at_the_edge_of_the_picture_leaves_its_hip_out(made):
    right = pelvis().masks["right"]["femoral_head"]
    head = np.zeros_like(right)
    head[:, :, :60] = right[:, :, 36:96]  # its outer part is cut off by the edge
    cases, text = made(sided(femoral_head_right=head, femur_right=None, bme_right=None, synovitis_right=None))
    assert set(cases) == {"left"}
    assert "reaches the edge of the picture" in text


def test_crumbs_beside_a_head_are_no_matter(made):
    crumbs = box((6, 7), (5, 6), (20, 21))
    cases, _ = made(sided(femoral_head_right=pelvis().masks["right"]["femoral_head"] | crumbs))
    assert set(cases) == set(SIDES)


def test_what_is_right_is_taken_without_a_word(made):
    cases, text = made(sided())
    assert all(case.labels == LABELS for case in cases.values())
    assert "## Left out (0)" in text
    assert not any(word in text for word in ("canvas", "swapped", "plausible", "on the right hip", "on the left hip"))
