"""The network has the article's shape and can learn."""

import pytest
import torch

from ml import augment
from ml.losses import cross_entropy, dice_loss, missed_loss, regional_dice_loss, segmentation_loss
from ml.networks.unet import UNet
from tests.ml.toys import make_stack


def test_four_maps_of_the_size_of_the_input():
    assert UNet(base=4)(torch.zeros(2, 1, 128, 160)).shape == (2, 4, 128, 160)


def test_levels_and_widths_are_the_articles():
    network = UNet(base=16)
    assert [block[0].out_channels for block in network.encoder] == [16, 32, 64, 128, 256]
    assert sum(weight.numel() for weight in network.parameters()) == 1_942_340
    kinds = {type(module).__name__ for module in network.modules()}
    assert {"Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d", "ConvTranspose2d"} <= kinds


def test_two_slices_can_be_learnt_by_heart():
    torch.manual_seed(0)
    stack = make_stack()
    images = torch.from_numpy(stack.images[5:7].astype("float32"))
    inputs, targets = augment.centre_only(images, torch.from_numpy(stack.masks[5:7]), 2)
    inputs, targets = inputs[:, :, 16:112, 32:128], targets[:, :, 16:112, 32:128]
    network = UNet(base=8, levels=3)
    optimizer = torch.optim.Adam(network.parameters(), 0.03)
    for _ in range(50):
        optimizer.zero_grad()
        loss = segmentation_loss(network(inputs), targets)
        loss.backward()
        optimizer.step()
    predicted = network(inputs) > 0
    overlap = 2 * (predicted & (targets > 0.5)).sum((0, 2, 3)) / (predicted.sum((0, 2, 3)) + targets.sum((0, 2, 3)))
    assert overlap.min() > 0.9


def test_the_loss_is_small_where_all_is_right_and_large_where_all_is_wrong():
    targets = torch.zeros(2, 4, 8, 8)
    targets[:, :, :4] = 1
    right = (targets * 2 - 1) * 20
    assert segmentation_loss(right, targets) == pytest.approx(0, abs=1e-3)
    assert dice_loss(-right, targets) > 0.9
    assert cross_entropy(-right, targets) == pytest.approx(20)


def test_a_label_that_was_not_annotated_takes_no_part():
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 8, 8, requires_grad=True)
    annotated = torch.tensor([[1, 1, 0, 1]] * 3)
    segmentation_loss(logits, torch.ones(3, 4, 8, 8), annotated).backward()
    assert not logits.grad[:, 2].any()
    assert logits.grad[:, [0, 1, 3]].abs().sum((0, 2, 3)).min() > 0


def test_a_small_part_outside_the_region_weighs_as_much_as_a_large_part_inside():
    targets, region = torch.zeros(1, 40, 40), torch.zeros(1, 40, 40)
    region[:, :30] = 1
    targets[:, :20] = 1
    targets[:, 36:38] = 1
    inside_only = torch.where((targets * region) > 0, 20.0, -20.0)
    assert dice_loss(inside_only[:, None], targets[:, None]) < 0.1
    assert regional_dice_loss(inside_only, targets, region) == pytest.approx(0.5, abs=0.01)
    assert regional_dice_loss((targets * 2 - 1) * 20, targets, region) == pytest.approx(0, abs=1e-3)


def test_what_is_surely_denied_is_still_felt():
    targets, region = torch.zeros(1, 40, 40), torch.zeros(1, 40, 40)
    targets[:, :10] = 1
    logits = torch.full((1, 40, 40), -12.0, requires_grad=True)
    missed_loss(logits, targets, region).backward()
    assert logits.grad[:, :10].sum() == pytest.approx(-0.5, abs=0.01)
    assert not logits.grad[:, 10:].any()
    assert missed_loss(targets * 40 - 20, targets, region) == pytest.approx(0, abs=1e-3)
