"""The label maps that the finder trains on."""

import numpy as np
import pytest

from ml.hips.scenes import others
from ml.hips.scenes.grid import LOW_MM, STEP_MM, Part, Tissue
from ml.hips.scenes.pelvis import hip_pelvis
from ml.hips.scenes.sample import ALL_BONES, cut, draw_frame, target, without_bones
from ml.hips.scenes.stack import draw_stack
from ml.hips.scenes.stream import KINDS, stream, training_slice

HEAD_PARTS = {"right": Part.HEAD_RIGHT, "left": Part.HEAD_LEFT}


@pytest.fixture(scope="module")
def pelvis():
    return hip_pelvis(np.random.default_rng(3))


def test_heads_lie_where_the_truth_says(pelvis):
    assert [head.side for head in pelvis.heads] == ["right", "left"]
    for head in pelvis.heads:
        voxels = np.argwhere(pelvis.labels >> 5 == HEAD_PARTS[head.side]) * STEP_MM + LOW_MM
        assert np.linalg.norm(voxels.mean(0) - head.centre_mm) < 3
        volume_mm3 = len(voxels) * STEP_MM**3
        assert volume_mm3 == pytest.approx(4 / 3 * np.pi * head.radius_mm**3, rel=0.2)


def test_femur_hangs_below_and_lateral_of_its_head(pelvis):
    for head, part in zip(pelvis.heads, (Part.FEMUR_RIGHT, Part.FEMUR_LEFT), strict=True):
        offset = (np.argwhere(pelvis.labels >> 5 == part) * STEP_MM + LOW_MM).mean(0) - head.centre_mm
        assert offset[0] * (1 if head.side == "left" else -1) > 10
        assert offset[2] < -30


def test_a_prosthesis_is_no_head():
    scene = hip_pelvis(np.random.default_rng(4), prosthesis="left")
    assert [head.side for head in scene.heads] == ["right"]
    tissue = scene.labels & 31
    assert (tissue == Tissue.VOID).sum() * STEP_MM**3 > 20_000


@pytest.mark.parametrize("make", [others.knees, others.brain, others.blobs, others.noise])
def test_other_scenes_have_no_hip(make):
    scene = make(np.random.default_rng(5))
    assert scene.heads == ()
    assert not (scene.labels >> 5).any()
    assert len(np.unique(scene.labels)) > 3


def test_no_bones_means_no_bones():
    scene = hip_pelvis(np.random.default_rng(6), bones=False)
    assert not np.isin(scene.labels & 31, [Tissue.CORTEX, Tissue.HEAD_MARROW, Tissue.FEMUR_MARROW]).any()


def test_shares_of_a_cell_add_up(pelvis):
    rng = np.random.default_rng(7)
    frame = draw_frame(rng, "coronal", pelvis.heads[0].centre_mm)
    shares = target(cut(pelvis, frame, 0, 144))
    assert shares.shape == (6, 72, 72)
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-6)
    assert shares[Part.HEAD_RIGHT].sum() * 36 > 500  # mm²: the slice passes through the head


def test_bones_taken_out_leave_soft_tissue(pelvis):
    rng = np.random.default_rng(10)
    labels = cut(pelvis, draw_frame(rng, "coronal", pelvis.heads[0].centre_mm), 0, 144)
    assert (labels >> 5).any()
    without = without_bones(rng, labels, ALL_BONES)
    assert not (without >> 5).any()
    untouched = labels >> 5 == 0
    assert (without[untouched] == labels[untouched]).mean() > 0.9


def test_only_coronal_slices_show_hips(pelvis):
    rng = np.random.default_rng(8)
    kind = KINDS[0]
    axial = [training_slice(rng, type(kind)("axial", 1, kind.make, {"axial": 1.0}), pelvis)[1] for _ in range(4)]
    coronal = [training_slice(rng, type(kind)("coronal", 1, kind.make, {"coronal": 1.0}), pelvis)[1] for _ in range(8)]
    assert all(shares[0].min() == 1 for shares in axial)
    assert sum(shares[1:3].sum() > 5 for shares in coronal) >= 4


def test_heads_of_a_stack_are_the_bright_part_of_its_labels(pelvis):
    rng = np.random.default_rng(9)
    kind = type(KINDS[0])("coronal", 1, KINDS[0].make, {"coronal": 1.0})
    stacks = [draw_stack(rng, kind, pelvis) for _ in range(6)]
    seen = [head for stack in stacks for head in stack.heads]
    assert seen
    for stack in stacks:
        for head in stack.heads:
            index = stack.volume.to_index(head.centre_mm)
            assert np.all(index > -0.5)
            assert np.all(index < np.array(stack.volume.pixels.shape) - 0.5)


def test_the_stream_repeats_itself_from_the_same_seed():
    first, second = (next(stream(11, pool_size=2, refresh=50)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert first[0].shape == (2, 144, 144)
