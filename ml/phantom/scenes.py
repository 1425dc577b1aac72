"""Pictures without hips: a pelvis emptied of its hips, a knee, an abdomen, a head, loose shapes, noise."""

from collections.abc import Callable

import numpy as np

from ml.phantom.anatomy import Anatomy, Tissue
from ml.phantom.body import organ, paint_surroundings
from ml.phantom.canvas import Canvas
from ml.phantom.grid import Field, Grid
from ml.phantom.shapes import Points, capsule, ellipsoid, union


def _warped(grid: Grid, seed: int, amount_mm: float) -> Callable[[Grid], Points]:
    """Points of any part of a grid, bent smoothly by a few millimetres."""
    rng = np.random.default_rng([seed, 61])
    coarse = grid.coarse(8)
    bend = [coarse.noise(rng, 40) * np.float32(amount_mm) for _ in range(3)]

    def points(part: Grid) -> Points:
        x, y, z = part.points()
        dx, dy, dz = (part.upsample(b, coarse) for b in bend)
        return x + dx, y + dy, z + dz

    return points


def paint_pelvis(canvas: Canvas, anatomy: Anatomy, marrow: Field, rng: np.random.Generator) -> None:
    """Bladder, bowel, muscles, vessels and spine, but neither pelvic bones nor femora."""
    paint_surroundings(canvas, anatomy, marrow, rng)


def paint_knee(canvas: Canvas, anatomy: Anatomy, marrow: Field, rng: np.random.Generator) -> None:
    """One knee, or both side by side."""
    offsets = (-80.0, 80.0) if rng.random() < 0.5 else (0.0,)
    s = anatomy.size * float(rng.uniform(0.9, 1.15))
    tilt, girth = float(rng.normal(0, 6)), float(rng.uniform(52, 72))
    effusion, space = float(rng.uniform(0.5, 8)), float(rng.uniform(2, 5))
    bend = _warped(canvas.grid, anatomy.seed, 1.2)
    for layer, grid in canvas.layers(canvas.whole):
        x, y, z = bend(grid)
        for offset in offsets:
            points = (x - np.float32(offset), y, z)
            skin = capsule(points, (0, 0, 260), (0, 8, -260), girth * s * 1.15, girth * s * 0.85)
            canvas.fill(layer, skin, Tissue.FAT)
            meat = np.maximum(skin + np.float32(9), 34 * s - np.abs(z + 4))
            canvas.fill(layer, meat.astype(np.float32), Tissue.MUSCLE)
            femur = _distal_femur(points, s, tilt)
            tibia = _proximal_tibia(points, s, space)
            fibula = capsule(points, (30 * s, 18 * s, -24 * s), (30 * s, 16, -260), 7 * s, 6 * s)
            patella = ellipsoid(points, (0, -44 * s, 16 * s), (20 * s, 9 * s, 20 * s))
            near = np.minimum(femur, tibia)
            canvas.fill(layer, np.maximum(near - np.float32(effusion), np.abs(z) - 32 * s), Tissue.FLUID)
            canvas.fill(layer, np.maximum(near - np.float32(space * 0.8), np.abs(z) - 18 * s), Tissue.CARTILAGE)
            for bone in (femur, tibia, fibula, patella):
                canvas.fill(layer, bone, Tissue.CORTEX)
                shell = np.clip((np.abs(z) - 50) / 60, 0, 1) * 4 + 1.3
                canvas.fill(layer, bone + shell.astype(np.float32), Tissue.MARROW, marrow[layer])


def _distal_femur(points: Points, s: float, tilt: float) -> Field:
    shaft = capsule(points, (0, -5, 34 * s), (tilt, -12, 270), 19 * s, 14 * s)
    medial = ellipsoid(points, (-22 * s, 4, 20 * s), (17 * s, 28 * s, 22 * s))
    lateral = ellipsoid(points, (22 * s, 2, 20 * s), (17 * s, 28 * s, 21 * s))
    return union(union(shaft, medial, 14), lateral, 14)


def _proximal_tibia(points: Points, s: float, space: float) -> Field:
    plateau = ellipsoid(points, (0, 2, -22 * s), (39 * s, 25 * s, 21 * s))
    plateau = np.maximum(plateau, points[2] + np.float32(space + 4))
    return union(plateau, capsule(points, (0, 0, -30 * s), (0, 4, -260), 19 * s, 13 * s), 16)


def paint_abdomen(canvas: Canvas, anatomy: Anatomy, marrow: Field, rng: np.random.Generator) -> None:
    """Upper abdomen: liver, spleen, kidneys, stomach, spine."""
    s = anatomy.size
    half, depth = 165 * s + anatomy.fat, 105 * s + 0.7 * anatomy.fat
    bend = _warped(canvas.grid, anatomy.seed, 5)
    for layer, grid in canvas.layers(canvas.whole):
        x, y, z = bend(grid)
        q = (np.abs(x / half) ** 2.4 + np.abs(y / depth) ** 2.4) ** np.float32(1 / 2.4)
        skin = ((q - 1) * np.float32(depth)).astype(np.float32)
        canvas.fill(layer, skin, Tissue.FAT)
        canvas.fill(layer, skin + np.float32(anatomy.fat), Tissue.MUSCLE)
        canvas.fill(layer, skin + np.float32(anatomy.fat + 12), Tissue.FAT)
        column = np.hypot(x, y - 45 * s) - 22 * s
        canvas.fill(layer, column.astype(np.float32), Tissue.CORTEX)
        discs = np.abs(np.mod(z, 36 * s) - 18 * s) < 4 * s
        canvas.fill(layer, column.astype(np.float32) + np.float32(2), Tissue.MARROW, marrow[layer])
        canvas.paint(layer, (discs & (column < -1)).astype(np.float32), Tissue.DISC)
    organ(canvas, (-70 * s, -5, 45 * s), np.array([70, 70, 75]) * s, Tissue.ORGAN, rng, rough=0.15)
    organ(
        canvas,
        (95 * s, 20, 60 * s),
        np.array([30, 32, 50]) * s,
        Tissue.ORGAN,
        rng,
        value=canvas.palette[Tissue.ORGAN] * 1.4,
    )
    organ(canvas, (55 * s, -30, 30 * s), np.array([40, 35, 50]) * s, Tissue.BOWEL, rng, wall=4, rough=0.2)
    for sign in (-1, 1):
        organ(canvas, (sign * 62 * s, 40, -35 * s), np.array([26, 24, 52]) * s, Tissue.ORGAN, rng, rough=0.12)
        organ(canvas, (sign * 52 * s, 40, -35 * s), np.array([9, 9, 24]) * s, Tissue.URINE, rng)
    for _ in range(int(rng.integers(3, 9))):
        centre = rng.normal([0, -35, -60], [55, 20, 45]) * s
        organ(canvas, centre, rng.uniform(10, 26, 3), Tissue.BOWEL, rng, wall=2, rough=0.25)


def paint_head(canvas: Canvas, anatomy: Anatomy, marrow: Field, rng: np.random.Generator) -> None:
    """A head: scalp, skull, brain with ventricles, eyes."""
    radii = np.array([76, 95, 88]) * rng.uniform(0.88, 1.1)
    fluid = float(rng.uniform(1, 6))
    bend = _warped(canvas.grid, anatomy.seed, 3)
    for layer, grid in canvas.layers(canvas.whole):
        points = bend(grid)
        skull = ellipsoid(points, (0, 0, 0), radii)
        neck = capsule(points, (0, 20, -60), (0, 30, -300), 58, 62)
        canvas.fill(layer, union(skull, neck, 20) - np.float32(8), Tissue.FAT)
        canvas.fill(layer, neck, Tissue.MUSCLE)
        canvas.fill(layer, skull - np.float32(2), Tissue.CORTEX)
        canvas.fill(layer, skull + np.float32(5), Tissue.FLUID)
        canvas.fill(layer, skull + np.float32(5 + fluid), Tissue.BRAIN)
        for sign in (-1, 1):
            horn = capsule(points, (sign * 8, -32, 14), (sign * 18, 38, 16), 4 + fluid * 0.6, 5 + fluid * 0.6)
            canvas.fill(layer, horn, Tissue.FLUID)
            canvas.fill(layer, ellipsoid(points, (sign * 32, -radii[1] + 6, -22), (12, 12, 12)), Tissue.FLUID)


def paint_objects(canvas: Canvas, anatomy: Anatomy, marrow: Field, rng: np.random.Generator) -> None:
    """Loose balls, bottles and rods, as in a test object or an unusual part of the body."""
    kinds = (Tissue.FAT, Tissue.MUSCLE, Tissue.MARROW, Tissue.FLUID, Tissue.ORGAN, Tissue.CORTEX, Tissue.URINE)
    if rng.random() < 0.6:
        organ(canvas, rng.normal(0, 20, 3), rng.uniform(90, 190, 3), Tissue.MUSCLE, rng, rough=0.1)
    for _ in range(int(rng.integers(2, 14))):
        tissue = kinds[int(rng.integers(len(kinds)))]
        organ(
            canvas,
            rng.normal(0, 60, 3),
            rng.uniform(8, 60) * np.exp(rng.normal(0, 0.4, 3)),
            tissue,
            rng,
            wall=rng.uniform(0, 4),
        )


def paint_noise(canvas: Canvas, anatomy: Anatomy, marrow: Field, rng: np.random.Generator) -> None:
    """No body at all: cloudy patches or nothing; the noise itself is added later."""
    if rng.random() < 0.5:
        canvas.intensity[:] = np.abs(canvas.grid.noise(rng, float(rng.uniform(4, 60)))) * canvas.palette[Tissue.MUSCLE]


SCENES: dict[str, Callable[[Canvas, Anatomy, Field, np.random.Generator], None]] = {
    "pelvis": paint_pelvis,
    "knee": paint_knee,
    "abdomen": paint_abdomen,
    "head": paint_head,
    "objects": paint_objects,
    "noise": paint_noise,
}
