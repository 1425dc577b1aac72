"""A pelvis with two hips, painted from the outside in: body, muscles, organs, pelvic bones, femora."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ml.hips.scenes.bones import FemurShape, paint_femur, paint_hip_bone, paint_prosthesis, paint_spine
from ml.hips.scenes.grid import SHAPE, Axes, Field, Head, Scene, Tissue, ellipsoid, paint_capsule, paint_ellipsoid

Rng = np.random.Generator


@dataclass(frozen=True)
class Build:
    """The size of one body in mm."""

    head_distance: float
    head_radius: float
    half_width: float
    half_depth: float
    fat: float
    crotch_z: float


def draw_build(rng: Rng) -> Build:
    """A body at random, from slight to stout."""
    distance = rng.uniform(145, 208)
    return Build(
        head_distance=distance,
        head_radius=rng.uniform(19.5, 27.5),
        half_width=distance / 2 + rng.uniform(62, 108),
        half_depth=rng.uniform(85, 128),
        fat=rng.uniform(6, 38),
        crotch_z=rng.uniform(-95, -62),
    )


def smooth_noise(rng: Rng, sizes: tuple[int, int, int]) -> Field:
    """Smooth noise over the whole grid, about -1 … 1, with so many bumps along each axis (linear between them)."""
    noise = rng.normal(size=[size + 3 for size in sizes]).astype(np.float32)
    for axis, (n, size) in enumerate(zip(SHAPE, sizes, strict=True)):
        at = np.linspace(0, size + 2, n, dtype=np.float32)[:, None]
        weights = np.clip(1 - np.abs(at - np.arange(size + 3, dtype=np.float32)), 0, None)
        noise = np.moveaxis(np.tensordot(weights, noise, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(noise)


def body_distance(axes: Axes, build: Build, rng: Rng) -> Field:
    """Signed distance in mm to the skin: a trunk above the crotch, two thighs below."""
    x, y, z = axes
    waist = rng.uniform(0.72, 1.0)
    width = build.half_width * np.where(z > 0, 1 - (1 - waist) * np.clip(z / 140, 0, 1), 1.0)
    power = rng.uniform(2.0, 3.2)
    depth_centre = rng.uniform(-5, 15)
    ring = (np.abs(x / width) ** power + np.abs((y - depth_centre) / build.half_depth) ** power) ** (1 / power)
    trunk = np.maximum((ring - 1) * build.half_depth, build.crotch_z - z)
    spread = rng.uniform(-0.05, 0.15)
    thigh_radius = min(build.half_width * rng.uniform(0.44, 0.54), build.half_depth)
    middle = build.half_width - thigh_radius + spread * np.minimum(z + 40, 0)
    across = np.sqrt(((np.abs(x) - middle) / 1.0) ** 2 + ((y - depth_centre) * thigh_radius / build.half_depth) ** 2)
    thighs = np.maximum(across - thigh_radius * (1 + 0.0009 * (z + 60)), z - 20)
    return np.asarray(np.minimum(trunk, thighs), np.float32)


def paint_body(scene: Scene, build: Build, rng: Rng) -> Field:
    """Fat under the skin and muscles with fat between them; gives the distance to the skin."""
    view, axes = scene.everywhere()
    skin = body_distance(axes, build, rng) + 3 * smooth_noise(rng, (5, 4, 5))
    view[skin < 0] = Tissue.SKIN_FAT
    y = axes[1]
    fat = build.fat * (1 + rng.uniform(-0.3, 0.8) * np.clip(y / 80, 0, 1) + rng.uniform(-0.3, 0.8) * np.clip(-y / 80, 0, 1))
    inside = skin < -fat * (1 + 0.3 * smooth_noise(rng, (7, 5, 7)))
    muscle = smooth_noise(rng, (14, 10, 4))
    view[inside] = Tissue.MUSCLE_A
    view[inside & (muscle > 0.35)] = Tissue.MUSCLE_B
    view[inside & (muscle < -0.45)] = Tissue.MUSCLE_C
    sheet = rng.uniform(0.02, 0.09)
    for sizes in ((12, 8, 3), (9, 9, 4)):
        view[inside & (np.abs(smooth_noise(rng, sizes)) < sheet)] = Tissue.INNER_FAT
    return skin


def paint_cavity(scene: Scene, build: Build, skin: Field, rng: Rng) -> None:
    """The pelvic and abdominal cavity with bladder, prostate or uterus, rectum, bowel and vessels."""
    view, axes = scene.everywhere()
    inner = build.head_distance / 2 - build.head_radius - rng.uniform(10, 20)
    small = ellipsoid(axes, (0, 12, 0), (inner, 60, 58))
    wide = ellipsoid(axes, (0, -8, 140), (build.half_width - build.fat - 18, build.half_depth - build.fat * 0.8 - 12, 125))
    view[(np.minimum(small, wide) < 0) & (skin < -build.fat - 6)] = Tissue.INNER_FAT
    paint_bowel(scene, build, rng)
    paint_psoas(scene, build, rng)
    centre = np.array([rng.normal(0, 5), rng.uniform(-30, -5), rng.uniform(-8, 25)])
    radii = np.array([rng.uniform(min(22, inner - 7), inner - 6), rng.uniform(20, 40), rng.uniform(9, 38)])
    paint_ellipsoid(scene, centre, radii, Tissue.ORGAN_WALL)
    paint_ellipsoid(scene, centre, radii - rng.uniform(2.5, 6), Tissue.BLADDER)
    below = centre + np.array([rng.normal(0, 4), rng.uniform(5, 35), -radii[2] - rng.uniform(-12, 10)])
    paint_ellipsoid(scene, below, rng.uniform((16, 14, 14), (32, 28, 28)), Tissue.ORGAN)
    anus, sigmoid = ((rng.normal(0, 6), rng.uniform(40, 60), z) for z in (-50.0, 45.0))
    paint_capsule(scene, anus, sigmoid, (rng.uniform(9, 16), rng.uniform(9, 22)), Tissue.ORGAN_WALL)
    lumen = (6.0, rng.uniform(5, 15))
    paint_capsule(scene, anus, sigmoid, lumen, Tissue.GAS if rng.random() < 0.5 else Tissue.BOWEL_A)
    for sign in (-1, 1):
        knots = [(sign * 12, 20, 130), (sign * inner * 0.8, 5, 55), (sign * inner, -55, 8), (sign * inner * 1.2, -50, -120)]
        radius = rng.uniform(3.5, 6.5)
        for start, end in pairwise(knots):
            paint_capsule(scene, start, end, (radius, radius), Tissue.VESSEL)


def paint_psoas(scene: Scene, build: Build, rng: Rng) -> None:
    """Psoas along the spine and iliacus inside the wing, both running over the front of the head."""
    reach = build.head_distance / 2
    for sign in (-1, 1):
        over = (sign * (reach - rng.uniform(0, 15)), -build.head_radius - rng.uniform(10, 20), rng.uniform(0, 15))
        down = (sign * (reach + 10), 10, -55)
        wide = rng.uniform(14, 26)
        for start in ((sign * rng.uniform(32, 48), 35, 200), (sign * (reach - 10), 15, 105)):
            waypoint = (sign * (reach - rng.uniform(18, 30)), -12, 55)
            muscle = int(rng.choice([Tissue.MUSCLE_A, Tissue.MUSCLE_B, Tissue.MUSCLE_C]))
            paint_capsule(scene, start, waypoint, (wide, wide), muscle)
            paint_capsule(scene, waypoint, over, (wide, wide * 0.8), muscle)
        paint_capsule(scene, over, down, (wide * 0.8, 8), Tissue.MUSCLE_A)


def paint_bowel(scene: Scene, build: Build, rng: Rng) -> None:
    """Loops of bowel, some with gas, in the abdomen."""
    for _ in range(rng.integers(5, 28)):
        centre = rng.uniform((-build.half_width * 0.6, -70, 25), (build.half_width * 0.6, 35, 215))
        end = centre + rng.normal(0, 28, 3)
        radius = rng.uniform(7, 19)
        paint_capsule(scene, centre, end, (radius, radius), Tissue.ORGAN_WALL)
        filling = rng.choice([Tissue.BOWEL_A, Tissue.BOWEL_B, Tissue.GAS], p=[0.5, 0.35, 0.15])
        paint_capsule(scene, centre, end, (radius - 2.5, radius - 2.5), int(filling))


def hip_pelvis(rng: Rng, *, bones: bool = True, prosthesis: str | None = None) -> Scene:
    """A pelvis with both hips.

    Parameters
    ----------
    rng : source of every random draw
    bones : False leaves out all bones: bladder, muscle and fat only
    prosthesis : side that carries a metal void in place of its head, or None

    Returns
    -------
    Scene
        Its `heads` are the true ones; a prosthesis is none.
    """
    scene, build = Scene(), draw_build(rng)
    skin = paint_body(scene, build, rng)
    paint_cavity(scene, build, skin, rng)
    if not bones:
        return scene
    paint_spine(scene, rng)
    heads = []
    for side, sign in (("right", -1), ("left", 1)):
        centre = np.array([sign * build.head_distance / 2, 0, 0]) + rng.normal(0, (3, 4, 4))
        shape = FemurShape.draw(rng, side, centre, build.head_radius * rng.uniform(0.96, 1.04))
        paint_hip_bone(scene, shape, rng)
        paint_femur(scene, shape, rng)
        if side == prosthesis:
            paint_prosthesis(scene, shape, rng)
        else:
            heads.append(Head(side, shape.centre, shape.radius))
    _paint_outside_air(scene, skin)
    scene.heads = tuple(heads)
    return scene


def _paint_outside_air(scene: Scene, skin: npt.NDArray[np.float32]) -> None:
    """Bones of a stout pelvis in a slight body do not stick out of the skin."""
    scene.labels[skin > 0] = Tissue.AIR
