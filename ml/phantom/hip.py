"""Shapes of one hip joint as signed distances: femur and its head, pelvic bone, acetabular fossa, fluid layer, lesions.

The shapes are smooth, so they are evaluated on a coarse copy of the hip's box and interpolated where they are painted.
"""

from dataclasses import dataclass

import numpy as np

from ml.phantom.anatomy import Anatomy, Hip
from ml.phantom.grid import Box, Field, Grid
from ml.phantom.lesions import Fluid, Oedema
from ml.phantom.shapes import Points, capsule, ellipsoid, rotation, union

COARSE_MM = 2.2
PHYSIOLOGICAL_MM = 2.0  # fluid up to this thickness is physiological (effusion grade 0) and not labelled
MOST_FILM_MM = 1.3  # of a joint without effusion
LABEL_FROM_MM = 1.0  # of an effusion: where it runs out, what is thinner is not outlined


@dataclass(frozen=True)
class HipShapes:
    """One hip on a coarse grid: signed distances in mm, the cup's plane, thickness of cortex and of joint fluid in mm."""

    box: Box
    coarse: Grid
    femur: Field
    head: Field
    bone: Field
    fossa: Field
    in_cup: Field
    cortex: Field
    fluid: Field
    fluid_shade: Field

    def at(self, grid: Grid, name: str) -> Field:
        """One of the fields at the points of a finer grid inside the box."""
        return grid.upsample(getattr(self, name), self.coarse)


@dataclass(frozen=True)
class LesionShape:
    """One oedema on its own grid: signed distance of its irregular outline, and its patchiness (mean 1)."""

    lesion: Oedema
    box: Box
    coarse: Grid
    outline: Field
    patchy: Field


def hip_points(grid: Grid, hip: Hip) -> Points:
    """Points of a grid in the hip's frame (x lateral on either side, origin in the head's centre)."""
    x, y, z = grid.points()
    x -= np.float32(hip.centre[0])
    x *= hip.sign
    return x, y - np.float32(hip.centre[1]), z - np.float32(hip.centre[2])


def _sum(points: Points, direction: np.ndarray) -> Field:
    a, b, c = (np.float32(v) for v in direction)
    return np.asarray(points[0] * a + points[1] * b + points[2] * c, np.float32)


def femur_distance(points: Points, hip: Hip) -> tuple[Field, Field]:
    """Distance to the whole femur and to the ellipsoid of its head."""
    r = hip.radius_mm
    base = hip.neck_direction * hip.neck_length
    head = ellipsoid(points, (0, 0, 0), hip.radii)
    neck = capsule(points, hip.neck_direction * 0.3 * r, base, hip.neck_radius, hip.neck_radius * 1.12)
    shaft = capsule(points, base, base + hip.shaft_lean * 230, hip.shaft_radius * 1.15, hip.shaft_radius * 0.9)
    greater = ellipsoid(points, base + hip.trochanter, (0.62 * r, 0.8 * r, 0.95 * r))
    lesser = ellipsoid(points, base + hip.lesser, (0.42 * r, 0.4 * r, 0.5 * r))
    distal = union(union(shaft, greater, 10), lesser, 8)
    femur = union(union(head, neck, 5), distal, 8)
    if hip.cam:
        bump = np.array([np.sin(hip.cam_angle) * 0.3, -0.55, 0.62]) * r + hip.neck_direction * 0.55 * r
        femur = union(femur, ellipsoid(points, bump, np.array([0.4, 0.4, 0.35]) * r + hip.cam * 0.4), 4)
    return femur, head


def pelvis_distance(points: Points, hip: Hip, anatomy: Anatomy) -> Field:
    """Distance to the pelvic bone of one side before the cup and the joint space are taken out."""
    r, size, t = hip.radius_mm, anatomy.size, hip.ilium_thickness
    cup = r + hip.joint_space
    outer = cup + hip.wall
    ball = ellipsoid(points, (-0.12 * r, 0.08 * r, 0.08 * r), (outer, outer, outer))
    ball = np.maximum(ball, _sum(points, hip.cup_opening) - np.float32(hip.cup_depth * r))
    roof = ellipsoid(points, (-0.15 * r, 0.1 * r, cup + 12), (0.75 * r, 0.95 * r, 22 * size))
    wing_centre = np.array([6 + 0.3 * hip.ilium_flare / size, 12, 78]) * size
    turn = rotation([0, hip.ilium_flare, 0]).T @ rotation([0, 0, -18])
    wing = ellipsoid(points, wing_centre, (t, 58 * size, 62 * size), turn)
    column = capsule(points, np.array([-6, 22, 30]) * size, np.array([-38, 48, 78]) * size, 13 * size, 12 * size)
    bone = union(union(ball, roof, 12), union(wing, column, 14), 14)
    for part in _rami(points, hip, anatomy):
        bone = union(bone, part, 7)
    return bone


def _rami(points: Points, hip: Hip, anatomy: Anatomy) -> list[Field]:
    """Superior ramus, pubic body, inferior ramus and ischium."""
    r, size, ramus = hip.radius_mm, anatomy.size, anatomy.ramus
    px, py, pz = anatomy.symphysis - [abs(hip.centre[0]), 0, 0]
    tuber = np.array([-16, 30, -62]) * size
    tx, ty, tz = tuber
    return [
        capsule(points, np.array([-0.9, -0.45, -0.35]) * r, (px + 4, py, pz + 4), ramus * 1.15, ramus),
        ellipsoid(points, (px + 4, py, pz - 6), np.array([10, 9, 17]) * size),
        capsule(points, (px + 5, py + 4, pz - 16), (tx - 8, ty - 8, tz - 8), ramus * 0.85, ramus),
        capsule(points, np.array([-0.7, 0.75, -0.5]) * r, tuber, 14 * size, 15 * size),
    ]


def hip_box(grid: Grid, hip: Hip, anatomy: Anatomy) -> Box | None:
    """Where on a grid half a pelvis and its femur lie; None where none of it does."""
    medial, lateral = -abs(hip.centre[0]) - 3, 92 * anatomy.size
    span = (medial, lateral) if hip.sign > 0 else (-lateral, -medial)
    x, y, z = hip.centre
    low = (x + span[0], y - 75 * anatomy.size, z - 230)
    return grid.box(low, (x + span[1], y + 88 * anatomy.size, z + 160 * anatomy.size))


def hip_shapes(grid: Grid, box: Box, hip: Hip, anatomy: Anatomy, fluid: Fluid) -> HipShapes:
    """Evaluate a hip in a box of `grid`, with the same slight irregularity at every visit."""
    coarse = grid.crop(box).coarse(COARSE_MM)
    points = hip_points(coarse, hip)
    rng = np.random.default_rng([anatomy.seed, 31, hip.sign + 1])
    for axis in points:
        axis += coarse.noise(rng, 22) * np.float32(0.7)
    femur, head = femur_distance(points, hip)
    base_z = np.float32(hip.neck_direction[2] * hip.neck_length)
    down = np.clip((base_z - 10 - points[2]) / 60, 0, 1)
    r = hip.radius_mm
    return HipShapes(
        box=box,
        coarse=coarse,
        femur=femur,
        head=head,
        bone=pelvis_distance(points, hip, anatomy),
        fossa=ellipsoid(points, hip.fossa, (0.3 * r, 0.42 * r, 0.42 * r)),
        in_cup=_sum(points, hip.cup_opening) - np.float32((hip.cup_depth + 0.05) * r),
        cortex=(down * np.float32(hip.shaft_cortex) + np.float32(hip.cortex)).astype(np.float32),
        fluid=fluid_thickness(points, coarse, hip, fluid),
        fluid_shade=1 + coarse.noise(fluid.rng(), 6) * np.float32(fluid.patchy),
    )


def fluid_thickness(points: Points, grid: Grid, hip: Hip, fluid: Fluid) -> Field:
    """Thickness in mm of the fluid layer on head and neck at each point; 0 beyond the capsule."""
    d, r = hip.neck_direction, hip.radius_mm
    front = np.cross(d, [0, 0, 1.0])
    front *= -np.sign(front[1]) / np.linalg.norm(front)
    up = np.cross(front, d)
    up *= np.sign(up[2])
    along, a, b = _sum(points, d), _sum(points, front), _sum(points, up)
    radius = np.sqrt(a * a + b * b) + np.float32(1)
    around = fluid.anterior * np.maximum(a, 0) + fluid.posterior * np.maximum(-a, 0)
    around += fluid.superior * np.maximum(b, 0) + fluid.inferior * np.maximum(-b, 0)
    rise = np.clip((along - np.float32(fluid.start * r)) / np.float32(0.45 * r), 0, 1)
    end = np.float32(fluid.stop * hip.neck_length)
    fall = np.clip((end - along) / np.float32(0.35 * r), 0, 1)
    wobble = 1 + grid.noise(fluid.rng(), 14) * np.float32(0.22)
    profile = np.sqrt(rise * fall) * np.minimum(around / radius, 1)
    most = np.inf if fluid.thickness_mm > PHYSIOLOGICAL_MM else MOST_FILM_MM
    return np.asarray(np.clip(fluid.thickness_mm * profile * wobble, 0, most), np.float32)


def lesion_shape(grid: Grid, hip: Hip, lesion: Oedema) -> LesionShape | None:
    """Outline of one oedema where `grid` holds it; None where it does not."""
    reach = lesion.radius_mm * 1.9 + 4
    centre = lesion.centre * [hip.sign, 1, 1] + hip.centre
    box = grid.box(centre - reach, centre + reach)
    if box is None:
        return None
    coarse = grid.crop(box).coarse(1.5)
    blob = ellipsoid(hip_points(coarse, hip), lesion.centre, lesion.radius_mm * lesion.aspect, rotation(lesion.turn_deg))
    rng = lesion.rng()
    blob += coarse.noise(rng, max(4, lesion.radius_mm * 0.8)) * np.float32(0.22 * lesion.radius_mm)
    blob += coarse.noise(rng, max(2.5, lesion.radius_mm * 0.3)) * np.float32(0.08 * lesion.radius_mm)
    return LesionShape(lesion, box, coarse, blob, 1 + coarse.noise(rng, 5) * np.float32(0.12))
