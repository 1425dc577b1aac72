"""Is a ball a hip? Evidence from its own shape and from what lies around it, weighed by a logistic."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.hips.prepare import CELL_MM
from ml.hips.spheres import MEAN_RADIUS_MM, Answer, Ball, distance_mm, fit_ball, grid_mm, spots

Side = Literal["right", "left"]
SIDES: tuple[Side, Side] = ("right", "left")

PAIR_DISTANCE_MM = (125.0, 245.0)  # between the centres of the two heads, small to very large adults
PAIR_HEIGHT_MM = 75.0  # a tilt of the pelvis by 25 degrees
FEATURES = (
    "overlap",  # soft Dice of the fitted sphere and the answer, stretched towards 1
    "inner",  # mean share of head inside it, stretched towards 1
    "purity",  # agreement on the side
    "mass",  # logarithm of the millilitres of head, up to those of an ordinary one
    "radius",  # distance from the mean radius, in mm
    "femur",  # logarithm of the millilitres of the same side's femur below and lateral of it
    "pelvis",  # logarithm of the millilitres of pelvic bone above and medial of it
    "neck",  # share of femur just below and lateral of it, in the best slice
    "roof",  # share of pelvic bone just above and medial of it, in the best slice
    "partner",  # quality of the best head of the other side at a fitting distance
    "stray",  # quality of all other balls
    "visible",  # share of the sphere inside the field of view
)
_ORDINARY_ML = 40.0
_LEAST_OVERLAP = 0.3  # a spot that a sphere explains no better than this is not worth weighing
_NO_SIGNAL = 0.1  # of the tissue around; the darkest of 117 ordinary heads had 0.12 (docs/explanation/hip-finder.md)
_VOID_NECK = 0.1  # share of the neck's cells without signal; at most 0.01 where a head's marrow was made that dark
_AROUND_MM = 100.0
_SURE = 0.3  # shares below this are the network's doubt spread over many cells, not bone


@dataclass(frozen=True)
class Candidate:
    """A ball, the side it claims, and its evidence in the order of `FEATURES`; `is_void` where metal hides it."""

    side: Side
    ball: Ball
    evidence: npt.NDArray[np.float64]
    is_void: bool = False


@dataclass(frozen=True)
class Verdict:
    """The logistic: evidence is standardised with `mean` and `spread`, weighed, and squashed to a probability."""

    mean: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    bias: float
    threshold: float

    def confidence(self, evidence: npt.NDArray[np.float64]) -> float:
        """Probability that a candidate is a hip of its side."""
        score = ((evidence - self.mean) / self.spread) @ self.weights + self.bias
        return float(1 / (1 + np.exp(-np.clip(score, -30, 30))))


def _log_volume(answer: Answer, share: npt.NDArray[np.float32], where: npt.NDArray[np.bool_]) -> float:
    """log(1 + millilitres) of a share in a region; each slice counts to half-way to its neighbours, at most 12 mm."""
    pitch = float(np.median(np.diff(answer.slice_mm))) if len(answer.slice_mm) > 1 else CELL_MM
    return float(np.log1p(share[where & (share > _SURE)].sum() * CELL_MM**2 * min(pitch, 12.0) / 1000))


def _best_slice(share: npt.NDArray[np.float32], where: npt.NDArray[np.bool_]) -> float:
    """Mean of a share over a region, in the slice where it is highest; 0 where the region is out of view."""
    n_cells = where.sum((1, 2))
    return float(((share * where).sum((1, 2)) / np.maximum(n_cells, 4)).max())


def _stretch(share: float) -> float:
    """0 … 1 to 0 … 3.9: the difference between good and very good counts as much as that between bad and good."""
    return float(-np.log(1.02 - min(share, 1.0)))


def _quality(ball: Ball) -> float:
    return ball.overlap * ball.inner


def is_pair(right: Ball, left: Ball) -> bool:
    """Whether two heads lie as the two hips of one person do."""
    apart = left.centre_mm - right.centre_mm
    distance = float(np.linalg.norm(apart))
    is_level = abs(float(apart[1])) < PAIR_HEIGHT_MM
    return float(apart[2]) > 90 and is_level and PAIR_DISTANCE_MM[0] < distance < PAIR_DISTANCE_MM[1]


def _side_of(answer: Answer, spot: npt.NDArray[np.bool_]) -> tuple[Side, float]:
    """The side that most of a spot claims, and by how much (0 … 1)."""
    right, left = float(answer.shares[1][spot].sum()), float(answer.shares[2][spot].sum())
    return ("right" if right >= left else "left"), abs(right - left) / max(right + left, 1e-6)


def _across(answer: Answer, side: Side, ball: Ball) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Distance in mm of every cell from the ball's middle within its slice, and how far it lies towards the shaft."""
    _, rows, columns = grid_mm(answer)
    lateral = (columns - ball.centre_mm[2]) * (1 if side == "left" else -1)
    down = rows - ball.centre_mm[1]
    return np.hypot(lateral, down), lateral + 0.7 * down


def _level_with(answer: Answer, ball: Ball) -> npt.NDArray[np.bool_]:
    """Cells in view, of the slices that cross the ball."""
    return answer.seen & (np.abs(grid_mm(answer)[0] - ball.centre_mm[0]) < ball.radius_mm)


def _neck(answer: Answer, side: Side, ball: Ball) -> npt.NDArray[np.bool_]:
    """Cells just below and lateral of a ball, where a head has its neck."""
    in_plane, to_shaft = _across(answer, side, ball)
    is_beside = (in_plane > ball.radius_mm + 2) & (in_plane < 2 * ball.radius_mm)
    return _level_with(answer, ball) & is_beside & (to_shaft > 0.9 * in_plane)


def is_void(answer: Answer, side: Side, ball: Ball) -> bool:
    """Whether a ball and a part of the neck beside it give almost no signal, as metal does.

    Marrow can be dark (suppressed fat, sclerosis), but not in the head and the neck as dark as if nothing were there.
    """
    distance = distance_mm(grid_mm(answer), ball.centre_mm)
    inside = answer.seen & (distance < 0.75 * ball.radius_mm)
    around = _level_with(answer, ball) & (distance < _AROUND_MM)
    neck = _neck(answer, side, ball)
    if not (inside.any() and neck.any()):
        return False
    least = _NO_SIGNAL * float(np.percentile(answer.signal[around], 75))
    return bool(np.median(answer.signal[inside]) < least and (answer.signal[neck] < least).mean() > _VOID_NECK)


def _surroundings(answer: Answer, side: Side, ball: Ball) -> tuple[float, float, float, float]:
    """The features `femur`, `pelvis`, `neck` and `roof` of a ball."""
    distance = distance_mm(grid_mm(answer), ball.centre_mm)
    in_plane, to_shaft = _across(answer, side, ball)
    around = distance > 0.9 * ball.radius_mm
    near = _level_with(answer, ball) & (in_plane > ball.radius_mm + 2)
    above = near & (in_plane < ball.radius_mm + 16) & (to_shaft < -0.6 * in_plane)
    femur, pelvis = answer.shares[3 if side == "right" else 4], answer.shares[5]
    return (
        _log_volume(answer, femur, around & (distance < 110) & (to_shaft > 0)),
        _log_volume(answer, pelvis, around & (distance < ball.radius_mm + 55) & (to_shaft < 0)),
        _best_slice(femur, _neck(answer, side, ball)),
        _best_slice(pelvis, above),
    )


def _partner(side: Side, ball: Ball, others: list[tuple[Side, Ball]]) -> float:
    """Quality of the best ball of the other side that can belong to the same person, 0 where there is none."""
    pairs = [
        _quality(other)
        for other_side, other in others
        if other_side != side and is_pair(*((ball, other) if side == "right" else (other, ball)))
    ]
    return max(pairs, default=0.0)


def candidates(answer: Answer) -> list[Candidate]:
    """All balls of an answer that are worth weighing, with their evidence."""
    fitted = [(*_side_of(answer, spot), fit_ball(answer, spot)) for spot in spots(answer.heads)]
    fitted = [(side, purity, ball) for side, purity, ball in fitted if ball.overlap > _LEAST_OVERLAP]
    named = [(side, ball) for side, _, ball in fitted]
    balls = [ball for _, ball in named]
    result = []
    for side, purity, ball in fitted:
        partner = _partner(side, ball, named)
        mass = np.log(min(ball.mass_ml, _ORDINARY_ML) + 0.1)
        stray = sum(map(_quality, balls)) - _quality(ball) - partner
        shape = (_stretch(ball.overlap), _stretch(ball.inner), purity, mass, abs(ball.radius_mm - MEAN_RADIUS_MM))
        evidence = np.array([*shape, *_surroundings(answer, side, ball), partner, stray, ball.visible])
        result.append(Candidate(side, ball, evidence, is_void(answer, side, ball)))
    return result


def choose(found: list[Candidate], verdict: Verdict) -> dict[Side, tuple[Candidate, float]]:
    """The best candidate of each side with its confidence; two that cannot be one person's hips leave the better one.

    A void in the likeliest place of a side is no hip (confidence 0), and nor is anything else on that side.
    """
    best: dict[Side, tuple[Candidate, float]] = {}
    for candidate in found:
        confidence = verdict.confidence(candidate.evidence)
        if candidate.side not in best or confidence > best[candidate.side][1]:
            best[candidate.side] = (candidate, confidence)
    best = {side: (candidate, 0.0 if candidate.is_void else confidence) for side, (candidate, confidence) in best.items()}
    if len(best) == 2 and min(confidence for _, confidence in best.values()) >= verdict.threshold:
        right, left = best["right"], best["left"]
        if not is_pair(right[0].ball, left[0].ball):
            del best["right" if right[1] < left[1] else "left"]
    return best
