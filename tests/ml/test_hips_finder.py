"""`find_hips` with the default weights on synthetic stacks that its training never saw."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ml
from ml import bundle
from ml.hips import FoundHip, find_hips, load_finder
from ml.hips.scenes.pelvis import hip_pelvis
from ml.hips.scenes.stack import draw_stack
from ml.hips.scenes.stream import KINDS, Kind
from ml.labels import FEMORAL_HEAD
from ml.phantom import generate, write
from ml.study_score import score_path
from tests.builders.second_generator import TEST_SEEDS, make_study
from tests.ml.hips_cases import cut_out, error_mm, metal_head

WEIGHTS = Path(next(iter(ml.__path__))) / "weights" / "default"
BY_NAME = {kind.name: kind for kind in KINDS}
SEED = 990_000  # far from the seeds of training and of the verdict


@pytest.fixture(scope="module")
def finder():
    return load_finder(WEIGHTS)


def stacks_of(name, plane, n, seed):
    """So many stacks of one kind in one plane, each of its own scene."""
    rng = np.random.default_rng(SEED + seed)
    kind = Kind(name, 1.0, BY_NAME[name].make, {plane: 1.0})
    return [draw_stack(rng, kind, kind.make(rng)) for _ in range(n)]


@pytest.fixture(scope="module")
def phantom():
    """One ordinary synthetic study."""
    return generate(15_003, involvement="both", target="both", style="stir")


@pytest.fixture(scope="module")
def studies(phantom):
    """One study of each generator."""
    return {"first": phantom, "second": make_study(TEST_SEEDS[1])}


def heads_of(phantom):
    return {side: np.array(hip.centre_mm) for side, hip in phantom.hips.items()}


def test_both_hips_of_a_phantom(finder, phantom):
    right, left = find_hips(phantom.volume, finder)
    assert (right.side, left.side) == ("right", "left")
    for hip in (right, left):
        assert hip.found
        assert hip.confidence > 0.5
        assert error_mm(hip, heads_of(phantom)[hip.side]) < 8
        assert abs(hip.radius_mm - phantom.hips[hip.side].radius_mm) < 5


def test_intensity_scale_changes_nothing(finder, phantom):
    loud = replace(phantom.volume, pixels=phantom.volume.pixels * 37)
    for hip, same in zip(find_hips(phantom.volume, finder), find_hips(loud, finder), strict=True):
        np.testing.assert_allclose(hip.centre_mm, same.centre_mm, atol=0.1)


def test_it_says_the_same_twice(finder, phantom):
    assert find_hips(phantom.volume, finder) == find_hips(phantom.volume, finder)


@pytest.mark.parametrize("side", ["right", "left"])
def test_one_hip_in_view_is_found_on_its_own_side(finder, phantom, side):
    heads = heads_of(phantom)
    middle = round(float(np.mean([phantom.volume.to_index(at)[2] for at in heads.values()])))
    columns = (0, middle) if side == "right" else (middle, None)
    found = {hip.side: hip for hip in find_hips(cut_out(phantom.volume, columns=columns), finder)}
    other = "left" if side == "right" else "right"
    assert error_mm(found[side], heads[side]) < 8
    assert not found[other].found


def test_an_image_mirrored_without_its_geometry_swaps_the_hips(finder, phantom):
    volume = replace(phantom.volume, pixels=phantom.volume.pixels[:, :, ::-1].copy())
    right, left = find_hips(volume, finder)
    swapped = {side: volume.to_index(at) for side, at in heads_of(phantom).items()}
    for hip, other in ((right, "left"), (left, "right")):
        slice_, row, column = swapped[other]
        expected = volume.to_lps([slice_, row, volume.pixels.shape[2] - 1 - column])
        assert error_mm(hip, expected) < 8


def test_hips_of_wildly_varied_stacks(finder):
    errors = []
    for stack in stacks_of("pelvis", "coronal", 12, seed=1):
        found = {hip.side: hip for hip in find_hips(stack.volume, finder)}
        errors += [error_mm(found[head.side], head.centre_mm) for head in stack.heads]
    assert len(errors) >= 10
    assert np.mean(np.array(errors) < 10) >= 0.8  # some of these stacks show a sliver of a head in heavy noise
    assert np.median(errors) < 4


@pytest.mark.parametrize(
    ("name", "plane"),
    [("knees", "coronal"), ("brain", "coronal"), ("no bones", "coronal"), ("noise", "coronal"), ("blobs", "coronal"),
     ("pelvis", "axial"), ("pelvis", "sagittal")],
)  # fmt: skip
def test_nothing_is_found_where_no_hip_is(finder, name, plane):
    for stack in stacks_of(name, plane, 4, seed=20):
        assert [hip.found for hip in find_hips(stack.volume, finder)] == [False, False]


def test_a_prosthesis_is_never_placed_wildly(finder):
    rng = np.random.default_rng(SEED + 50)
    kind = Kind("prosthesis", 1.0, hip_pelvis, {"coronal": 1.0})
    for side, other in (("right", "left"), ("left", "right")):
        scene = hip_pelvis(rng, prosthesis=side)
        stack = draw_stack(rng, kind, scene)
        found = {hip.side: hip for hip in find_hips(stack.volume, finder)}
        assert not found[side].found
        if found[other].found:
            assert error_mm(found[other], stack.heads[0].centre_mm) < 15


@pytest.mark.parametrize("grow", [1.0, 1.6])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("generator", ["first", "second"])
def test_a_metal_head_is_not_found_and_the_other_hip_is(finder, studies, generator, side, grow):
    volume, heads = metal_head(studies[generator], side, grow)
    found = {hip.side: hip for hip in find_hips(volume, finder)}
    assert not found[side].found
    assert found[side].confidence < 0.1
    if grow == 1:  # larger ones leave nothing that looks like a head
        assert found[side].why == f"metal or another void hides the {side} femoral head"
    [(other, centre)] = heads.items()
    assert error_mm(found[other], centre) < 10


@pytest.mark.parametrize("share", [0.5, 0.25])
@pytest.mark.parametrize("generator", ["first", "second"])
def test_heads_of_dark_marrow_are_found(finder, studies, generator, share):
    study = studies[generator]
    pixels = np.where(study.masks & FEMORAL_HEAD, share * study.volume.pixels, study.volume.pixels).astype(np.float32)
    for hip in find_hips(replace(study.volume, pixels=pixels), finder):
        assert error_mm(hip, heads_of(study)[hip.side]) < 10


def test_an_axial_study_that_looks_like_hips_is_refused_by_its_geometry(tmp_path):
    write(generate(20_020, plane="axial"), tmp_path)  # find_hips, which sees pixels alone, takes it for coronal (confidence 0.84)
    result = score_path(tmp_path, bundle.load())
    assert result.refused.code == "wrong_plane"
    assert "axial" in result.refused.message


@pytest.mark.parametrize("pixels", [np.zeros((5, 64, 64)), np.full((3, 40, 50), np.nan), np.full((1, 16, 16), -5.0)])
def test_empty_images_have_no_hips(finder, phantom, pixels):
    volume = replace(phantom.volume, pixels=pixels.astype(np.float32), sources=phantom.volume.sources[: len(pixels)])
    for hip in find_hips(volume, finder):
        assert hip == FoundHip(hip.side, False, hip.confidence, None, None, hip.why)
        assert hip.confidence < 0.5
        assert hip.why


def test_missing_weights_say_how_to_make_them(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"python -m ml\.hips\.train"):
        load_finder(tmp_path)


def test_weights_of_another_network_are_refused(tmp_path):
    for name in ("hips.safetensors", "hips.json"):
        shutil.copy(WEIGHTS / name, tmp_path)
    settings = json.loads((tmp_path / "hips.json").read_text())
    (tmp_path / "hips.json").write_text(json.dumps(settings | {"verdict": settings["verdict"] | {"features": ["x"]}}))
    with pytest.raises(ValueError, match="other features"):
        load_finder(tmp_path)


def test_the_weights_are_small_and_name_their_command():
    assert (WEIGHTS / "hips.safetensors").stat().st_size <= 2_000_000
    assert json.loads((WEIGHTS / "hips.json").read_text())["commands"][0].startswith("python -m ml.hips.train")
