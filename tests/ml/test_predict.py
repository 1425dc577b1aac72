"""Outlines on the original grid: both sides, any batch, nothing where there is no head."""

import numpy as np
import pytest
import torch

from ml import bundle as bundle_module
from ml import labels, predict, tidy
from ml.bundle import Bundle, folded
from ml.doubt import doubted
from ml.hips import FoundHip
from ml.networks import NETWORKS, build
from ml.phantom import generate
from scoring.mri.unet_score import score_hip
from tests.ml.toys import ball, make_volume

CENTRES = {"right": (10, 70, 60), "left": (10, 70, 240)}


class Threshold(torch.nn.Module):
    """Stands for a trained network: dark is head, with 3 mm around it for a neck it is femur, bright is synovitis."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(40.0))

    def forward(self, images):
        dark, bright = (-0.25 - images) * self.gain, (images - 0.8) * self.gain
        femur = torch.nn.functional.max_pool2d(dark, 9, stride=1, padding=4)
        return torch.cat([femur, dark, dark * 0 - 9, bright], dim=1)


def make_bundle(unet=None):
    return Bundle(unet or Threshold(), None, "toy", "1", "0" * 64, {})


@pytest.fixture
def volume():
    """Two dark balls of 24 mm radius in grey, with a bright patch medial to the right one."""
    pixels = np.full((21, 140, 300), 100.0) + np.random.default_rng(0).normal(0, 2, (21, 140, 300))
    shape = make_volume(pixels, (3.5, 0.9, 0.9))
    for centre in CENTRES.values():
        pixels[ball(shape, shape.to_lps(centre), 24)] = 20.0
    pixels[6:14, 60:80, 90:100] = 400.0
    return make_volume(pixels, (3.5, 0.9, 0.9))


@pytest.fixture
def finder(volume, monkeypatch):
    """The hip finder says where the balls are."""

    def find(_volume, _finder):
        return tuple(FoundHip(side, True, 0.9, tuple(volume.to_lps(at)), 24.0, "") for side, at in CENTRES.items())

    monkeypatch.setattr(predict, "find_hips", find)


def test_both_balls_are_outlined_where_they_are(volume, finder):
    found = predict.segment(volume, make_bundle())
    for hip in found.hips:
        assert hip.refused is None
        head = np.argwhere((hip.mask & labels.FEMORAL_HEAD) > 0)
        np.testing.assert_allclose(head.mean(axis=0), CENTRES[hip.side], atol=0.6)
        voxel_ml = 3.5 * 0.9 * 0.9 / 1000
        assert len(head) * voxel_ml == pytest.approx(4 / 3 * np.pi * 2.4**3, rel=0.06)
    assert not (found.left.mask & labels.SYNOVITIS).any()
    assert (found.right.mask & labels.SYNOVITIS).any()
    np.testing.assert_array_equal(found.mask, found.right.mask | found.left.mask)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_batch_size_changes_nothing(volume, finder, batch):
    first = predict.segment(volume, make_bundle(), batch=8).mask
    assert first.any()
    np.testing.assert_array_equal(predict.segment(volume, make_bundle(), batch=batch).mask, first)


def seasoned(name):
    """A network whose running statistics are those of crops, with logits spread around 0."""
    torch.manual_seed(1)
    network = build(name, base=4).train()
    images = torch.randn(2, 1, 4, 64, 64) if network.takes_stack else torch.randn(8, 1, 64, 64)
    for _ in range(3):
        network(images * torch.rand(1) * 3)
    network.shift_logits([2.5] * 4)
    network.sure += 0.5
    return folded(network.eval())


@pytest.mark.parametrize("name", tuple(NETWORKS))
def test_the_network_gives_each_slice_its_own_answer_whatever_the_batch(volume, finder, name):
    bundle = make_bundle(seasoned(name))
    hips = predict.find(volume, bundle, {})
    one, few, many = (predict.probabilities(volume, bundle, hips, None, batch) for batch in (1, 3, 64))
    for side in CENTRES:
        assert one[side].shape == (4, 21, 128, 160)
        assert one[side].std() > 1e-3
        np.testing.assert_allclose(few[side], one[side], atol=1e-5)
        np.testing.assert_allclose(many[side], one[side], atol=1e-5)


@pytest.mark.parametrize("name", tuple(NETWORKS))
def test_each_hip_has_the_same_answer_alone_and_beside_the_other(volume, finder, name):
    bundle = make_bundle(seasoned(name))
    hips = predict.find(volume, bundle, {})
    both = predict.probabilities(volume, bundle, hips, None, 8)
    for hip in hips:
        alone = predict.probabilities(volume, bundle, [hip], "cpu", 8)
        np.testing.assert_allclose(alone[hip.side], both[hip.side], atol=1e-5)


@pytest.mark.parametrize("name", ["unet", "unet25d", "ensemble"])
def test_what_a_network_is_not_sure_of_in_a_hip_is_lowered(name):
    members = [{"name": kind, "base": 4} for kind in ("unet", "unet25d")]
    network = seasoned(name) if name != "ensemble" else build(name, members=members).eval()
    network.shift_logits([2.5] * 4)
    rng = np.random.default_rng(0)
    stacks = [rng.normal(0, 1, (n, 128, 160)).astype(np.float32) for n in (5, 0, 9)]
    network.sure.zero_()
    bare = predict.shares_of(network, stacks, torch.device("cpu"), 4)
    logits = [np.log(shares / (1 - shares)).swapaxes(0, 1) for shares in bare]
    peak = max(float(hip[:, 3].max()) for hip in logits if len(hip))
    network.sure[3] = peak + 1
    found = predict.shares_of(network, stacks, torch.device("cpu"), 4)
    for shares, hip, before in zip(found, logits, bare, strict=True):
        wanted = 1 / (1 + np.exp(-doubted(hip, [0, 0, 0, peak + 1]).swapaxes(0, 1)))
        np.testing.assert_allclose(shares, wanted, atol=1e-4)
        np.testing.assert_array_equal(shares[:3], before[:3])
        assert not len(hip) or (shares[3] < before[3]).any()


def test_the_score_is_the_same_whatever_the_batch():
    found = bundle_module.load()
    phantom = generate(29_000, target="both", involvement="both", style="stir", n_slices=12)
    boxes = {side: hip.centre_mm for side, hip in phantom.hips.items()}
    volume, scores = phantom.volume, []
    for batch in (1, 8, 64):
        prediction = predict.segment(volume, found, boxes, batch=batch)
        scores.append([score_hip(hip.mask, volume.pixels, volume.spacing_mm, hip.side).unet_score for hip in prediction.hips])
    assert all(score > 0 for score in scores[0])
    np.testing.assert_allclose(scores[1:], [scores[0]] * 2, rtol=0, atol=1e-6)


def test_a_hip_of_which_no_slice_is_near_has_no_probabilities(volume):
    hip = FoundHip("right", True, 0.9, (0.0, 1000.0, 0.0), 24.0, "")
    planes = predict.probabilities(volume, make_bundle(), [hip], None, 8)
    assert planes["right"].shape == (4, 21, 128, 160)
    assert not planes["right"].any()


def test_a_mirrored_body_has_mirrored_outlines(volume, monkeypatch):
    mirrored = make_volume(volume.pixels[:, :, ::-1].copy(), volume.spacing_mm)
    last = volume.pixels.shape[2] - 1
    boxes = {side: tuple(volume.to_lps(at)) for side, at in CENTRES.items()}
    other = {"right": CENTRES["left"], "left": CENTRES["right"]}
    mirrored_boxes = {side: tuple(mirrored.to_lps((s, r, last - c))) for side, (s, r, c) in other.items()}
    plain = predict.segment(volume, make_bundle(), boxes)
    turned = predict.segment(mirrored, make_bundle(), mirrored_boxes)
    np.testing.assert_array_equal(turned.mask[:, :, ::-1], plain.mask)
    np.testing.assert_array_equal(turned.left.mask[:, :, ::-1], plain.right.mask)


def test_scaled_intensities_have_the_same_outlines(volume, finder):
    scaled = make_volume(volume.pixels * 8, volume.spacing_mm)
    first, second = predict.segment(volume, make_bundle()), predict.segment(scaled, make_bundle())
    np.testing.assert_array_equal(second.mask, first.mask)


def test_a_hip_that_was_not_found_has_a_reason_and_no_outline(volume, monkeypatch):
    absent = [FoundHip(side, False, 0.1, None, None, f"no {side} hip") for side in CENTRES]
    monkeypatch.setattr(predict, "find_hips", lambda *_: absent)
    found = predict.segment(volume, make_bundle())
    assert [hip.refused for hip in found.hips] == [
        predict.Refusal("hip_not_found", "no right hip"),
        predict.Refusal("hip_not_found", "no left hip"),
    ]
    assert not found.mask.any()


def test_a_place_without_a_head_is_refused(volume):
    boxes = {"right": tuple(volume.to_lps((10, 20, 150))), "left": tuple(volume.to_lps(CENTRES["left"]))}
    flat = make_volume(np.where(np.arange(300) < 150, 100.0, volume.pixels), volume.spacing_mm)
    found = predict.segment(flat, make_bundle(), boxes)
    assert found.right.refused.code == "no_plausible_head"
    assert found.right.centre_mm == boxes["right"]
    assert not found.right.mask.any()
    assert found.left.refused is None


def test_unknown_sides_are_refused(volume):
    with pytest.raises(ValueError, match="'right' and 'left'"):
        predict.segment(volume, make_bundle(), {"middle": (0.0, 0.0, 0.0)})


def test_tidying_takes_specks_and_second_heads_away():
    volume = make_volume(np.zeros((9, 100, 100)), (3.5, 0.9, 0.9))
    mask = np.zeros(volume.pixels.shape, np.uint8)
    mask[3:6, 40:60, 40:60] = labels.FEMUR | labels.FEMORAL_HEAD
    mask[4, 80:84, 80:84] = labels.FEMUR | labels.FEMORAL_HEAD
    mask[4, 45:55, 45:55] |= labels.BME
    mask[4, 10, 10] = labels.SYNOVITIS
    tidied = tidy.tidy(mask, volume, tuple(volume.to_lps((4, 50, 50))))
    assert not tidied[4, 80:84, 80:84].any()
    assert not tidied[4, 10, 10]
    np.testing.assert_array_equal(tidied[3:6, 40:60, 40:60], mask[3:6, 40:60, 40:60])
