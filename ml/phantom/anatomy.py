"""What a synthetic patient is made of: tissue ids and the measures of one person, drawn once from the patient's seed.

The anatomy frame is LPS-like: x to the patient's left, y posterior, z superior; the origin lies midway between the
femoral heads. A hip's own frame has its origin in the head's centre and x pointing laterally on both sides.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Vec = npt.NDArray[np.float64]
SIDES = ("right", "left")


class Tissue(IntEnum):
    """Ids of the tissue map."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    CORTEX = 3
    MARROW = 4
    CARTILAGE = 5
    FLUID = 6
    SYNOVITIS = 7
    BME = 8
    URINE = 9
    WALL = 10
    BOWEL = 11
    VESSEL = 12
    ORGAN = 13
    TENDON = 14
    DISC = 15
    GAS = 16
    BRAIN = 17


@dataclass(frozen=True)
class Hip:
    """Measures of one hip in mm and unit vectors, in the hip's own frame.

    `centre` is in the anatomy frame; `sign` is +1 for the left hip (lateral = +x) and −1 for the right.
    """

    side: str
    sign: int
    centre: Vec
    radii: Vec
    neck_direction: Vec
    neck_length: float
    neck_radius: float
    trochanter: Vec
    lesser: Vec
    shaft_lean: Vec
    shaft_radius: float
    cam: float
    cam_angle: float
    joint_space: float
    wall: float
    cup_opening: Vec
    cup_depth: float
    fossa: Vec
    cortex: float
    shaft_cortex: float
    film: float
    pulvinar: float
    ilium_flare: float
    ilium_thickness: float

    @property
    def radius_mm(self) -> float:
        """Mean radius of the femoral head in mm."""
        return float(np.mean(self.radii))


@dataclass(frozen=True)
class Anatomy:
    """One person: hips and the measures of pelvis and body, lengths in mm."""

    hips: dict[str, Hip]
    head_distance: float
    size: float
    female: bool
    fat: float
    hip_margin: float
    body_depth: float
    waist: float
    crotch: float
    ramus: float
    symphysis: Vec
    muscle_bulk: float
    red_marrow: float
    muscle_shade: npt.NDArray[np.float64]
    spine: Vec
    seed: int


def _unit(vector: npt.ArrayLike) -> Vec:
    array = np.asarray(vector, np.float64)
    return np.asarray(array / np.linalg.norm(array))


def _shared_measures(rng: np.random.Generator) -> dict[str, float]:
    return {
        "radius": float(np.clip(rng.normal(24, 2.3), 19, 29)),
        "neck_shaft": float(np.clip(rng.normal(128, 7), 112, 146)),
        "anteversion": float(np.clip(rng.normal(14, 9), -8, 38)),
        "neck": float(rng.uniform(1.75, 2.35)),
        "neck_width": float(rng.uniform(0.56, 0.74)),
        "joint_space": float(rng.uniform(2.2, 5.0)),
        "wall": float(rng.uniform(5, 11)),
        "flare": float(rng.uniform(8, 32)),
        "rotation": float(rng.normal(0, 8)),
    }


def _draw_hip(rng: np.random.Generator, side: str, shared: dict[str, float], centre: Vec, cam: bool) -> Hip:
    def jitter(width: float) -> float:
        return float(1 + rng.normal(0, width))

    radius = float(np.clip(shared["radius"] * jitter(0.015), 19, 29))
    drop = np.deg2rad(shared["neck_shaft"] - 90 + rng.normal(0, 2))
    turn = np.deg2rad(shared["anteversion"] + shared["rotation"] + rng.normal(0, 5))
    direction = _unit([np.cos(drop) * np.cos(turn), np.cos(drop) * np.sin(turn), -np.sin(drop)])
    shape = np.clip(1 + rng.normal(0, 0.02 + 0.03 * (rng.random() < 0.25), 3), 0.9, 1.1)
    length = radius * shared["neck"] * jitter(0.02)
    return Hip(
        side=side,
        sign=1 if side == "left" else -1,
        centre=centre,
        radii=radius * shape / shape.mean(),
        neck_direction=direction,
        neck_length=length,
        neck_radius=radius * shared["neck_width"] * jitter(0.02),
        trochanter=np.array([rng.uniform(8, 15), rng.uniform(2, 12), rng.uniform(0, 0.6) * radius]),
        lesser=np.array([rng.uniform(-15, -9), rng.uniform(8, 16), rng.uniform(-40, -28)]),
        shaft_lean=_unit([rng.uniform(-0.14, 0.02), rng.uniform(-0.08, 0.08), -1]),
        shaft_radius=float(radius * rng.uniform(0.55, 0.68)),
        cam=float(rng.uniform(1.5, 5) if cam else 0),
        cam_angle=float(rng.uniform(-0.9, 0.5)),
        joint_space=float(np.clip(shared["joint_space"] * jitter(0.08), 1.8, 5.5)),
        wall=shared["wall"] * jitter(0.08),
        cup_opening=_unit([0.72 + rng.normal(0, 0.06), -0.22 + rng.normal(0, 0.1), -0.62 + rng.normal(0, 0.08)]),
        cup_depth=float(rng.uniform(-0.05, 0.3)),
        fossa=np.array([rng.uniform(-0.9, -0.7), rng.uniform(-0.1, 0.25), rng.uniform(-0.55, -0.25)]) * (radius + 4),
        cortex=float(rng.uniform(0.8, 1.8)),
        shaft_cortex=float(rng.uniform(3.0, 6.0)),
        film=float(rng.uniform(0.2, 0.8)),
        pulvinar=float(rng.uniform(1.0, 2.5)),
        ilium_flare=shared["flare"] + float(rng.normal(0, 2)),
        ilium_thickness=float(rng.uniform(5, 9)),
    )


def draw_anatomy(seed: int) -> Anatomy:
    """The person of a seed; the same at every visit."""
    rng = np.random.default_rng([seed, 11])
    shared = _shared_measures(rng)
    size = shared["radius"] / 24
    distance = float(np.clip(rng.normal(172, 14) * (0.6 + 0.4 * size), 140, 210))
    cam = rng.random(2) < (0.25 if rng.random() < 0.3 else 0.04)
    hips = {}
    for index, side in enumerate(SIDES):
        centre = np.array([(-0.5, 0.5)[index] * distance, 0, 0]) + rng.normal(0, [1, 2.5, 3])
        hips[side] = _draw_hip(rng, side, shared, centre, bool(cam[index]))
    gap = float(np.linalg.norm(hips["left"].centre - hips["right"].centre))
    fat = float(np.clip(rng.gamma(3, 8), 6, 70))
    return Anatomy(
        hips=hips,
        head_distance=gap,
        size=size,
        female=bool(rng.random() < 0.45),
        fat=fat,
        hip_margin=float(rng.uniform(58, 78)) * size + fat,
        body_depth=float(rng.uniform(82, 105)) * size + 0.8 * fat,
        waist=float(rng.uniform(0.74, 1.02)),
        crotch=float(rng.uniform(-98, -72)) * size,
        ramus=float(rng.uniform(6, 10)),
        symphysis=np.array([rng.uniform(4, 8), rng.uniform(-46, -26), rng.uniform(-56, -34)]) * size,
        muscle_bulk=float(rng.uniform(0.95, 1.5)),
        red_marrow=float(rng.uniform(0.05, 0.5) if rng.random() < 0.5 else 0),
        muscle_shade=rng.uniform(0.82, 1.2, 40),
        spine=np.array([rng.normal(0, 3), rng.uniform(18, 40), rng.uniform(75, 100)]) * size,
        seed=seed,
    )
