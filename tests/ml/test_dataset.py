"""Training examples are cut where the hip is, drawn the same way again, and their order of tissues kept."""

import numpy as np
import pytest

from ml import dataset
from ml.labels import BME, FEMORAL_HEAD, FEMUR, SYNOVITIS
from ml.phantom import Phantom, generate
from ml.phantom.anatomy import Tissue
from tests.ml.toys import make_stack


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return generate(17, target="right", involvement="both")


def test_the_head_is_in_the_middle_of_its_stack(phantom):
    hip = phantom.hips["right"]
    stack = dataset.cut(phantom, hip.centre_mm, "right")
    assert stack.images.shape == stack.masks.shape == stack.tissues.shape
    assert stack.images.shape[1:] == dataset.CANVAS
    assert stack.images.dtype == np.float16
    where = np.argwhere((stack.masks & FEMORAL_HEAD) > 0)
    np.testing.assert_allclose(where[:, 1:].mean(axis=0), (np.array(dataset.CANVAS) - 1) / 2, atol=8)
    assert np.isin(stack.tissues[(stack.masks & (FEMUR | BME)) == FEMUR], (Tissue.MARROW, Tissue.CORTEX)).mean() > 0.7


def test_the_nearest_slices_alone(phantom):
    stack = dataset.cut(phantom, phantom.hips["right"].centre_mm, "right", n_slices=3)
    assert len(stack.images) == 3
    assert all((plane & FEMORAL_HEAD).any() for plane in stack.masks)


def test_a_patients_stacks_are_hips_and_one_stray(phantom):
    stacks = dataset.stacks_of(1)  # a field of view for one hip
    assert len(stacks) == 2
    assert (stacks[0].masks & FEMORAL_HEAD).any()
    assert len(stacks[1].images) <= dataset.N_STRAY_SLICES


def test_what_was_kept_is_read_again(tmp_path, monkeypatch):
    stacks = [make_stack(0, 4), make_stack(1, 6)]
    monkeypatch.setattr(dataset, "stacks_of", lambda seed: stacks)
    dataset._prepare_one((7, tmp_path))
    again = list(dataset.read([7], tmp_path))
    assert len(again) == 2
    for first, second in zip(stacks, again, strict=True):
        np.testing.assert_array_equal(first.images, second.images)
        np.testing.assert_array_equal(first.masks, second.masks)
        np.testing.assert_array_equal(first.tissues, second.tissues)
    assert [path.name for path in tmp_path.iterdir()] == ["000007.npz"]


def test_a_draw_depends_on_its_generator_alone():
    stacks = [make_stack(seed, 6) for seed in range(4)]
    first, again = (dataset.draw(stacks, dataset.draw_shares(stacks), np.random.default_rng(3), 2, 4) for _ in range(2))
    assert first.indices == again.indices
    assert len(set(first.indices)) == 2
    for name in ("images", "masks", "tissues"):
        assert getattr(first, name).shape == (8, *dataset.CANVAS)
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_neighbouring_slices_lie_in_their_order():
    stack = make_stack(0, 12)
    numbered = dataset.Stack(stack.images * 0 + np.arange(12, dtype=np.float16)[:, None, None], stack.masks, stack.tissues)
    for seed in range(5):
        drawn = dataset.draw([numbered], np.ones(1), np.random.default_rng(seed), 1, 5, is_consecutive=True).images[:, 0, 0]
        assert np.diff(drawn).tolist() == [1, 1, 1, 1]
    too_short = dataset.draw([numbered], np.ones(1), np.random.default_rng(0), 1, 14, is_consecutive=True).images[:, 0, 0]
    assert too_short.tolist() == [*range(12), 11, 11]


def test_every_kind_of_hip_is_drawn_as_often_as_another():
    def stack(bits: int, n_slices: int) -> dataset.Stack:
        made = make_stack(0, n_slices)
        masks = np.zeros_like(made.masks)
        masks[1] = bits
        return dataset.Stack(made.images, masks, made.tissues)

    stacks = [stack(FEMUR, 6), stack(0, 3), stack(FEMUR, 3), stack(BME | FEMUR, 5), stack(SYNOVITIS, 2), stack(SYNOVITIS, 6)]
    np.testing.assert_allclose(dataset.draw_shares(stacks) * 3, [6 / 12, 3 / 12, 3 / 12, 1, 2 / 8, 6 / 8])


def test_slices_with_a_head_are_drawn_more_often():
    weights = make_stack(0, 16).draw_weights()
    assert weights.sum() == pytest.approx(1)
    assert weights[8] > 3 * weights[0]


def test_another_phantom_has_another_fingerprint(tmp_path, monkeypatch):
    first = dataset.fingerprint()
    (tmp_path / "shapes.py").write_text("changed = True\n")
    monkeypatch.setattr(dataset, "PHANTOM_SOURCES", tmp_path)
    assert first == first.lower()
    assert len(first) == 12
    assert dataset.fingerprint() != first
