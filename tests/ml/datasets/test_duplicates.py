"""The same picture under two patients is found however it was written; what only looks alike is left alone."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy import ndimage

from ml.datasets.annotated import Annotated
from ml.datasets.duplicates import N_SAME_SLICES, SAME_RANKS, find_duplicates, fingerprints, seen
from ml.phantom import generate
from tests.ml.datasets.cases import pelvis
from tests.ml.toys import make_volume


def image(patient, pixels, masks=None, visit="V1"):
    volume = make_volume(pixels)
    return seen(Annotated(f"{patient} {visit}", patient, visit, volume, {"": masks or {}}, "nifti"), [f"{patient}_{visit}_right"])


def reasons(*images):
    return {f"{one.patient} {one.visit}": why for one, why in find_duplicates(list(images)).items()}


@pytest.fixture(scope="module")
def pictures():
    """Stacks of different phantoms."""
    return [generate(seed, target="right", style="stir").volume.pixels for seed in range(6)]


def eight_bits(pixels):
    return np.rint(np.clip(pixels / np.percentile(pixels, 99.5), 0, 1) * 255)


@pytest.mark.parametrize(
    "write",
    [
        lambda p: p * 1.5,
        lambda p: np.rint(p * 0.7 + 40),
        lambda p: p[1:],
        lambda p: p[3:9],
        eight_bits,
        lambda p: p**0.8,
        lambda p: ndimage.zoom(p, (1, 2, 2), order=1),
    ],
    ids=["scaled", "scaled and shifted", "one slice fewer", "a part of the slices", "windowed", "gamma", "finer pixels"],
)
def test_a_picture_written_in_another_way_is_taken_from_neither_patient(pictures, write):
    found = reasons(image("P1", pictures[0]), image("P2", pictures[1]), image("P3", write(pictures[0])))
    assert set(found) == {"P1 V1", "P3 V1"}
    assert "is the same image, written in another way, under the patients P1, P3: none of them was taken" in found["P1 V1"]


def test_different_pictures_are_far_from_the_limit(pictures):
    for one, other in combinations(map(fingerprints, pictures), 2):
        assert (one @ other.T).max() < SAME_RANKS - 0.05
    assert reasons(*(image(f"P{n}", pixels) for n, pixels in enumerate(pictures))) == {}


def test_visits_of_one_patient_may_look_alike(pictures):
    assert reasons(image("P1", pictures[0]), image("P1", pictures[0] * 1.5, visit="V2")) == {}


def test_slices_that_show_next_to_nothing_are_no_evidence():
    empty = np.zeros((8, 90, 170))
    empty[:, 5:10, 5:60] = 700  # a ruler beside the body
    assert reasons(image("P1", empty), image("P2", empty * 2)) == {}


def test_a_few_slices_in_common_are_no_evidence(pictures):
    mixed = pictures[1].copy()
    size = np.array(mixed.shape[1:]) / pictures[0].shape[1:]
    mixed[: N_SAME_SLICES - 1] = ndimage.zoom(pictures[0][5 : 4 + N_SAME_SLICES], (1, *size), order=1)
    assert reasons(image("P1", pictures[0]), image("P2", mixed)) == {}


def test_masks_copied_beside_another_image_are_taken_from_neither_patient():
    made = pelvis()
    bme = made.masks["right"]["bme"]
    other = np.roll(bme, 2, axis=2)
    noise = [pelvis(seed).volume.pixels for seed in range(3)]
    found = reasons(
        image("P1", noise[0], {"bme": bme}), image("P2", noise[1], {"bme": bme}), image("P3", noise[2], {"bme": other})
    )
    assert set(found) == {"P1 V1", "P2 V1"}
    assert "has exactly the same outline under the patients P1, P2" in found["P2 V1"]


def test_empty_and_tiny_masks_may_be_the_same():
    noise = [pelvis(seed).volume.pixels for seed in range(2)]
    for n_voxels in (0, 20):
        mask = np.zeros(noise[0].shape, bool)
        mask.flat[:n_voxels] = True
        assert reasons(*(image(f"P{n}", pixels, {"bme": mask}) for n, pixels in enumerate(noise))) == {}


def test_two_rows_for_the_two_sides_of_an_image_are_no_duplicates(pictures):
    one = image("P1", pictures[0])
    assert reasons(one, replace(one, case_ids=("P1_V1_left",))) == {}


def test_nothing_and_a_picture_too_small_to_compare_are_no_duplicates():
    assert reasons() == {}
    assert reasons(image("P1", np.ones((4, 8, 8)))) == {}
