"""What the pictures say of a stack whose header and name are silent: fat dark or bright, on phantoms and on real series."""

import numpy as np
import pytest

from ml.dicom import UnscorableError, choose_series, read_datasets, read_study
from ml.dicom.content import FEW, MANY, content_of, look_into
from ml.phantom import generate
from tests.builders import dicom as build

SILENT = {
    "SeriesDescription": "hips cor", "ScanningSequence": None, "RepetitionTime": None, "EchoTime": None, "InversionTime": None,
}  # fmt: skip


def phantom_series(style: str, uid: str, seed: int = 100, **tags) -> list:
    """A phantom in the contrast of a style, as files whose header and name don't tell it."""
    volume = generate(seed, style=style, target="both", n_slices=6).volume
    pixels = np.clip(volume.pixels / volume.pixels.max() * 4000, 0, 4000).astype(np.uint16)
    stack = build.Stack(pixels, spacing_mm=tuple(volume.spacing_mm), origin_mm=(-180.0, -20.0, 150.0))
    return build.classic(stack, series_uid=f"{build.STUDY_UID}.{uid}", **{**SILENT, **tags})


def chosen(*all_series: list):
    return choose_series(read_datasets(build.named([dataset for datasets in all_series for dataset in datasets])))


@pytest.fixture(scope="module")
def stir():
    return phantom_series("stir", "2")


@pytest.fixture(scope="module")
def t1():
    return phantom_series("t1", "1")


@pytest.fixture(scope="module")
def t2():
    return phantom_series("t2", "3")


def test_of_silent_series_the_one_with_dark_fat_is_chosen(stir, t1, t2):
    choice = chosen(t1, stir, t2)
    assert choice.series.uid.endswith(".2")
    assert choice.fat_suppressed
    assert "neither header nor name tells, but fat is dark in its pictures (" in choice.why
    assert any("look at the sequence before you use the score" in words for words in choice.warnings)
    others = {candidate.series.uid[-1]: candidate for candidate in choice.candidates if candidate.series is not choice.series}
    assert {other.code for other in others.values()} == {"not_fat_suppressed"}
    assert all(" its pictures" in other.why for other in others.values())


def test_silent_series_with_bright_fat_are_refused(t1, t2):
    with pytest.raises(UnscorableError, match="its pictures") as caught:
        chosen(t1, t2)
    assert caught.value.code == "not_fat_suppressed"


def test_a_header_goes_before_pictures(stir):
    """T1 by its times, no fat suppression by its name: what the pictures show is not asked."""
    for tags in (build.T1, {"SeriesDescription": "cor t1"}, {"SeriesDescription": "cor t2 no fatsat"}):
        series = phantom_series("stir", "2", **tags)
        with pytest.raises(UnscorableError) as caught:
            chosen(series)
        assert "in its pictures" not in str(caught.value)
    told = phantom_series("stir", "9", seed=100, **build.STIR)
    assert chosen(stir, told[:5]).series.uid.endswith(".9")  # fewer slices, but its header says so


def test_a_name_that_the_pictures_contradict_goes_behind():
    named = [phantom_series(style, uid, seed=103, SeriesDescription="cor stir") for style, uid in (("t1", "1"), ("stir", "2"))]
    choice = chosen(*named)
    assert choice.series.uid.endswith(".2")
    doubted = next(candidate for candidate in choice.candidates if candidate.series.uid.endswith(".1"))
    assert doubted.is_doubted
    alone = chosen(named[0])
    assert "but fat is bright in its pictures" in alone.why
    assert any("look at the sequence" in words for words in alone.warnings)


@pytest.mark.corpus
def test_real_series_without_fat_suppression_have_bright_fat(corpus):
    series = [found for found in read_study(corpus / "hip_mr" / "ProstateX-0218").series if found.plane == "coronal"]
    assert len(series) == 2
    for found in series:
        content = look_into(found)
        assert content is not None
        assert content.fat_suppressed is False, content.words


def test_what_shows_nothing_says_nothing():
    assert content_of(np.zeros((5, 64, 64), np.float32), (4, 4, 4)) is None
    assert content_of(np.ones((1, 7, 8), np.float32), (4, 4, 4)) is None
    between = np.full((5, 100, 100), 20, np.float32)
    between[:, :, : round(100 * (FEW + MANY) / 2)] = 100
    content = content_of(between, (4, 4, 4))
    assert content is not None
    assert content.fat_suppressed is None
    assert "leave open" in content.words
