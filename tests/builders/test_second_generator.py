"""The second generator keeps its promises: repeatable, rules of the labels, geometry, mix of patients, DICOM that reads back."""

from functools import cache

import numpy as np
import pydicom
import pytest

from ml import labels
from tests.builders.second_generator import (
    NEGATIVE_KINDS,
    NEGATIVE_SEEDS,
    TEST_SEEDS,
    make_negative,
    make_study,
    write_dicom,
)
from tests.builders.second_generator.lesions import patient_kind

study_of = cache(make_study)
TWO_SIDED, NORMAL = (next(seed for seed in range(20, 60) if patient_kind(seed) == kind) for kind in ("two", "normal"))


@pytest.fixture(params=(TWO_SIDED, NORMAL))
def study(request):
    return study_of(request.param)


def test_test_seeds_are_as_fixed_before_training():
    assert list(TEST_SEEDS) == list(range(500, 540))
    assert {kind: list(seeds) for kind, seeds in NEGATIVE_SEEDS.items()} == {
        kind: list(range(600 + 10 * n, 604 + 10 * n)) for n, kind in enumerate(NEGATIVE_KINDS)
    }


def test_same_seed_gives_the_same_study_and_another_seed_another():
    first, again = study_of(NORMAL), make_study(NORMAL)
    np.testing.assert_array_equal(first.volume.pixels, again.volume.pixels)
    np.testing.assert_array_equal(first.masks, again.masks)
    assert first.volume.uids == again.volume.uids
    assert first.heads == again.heads
    assert study_of(TWO_SIDED).heads != first.heads


def test_labels_obey_the_rules(study):
    np.testing.assert_array_equal(labels.enforce_rules(study.masks), study.masks)
    assert study.masks.shape == study.volume.pixels.shape
    assert study.masks.dtype == np.uint8


def test_centre_is_the_centroid_of_the_head_mask(study):
    where = np.argwhere((study.masks & labels.FEMORAL_HEAD) > 0)
    lps = study.volume.to_lps(where)
    middle_x = (study.heads["right"][0] + study.heads["left"][0]) / 2
    for side, own in (("right", lps[:, 0] < middle_x), ("left", lps[:, 0] > middle_x)):
        assert np.linalg.norm(lps[own].mean(0) - study.heads[side]) < 4
        volume_ml = own.sum() * np.prod(study.volume.spacing_mm) / 1000
        assert volume_ml == pytest.approx(4 / 3 * np.pi * study.hips[side].radius_mm ** 3 / 1000, rel=0.25)


def test_right_hip_lies_at_small_columns_and_axes_run_as_a_volume_says(study):
    right, left = (study.volume.to_index(study.heads[side]) for side in ("right", "left"))
    assert right[2] < left[2]
    axes = study.volume.affine[:3, :3] / np.array(study.volume.spacing_mm)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    assert axes[1, 0] > 0.9  # slices run backward
    assert axes[2, 1] < -0.9  # rows run down
    assert axes[0, 2] > 0.9  # columns run to the patient's left


def test_stack_has_the_slices_that_a_score_needs(study):
    for side, centre in study.heads.items():
        column = study.volume.to_index(centre)[2]
        near = np.abs(np.arange(study.masks.shape[2]) - column) < 50 / study.volume.spacing_mm[2]
        head_mm2 = ((study.masks[:, :, near] & labels.FEMORAL_HEAD) > 0).sum((1, 2)) * np.prod(study.volume.spacing_mm[1:])
        assert (head_mm2 >= 100).sum() >= 5, side


def test_a_quarter_to_a_third_of_patients_is_normal_and_some_are_one_sided():
    for seeds in (TEST_SEEDS, range(700)):
        kinds = [patient_kind(seed) for seed in seeds]
        assert 0.25 <= kinds.count("normal") / len(kinds) <= 1 / 3
        assert kinds.count("one") >= len(kinds) // 5
        assert kinds.count("two") >= len(kinds) // 4


def test_normal_patients_have_no_lesion_and_affected_ones_have():
    assert not any(hip.is_normal for hip in study_of(TWO_SIDED).hips.values())
    assert all(hip.bme_ml == hip.synovitis_ml == hip.bme_femoral_ml == 0 for hip in study_of(NORMAL).hips.values())


def test_lesion_volumes_add_up_to_the_mask():
    study = study_of(TWO_SIDED)
    voxel_ml = np.prod(study.volume.spacing_mm) / 1000
    for bit, name in ((labels.BME, "bme_ml"), (labels.SYNOVITIS, "synovitis_ml")):
        total = sum(getattr(hip, name) for hip in study.hips.values())
        assert total == pytest.approx(((study.masks & bit) > 0).sum() * voxel_ml)


def test_lesions_are_brighter_than_healthy_femoral_head():
    study = study_of(TWO_SIDED)
    head = (study.masks & labels.FEMORAL_HEAD) > 0
    lesion = (study.masks & (labels.BME | labels.SYNOVITIS)) > 0
    assert np.median(study.volume.pixels[lesion]) > 1.3 * np.median(study.volume.pixels[head & ~lesion])


def test_dicom_round_trip(tmp_path, study):
    paths = write_dicom(study, tmp_path)
    assert sorted(tmp_path.glob("*.dcm")) == sorted(paths)
    assert [p.name for p in paths] != sorted(p.name for p in paths)
    truth = np.load(tmp_path / "truth.npz")
    np.testing.assert_array_equal(truth["masks"], study.masks)
    assert tuple(truth["uids"]) == study.volume.uids
    assert not truth["frames"].any()
    for index, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        assert dataset.SOPInstanceUID == study.volume.uids[index]
        assert dataset.SOPInstanceUID.is_valid
        assert dataset.SeriesInstanceUID.is_valid
        slope = float(dataset.get("RescaleSlope", 1))
        np.testing.assert_allclose(dataset.pixel_array * slope, study.volume.pixels[index], rtol=1e-5)
        np.testing.assert_allclose(dataset.ImagePositionPatient, study.volume.to_lps((index, 0, 0)), atol=1e-5)
        row = np.array(dataset.ImageOrientationPatient[:3], float) * float(dataset.PixelSpacing[1])
        np.testing.assert_allclose(row, study.volume.affine[:3, 2], atol=1e-5)
        assert ("InversionTime" in dataset) == (study.volume.tags["ti_ms"] is not None)


@pytest.mark.parametrize("kind", NEGATIVE_KINDS)
def test_negatives_have_20_slices_and_no_hip(kind, tmp_path):
    stack = make_negative(1, kind)
    assert len(stack.volume.pixels) == 20
    assert stack.volume.pixels.std() > 0
    assert not stack.masks.any()
    assert stack.heads == stack.hips == {}
    assert abs(stack.volume.affine[1, 0]) / stack.volume.spacing_mm[0] > 0.9
    np.testing.assert_array_equal(make_negative(1, kind).volume.pixels, stack.volume.pixels)
    dataset = pydicom.dcmread(write_dicom(stack, tmp_path)[0])
    assert "COR" in dataset.SeriesDescription.upper()


def test_unknown_kind_of_negative_is_named():
    with pytest.raises(ValueError, match="elbow"):
        make_negative(1, "elbow")
