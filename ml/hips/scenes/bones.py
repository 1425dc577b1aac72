"""Femur, hip bone, sacrum and vertebrae as distance fields with a cortex."""

from dataclasses import dataclass

import numpy as np

from ml.hips.scenes.grid import (
    Axes,
    Field,
    Part,
    Scene,
    Tissue,
    Vector,
    capsule,
    code,
    ellipsoid,
    paint_capsule,
    paint_ellipsoid,
)

Rng = np.random.Generator


@dataclass(frozen=True)
class FemurShape:
    """Where the parts of one proximal femur lie, LPS mm."""

    side: str
    sign: int  # +1 where lateral is +x (left)
    centre: Vector
    radius: float
    base: Vector  # where neck and shaft meet
    shaft_end: Vector
    shaft_radius: float

    @classmethod
    def draw(cls, rng: Rng, side: str, centre: Vector, radius: float) -> "FemurShape":
        """A femur at random: neck angle, anteversion and leg position."""
        sign = 1 if side == "left" else -1
        angle, turn = np.radians(rng.uniform(28, 58)), np.radians(rng.uniform(-12, 38))
        neck = np.array([sign * np.cos(angle) * np.cos(turn), np.cos(angle) * np.sin(turn), -np.sin(angle)])
        base = centre + neck * radius * rng.uniform(1.75, 2.5)
        tilt = np.array([-sign * rng.uniform(-0.12, 0.22), rng.uniform(-0.2, 0.12), -1.0])
        return cls(side, sign, centre, radius, base, base + tilt * 260, radius * rng.uniform(0.52, 0.72))

    def point(self, lateral: float, posterior: float, superior: float) -> Vector:
        """The head's centre moved so many mm."""
        return self.centre + np.array([self.sign * lateral, posterior, superior])


def _femur_distance(axes: Axes, shape: FemurShape, rng: Rng) -> tuple[Field, Field]:
    """Signed distance to the whole femur and to the head's ball."""
    r, s = shape.radius, shape.sign
    ball = ellipsoid(axes, shape.centre, r * rng.uniform(0.97, 1.03, 3))
    neck_radius = r * rng.uniform(0.58, 0.76)
    neck = capsule(axes, shape.centre, shape.base, (neck_radius, neck_radius * rng.uniform(1.0, 1.25)))
    trochanter = shape.base + np.array([s * rng.uniform(0, 8), rng.uniform(0, 10), rng.uniform(2, 16)])
    greater = ellipsoid(axes, trochanter, r * rng.uniform((0.5, 0.6, 0.75), (0.85, 0.95, 1.15)))
    lesser = ellipsoid(axes, shape.base + np.array([-s * r * 0.45, r * 0.5, -r * rng.uniform(0.8, 1.4)]), (r * 0.35,) * 3)
    upper = shape.base + 0.22 * (shape.shaft_end - shape.base)
    flare = capsule(axes, shape.base, upper, (r * rng.uniform(0.75, 0.95), shape.shaft_radius))
    shaft = capsule(axes, upper, shape.shaft_end, (shape.shaft_radius, shape.shaft_radius * 0.9))
    whole = np.minimum.reduce([ball, neck, greater, lesser, flare, shaft])
    return np.asarray(whole, np.float32), ball


def paint_femur(scene: Scene, shape: FemurShape, rng: Rng) -> None:
    """Paint one femur: marrow, cortex (thick at the shaft), cartilage, a film of fluid, sometimes lesions."""
    ends = np.array([shape.centre, shape.base, shape.shaft_end])
    view, axes = scene.box(ends.min(0) - 45, ends.max(0) + 45)
    femur, ball = _femur_distance(axes, shape, rng)
    head_part, rest_part = (Part.HEAD_LEFT, Part.FEMUR_LEFT) if shape.side == "left" else (Part.HEAD_RIGHT, Part.FEMUR_RIGHT)
    capsule_distance = np.minimum(ball, femur + 3) if rng.random() < 0.7 else ball
    wide = rng.uniform(2, 9) if rng.random() < 0.35 else rng.uniform(0.5, 2.5)
    near = ball < shape.radius * 0.9
    soft = np.isin(view & 31, _SOFT)
    view[soft & near & (capsule_distance < wide + 1.5)] = Tissue.JOINT_FLUID
    view[soft & (femur < rng.uniform(-1, 4)) & (femur > 0) & ~near] = Tissue.INNER_FAT
    view[(ball < rng.uniform(0.8, 2.6)) & (femur > 0)] = Tissue.CARTILAGE
    below = np.clip((shape.base[2] - axes[2]) / 60, 0, 1)
    cortex = rng.uniform(0.8, 2.2) + below * rng.uniform(1.5, 5.5)
    view[femur < 0] = code(Tissue.CORTEX, rest_part)
    view[femur < -cortex] = code(Tissue.FEMUR_MARROW, rest_part)
    in_head = (ball < 0) & (femur < 0)
    view[in_head] = code(Tissue.CORTEX, head_part)
    view[in_head & (femur < -cortex)] = code(Tissue.HEAD_MARROW, head_part)
    if rng.random() < 0.35:
        _paint_lesion(view, axes, shape, rng)


_SOFT = [int(t) for t in (Tissue.SKIN_FAT, Tissue.INNER_FAT, Tissue.MUSCLE_A, Tissue.MUSCLE_B, Tissue.MUSCLE_C, Tissue.VESSEL)]


def _paint_lesion(view: np.ndarray, axes: Axes, shape: FemurShape, rng: Rng) -> None:
    """Oedema in the marrow of the head, the neck or the acetabulum."""
    centre = shape.centre + rng.normal(0, 0.9 * shape.radius, 3)
    inside = ellipsoid(axes, centre, rng.uniform(5, 22, 3)) < 0
    marrow = np.isin(view & 31, [Tissue.HEAD_MARROW, Tissue.FEMUR_MARROW, Tissue.PELVIS_MARROW])
    hit = inside & marrow
    view[hit] = (view[hit] & 0b11100000) | Tissue.LESION


def paint_prosthesis(scene: Scene, shape: FemurShape, rng: Rng) -> None:
    """A signal void with a bright rim where a metal head, neck and stem are; the bone below it stays femur."""
    down = shape.base + rng.uniform(0.25, 0.6) * (shape.shaft_end - shape.base)
    grow = rng.uniform(1.0, 1.9)
    for extra, tissue in ((rng.uniform(2, 8), Tissue.PILE_UP), (0.0, Tissue.VOID)):
        ball = shape.radius * grow + extra
        paint_ellipsoid(scene, shape.centre, ball * rng.uniform(0.85, 1.2, 3), tissue)
        neck = (shape.radius * 0.6 * grow + extra, shape.radius * 0.55 * grow + extra)
        paint_capsule(scene, shape.centre, shape.base, neck, tissue)
        paint_capsule(scene, shape.base, down, (neck[1], shape.radius * 0.4 + extra), tissue)


def _wing_distance(axes: Axes, shape: FemurShape, rng: Rng) -> Field:
    """The iliac wing: at each height a rod from the front (lateral) to the back (medial), thinnest half-way up."""
    x, y, z = axes
    low, high = shape.radius * 0.7, rng.uniform(92, 128)
    h = np.clip((z - shape.centre[2] - low) / (high - low), 0, 1)
    lateral = (x - shape.centre[0]) * shape.sign
    front_x, front_y = rng.uniform(-2, 8) + h * rng.uniform(18, 42), -18 - h * rng.uniform(5, 30)
    back_x, back_y = -rng.uniform(18, 28) - h * rng.uniform(10, 30), 26 + h * rng.uniform(25, 55)
    dx, dy = back_x - front_x, back_y - front_y
    px, py = lateral - front_x, y - shape.centre[1] - front_y
    t = np.clip((px * dx + py * dy) / (dx * dx + dy * dy), 0, 1)
    bow = rng.uniform(-6, 12) * 4 * t * (1 - t) * h
    distance = np.sqrt((px - t * dx - bow) ** 2 + (py - t * dy) ** 2)
    half = rng.uniform(9, 13) - 24 * h * (1 - h) + 4 * np.clip(t - 0.6, 0, 1)
    top = high - 22 * (2 * t - 1) ** 2 * rng.uniform(0.3, 1.2)
    over = np.maximum(z - shape.centre[2] - top, low - (z - shape.centre[2]))
    return np.asarray(np.maximum(distance - half, over), np.float32)


def _socket_distance(axes: Axes, shape: FemurShape, rng: Rng) -> Field:
    """The acetabulum: a thick shell around the head, open laterally, downwards and forwards."""
    open_to = np.array([shape.sign * rng.uniform(0.55, 0.85), rng.uniform(-0.5, 0.05), -rng.uniform(0.45, 0.8)])
    open_to /= np.linalg.norm(open_to)
    along = sum((axis - shape.centre[i]) * open_to[i] for i, axis in enumerate(axes))
    distance = np.sqrt(sum((axis - shape.centre[i]) ** 2 for i, axis in enumerate(axes)))
    inner = shape.radius + rng.uniform(2.5, 5)
    outer = ellipsoid(axes, shape.point(-rng.uniform(4, 9), 3, rng.uniform(4, 9)), inner + rng.uniform(4, 13, 3))
    rim = along - rng.uniform(-6, 7)
    return np.asarray(np.maximum.reduce([outer, inner - distance, rim]), np.float32)


def _rami_distance(axes: Axes, shape: FemurShape, rng: Rng) -> Field:
    """Ischium and pubis down to the symphysis."""
    r, s = shape.radius, shape.sign
    tuber = shape.point(-rng.uniform(15, 35), rng.uniform(22, 42), -rng.uniform(55, 80))
    ischium = capsule(axes, shape.point(-r * 0.6, r, -r * 0.4), tuber, (rng.uniform(9, 14), rng.uniform(12, 18)))
    body = np.array([s * rng.uniform(8, 12), shape.centre[1] - rng.uniform(28, 55), shape.centre[2] - rng.uniform(18, 42)])
    ramus = capsule(axes, shape.point(-r - 6, -r * 0.5, 0), body, (rng.uniform(8, 12), rng.uniform(7, 10)))
    joint = ellipsoid(axes, body - [0, 0, 6], (s * body[0] - 1.5, 11, rng.uniform(14, 22)))
    lower = capsule(axes, body - [0, 0, 14], tuber, (rng.uniform(5, 9), rng.uniform(6, 10)))
    return np.asarray(np.minimum.reduce([ischium, ramus, joint, lower]), np.float32)


def paint_hip_bone(scene: Scene, shape: FemurShape, rng: Rng) -> None:
    """Paint one hip bone; the ball that the head and its cartilage fill is cut out of it."""
    medial, lateral = (-82, 60) if shape.side == "left" else (-60, 82)
    corners = (
        (_wing_distance, (medial, -70, 10), (lateral, 100, 135)),
        (_socket_distance, (-50, -48, -48), (50, 50, 52)),
        (_rami_distance, (-115, -80, -100), (115, 65, 25)),
    )
    cortex = rng.uniform(1.0, 2.4)
    pieces = []
    for distance, low, high in corners:
        view, axes = scene.box(shape.centre + low, shape.centre + high)
        ball = ellipsoid(axes, shape.centre, (shape.radius + 2.5,) * 3)
        across_midline = 1.5 - axes[0] * shape.sign
        pieces.append((view, np.maximum(np.maximum(distance(axes, shape, rng), -ball), across_midline)))
    for depth, tissue in ((0.0, Tissue.CORTEX), (cortex, Tissue.PELVIS_MARROW)):
        for view, bone in pieces:
            view[bone < -depth] = code(tissue, Part.PELVIS)


_VERTEBRA = np.array([32.0, 30.0, 20.0])


def paint_spine(scene: Scene, rng: Rng) -> None:
    """Sacrum and lower lumbar vertebrae with discs."""
    tip, top = np.array([0, rng.uniform(65, 90), rng.uniform(-20, 5)]), np.array([0, rng.uniform(35, 60), 85.0])
    for cut, tissue in ((0.0, Tissue.CORTEX), (2.0, Tissue.SPINE_MARROW)):
        for step in np.linspace(0, 1, 5):
            width = 18 + 34 * step
            paint_ellipsoid(scene, tip + step * (top - tip), np.array([width, 16, 20]) - cut, tissue)
    level = top + np.array([0, -5.0, 26])
    lean = rng.uniform(-8, 4)
    while level[2] < 240:
        view, axes = scene.box(level - _VERTEBRA, level + _VERTEBRA)
        ring = ((axes[0] - level[0]) / rng.uniform(22, 28)) ** 2 + ((axes[1] - level[1]) / 18) ** 2
        height = np.abs(axes[2] - level[2])
        view[(ring < 1) & (height < 19)] = Tissue.DISC
        view[(ring < 1) & (height < 14)] = Tissue.CORTEX
        view[(ring < 0.85) & (height < 12.5)] = Tissue.SPINE_MARROW
        level = level + np.array([0, lean, rng.uniform(34, 38)])
