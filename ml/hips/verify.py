"""Is a ball a hip? Evidence from its own shape and from what lies around it, weighed by a logistic."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.hips.prepare import CELL_MM
from ml.hips.spheres import Answer, Ball, distance_mm, fit_ball, grid_mm, spots

Side = Literal["right", "left"]
SIDES: tuple[Side, Side] = ("right", "left")

PAIR_DISTANCE_MM = (125.0, 245.0)  # between the centres of the two heads, small to very large adults
PAIR_HEIGHT_MM = 75.0  # a tilt of the pelvis by 25 degrees
FEATURES = (
    "overlap",  # soft Dice of the fitted sphere and the answer
    "inner",  # mean share of head inside it
    "purity",  # agreement on the side
    "log_mass",  # millilitres of head
    "radius",  # distance from the mean radius, in mm
    "femur",  # millilitres of the same side's femur below and lateral of it
    "pelvis",  # millilitres of pelvic bone above and medial of it
    "partner",  # quality of the best head of the other side at a fitting distance
    "stray",  # millilitres of head that neither this nor the partner explains
    "visible",  # share of the sphere inside the field of view
)


@dataclass(frozen=True)
class Candidate:
    """A ball, the side it claims, and its evidence in the order of `FEATURES`."""

    side: Side
    ball: Ball
    evidence: npt.NDArray[np.float64]


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


def _volume_ml(answer: Answer, share: npt.NDArray[np.float32], where: npt.NDArray[np.bool_]) -> float:
    """Millilitres of a share in a region; each slice counts to half-way to its neighbours, at most 12 mm."""
    pitch = float(np.median(np.diff(answer.slice_mm))) if len(answer.slice_mm) > 1 else CELL_MM
    return float(share[where].sum()) * CELL_MM**2 * min(pitch, 12.0) / 1000


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


def _surroundings(answer: Answer, side: Side, ball: Ball) -> tuple[float, float]:
    """Millilitres of femur below and lateral, and of pelvic bone above and medial, of a ball."""
    axes = grid_mm(answer)
    distance = distance_mm(axes, ball.centre_mm)
    lateral = (axes[2] - ball.centre_mm[2]) * (1 if side == "left" else -1)
    down = axes[1] - ball.centre_mm[1]
    femur = answer.shares[3 if side == "right" else 4]
    around = distance > 0.9 * ball.radius_mm
    shaft = around & (distance < 110) & (lateral + 0.7 * down > 0)
    socket = around & (distance < ball.radius_mm + 55) & (lateral + 0.7 * down < 0)
    return _volume_ml(answer, femur, shaft), _volume_ml(answer, answer.shares[5], socket)


def candidates(answer: Answer) -> list[Candidate]:
    """All balls of an answer with their evidence."""
    found = []
    for spot in spots(answer.heads):
        side, purity = _side_of(answer, spot)
        found.append((side, purity, fit_ball(answer, spot)))
    total = sum(ball.mass_ml for _, _, ball in found)
    result = []
    for side, purity, ball in found:
        pairs = [
            other
            for other_side, _, other in found
            if other_side != side and is_pair(*((ball, other) if side == "right" else (other, ball)))
        ]
        partner = max(pairs, key=_quality, default=None)
        femur, pelvis = _surroundings(answer, side, ball)
        evidence = np.array(
            [
                ball.overlap,
                ball.inner,
                purity,
                np.log(ball.mass_ml + 0.1),
                abs(ball.radius_mm - 23.5),
                np.log1p(femur),
                np.log1p(pelvis),
                _quality(partner) if partner else 0.0,
                np.log1p(max(total - ball.mass_ml - (partner.mass_ml if partner else 0.0), 0.0)),
                ball.visible,
            ]
        )
        result.append(Candidate(side, ball, evidence))
    return result


def choose(found: list[Candidate], verdict: Verdict) -> dict[Side, tuple[Candidate, float]]:
    """The best candidate of each side with its confidence; two that cannot be one person's hips leave the better one."""
    best: dict[Side, tuple[Candidate, float]] = {}
    for candidate in found:
        confidence = verdict.confidence(candidate.evidence)
        if candidate.side not in best or confidence > best[candidate.side][1]:
            best[candidate.side] = (candidate, confidence)
    if len(best) == 2 and min(confidence for _, confidence in best.values()) >= verdict.threshold:
        right, left = best["right"], best["left"]
        if not is_pair(right[0].ball, left[0].ball):
            del best["right" if right[1] < left[1] else "left"]
    return best
