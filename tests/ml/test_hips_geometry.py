"""From the network's answer to places in the patient: canvases, spheres, pairs, verdict."""

import numpy as np
import pytest

from ml.dicom.volume import SourceSlice, Volume
from ml.hips.finder import to_volume_index
from ml.hips.prepare import CANVAS_PX, CELL_MM, RASTER_PX, normalise, pick_slices, prepare
from ml.hips.spheres import Answer, Ball, distance_mm, fit_ball, grid_mm, spots
from ml.hips.verify import FEATURES, Candidate, Verdict, candidates, choose, is_pair


def make_volume(shape=(8, 200, 240), spacing_mm=(6.0, 1.25, 1.5)):
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, spacing_mm[2]], [spacing_mm[0], 0, 0], [0, -spacing_mm[1], 0]]
    affine[:3, 3] = [-150, -30, 120]
    pixels = np.random.default_rng(0).random(shape).astype(np.float32)
    return Volume(pixels, spacing_mm, affine, tuple(SourceSlice(f"1.2.{k}") for k in range(shape[0])))


def place_on_grid(volume, canvas, lps_mm):
    """The inverse of `to_volume_index`."""
    index = volume.to_index(lps_mm)
    cell = CELL_MM / 3.0
    at = [((index[1 + k] * canvas.zoom[k] + canvas.offset_px[k]) - (cell - 1) / 2) / cell * CELL_MM for k in (0, 1)]
    return np.array([index[0] * volume.spacing_mm[0], *at])


def answer_with(volume, heads):
    """What a perfect network says of heads {part: (centre LPS, radius)}."""
    canvas = prepare(volume)
    seen = canvas.seen[:, ::2, ::2]
    empty = Answer(np.zeros((6, *seen.shape), np.float32), seen, canvas.slices * volume.spacing_mm[0], canvas)
    shares = empty.shares.copy()
    for part, (centre, radius) in heads.items():
        distance = distance_mm(grid_mm(empty), place_on_grid(volume, canvas, centre))
        shares[part] = np.clip((radius - distance) / CELL_MM + 0.5, 0, 1) * seen
    return Answer(shares, seen, empty.slice_mm, canvas)


def test_canvas_keeps_places():
    volume = make_volume()
    canvas = prepare(volume)
    for index in ([0, 0, 0], [7, 199, 239], [3, 50, 180]):
        place = place_on_grid(volume, canvas, volume.to_lps(index))
        np.testing.assert_allclose(to_volume_index(canvas, volume, place), index, atol=1e-9)


def test_a_bright_dot_lies_on_the_canvas_where_the_map_says():
    volume = make_volume()
    volume.pixels[:] = 0
    volume.pixels[4, 80:83, 150:153] = 100
    canvas = prepare(volume)
    row, column = np.unravel_index(canvas.images[4, 0].argmax(), canvas.images[4, 0].shape)
    expected = [81 * canvas.zoom[0] + canvas.offset_px[0], 151 * canvas.zoom[1] + canvas.offset_px[1]]
    assert np.abs(np.array([row, column]) - expected).max() <= 1


@pytest.mark.parametrize("shape", [(2, 60, 60), (3, 512, 512), (4, 400, 900)])
def test_canvas_sizes_fit_the_network(shape):
    canvas = prepare(make_volume(shape, (5.0, 1.0, 1.0)))
    assert all(size % RASTER_PX == 0 and size >= CANVAS_PX for size in canvas.images.shape[2:])
    assert canvas.seen.any(axis=(1, 2)).all()


@pytest.mark.parametrize(("n", "pitch", "expected"), [(20, 4.0, 20), (100, 1.0, 34), (300, 5.0, 43), (1, 0.0, 1)])
def test_thin_and_long_stacks_are_thinned_out(n, pitch, expected):
    assert len(pick_slices(n, pitch)) == expected


def test_normalise_forgets_the_scale_and_survives_an_empty_slice():
    image = np.random.default_rng(1).random((40, 40)).astype(np.float32)
    seen = np.ones(image.shape, bool)
    np.testing.assert_allclose(normalise(image, seen), normalise(image * 4000, seen), rtol=1e-3, atol=1e-4)
    assert not normalise(np.zeros((40, 40), np.float32), seen).any()


@pytest.mark.parametrize("radius", [20.0, 27.0])
@pytest.mark.parametrize("pitch", [4.0, 10.5])
def test_ball_is_found_to_a_millimetre(radius, pitch):
    volume = make_volume(spacing_mm=(pitch, 1.25, 1.5))
    centre = volume.to_lps([3.4, 90.3, 120.8])
    answer = answer_with(volume, {1: (centre, radius)})
    ball = fit_ball(answer, spots(answer.heads)[0])
    found = volume.to_lps(to_volume_index(answer.canvas, volume, ball.centre_mm))
    assert np.linalg.norm(found - centre) < 1.0
    assert abs(ball.radius_mm - radius) < 1.5
    assert ball.overlap > 0.95


def test_ball_at_the_edge_keeps_its_centre():
    volume = make_volume()
    centre = volume.to_lps([4, 100, 5])  # 7.5 mm from the left edge of the picture
    answer = answer_with(volume, {1: (centre, 24.0)})
    ball = fit_ball(answer, spots(answer.heads)[0])
    found = volume.to_lps(to_volume_index(answer.canvas, volume, ball.centre_mm))
    assert np.linalg.norm(found - centre) < 3.0
    assert ball.visible < 0.85


def ball_at(slice_mm, row_mm, column_mm):
    return Ball(np.array([slice_mm, row_mm, column_mm], float), 24.0, 0.9, 0.9, 50.0, 1.0)


@pytest.mark.parametrize(
    ("left", "expected"),
    [((0, 200, 280), True), ((10, 240, 270), True), ((0, 200, 180), False), ((0, 320, 260), False), ((0, 200, 20), False)],
)
def test_only_two_heads_of_one_person_are_a_pair(left, expected):
    assert is_pair(ball_at(0, 200, 100), ball_at(*left)) is expected


def plain_verdict():
    n = len(FEATURES)
    weights = np.zeros(n)
    weights[FEATURES.index("overlap")] = 10
    return Verdict(np.full(n, 0.5), np.ones(n), weights, 0.0, 0.5)


def test_candidates_know_their_side_and_their_partner():
    volume = make_volume()
    places = {1: (volume.to_lps([3, 100, 60]), 24.0), 2: (volume.to_lps([3, 104, 180]), 24.0)}
    found = candidates(answer_with(volume, places))
    assert {candidate.side for candidate in found} == {"right", "left"}
    for candidate in found:
        evidence = dict(zip(FEATURES, candidate.evidence, strict=True))
        assert evidence["purity"] == pytest.approx(1)
        assert evidence["partner"] > 0.8


def test_two_heads_that_are_no_pair_leave_the_better_one():
    n = len(FEATURES)
    good, worse = np.full(n, 0.9), np.full(n, 0.8)
    found = [Candidate("right", ball_at(0, 200, 200), good), Candidate("left", ball_at(0, 200, 150), worse)]
    assert set(choose(found, plain_verdict())) == {"right"}
    pair = [found[0], Candidate("left", ball_at(0, 200, 380), worse)]
    assert set(choose(pair, plain_verdict())) == {"right", "left"}


@pytest.mark.parametrize(("dark_mm", "expected"), [((20, 0), False), ((20, 40), True), ((0, 0), False)])
def test_a_void_is_head_and_neck_without_signal(dark_mm, expected):
    volume = make_volume()
    centre = volume.to_lps([3, 100, 60])
    places = volume.to_lps(np.stack(np.meshgrid(*map(np.arange, volume.pixels.shape), indexing="ij"), -1)) - centre
    head, neck = dark_mm
    volume.pixels[np.linalg.norm(places, axis=-1) < head] *= 0.02
    volume.pixels[np.linalg.norm(places - np.array([-22, 0, -15]), axis=-1) < neck / 2] *= 0.02
    [candidate] = candidates(answer_with(volume, {1: (centre, 20.0)}))
    assert candidate.is_void is expected


def test_a_void_in_the_likeliest_place_leaves_its_side_without_a_hip():
    n = len(FEATURES)
    found = [Candidate("right", ball_at(0, 200, 100), np.full(n, 0.9), is_void=True)]
    found += [Candidate("right", ball_at(0, 260, 100), np.full(n, 0.8)), Candidate("left", ball_at(0, 200, 280), np.full(n, 0.9))]
    best = choose(found, plain_verdict())
    assert best["right"] == (found[0], 0.0)
    assert best["left"][1] > 0.9


def test_an_empty_answer_has_no_candidates():
    volume = make_volume()
    assert candidates(answer_with(volume, {})) == []
    assert choose([], plain_verdict()) == {}
