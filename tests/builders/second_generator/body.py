"""What surrounds the hips: skin and fat, muscles, pelvic organs, spine, vessels and bursae; much of it as bright as a lesion."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tests.builders.second_generator.canvas import Canvas, smooth_noise
from tests.builders.second_generator.hip import Hip
from tests.builders.second_generator.shapes import Array, Shape, ellipsoid, join, rod, rotation


def paint_trunk(canvas: Canvas, rng: np.random.Generator, hips: Sequence[Hip]) -> Array:
    """Skin, fat under it, and muscle divided by planes of fat; gives the distance (mm) from the inside of the fat."""
    half = max(abs(h.centre[0]) for h in hips) + 62
    body = canvas.smooth_distance(_outline(half, float(rng.uniform(88, 105))))
    whole = (slice(None),) * 3
    fat_mm = np.float32(rng.uniform(8, 38)) * (1 + np.float32(0.2) * _field(canvas, (70, 70, 70)))
    canvas.lay(whole, canvas.share(body - fat_mm), "skin")
    canvas.lay(whole, canvas.share(body - fat_mm + 2), "fat")
    canvas.lay(whole, canvas.share(body), "muscle")
    for across, along, width in ((24.0, 90.0, rng.uniform(0.2, 0.9)), (11.0, 60.0, rng.uniform(0, 0.5))):
        knots = [float(np.abs(axis) @ np.array([across, across, along])) for axis in canvas.grid.axes.T]
        planes = np.abs(_field(canvas, knots)) * np.float32(across * 0.38) - np.float32(width)
        canvas.lay(whole, canvas.share(np.maximum(planes, body)), "fat")
    return body


def _field(canvas: Canvas, knots_mm: Sequence[float]) -> npt.NDArray[np.float32]:
    return smooth_noise(canvas.rng, canvas.grid.shape, canvas.grid.voxel_mm, knots_mm)


def _outline(half: float, depth: float) -> Shape:
    """Trunk and thighs without the fat under the skin."""
    trunk = ellipsoid((0, 15, 60), (half * 0.98, depth, 330))
    hips = ellipsoid((0, 15, -25), (half + 6, depth * 0.95, 110))
    legs = [rod((s * half * 0.50, 5, -40), (s * half * 0.52, -5, -330), half * 0.50, half * 0.40) for s in (-1, 1)]
    return join([trunk, hips, *legs], 14)


def paint_muscles(canvas: Canvas, rng: np.random.Generator, hip: Hip, trunk: Array) -> None:
    """A few named muscles with a sheath of fat, tendons, and now and then an oedematous one."""
    bellies = [
        (rod(hip.at(-10, -30, 80), hip.at(-4, -30, 10), 20, 14), 1.0),  # iliopsoas
        (rod(hip.at(-4, -30, 10), hip.at(14, -2, -58), 13, 7), 1.0),
        (rod(hip.at(40, 6, 80), hip.at(50, 6, 10), 22, 12), 0.95),  # gluteus medius
        (rod(hip.at(-24, -24, -30), hip.at(22, -14, -130), 14, 26), 1.05),  # adductors
        (rod(hip.at(-44, 6, 10), hip.at(-40, 10, -34), 8, 9), 1.0),  # obturator internus
        (rod(hip.at(-20, 2, -36), hip.at(30, 14, -26), 10, 8), 1.0),  # obturator externus, quadratus
        (rod(hip.at(58, -18, -10), hip.at(44, -40, -160), 18, 24), 1.0),  # vastus lateralis
    ]
    for shape, gain in bellies:
        canvas.paint(shape.grown(float(rng.uniform(0.5, 1.8))), "fat", within=trunk)
        canvas.paint(shape, "muscle", gain * float(rng.uniform(0.9, 1.12)), 0.85, trunk)
    canvas.paint(rod(hip.at(44, 8, 30), hip.from_knee(20, 8, 20), 3.5, 2.5), "tendon")
    canvas.paint(rod(hip.at(2, -30, 14), hip.at(12, -8, -40), 2.5, 2.5), "tendon")
    if rng.random() < 0.2:
        belly, _ = bellies[int(rng.integers(len(bellies)))]
        canvas.paint(belly.grown(-5), "oedema", 0.8, float(rng.uniform(0.1, 0.5)), trunk)


def paint_pelvic_cavity(canvas: Canvas, rng: np.random.Generator, hips: Sequence[Hip]) -> None:
    """Fat, gut, bladder, prostate or uterus, rectum and iliac vessels between the hips."""
    inside = min(abs(h.centre[0]) for h in hips) - 44
    cavity = join([ellipsoid((0, 5, 20), (inside, 52, 62)), ellipsoid((0, -5, 150), (inside + 55, 62, 95))], 20)
    canvas.paint(cavity, "fat")
    for _ in range(int(rng.integers(18, 40))):
        start = rng.uniform((-inside - 35, -50, 42), (inside + 35, 45, 200))
        end = start + rng.normal(0, 20, 3)
        loop = rod(start, end, *rng.uniform(8, 17, 2)) & cavity.grown(-2)
        canvas.paint(loop, "gut", float(rng.uniform(0.7, 1.2)))
        if rng.random() < 0.6:
            kind = str(rng.choice(["gut_fluid", "air", "gut"]))
            canvas.paint(loop.grown(-4), kind, float(rng.uniform(0.5, 1.0)))
    paint_bladder(canvas, rng, inside)
    canvas.paint(ellipsoid((rng.normal(0, 3), 8, -24), rng.uniform((17, 13, 15), (25, 18, 24))), "gland")
    if rng.random() < 0.45:
        canvas.paint(ellipsoid((rng.normal(0, 8), 12, 28), rng.uniform((18, 20, 18), (28, 32, 30)), rotation(rng)), "gland", 0.8)
    rectum = rod((0, 48, -30), (rng.normal(0, 8), 56, 60), 14, 13)
    canvas.paint(rectum, "gut")
    canvas.paint(rectum.grown(-5), str(rng.choice(["air", "gut_fluid", "gut"])))


def paint_bladder(canvas: Canvas, rng: np.random.Generator, inside: float) -> None:
    """A bladder, from empty to full."""
    fill = float(rng.uniform(0.3, 1.0))
    wall = ellipsoid(
        (rng.normal(0, 3), -16 + 4 * fill, 2 + 22 * fill),
        (min(20 + 24 * fill, inside - 4), 16 + 16 * fill, 8 + 24 * fill),
    )
    canvas.paint(wall, "muscle", 1.2)
    canvas.paint(wall.grown(-3), "urine")


def paint_spine(canvas: Canvas, rng: np.random.Generator, redness: float) -> None:
    """Sacrum and the last lumbar vertebrae with their discs."""
    sacrum = join([ellipsoid((0, 62, 74), (48, 24, 36)), rod((0, 72, 50), (0, 78, 5), 20, 8)], 10)
    blocks = [ellipsoid((0, 42 - 6 * n, 122 + 36 * n), (26, 18, 17)) for n in range(3)]
    for bone in [sacrum, *blocks]:
        canvas.paint(bone, "cortex")
        canvas.paint(bone.grown(-1.4), "marrow")
        canvas.paint(bone.grown(-2.0), "red_marrow", opacity=0.3 + 0.6 * redness)
    for n in range(3):
        canvas.paint(ellipsoid((0, 45 - 6 * n, 104 + 36 * n), (25, 17, 5)), "disc", float(rng.uniform(0.3, 1.1)))


def paint_vessels(canvas: Canvas, rng: np.random.Generator, hip: Hip) -> None:
    """Iliac and femoral artery and vein, small bright veins around the neck, nodes in the groin."""
    jog = rng.normal(0, 2.5, (3, 3))
    path = [hip.at(-52, 0, 100) + jog[0], hip.at(-26, -40, 25) + jog[1], hip.at(-8, -46, -20) + jog[2], hip.at(-8, -34, -160)]
    medial = hip.along(-1, 0.4, 0) * float(rng.uniform(9, 12))
    for start, end in pairwise(path):
        canvas.paint(rod(start, end, 4.5, 4.2), "fast_blood")
        blood = "slow_blood" if rng.random() < 0.8 else "fast_blood"
        canvas.paint(rod(start + medial, end + medial, 6.0, 5.4), blood, float(rng.uniform(0.35, 0.95)))
    for _ in range(int(rng.integers(4, 12))):
        start = hip.at(*rng.uniform((-20, -34, -70), (48, 34, 45)))
        canvas.paint(
            rod(start, start + rng.normal(0, 13, 3), *rng.uniform(0.8, 1.9, 2)), "slow_blood", float(rng.uniform(0.5, 1))
        )
    for _ in range(int(rng.integers(0, 4))):
        node = hip.at(*rng.uniform((-30, -62, -40), (0, -50, 5)))
        canvas.paint(ellipsoid(node, rng.uniform(3, 7, 3), rotation(rng)), "gland", float(rng.uniform(0.7, 1.1)))


def paint_bursae(canvas: Canvas, rng: np.random.Generator, hip: Hip) -> None:
    """Fluid outside the joint that is no synovitis: trochanteric and iliopsoas bursa, and a strip under the gluteal tendon."""
    if rng.random() < 0.3:
        spot = hip.from_knee(21, 8, 2)
        sac = ellipsoid(spot, (rng.uniform(1.5, 5), rng.uniform(7, 14), rng.uniform(10, 22)))
        canvas.paint(sac, "fluid", float(rng.uniform(0.5, 1.0)))
    if rng.random() < 0.15:
        canvas.paint(ellipsoid(hip.at(-8, -40, -2), rng.uniform((4, 3, 8), (8, 6, 16))), "fluid", float(rng.uniform(0.6, 1)))


def paint_perineum(canvas: Canvas, rng: np.random.Generator) -> None:
    """The cleft between the thighs and, in some, bright testes or a hydrocele in it."""
    canvas.paint(rod((0, 0, -112), (0, 0, -330), 5, 14), "air")
    canvas.paint(ellipsoid((0, -20, -80), (10, 34, 26)), "fat")
    if rng.random() < 0.5:
        for s in (-1, 1):
            spot = np.array([s * 16, -62, -112]) + rng.normal(0, 4, 3)
            canvas.paint(ellipsoid(spot, (11, 13, 17)), "gland", 1.3)
