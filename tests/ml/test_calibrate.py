"""Where lesions are cut: by Dice, and among cuts that are as good, by volume; and how sure of synovitis a network must be."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ml import assess
from ml.batches import Example
from ml.calibrate import AS_GOOD, SHIFTS, best_shift, best_sure, calibrate, make_sure
from ml.labels import BME_PLANE, SYNOVITIS, SYNOVITIS_PLANE
from ml.networks import build
from tests.ml.test_doubt import hip
from tests.ml.toys import make_stack


def table(dice, volume, n_hips=3):
    return np.stack([np.stack([dice, volume], axis=-1)] * n_hips)


def test_the_better_dice_wins():
    dice = np.linspace(0.3, 0.9, len(SHIFTS))
    assert best_shift(table(dice, np.linspace(1, 3, len(SHIFTS)))) == SHIFTS[-1]


def test_among_cuts_as_good_the_truer_volume_wins():
    flat = np.full(len(SHIFTS), 0.8)
    volume = np.linspace(0.4, 1.8, len(SHIFTS))
    nearest = SHIFTS[int(np.abs(np.log(volume)).argmin())]
    assert best_shift(table(flat, volume)) == nearest
    flat[SHIFTS.index(nearest)] -= 2 * AS_GOOD
    assert best_shift(table(flat, volume)) != nearest


def test_what_is_never_found_is_not_shifted():
    assert best_shift(table(np.zeros(len(SHIFTS)), np.zeros(len(SHIFTS)))) == 0


def test_of_cuts_that_are_alike_the_smallest_shift_wins():
    assert best_shift(table(np.full(len(SHIFTS), 0.7), np.full(len(SHIFTS), 0.9))) == 0


def test_one_hip_far_off_does_not_decide():
    measured = np.concatenate([table(np.full(len(SHIFTS), 0.8), np.linspace(0.5, 1.5, len(SHIFTS)), 4)] * 2)
    usual = best_shift(measured)
    measured[0, :, 1] = 1000
    assert best_shift(measured) == pytest.approx(usual, abs=0.51)


class Bright(torch.nn.Module):
    """Says BME where a pixel of the toy is as bright as its oedema, but is far too generous."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = build("unet", base=4)
        self.sure = torch.zeros(4)

    takes_stack = False
    memory_format = torch.channels_last

    def forward(self, images):
        logits = torch.full((len(images), 4, *images.shape[2:]), -9.0)
        logits[:, BME_PLANE] = 4 * images[:, 0] + self.inner.head.bias[BME_PLANE]
        return logits

    def shift_logits(self, shifts):
        self.inner.shift_logits(shifts)


def test_a_network_is_shifted_for_good():
    network = Bright().eval()
    examples = [Example(make_stack(seed), labels=("femur", "femoral_head", "bme")) for seed in range(3)]
    before = network.inner.head.bias.detach().clone()
    shifts = calibrate(network, examples)
    assert set(shifts) == {"bme"}  # synovitis was not annotated
    after = network.inner.head.bias.detach()
    assert float(after[BME_PLANE] - before[BME_PLANE]) == pytest.approx(shifts["bme"])
    assert after[SYNOVITIS_PLANE] == before[SYNOVITIS_PLANE]


def test_nothing_to_choose_by_changes_nothing():
    network = build("unet", base=4).eval()
    before = network.head.bias.detach().clone()
    assert calibrate(network, [Example(make_stack(0), labels=("femur",))]) == {}
    assert torch.equal(network.head.bias, before)


WET = Example(make_stack(0))
DRY = Example(replace(WET.stack, masks=WET.stack.masks & np.uint8(255 - SYNOVITIS)))


def surest(monkeypatch, hips):
    """What `make_sure` says and leaves in a network that says (peak, whether that is true) of each hip."""
    said = iter([(hip(peak), (hip(peak) > 0) & is_wet) for peak, is_wet in hips])
    monkeypatch.setattr(assess, "hip_logits", lambda *_: next(said))
    network = build("unet", base=4).eval()
    network.sure[SYNOVITIS_PLANE] = 99.0  # of an earlier calibration
    return make_sure(network, [WET if is_wet else DRY for _, is_wet in hips]), network.sure.tolist()


@pytest.mark.parametrize(
    ("hips", "wanted"),
    [
        ([(11.0, True), (12.0, True), (3.0, False), (3.5, False)], 7.0),  # half of it is more than what is made up reaches
        ([(11.0, True), (12.0, True), (-6.0, False), (-6.0, False)], 0.0),  # nothing is made up
        ([(4.0, True), (4.0, True), (3.9, False), (3.9, False), (3.9, False)], 0.0),  # effusions would be lost, however few
        ([(20.0, True), (1.9, False)], 4.0),  # of those that serve as well the lowest
    ],
)
def test_how_sure_of_synovitis_is_what_serves_the_hips_best(monkeypatch, hips, wanted):
    found, kept = surest(monkeypatch, hips * 3)
    assert found == {"synovitis": wanted}
    assert kept == [0.0, 0.0, 0.0, wanted]


@pytest.mark.parametrize("hips", [[(10.0, False)] * 9, [(10.0, True)] * 9, [(10.0, True)] * 9 + [(3.0, False)] * 2, []])
def test_too_few_hips_of_either_kind_change_nothing(monkeypatch, hips):
    found, kept = surest(monkeypatch, hips)
    assert (found, kept) == ({}, [0.0] * 4)


def test_what_it_may_cost_hips_with_synovitis_is_little():
    served = np.array([[0.8, 0.79, 0.7], [0.8, 0.79, 0.7], [0.1, 0.5, 1.0], [0.1, 0.5, 1.0]])
    assert best_sure(served, np.array([True, True, False, False])) == 1


def test_nobody_is_made_sure_by_hips_whose_synovitis_was_not_annotated():
    network = build("unet", base=4).eval()
    assert make_sure(network, [replace(one, labels=("bme",)) for one in (WET, DRY)] * 3) == {}
    assert not network.sure.any()
