"""Bodies without hips, for stacks that must not be scored: bladder and muscle, a knee, a brain, noise."""

from collections.abc import Callable

import numpy as np

from tests.builders.second_generator.canvas import Array, Canvas, smooth_noise
from tests.builders.second_generator.scanner import Protocol, add_noise, quantised
from tests.builders.second_generator.shapes import ellipsoid, join, rod

FIELDS_MM = {
    "bladder_muscle": (340.0, 420.0),
    "knee": (150.0, 380.0),
    "noise": (340.0, 440.0),
    "brain": (220.0, 300.0),
    "axial_pelvis": (340.0, 440.0),
    "sagittal_pelvis": (300.0, 440.0),
}


def _bladder_muscle(canvas: Canvas, rng: np.random.Generator) -> None:
    half = float(rng.uniform(130, 175))
    trunk = join([ellipsoid((0, 10, 30), (half, 100, 230)), ellipsoid((0, 10, -90), (half * 0.9, 90, 130))], 30)
    canvas.paint(trunk.grown(14), "fat")
    canvas.paint(trunk, "muscle")
    for _ in range(int(rng.integers(8, 20))):
        start = rng.uniform((-half, -60, -150), (half, 60, 150))
        belly = rod(start, start + rng.normal(0, 1, 3) * np.array([25, 15, 70]), *rng.uniform(10, 26, 2)) & trunk
        canvas.paint(belly, "fat")
        canvas.paint(belly.grown(-1.5), "muscle", float(rng.uniform(0.8, 1.2)))
    bladder = ellipsoid(rng.normal(0, 8, 3), rng.uniform((25, 18, 18), (60, 40, 45)))
    canvas.paint(bladder.grown(12), "fat")
    canvas.paint(bladder.grown(3), "muscle", 1.2)
    canvas.paint(bladder, "urine")


def _knee(canvas: Canvas, rng: np.random.Generator) -> None:
    wide = canvas.grid.shape[2] * canvas.grid.voxel_mm[2]
    for centre in (-85.0, 85.0) if wide > 260 else (0.0,):
        _one_knee(canvas, rng, np.array([centre, 0, 0]) + rng.normal(0, 4, 3), float(rng.uniform(0.9, 1.1)))


def _one_knee(canvas: Canvas, rng: np.random.Generator, middle: np.ndarray, size: float) -> None:
    def at(x: float, y: float, z: float) -> np.ndarray:
        return middle + size * np.array([x, y, z])

    leg = rod(at(0, 5, 260), at(0, 8, -260), 78 * size, 50 * size)
    canvas.paint(leg.grown(8), "fat")
    canvas.paint(leg, "muscle")
    canvas.paint(rod(at(0, 0, 70), at(0, 0, -55), 52 * size, 50 * size), "fat")
    canvas.paint(ellipsoid(at(0, -8, 0), size * np.array([46, 34, 22])), "fluid" if rng.random() < 0.5 else "cartilage")
    condyles = [ellipsoid(at(s * 22, 6, 20), size * np.array([20, 31, 21])) for s in (-1, 1)]
    femur = join([*condyles, rod(at(0, 0, 45), at(0, -4, 260), 24 * size, 14 * size)], 10)
    tibia = join([ellipsoid(at(0, 4, -18), size * np.array([40, 27, 15])), rod(at(0, 2, -45), at(0, 4, -260), 22, 13)], 14)
    fibula = rod(at(36, 22, -32), at(38, 24, -260), 9, 6)
    patella = ellipsoid(at(0, -46, 22), size * np.array([21, 10, 21]))
    for bone in (femur, tibia, fibula, patella):
        canvas.paint(bone, "cortex")
        canvas.paint(bone.grown(-1.6), "marrow")
    for _ in range(int(rng.integers(0, 4))):
        spot = at(*rng.uniform((-30, -10, -35), (30, 20, 45)))
        for bone in (femur, tibia):
            canvas.paint(ellipsoid(spot, rng.uniform(4, 15, 3)) & bone.grown(-1.6), "oedema", float(rng.uniform(0.5, 1)))


def _brain(canvas: Canvas, rng: np.random.Generator) -> None:
    size = float(rng.uniform(0.92, 1.08))
    skull = ellipsoid((0, 0, 0), size * np.array([74, 94, 80]))
    neck = rod((0, 20, -70), (0, 30, -220), 52, 60)
    canvas.paint(join([skull.grown(12), neck], 20), "fat")
    canvas.paint(neck.grown(-8), "muscle")
    canvas.paint(skull.grown(7), "cortex")
    canvas.paint(skull.grown(1), "fluid", 0.9)
    covered = canvas.cover(skull.grown(-1.5))
    if covered is not None:
        box, share = covered
        canvas.lay(box, share, "grey_matter")
        folds = smooth_noise(rng, share.shape, canvas.grid.voxel_mm, (11, 11, 11)) * 5
        distance = skull.distance(canvas.at(box))
        canvas.lay(box, share * canvas.share(distance + 7 + folds), "white_matter")
        sulci = share * canvas.share(np.abs(folds) - 0.7) * (distance > -16)
        canvas.lay(box, sulci.astype(np.float32), "fluid")
    for side in (-1, 1):
        horn = rod((side * 8, -28, 8), (side * 18, 30, 6), 6, 8)
        canvas.paint(horn, "fluid")
        canvas.paint(ellipsoid((side * 14, 0, 0), (8, 14, 9)), "grey_matter")
        canvas.paint(ellipsoid((side * 32, -78, -30), (12, 12, 12)), "urine")
        canvas.paint(ellipsoid((side * 26, 50, -48), (25, 24, 18)), "grey_matter")


def noise(rng: np.random.Generator, protocol: Protocol) -> Array:
    """A stack of noise, with or without a smooth unevenness under it."""
    shape = (protocol.n_slices, protocol.rows, protocol.columns)
    knots = (60.0,) * 3 if rng.random() < 0.5 else (12.0,) * 3
    under = np.abs(smooth_noise(rng, shape, protocol.spacing_mm, knots)) * np.float32(rng.uniform(0, 1))
    return quantised(add_noise(under + np.float32(0.5), protocol, rng), protocol)


PAINTERS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    "bladder_muscle": _bladder_muscle,
    "knee": _knee,
    "brain": _brain,
}
