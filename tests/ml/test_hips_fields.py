"""The finder over fields of view from 180 to 500 mm, one hip alone in view, a tilted pelvis."""

import numpy as np
import pytest

from ml.dicom.volume import SourceSlice, Volume
from ml.hips import find_hips
from ml.hips.fields import FIELDS_MM, TILTS_DEG, first_study, second_study, view, views
from tests.builders.second_generator import TEST_SEEDS
from tests.ml.hips_cases import error_mm
from tests.ml.test_hips_finder import finder  # noqa: F401  (a fixture)

WITHIN_MM = 10.0
STUDIES = {"first": lambda: first_study(22_101), "second": lambda: second_study(TEST_SEEDS[20])}


@pytest.fixture(scope="module", params=list(STUDIES))
def study(request):
    """A wide picture of both hips, and the true heads."""
    return STUDIES[request.param]()


@pytest.mark.parametrize("field_mm", FIELDS_MM)
def test_every_hip_in_view_is_found_in_its_place_and_no_other(finder, study, field_mm):  # noqa: F811
    cases = [case for case in views("", *study, seed=1) if f": {field_mm} mm" in case.group]
    assert len(cases) == (2 if field_mm > 250 else 4)  # level and tilted; a small picture of each hip
    for case in cases:
        assert case.volume.pixels.shape[1:] == (field_mm, field_mm)
        assert len(case.heads) == (2 if field_mm > 250 else 1)
        for hip in find_hips(case.volume, finder):
            if hip.side in case.heads:
                assert error_mm(hip, case.heads[hip.side]) < WITHIN_MM, case.group
            else:
                assert not hip.found, case.group


@pytest.mark.parametrize("tilt_deg", TILTS_DEG)
def test_a_view_leaves_everything_in_its_place(tilt_deg):
    pixels = np.zeros((5, 80, 90), np.float32)
    pixels[2, 30:33, 50:53] = 100
    affine = np.array([[0, 0, 1.2, -50], [6, 0, 0, 7], [0, -1.1, 0, 40], [0, 0, 0, 1.0]])
    volume = Volume(pixels, (6.0, 1.1, 1.2), affine, tuple(SourceSlice(str(k)) for k in range(5)))
    spot = volume.to_lps([2, 31, 51])
    seen = view(volume, spot + np.array([9, 3, -12]), 60, tilt_deg)
    brightest = np.argwhere(seen.pixels > 90).mean(0)
    assert np.linalg.norm(seen.to_lps(brightest) - spot) < 1
    np.testing.assert_allclose(np.linalg.norm(seen.affine[:3, :3], axis=0), seen.spacing_mm)


def test_a_tilted_view_tilts_the_pelvis(study):
    volume, heads = study
    right, left = heads["right"], heads["left"]
    rises = {tilt: np.diff([view(volume, right, 500, tilt).to_index(at)[1] for at in (right, left)])[0] for tilt in (0, 15)}
    assert abs(rises[15] - rises[0]) == pytest.approx(np.linalg.norm(left - right) * np.sin(np.radians(15)), rel=0.2)
