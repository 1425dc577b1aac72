"""The soft tissue round the hips: body outline, subcutaneous fat, muscles, bowel, bladder, vessels, spine."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ml.phantom.anatomy import Anatomy, Tissue
from ml.phantom.canvas import Canvas
from ml.phantom.grid import Field, Grid
from ml.phantom.shapes import Points, capsule, ellipsoid, path, rotation, union

# Centre lines of the muscles in the frame of a hip (lateral, posterior, superior mm at head radius 24) and their half-width.
MUSCLES: tuple[tuple[tuple[tuple[float, float, float], ...], float], ...] = (
    (((52, 0, -5), (34, 10, 55), (38, 12, 105)), 22),  # gluteus medius
    (((42, -5, 0), (22, 0, 50)), 14),  # gluteus minimus
    (((48, 38, -50), (15, 62, 10), (-20, 70, 60)), 30),  # gluteus maximus
    (((-42, 5, 170), (-30, -12, 70), (-6, -32, 5), (4, 0, -50)), 20),  # iliopsoas
    (((-8, 0, 110), (-8, -22, 40)), 19),  # iliacus
    (((45, -38, 60), (58, -25, -60)), 13),  # tensor fasciae latae
    (((14, -42, 25), (30, -45, -60), (28, -40, -180)), 14),  # rectus femoris
    (((28, -58, 60), (-5, -60, -60), (-35, -45, -180)), 9),  # sartorius
    (((62, 5, -45), (58, -5, -120), (50, -5, -200)), 22),  # vastus lateralis
    (((38, -25, -60), (32, -25, -200)), 20),  # vastus intermedius
    (((-55, -38, -38), (8, -5, -70)), 13),  # pectineus
    (((-72, -32, -58), (-20, -15, -130), (5, -5, -200)), 16),  # adductor longus
    (((-60, -8, -62), (0, 0, -100)), 14),  # adductor brevis
    (((-45, 25, -75), (-15, 15, -140), (5, 15, -210)), 26),  # adductor magnus
    (((-80, -10, -70), (-55, 0, -200)), 9),  # gracilis
    (((-42, 8, 35), (-36, 22, -25), (10, 35, 0)), 9),  # obturator internus
    (((-62, -18, -45), (-25, 10, -45), (25, 20, -10)), 11),  # obturator externus
    (((-12, 32, -50), (34, 28, -42)), 9),  # quadratus femoris
    (((-22, 38, -62), (5, 42, -140), (10, 40, -210)), 20),  # hamstrings
    (((-55, 62, 60), (20, 30, 18)), 11),  # piriformis
)


@dataclass(frozen=True)
class Soft:
    """Body-wide fields on a coarse grid: distances to the skin and to the muscles' compartment, muscles and their shade."""

    coarse: Grid
    outline: Field
    subcutaneous: Field
    septa: Field
    shade: Field
    meat: Field

    def at(self, grid: Grid, name: str) -> Field:
        """One of the fields at the points of a finer grid."""
        return grid.upsample(getattr(self, name), self.coarse)


def outline_distance(points: Points, anatomy: Anatomy) -> Field:
    """Distance to the skin: trunk, buttocks and two thighs."""
    x, y, z = points
    half = anatomy.head_distance / 2
    width = half + anatomy.hip_margin
    taper = 1 + (anatomy.waist - 1) * np.clip((z - 20) / 150, 0, 1) ** 1.5
    w = width * taper
    depth = anatomy.body_depth * (1 + 0.1 * np.clip(-z / 80, -1, 1))
    y0 = np.float32(12)
    q = (np.abs(x / w) ** 2.4 + np.abs((y - y0) / depth) ** 2.4) ** np.float32(1 / 2.4)
    trunk = (q - 1) * np.minimum(w, depth)
    trunk = np.maximum(trunk, anatomy.crotch - z)
    thigh_width = min(half + 2, anatomy.hip_margin + 4) * np.clip(1 + (z + 60) / 700, 0.6, 1.0)
    lateral = np.abs(x) - (half + anatomy.hip_margin - 4 - thigh_width)
    thigh_depth = anatomy.body_depth * 0.93 * np.clip(1 + (z + 60) / 600, 0.6, 1.05)
    k = np.sqrt((lateral / thigh_width) ** 2 + ((y - 4) / thigh_depth) ** 2)
    thighs = np.maximum((k - 1) * thigh_width, z - 10)
    return union(trunk.astype(np.float32), thighs.astype(np.float32), 24)


def muscle_fields(points: Points, anatomy: Anatomy) -> tuple[Field, Field, Field]:
    """Depth inside the nearest muscle, distance to the next muscle's border, and that muscle's shade."""
    x, y, z = points
    best = np.full(x.shape, 1e3, np.float32)
    second = best.copy()
    shade = np.ones_like(best)
    scale = anatomy.size
    for side, hip in anatomy.hips.items():
        local = (
            (x - np.float32(hip.centre[0])) * hip.sign,
            y - np.float32(hip.centre[1]),
            z - np.float32(hip.centre[2]),
        )
        near = (x * hip.sign) > -8
        for index, (nodes, width) in enumerate(MUSCLES):
            d = path(local, np.asarray(nodes) * scale, width * scale * anatomy.muscle_bulk)
            d = np.where(near, d, np.float32(1e3))
            closer = d < best
            second = np.where(closer, best, np.minimum(second, d))
            best = np.where(closer, d, best)
            tone = anatomy.muscle_shade[index + (20 if side == "left" else 0)]
            shade = np.where(closer, np.float32(tone), shade)
    return best, second - best, shade


def soft_fields(grid: Grid, anatomy: Anatomy, rng: np.random.Generator) -> Soft:
    """Evaluate the body on a coarse copy of the grid."""
    coarse = grid.coarse(3.5)
    points = coarse.points()
    warp = [coarse.noise(rng, 45) * np.float32(4) for _ in points]
    points = (points[0] + warp[0], points[1] + warp[1], points[2] + warp[2])
    outline = outline_distance(points, anatomy)
    depth, septa, shade = muscle_fields(points, anatomy)
    thickness = anatomy.fat * (1 + 0.25 * coarse.noise(rng, 60))
    subcutaneous = outline + np.maximum(thickness, 3)
    front = np.maximum(points[2] * -0.3, (points[1] - 35) * 0.3)
    wall = np.maximum(np.abs(subcutaneous + 7) - 7, front) + 4
    septa = np.where(wall < depth, np.abs(wall - depth), septa)
    depth = np.minimum(depth, wall)
    fields = (f.astype(np.float32) for f in (outline, subcutaneous, septa, shade, depth))
    return Soft(coarse, *fields)


def paint_body(canvas: Canvas, soft: Soft, rng: np.random.Generator) -> None:
    """Lay fat and muscles over the air."""
    gap = np.float32(rng.uniform(0.3, 2.2))
    for layer, grid in canvas.layers(canvas.whole):
        outline, subcutaneous, septa, shade, meat = (
            soft.at(grid, name) for name in ("outline", "subcutaneous", "septa", "shade", "meat")
        )
        canvas.fill(layer, outline, Tissue.FAT)
        canvas.fill(layer, np.abs(outline + np.float32(1)) - np.float32(1), Tissue.WALL)
        flesh = np.maximum(subcutaneous, np.maximum(meat - np.float32(4), gap - septa))
        canvas.fill(layer, flesh, Tissue.MUSCLE, canvas.palette[Tissue.MUSCLE] * shade)


def _blob_shade(grid: Grid, rng: np.random.Generator, level: float, amount: float, scale: float) -> Field:
    return np.asarray(level * np.maximum(1 + amount * grid.noise(rng, scale), 0.02), np.float32)


def paint_bowel(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Fill the abdominal cavity above and between the iliac wings with fat and bowel loops."""
    half, size = anatomy.head_distance / 2, anatomy.size
    low = np.array([-half - 20, -anatomy.body_depth, -25])
    high = np.array([half + 20, 55 * size, 400])
    box = canvas.grid.box(low, high)
    if box is None:
        return
    coarse = canvas.grid.crop(box).coarse(3.0)
    x, y, z = coarse.points()
    wide = np.clip((half - 42) + np.clip(z, 0, 120) * 0.45, 25, None)
    front = anatomy.body_depth - anatomy.fat - 14
    centre = np.float32(18 * size - 0.0)
    q = np.sqrt((x / wide) ** 2 + (np.maximum(y - centre, 0) / (38 * size)) ** 2 + (np.minimum(y - centre, 0) / front) ** 2)
    cavity = np.maximum((q - 1) * 40, -z - 20 + 0.0 * x).astype(np.float32)
    loops = coarse.noise(rng, rng.uniform(16, 26))
    content = coarse.noise(rng, 22)
    amount = np.float32(rng.uniform(-0.6, 0.9))
    for layer, grid in canvas.layers(box):
        inside, loop, filling = (grid.upsample(f, coarse) for f in (cavity, loops, content))
        canvas.fill(layer, inside, Tissue.FAT)
        loop = np.maximum((amount - np.abs(loop)) * -9, inside + 3)
        level = canvas.palette[Tissue.BOWEL] * np.clip(0.75 + 0.6 * filling, 0.1, 2)
        canvas.fill(layer, loop, Tissue.WALL)
        canvas.fill(layer, loop + np.float32(1.5), Tissue.BOWEL, level.astype(np.float32))
        canvas.fill(layer, np.maximum(loop + 2, (np.float32(1.5) - filling) * 8), Tissue.GAS)


def organ(
    canvas: Canvas,
    centre: npt.ArrayLike,
    radii: npt.ArrayLike,
    tissue: Tissue,
    rng: np.random.Generator,
    *,
    wall: float = 0,
    value: float | None = None,
    rough: float = 0.06,
) -> None:
    """One ellipsoidal organ with a slightly irregular outline, a wall and an uneven inside."""
    c, r = np.asarray(centre, np.float64), np.asarray(radii, np.float64)
    reach = float(r.max() * 1.4 + wall + 4)
    box = canvas.grid.box(c - reach, c + reach)
    if box is None:
        return
    grid = canvas.grid.crop(box)
    d = ellipsoid(grid.points(), c, r, rotation(rng.normal(0, 8, 3)))
    d += grid.noise(rng, float(r.mean())) * np.float32(rough * r.mean())
    if wall:
        canvas.fill(box, d - np.float32(wall), Tissue.WALL)
    level = canvas.palette[tissue] if value is None else value
    canvas.fill(box, d, tissue, _blob_shade(grid, rng, level, 0.03 if tissue is Tissue.URINE else 0.15, 9))


def paint_organs(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Rectum, uterus or prostate, and the bladder, which is often the brightest thing in the picture."""
    s = anatomy.size
    half = anatomy.head_distance / 2 - 40 * s
    fill = rng.uniform(0.35, 1)
    organ(canvas, [rng.normal(0, 6), 45 * s, 5], [16 * s, 15 * s, 40 * s], Tissue.BOWEL, rng, wall=3)
    if anatomy.female:
        organ(canvas, [rng.normal(0, 8), 12 * s, 45 * s], np.array([24, 20, 32]) * s, Tissue.ORGAN, rng, rough=0.1)
        organ(canvas, [rng.normal(0, 2), 18 * s, -25 * s], np.array([16, 12, 26]) * s, Tissue.ORGAN, rng)
    else:
        organ(
            canvas,
            [rng.normal(0, 2), 2 * s, -28 * s],
            np.array([24, 18, 22]) * s * rng.uniform(0.8, 1.3),
            Tissue.ORGAN,
            rng,
        )
    radii = np.array([min(half, 58 * s), 36 * s, 34 * s]) * [fill**0.4, fill**0.5, fill]
    centre = [rng.normal(0, 5), -18 * s, 2 * s + 0.7 * radii[2]]
    organ(canvas, centre, radii, Tissue.URINE, rng, wall=rng.uniform(2, 5))


def _tube(canvas: Canvas, nodes: npt.NDArray[np.float64], radius: float, tissue: Tissue, value: float | None = None) -> None:
    """A tube along a polyline, each piece in its own box."""
    for start, end in pairwise(nodes):
        low, high = np.minimum(start, end), np.maximum(start, end)
        for layer, grid in canvas.layers(canvas.grid.box(low - radius - 2, high + radius + 2)):
            canvas.fill(layer, capsule(grid.points(), start, end, radius, radius), tissue, value)


def paint_vessels(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Iliac and femoral arteries and veins with branches near the joint: bright, grey or a flow void."""
    s = anatomy.size
    for hip in anatomy.hips.values():
        for offset in (0.0, 11.0):
            nodes = np.array([(-50, 25, 150), (-44, 12, 80), (-26, -34, 25), (-14, -52, -15), (-12, -42, -90), (-20, -20, -210)])
            nodes = nodes + np.array([-offset, offset * 0.4, 0]) + rng.normal(0, 3, (6, 3))
            radius = rng.uniform(3.5, 6.0)
            shade = float(canvas.palette[Tissue.VESSEL] * rng.uniform(0.1, 1.3))
            _tube(canvas, nodes * s * [hip.sign, 1, 1] + hip.centre, radius, Tissue.VESSEL, shade)
        for _ in range(int(rng.integers(1, 5))):
            start = np.array([rng.uniform(-20, 30), rng.uniform(-50, 40), rng.uniform(-75, 10)])
            steps = np.cumsum(rng.normal(0, 9, (4, 3)) + rng.normal(0, 9, 3), axis=0)
            shade = float(canvas.palette[Tissue.VESSEL] * rng.uniform(0.5, 1.3))
            _tube(canvas, (start + steps) * s * [hip.sign, 1, 1] + hip.centre, rng.uniform(1, 2.5), Tissue.VESSEL, shade)


def paint_spine(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator, marrow: Field) -> None:
    """Sacrum, L5 and L4 with discs."""
    s = anatomy.size
    low, high = np.array([-75, -20, -10]) * s, np.array([75, 110, 230]) * s
    tilt = rotation([-35, 0, 0])
    stripe = rng.uniform(7, 12) * s if rng.random() < 0.25 else 0.0  # bright end plates in some
    for layer, grid in canvas.layers(canvas.grid.box(low, high)):
        x, y, z = points = grid.points()
        sacrum = ellipsoid(points, anatomy.spine + np.array([0, 38, -12]) * s, np.array([50, 22, 52]) * s, tilt)
        canvas.fill(layer, sacrum, Tissue.CORTEX)
        canvas.fill(layer, sacrum + np.float32(1.5), Tissue.MARROW, marrow[layer])
        for k in range(4):
            cx, cy, cz = (np.float32(v) for v in anatomy.spine + np.array([0, -4 * k, 24 + 38 * k]) * s)
            q = ((np.abs(x - cx) / (25 * s)) ** 4 + (np.abs(y - cy) / (18 * s)) ** 4) ** np.float32(0.25)
            column = ((q - 1) * np.float32(18 * s)).astype(np.float32)
            body = np.maximum(column, np.abs(z - cz) - np.float32(14 * s))
            canvas.fill(layer, np.maximum(column - 1, np.abs(z - cz + 19 * s) - np.float32(4.5 * s)), Tissue.DISC)
            canvas.fill(layer, body, Tissue.CORTEX)
            canvas.fill(layer, body + np.float32(1.5), Tissue.MARROW, marrow[layer])
            if stripe:
                plate = np.maximum(body + 2, np.float32(stripe) - np.abs(z - cz))
                canvas.fill(layer, plate, Tissue.MARROW, marrow[layer] * 2)


def paint_bursa(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Distractors outside the joint: trochanteric or iliopsoas bursa fluid and streaky muscle oedema, unlabelled."""
    for hip in anatomy.hips.values():
        base = hip.neck_direction * hip.neck_length
        rim = np.array([0.75, rng.normal(0, 0.5), 0.75]) * (hip.radius_mm + 9)  # beside the labrum
        places = (
            base + hip.trochanter + [hip.radius_mm * 0.8, 0, 5],
            np.array([-22.0, -34, 2]),
            np.array([-20.0, 34, -58]),
            rim,
        )
        for place in places:
            if rng.random() < 0.13:
                radii = np.array([rng.uniform(2, 5), rng.uniform(5, 12), rng.uniform(7, 18)])
                shade = float(canvas.palette[Tissue.FLUID] * rng.uniform(0.6, 1.05))
                organ(canvas, place * [hip.sign, 1, 1] + hip.centre, radii, Tissue.FLUID, rng, value=shade, rough=0.15)
        if rng.random() < 0.12:
            centre = rng.normal([20, 0, -50], [25, 25, 50]) * [hip.sign, 1, 1] + hip.centre
            level = float(canvas.palette[Tissue.MUSCLE] * rng.uniform(1.4, 2.6))
            organ(canvas, centre, rng.uniform(6, 25, 3), Tissue.MUSCLE, rng, value=level, rough=0.25)


def paint_symphysis(canvas: Canvas, anatomy: Anatomy) -> None:
    """The disc between the pubic bones."""
    centre = anatomy.symphysis * [0, 1, 1] + [0, 0, -6]
    up = np.array([0, 0, 12])
    box = canvas.grid.box(centre - 24, centre + 24)
    if box is not None:
        d = capsule(canvas.grid.crop(box).points(), centre + up, centre - up, 3.5, 3.5)
        canvas.fill(box, d, Tissue.DISC)


def paint_surroundings(canvas: Canvas, anatomy: Anatomy, marrow: Field, rng: np.random.Generator) -> None:
    """Paint all of the pelvis but the hips and the pelvic bones."""
    soft = soft_fields(canvas.grid, anatomy, np.random.default_rng([anatomy.seed, 21]))
    paint_body(canvas, soft, rng)
    paint_bowel(canvas, anatomy, rng)
    paint_spine(canvas, anatomy, rng, marrow)
    paint_organs(canvas, anatomy, rng)
    paint_vessels(canvas, anatomy, rng)
    paint_bursa(canvas, anatomy, rng)
    paint_symphysis(canvas, anatomy)
