"""Augmentation keeps what must be kept: the labels' rules, the side, the seed."""

import numpy as np
import pytest
import torch

from ml import augment
from ml.contrast import FAINTEST_OEDEMA, add_oedema, recontrast
from ml.dataset import draw, draw_shares
from ml.labels import LABELS
from ml.phantom.anatomy import Tissue
from ml.random_fields import stack_fields
from tests.ml.toys import make_stack

STACKS = [make_stack(seed) for seed in range(3)]


def batch(seed=0, settings=None, has_tissues=None):
    drawn = draw(STACKS, draw_shares(STACKS), np.random.default_rng(seed), 3, 2)
    images, masks, tissues = (torch.from_numpy(array) for array in (drawn.images, drawn.masks, drawn.tissues))
    rng = torch.Generator().manual_seed(seed)
    return augment.augment(images, masks, tissues, 2, rng, settings or augment.Settings(), has_tissues)[:2]


def test_shapes_ranges_and_labels():
    inputs, targets = batch()
    assert inputs.shape == (6, 1, 128, 160)
    assert targets.shape == (6, len(LABELS), 128, 160)
    assert torch.isfinite(inputs).all()
    assert inputs.min() >= -3
    assert inputs.max() <= 6
    assert set(targets.unique().tolist()) == {0.0, 1.0}
    femur, head, bme, synovitis = targets.unbind(1)
    assert not (head * (1 - femur)).any()
    assert not (bme * synovitis).any()


def test_the_same_seed_gives_the_same_batch_and_another_another():
    first, again, other = batch(4)[0], batch(4)[0], batch(5)[0]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_hip_is_never_mirrored():
    for seed in range(6):
        synovitis = batch(seed)[1][:, 3]
        head = batch(seed)[1][:, 1]
        columns = torch.arange(160.0)
        for slice_head, slice_fluid in zip(head, synovitis, strict=True):
            if slice_head.sum() > 200 and slice_fluid.sum() > 50:
                middle = (slice_head.sum(0) * columns).sum() / slice_head.sum()
                assert (slice_fluid.sum(0) * columns).sum() / slice_fluid.sum() > middle


def test_other_contrast_leaves_oedema_brighter_than_marrow_and_the_outside_black():
    stack = STACKS[0]
    images = torch.from_numpy(stack.images.astype(np.float32)).repeat(6, 1, 1)
    tissues = torch.from_numpy(stack.tissues).long().repeat(6, 1, 1)
    images[:, :10] = 0
    changed = recontrast(images, tissues, len(stack.images), torch.Generator().manual_seed(3))
    assert not changed[:, :10].any()
    for start in range(0, len(images), len(stack.images)):
        part, ids = changed[start : start + len(stack.images)], tissues[: len(stack.images)]
        assert part[ids == Tissue.BME].mean() > 1.2 * part[ids == Tissue.MARROW].mean()
    assert (changed - images).abs().max() > 0.1


def test_further_oedema_lies_in_the_marrow_of_hips_and_stands_out():
    stack = STACKS[0]
    n_slices = len(stack.images)
    images = torch.from_numpy(stack.images.astype(np.float32)).repeat(12, 1, 1)
    tissues = torch.from_numpy(stack.tissues).long().repeat(12, 1, 1)
    has_hip = torch.arange(12) % 3 > 0
    changed, there = add_oedema(images, tissues, has_hip, n_slices, torch.Generator().manual_seed(1))
    is_new = there != tissues
    assert (tissues[is_new] == Tissue.MARROW).all()
    assert (there[is_new] == Tissue.BME).all()
    n_new = is_new.reshape(12, -1).sum(1)
    assert not n_new[~has_hip].any()
    assert 1 <= (n_new > 0).sum() < has_hip.sum()
    assert torch.equal(changed[~has_hip.repeat_interleave(n_slices)], images[~has_hip.repeat_interleave(n_slices)])
    for hip in (n_new > 0).nonzero()[:, 0].tolist():
        part = slice(hip * n_slices, (hip + 1) * n_slices)
        marrow = images[part][tissues[part] == Tissue.MARROW].mean()
        lit = (changed - images)[part][is_new[part]]
        assert lit.min() > 0
        assert lit.mean() > 0.5 * FAINTEST_OEDEMA * marrow  # half of it at the edge


@pytest.mark.parametrize("knots", [(6, 8), (15, 19)])
def test_random_fields_go_on_from_slice_to_slice(knots):
    """As much as within a slice over the same 4 mm, and no more; each hip has its own."""
    fields = stack_fields(60, 4, torch.Size((128, 160)), knots, torch.Generator().manual_seed(1))
    spread = fields.std()
    assert spread == pytest.approx(0.82, abs=0.05)  # as of a single field
    hips = fields.unflatten(0, (60, 4)) / spread

    def likeness(first: torch.Tensor, second: torch.Tensor) -> float:
        return float((first * second).mean())

    down = likeness(hips[:, :, 5:], hips[:, :, :-5])
    assert likeness(hips[:, 1:], hips[:, :-1]) == pytest.approx(down, abs=0.12)
    assert likeness(hips[:, 3], hips[:, 0]) < likeness(hips[:, 1], hips[:, 0]) < 0.99
    assert abs(likeness(hips[1:], hips[:-1])) < 0.1


def test_without_random_change_the_middle_of_the_canvas_comes_out():
    stack = STACKS[0]
    inputs, targets = augment.centre_only(
        torch.from_numpy(stack.images.astype(np.float32)), torch.from_numpy(stack.masks), len(stack.images)
    )
    np.testing.assert_array_equal(targets[:, 1].bool().numpy(), (stack.masks[:, 28:-28, 28:-28] & 2) > 0)
    assert inputs.shape == (12, 1, 128, 160)


def test_hips_without_known_tissues_keep_their_contrast():
    """Only the first hip's tissues are known: the two others are as if nothing were retuned."""
    some = batch(settings=augment.Settings(), has_tissues=torch.tensor([True, False, False]))[0]
    every = batch(settings=augment.Settings())[0]
    assert torch.equal(some[:2], every[:2])
    assert not torch.equal(some[2:], every[2:])
    none = batch(settings=augment.Settings(), has_tissues=torch.zeros(3, dtype=torch.bool))[0]
    assert torch.equal(none, batch(settings=augment.Settings(retune=False))[0])
