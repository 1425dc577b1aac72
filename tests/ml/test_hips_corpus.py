"""The finder on real images that neither its training nor its settings have seen."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from ml.dicom.volume import SourceSlice, Volume
from ml.hips import find_hips
from tests.ml.hips_cases import (
    CORPUS,
    LOCALISER_HEADS,
    corpus_files,
    cut_out,
    error_mm,
    localiser,
    moved,
    stack,
    turned,
)
from tests.ml.test_hips_finder import finder  # noqa: F401  (a fixture)

pytestmark = pytest.mark.corpus
WITHIN_MM = 15.0


def flipped(data_sets, axes):
    """The same slices stored with their rows, columns or file order reversed, geometry kept true."""
    if "files" in axes:
        data_sets = data_sets[::-1]
    for data_set in data_sets:
        pixels = data_set.pixel_array
        orientation = np.array(data_set.ImageOrientationPatient, float)
        position = np.array(data_set.ImagePositionPatient, float)
        spacing = [float(v) for v in data_set.PixelSpacing]
        if "rows" in axes:
            position = position + orientation[3:] * spacing[0] * (pixels.shape[0] - 1)
            orientation[3:] *= -1
            pixels = pixels[::-1]
        if "columns" in axes:
            position = position + orientation[:3] * spacing[1] * (pixels.shape[1] - 1)
            orientation[:3] *= -1
            pixels = pixels[:, ::-1]
        data_set.ImageOrientationPatient, data_set.ImagePositionPatient = orientation.tolist(), position.tolist()
        data_set.PixelData = np.ascontiguousarray(pixels).tobytes()
    return data_sets


def assert_found(finder, volume, heads):  # noqa: F811
    for hip in find_hips(volume, finder):
        if hip.side in heads:
            assert error_mm(hip, heads[hip.side]) < WITHIN_MM
        else:
            assert not hip.found


@pytest.mark.parametrize("axes", [(), ("rows",), ("columns",), ("files",), ("rows", "columns", "files")])
def test_localiser(finder, axes):  # noqa: F811
    assert_found(finder, stack(flipped(localiser(), axes)), LOCALISER_HEADS)


@pytest.mark.parametrize("degrees", [-15, -8, 8, 15])
@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_localiser_turned(finder, degrees, axis):  # noqa: F811
    assert_found(finder, *turned(stack(localiser()), LOCALISER_HEADS, degrees, axis))


@pytest.mark.parametrize("pixels", [(26, 0), (-26, 0), (0, 26), (0, -26), (18, 18)])  # 20 mm
def test_localiser_moved(finder, pixels):  # noqa: F811
    assert_found(finder, *moved(stack(localiser()), LOCALISER_HEADS, *pixels))


@pytest.mark.parametrize(
    ("side", "rows", "columns"),
    [
        ("right", (0, 512), (0, 256)),
        ("left", (0, 512), (256, 512)),
        ("right", (0, 512), (0, 230)),
        ("left", (0, 512), (280, 512)),
        ("right", (165, 405), (0, 238)),
        ("left", (168, 408), (250, 468)),
    ],
)
def test_localiser_cut_to_one_hip(finder, side, rows, columns):  # noqa: F811
    volume = cut_out(stack(localiser()), rows, columns)
    assert_found(finder, volume, {side: LOCALISER_HEADS[side]})


def test_localiser_with_three_slices(finder):  # noqa: F811
    assert_found(finder, cut_out(stack(localiser()), slices=(1, 4)), LOCALISER_HEADS)


@pytest.mark.parametrize("plane", ["axial", "sagittal"])
def test_other_planes_of_the_localiser_called_coronal(finder, plane):  # noqa: F811
    volume = stack(localiser(plane), relabel=True)
    for pixels in (volume.pixels, volume.pixels[:, ::-1], volume.pixels[:, :, ::-1]):
        assert_found(finder, replace(volume, pixels=pixels.copy()), {})


@pytest.mark.parametrize("slices", [(0, 52), (0, 20), (16, 36), (24, 44), (32, 52)])
def test_axial_hip_called_coronal(finder, slices):  # noqa: F811
    data_sets = [pydicom.dcmread(path) for path in corpus_files("hip_mr/STS_044/MR_T1/image")]
    volume = cut_out(stack(data_sets, relabel=True), slices=slices)
    for pixels in (volume.pixels, volume.pixels[::-1]):
        assert_found(finder, replace(volume, pixels=pixels.copy()), {})


def other_pictures():
    """Every picture of the corpus that shows no hip, as (name, slices)."""
    for folder in ("vendor_mr", "transfer_syntax", "enhanced_mr", "non_mr", "malformed_series"):
        for path in sorted((CORPUS / folder).rglob("*")):
            if not path.is_file():
                continue
            try:
                pixels = pydicom.dcmread(path).pixel_array.astype(np.float32)
            except (pydicom.errors.InvalidDicomError, AttributeError, ValueError, RuntimeError, NotImplementedError):
                continue  # not a picture that pydicom can decode
            if pixels.ndim in (2, 3) and pixels.shape[-1] > 16:
                yield str(path.relative_to(CORPUS)), pixels if pixels.ndim == 3 else pixels[None]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_hip_in_any_other_picture(finder):  # noqa: F811
    corpus_files("vendor_mr/GE")  # skips where the corpus is absent
    seen = 0
    for name, pixels in other_pictures():
        pixels = pixels[:40] if len(pixels) > 1 else np.repeat(pixels, 8, axis=0)
        for field_of_view_mm in (250, 400):
            step = field_of_view_mm / max(pixels.shape[1:])
            affine = np.eye(4)
            affine[:3, :3] = [[0, 0, step], [5, 0, 0], [0, -step, 0]]
            sources = tuple(SourceSlice(str(k)) for k in range(len(pixels)))
            found = find_hips(Volume(pixels, (5.0, step, step), affine, sources), finder)
            assert [hip.found for hip in found] == [False, False], name
            seen += 1
    assert seen > 40
