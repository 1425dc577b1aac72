"""Any order, orientation and packing of the same slices gives the same Volume, and masks find their way back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ml.dicom import Volume, choose_series, read_datasets
from tests.builders import dicom as build

LAYOUTS = st.fixed_dictionaries({k: st.booleans() for k in ("transpose", "flip_rows", "flip_columns")})
ANGLES_DEG = st.tuples(*[st.floats(-13, 13)] * 3)


def volume_of(datasets) -> Volume:
    return choose_series(read_datasets(build.named(datasets))).volume


def assert_same(volume: Volume, stack: build.Stack) -> None:
    np.testing.assert_array_equal(volume.pixels, stack.pixels.astype(np.float32))
    np.testing.assert_allclose(volume.affine, stack.affine, atol=1e-4)
    np.testing.assert_allclose(volume.spacing_mm, stack.spacing_mm, rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(layout=LAYOUTS, order=st.permutations(range(6)), angles=ANGLES_DEG, is_enhanced=st.booleans())
def test_same_volume_whatever_the_files_look_like(layout, order, angles, is_enhanced):
    stack = build.random_stack(rotation=Rotation.from_euler("xyz", angles, degrees=True).as_matrix())
    if is_enhanced:
        datasets = [build.enhanced(stack, order=order, **layout)]
    else:
        classic = build.classic(stack, **layout)
        datasets = [classic[i] for i in order]
    volume = volume_of(datasets)
    assert_same(volume, stack)
    for i, source in enumerate(volume.sources):
        dataset = datasets[0] if is_enhanced else next(d for d in datasets if d.SOPInstanceUID == source.uid)
        stored = dataset.pixel_array[source.frame - 1] if is_enhanced else dataset.pixel_array
        np.testing.assert_array_equal(source.to_source(volume.pixels[i]), stored)
        np.testing.assert_array_equal(source.from_source(source.to_source(volume.pixels[i])), volume.pixels[i])


@settings(max_examples=20, deadline=None)
@given(layouts=st.lists(LAYOUTS, min_size=6, max_size=6))
def test_each_slice_may_lie_differently_in_its_file(layouts):
    stack = build.random_stack((6, 14, 14))
    datasets = [build.classic(stack, **layout)[i] for i, layout in enumerate(layouts)]
    assert_same(volume_of(datasets), stack)


def test_index_and_position_are_inverse():
    volume = volume_of(build.classic(build.random_stack()))
    np.testing.assert_allclose(volume.to_lps([0, 0, 0]), (-60, -20, 50))
    np.testing.assert_allclose(volume.to_lps([2, 3, 4]), (-60 + 4 * 1.25, -20 + 2 * 4.4, 50 - 3 * 1.5))
    np.testing.assert_allclose(volume.to_index(volume.to_lps([[1, 2, 3], [5, 0, 7]])), [[1, 2, 3], [5, 0, 7]], atol=1e-9)


def test_frames_are_numbered_and_their_own_slope_counts():
    stack = build.random_stack()
    slopes = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    volume = volume_of([build.enhanced(stack, order=[5, 4, 3, 2, 1, 0], slopes=slopes)])
    assert [source.frame for source in volume.sources] == [6, 5, 4, 3, 2, 1]
    np.testing.assert_allclose(volume.pixels, stack.pixels * np.array(slopes)[:, None, None], rtol=1e-6)


def test_slice_location_and_instance_numbers_count_for_nothing():
    datasets = build.classic(build.random_stack())
    for i, dataset in enumerate(datasets):
        dataset.SliceLocation = 100 - i * 7 % 5
        dataset.InstanceNumber = (i * 5) % 6 + 1
    assert_same(volume_of(datasets), build.random_stack())


def test_rescale_sign_inversion_and_padding():
    stack = build.random_stack()
    signed = build.Stack((stack.pixels.astype(np.int32) - 2000).astype(np.int16))
    volume = volume_of(build.classic(signed, RescaleSlope=2, RescaleIntercept=4000))
    np.testing.assert_array_equal(volume.pixels, stack.pixels * np.float32(2))
    inverted = build.Stack((stack.pixels.max() - stack.pixels).astype(np.uint16))
    volume = volume_of(build.classic(inverted, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(volume.pixels, stack.pixels - stack.pixels.min())
    padded = build.Stack(np.where(stack.pixels < 500, 65535, stack.pixels).astype(np.uint16))
    volume = volume_of(build.classic(padded, PixelPaddingValue=65535))
    assert volume.pixels.max() == stack.pixels.max()
    assert volume.pixels.min() == stack.pixels[stack.pixels >= 500].min()


@pytest.mark.parametrize("axis", ["axial", "sagittal"])
def test_other_planes_are_laid_out_too(axis):
    turn = {"axial": ("x", 90), "sagittal": ("z", 90)}[axis]
    stack = build.random_stack(rotation=Rotation.from_euler(*turn, degrees=True).as_matrix())
    (series,) = read_datasets(build.named(build.classic(stack))).series
    assert series.plane == axis
    from ml.dicom.assemble import build_volume

    volume, _ = build_volume(series)
    leading = volume.affine[:3, :3]
    expected = {"axial": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]], "sagittal": [[1, 0, 0], [0, 0, 1], [0, -1, 0]]}[axis]
    np.testing.assert_array_equal(np.sign(np.round(leading, 3)), expected)
    for source, plane in zip(volume.sources, volume.pixels, strict=True):
        i = int(source.uid.rsplit(".", 1)[1]) - 1
        np.testing.assert_array_equal(source.to_source(plane), stack.pixels[i])
