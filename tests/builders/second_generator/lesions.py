"""Bone-marrow oedema and joint effusion of graded size and contrast, painted and marked; and what a patient is given of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.builders.second_generator.canvas import Canvas, smooth_noise
from tests.builders.second_generator.hip import Hip
from tests.builders.second_generator.shapes import ellipsoid, half_space, rotation

FILM_MM = 1.1  # the thickest film of a joint without effusion
LABEL_FROM_MM = 2.0  # the reader's eye begins to call it an effusion
_BLOCK = ("normal", "normal", "one", "one", "two", "two", "two")


@dataclass(frozen=True)
class Plan:
    """What one hip is given: radius (mm) and contrast (0-1) of each oedema; extra thickness (mm) and gain of its effusion."""

    oedemas: tuple[tuple[float, float], ...] = ()
    effusion_mm: float = 0.0
    effusion_gain: float = 1.0


def patient_kind(seed: int) -> str:
    """ "normal", "one" or "two" affected hips: two, two and three of every seven seeds, in shuffled order."""
    order = np.random.default_rng([seed // len(_BLOCK), 77]).permutation(len(_BLOCK))
    return _BLOCK[int(order[seed % len(_BLOCK)])]


def draw_plans(seed: int, rng: np.random.Generator) -> dict[str, Plan]:
    """The plan of both hips of a patient."""
    kind = patient_kind(seed)
    sides = {"normal": [], "one": [str(rng.choice(["right", "left"]))], "two": ["right", "left"]}[kind]
    severity = float(rng.uniform(0, 1))
    return {side: _draw_plan(rng, severity) if side in sides else Plan() for side in ("right", "left")}


def _draw_plan(rng: np.random.Generator, severity: float) -> Plan:
    form = str(rng.choice(["bme", "synovitis", "both"], p=[0.25, 0.2, 0.55]))
    oedemas: list[tuple[float, float]] = []
    if form != "synovitis":
        for _ in range(1 + int(rng.poisson(0.8 + 1.4 * severity))):
            radius = float(np.exp(rng.uniform(np.log(3.0), np.log(9 + 13 * severity))))
            oedemas.append((radius, float(rng.uniform(0.16, 0.45 + 0.45 * severity))))
    effusion = float(np.exp(rng.uniform(np.log(1.8), np.log(3.5 + 5.5 * severity)))) if form != "bme" else 0.0
    return Plan(tuple(oedemas), effusion, float(rng.uniform(0.6, 1.0)))


def paint_joint_fluid(canvas: Canvas, rng: np.random.Generator, hip: Hip, plan: Plan) -> None:
    """The film that every joint has, and the plan's effusion in the recesses of the capsule; before the bones are painted."""
    box = canvas.grid.box(hip.joint_space, 0)
    if box is None:
        return
    points = canvas.at(box)
    film = float(rng.uniform(0.2, FILM_MM))
    thickness = np.full(points[0].shape, film, np.float32)
    r = hip.radius_mm
    recesses = [(0.1, -1.0, -0.1, 1.0), (0.25, 0.2, -1.0, 0.85), (0.5, 0.1, 0.9, 0.65), (0.2, 1.0, -0.2, 0.5)]
    for lateral, posterior, superior, share in recesses:
        spot = hip.centre + hip.neck * r * 1.15 + hip.along(lateral, posterior, superior) * r * 0.7
        distance2 = sum((points[i] - np.float32(spot[i])) ** 2 for i in range(3))
        size = share * float(rng.uniform(0.45, 1.1)) * plan.effusion_mm
        thickness += np.float32(size) * np.exp(-distance2 / np.float32(2 * (0.75 * r) ** 2))
    thickness *= np.clip(-half_space(hip.neck_end, hip.neck)(points) / 7, 0.1, 1)
    sac = canvas.share(hip.capsule_distance(points, thickness + 1.2))
    fluid = canvas.share(hip.capsule_distance(points, thickness))
    canvas.lay(box, sac, "tendon")
    canvas.lay(box, fluid, "fluid", plan.effusion_gain if plan.effusion_mm else 0.8)
    wall = fluid * np.clip(0.5 + 0.6 * canvas.grain[box], 0, 1) * np.float32(0.7 if plan.effusion_mm else 0.2)
    canvas.lay(box, wall, "synovium", plan.effusion_gain)
    if plan.effusion_mm:
        canvas.mark("synovitis", box, fluid * np.clip((thickness - LABEL_FROM_MM) * 4 + 0.5, 0, 1))


def paint_oedema(canvas: Canvas, rng: np.random.Generator, hip: Hip, plan: Plan) -> None:
    """The plan's oedemas in femur and pelvic bone; after the bones are painted."""
    for radius, contrast in plan.oedemas:
        spot, bone = _place(rng, hip, radius)
        stretch = np.exp(rng.normal(0, 0.25, 3))
        blob = ellipsoid(spot, radius * stretch / np.cbrt(stretch.prod()), rotation(rng))
        edge = float(rng.uniform(0.12, 0.35)) * radius + 0.6
        box = canvas.grid.box(blob, edge + 0.4 * radius + canvas.reach_mm)
        if box is None:
            continue
        points = canvas.at(box)
        knot = (max(0.8 * radius, 3.0),) * 3
        ragged = np.float32(0.18 * radius) * smooth_noise(rng, points[0].shape, canvas.grid.voxel_mm, knot)
        distance = blob.distance(points) + ragged
        shape = hip.femur if bone == "femur" else hip.pelvic_bone
        marrow = canvas.share(shape.distance(points) + np.float32(1.0))
        strength = np.clip(0.5 - distance / np.float32(2 * edge), 0, 1) * np.float32(contrast)
        canvas.lay(box, (marrow * strength).astype(np.float32), "oedema")
        canvas.mark("bme", box, marrow * canvas.share(distance))


def _place(rng: np.random.Generator, hip: Hip, radius: float) -> tuple[npt.NDArray[np.float64], str]:
    """Where an oedema sits: under the head's surface, in head, neck or trochanter, or in the acetabulum."""
    r = hip.radius_mm
    place = str(rng.choice(["subchondral", "head", "neck", "trochanter", "roof", "wall"], p=[0.3, 0.15, 0.12, 0.08, 0.22, 0.13]))
    way = hip.along(*(np.array([-0.1, 0.0, 0.9]) + rng.normal(0, 0.5, 3)))
    way = way / np.linalg.norm(way)
    if place == "subchondral":
        return hip.centre + way * max(0.0, r - 0.7 * radius), "femur"
    if place == "head":
        return hip.centre + way * r * float(rng.uniform(0, 0.5)), "femur"
    if place == "neck":
        return hip.centre + hip.neck * r * float(rng.uniform(0.9, 1.8)), "femur"
    if place == "trochanter":
        return hip.from_knee(*(np.array([9, 6, 8]) + rng.normal(0, 4, 3))), "femur"
    depth = r + hip.joint_mm + 0.5 * radius
    if place == "roof":
        lean = hip.along(float(rng.uniform(-0.5, 0.45)), float(rng.uniform(-0.5, 0.5)), 1)
    else:
        lean = hip.along(-1, float(rng.uniform(-0.2, 0.8)), float(rng.uniform(-0.3, 0.5)))
    return hip.centre + lean / np.linalg.norm(lean) * depth, "pelvis"
