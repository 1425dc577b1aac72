"""Scenes without a hip: a knee, a brain, loose blobs, plain noise."""

import numpy as np

from ml.hips.scenes.grid import Scene, Tissue, ellipsoid, paint_capsule, paint_ellipsoid
from ml.hips.scenes.pelvis import smooth_noise

Rng = np.random.Generator
_SOFT = [int(t) for t in (Tissue.SKIN_FAT, Tissue.INNER_FAT, Tissue.MUSCLE_A, Tissue.MUSCLE_B, Tissue.MUSCLE_C)]
_ANY = [int(t) for t in Tissue if t not in (Tissue.AIR, Tissue.VOID, Tissue.PILE_UP)]


def _bone(scene: Scene, start: np.ndarray, end: np.ndarray, radii: tuple[float, float], rng: Rng) -> None:
    """A long bone: a rod of cortex filled with marrow."""
    cortex = rng.uniform(1.5, 5)
    paint_capsule(scene, start, end, radii, Tissue.CORTEX)
    paint_capsule(scene, start, end, (radii[0] - cortex, radii[1] - cortex), Tissue.FEMUR_MARROW)


def _ball(scene: Scene, centre: np.ndarray, radii: np.ndarray, marrow: Tissue) -> None:
    """A rounded end of a bone with cartilage and a thin cortex."""
    for shrink, tissue in ((-2.0, Tissue.CARTILAGE), (0.0, Tissue.CORTEX), (1.5, marrow)):
        paint_ellipsoid(scene, centre, radii - shrink, tissue)


def knees(rng: Rng) -> Scene:
    """One or two knees: condyles over a tibial plateau, patella, muscle and fat."""
    scene = Scene()
    middles = [-rng.uniform(60, 110), rng.uniform(60, 110)] if rng.random() < 0.5 else [rng.uniform(-30, 30)]
    for x in middles:
        leg = rng.uniform(55, 85)
        paint_capsule(scene, (x, 0, 200), (x, 0, -220), (leg * 1.15, leg * 0.85), Tissue.SKIN_FAT)
        inner = leg - rng.uniform(6, 20)
        paint_capsule(scene, (x, 0, 200), (x, 0, -220), (inner, inner * 0.8), int(rng.choice(_SOFT)))
        for _ in range(5):
            at = np.array([x, 0, 0]) + rng.uniform((-35, -35, -150), (35, 35, 150))
            paint_ellipsoid(scene, at, rng.uniform((8, 8, 40), (22, 22, 90)), int(rng.choice(_SOFT)))
        shaft = rng.uniform(12, 16)
        _bone(scene, np.array([x, -5, 28]), np.array([x + rng.normal(0, 15), 0, 240]), (shaft * 1.6, shaft), rng)
        _bone(scene, np.array([x, 5, -35]), np.array([x, 0, -230]), (shaft * 1.7, shaft), rng)
        for sign in (-1, 1):
            _ball(scene, np.array([x + sign * 22, 6, 18]), rng.uniform((17, 24, 18), (22, 30, 24)), Tissue.HEAD_MARROW)
            _ball(scene, np.array([x + sign * 20, 5, -26]), rng.uniform((18, 22, 14), (22, 26, 18)), Tissue.FEMUR_MARROW)
        _ball(scene, np.array([x, -45, 25]), rng.uniform((17, 9, 18), (22, 12, 23)), Tissue.PELVIS_MARROW)
    return scene


def brain(rng: Rng) -> Scene:
    """A head: skin, skull, fluid, folded grey and white matter, ventricles, eyes, neck."""
    scene = Scene()
    radii = rng.uniform((68, 85, 80), (85, 105, 100))
    paint_capsule(scene, (0, 25, -60), (0, 30, -220), (55, 62), Tissue.MUSCLE_A)
    layers = ((0, Tissue.SKIN_FAT), (5, Tissue.CORTEX), (11, Tissue.JOINT_FLUID), (14, Tissue.ORGAN))
    for inset, tissue in layers:
        paint_ellipsoid(scene, (0, 0, 0), radii - inset * rng.uniform(0.8, 1.3), tissue)
    view, axes = scene.everywhere()
    inside = ellipsoid(axes, (0, 0, 0), radii - 16)
    view[inside + 7 * smooth_noise(rng, (26, 20, 26)) < -6] = Tissue.BOWEL_A
    for sign in (-1, 1):
        paint_capsule(scene, (sign * 6, -25, 5), (sign * 18, 35, 8), (rng.uniform(4, 9), 6), Tissue.BLADDER)
        paint_ellipsoid(scene, (sign * 32, -radii[1] + 8, -28), (13, 13, 13), Tissue.BLADDER)
        paint_ellipsoid(scene, (sign * 24, 5, -8), (14, 18, 14), Tissue.BOWEL_B)
    paint_ellipsoid(scene, (0, 50, -52), (45, 28, 24), Tissue.BOWEL_A)
    paint_capsule(scene, (0, 12, -20), (0, 30, -200), (14, 10), Tissue.BOWEL_B)
    return scene


def blobs(rng: Rng) -> Scene:
    """A body-like or empty background with balls, rods and ellipsoids of anything."""
    scene = Scene()
    if rng.random() < 0.8:
        paint_ellipsoid(scene, rng.normal(0, 20, 3), rng.uniform((110, 80, 120), (260, 160, 300)), int(rng.choice(_SOFT)))
    if rng.random() < 0.6:
        view, _ = scene.everywhere()
        noise = smooth_noise(rng, (12, 9, 12))
        view[(view > 0) & (noise > 0.3)] = int(rng.choice(_SOFT))
        view[(view > 0) & (np.abs(noise + 0.4) < 0.06)] = Tissue.INNER_FAT
    for _ in range(rng.integers(3, 45)):
        centre = rng.uniform((-190, -110, -180), (190, 110, 200))
        tissue = int(rng.choice(_ANY))
        if rng.random() < 0.4:
            radius = rng.uniform(8, 40)
            paint_ellipsoid(scene, centre, np.full(3, radius), tissue)
            paint_ellipsoid(scene, centre, np.full(3, radius - rng.uniform(1.5, 6)), int(rng.choice(_ANY)))
        elif rng.random() < 0.5:
            paint_ellipsoid(scene, centre, rng.uniform(6, 60, 3), tissue)
        else:
            radius = rng.uniform(4, 22)
            paint_capsule(scene, centre, centre + rng.normal(0, 90, 3), (radius, radius * rng.uniform(0.5, 1)), tissue)
    return scene


def noise(rng: Rng) -> Scene:
    """No anatomy at all: every voxel, or every patch, any tissue."""
    scene = Scene()
    view, _ = scene.everywhere()
    if rng.random() < 0.5:
        view[...] = rng.choice(_ANY, size=view.shape).astype(np.uint8)
        return scene
    sizes = tuple(int(n) for n in rng.integers(3, 40, 3))
    field = smooth_noise(rng, sizes)  # type: ignore[arg-type]
    view[...] = np.asarray(_ANY, np.uint8)[np.digitize(field, np.linspace(-1.5, 1.5, len(_ANY) - 1))]
    return scene
