"""What each loss adds, on slices, stacks and points, and that labels nobody annotated add nothing."""

import pytest
import torch

from ml.labels import LABELS
from ml.losses import ABSENT_PIXELS, LOSSES, absent_loss, criterion, dice_loss, lesion_dice_loss, present_dice_loss

HEAD, BME, SYNOVITIS = (LABELS.index(label) for label in ("femoral_head", "bme", "synovitis"))


def planes(shape=(4, 4, 16, 16), seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=rng), (torch.rand(shape, generator=rng) > 0.7).float()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", [(4, 4, 16, 16), (4, 4, 30, 1)])
def test_every_loss_is_finite_and_falls_when_the_logits_agree(name, shape):
    logits, targets = planes(shape)
    loss = criterion(name, None, n_slices=2)
    assert 0 < loss((targets * 2 - 1) * 8, targets) < loss(logits, targets) < loss((1 - targets * 2) * 8, targets)


@pytest.mark.parametrize("name", ["plain", "small-lesions"])
def test_labels_that_were_not_annotated_have_no_gradient(name):
    logits, targets = planes()
    targets[:, [HEAD, SYNOVITIS]] = 0
    annotated = torch.tensor([[True, False, True, False]] * 4)
    logits.requires_grad_()
    criterion(name, annotated, n_slices=2)(logits, targets).backward()
    assert (logits.grad[:, [HEAD, SYNOVITIS]] == 0).all()
    assert (logits.grad[:, BME] != 0).any()


def test_a_label_that_nobody_annotated_does_not_thin_the_dice_loss():
    logits, targets = planes()
    annotated = torch.tensor([[True, False, False, False]] * 4)
    assert dice_loss(logits, targets, annotated) == pytest.approx(dice_loss(logits[:, :1], targets[:, :1]).item())


def test_the_lesion_is_the_union():
    targets = torch.zeros(1, 4, 8, 8)
    targets[:, BME, :4], targets[:, SYNOVITIS, 4:] = 1, 1
    swapped = targets[:, [0, 1, SYNOVITIS, BME]]
    assert lesion_dice_loss((swapped * 2 - 1) * 20, targets) == pytest.approx(0, abs=1e-3)
    only_bme = torch.tensor([[True, True, True, False]])
    assert lesion_dice_loss((targets * 2 - 1) * 20, targets, only_bme) == pytest.approx(0, abs=1e-3)
    everywhere = torch.full_like(targets, 20.0)
    assert lesion_dice_loss(everywhere, targets, only_bme) == pytest.approx(1 / 3, abs=0.01)


def test_small_lesions_count_as_much_as_large_ones():
    """Two hips of two slices: a large lesion found and a small one missed is half of the loss, whatever their sizes."""
    targets = torch.zeros(4, 32, 32)
    targets[0], targets[2, :2, :3] = 1, 1
    logits = torch.full((4, 32, 32), -20.0)
    logits[0] = 20
    assert present_dice_loss(logits, targets, 2) == pytest.approx(0.5 * (1 - 1 / 7), abs=1e-3)
    assert present_dice_loss(logits * 0 - 20, targets * 0, 2) == 0


def test_what_is_called_synovitis_beside_a_small_lesion_costs_more_than_beside_a_large_one():
    """Hip by hip, the lesion is wrong where either of its parts is; batches as a whole hardly notice a small one."""
    targets = torch.zeros(4, 4, 32, 32)
    targets[0, BME, :16], targets[2, BME, :2, :2] = 1, 1
    right = torch.where(targets > 0, 20.0, -20.0)
    loss = criterion("small-lesions", n_slices=2)
    more = []
    for hip in (0, 2):
        logits = right.clone()
        logits[hip, SYNOVITIS, 28:, 28:] = 20
        more.append(float(loss(logits, targets) - loss(right, targets)))
    assert 0 < more[0] < 0.8 * more[1]


def test_what_is_said_of_a_hip_without_the_label_counts_in_that_hip_alone():
    """Three hips of two slices: one has the label, one is empty and called 200 pixels, one is empty and called nothing."""
    targets = torch.zeros(6, 32, 32)
    targets[0, :4] = 1
    logits = torch.full((6, 32, 32), -20.0)
    logits[1], logits[3, :10, :20] = 20, 20
    assert ABSENT_PIXELS == 200
    assert absent_loss(logits, targets, 2) == pytest.approx(0.25, abs=1e-4)
    assert absent_loss(logits, targets, 2, torch.tensor([True, True, False])) == pytest.approx(0.5, abs=1e-4)
    assert absent_loss(logits, targets, 2, torch.tensor([True, False, True])) == pytest.approx(0, abs=1e-4)
    assert absent_loss(logits, targets * 0 + 1, 2) == 0
