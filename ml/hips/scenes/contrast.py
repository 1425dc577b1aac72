"""Intensity of each tissue, drawn at random: around a known sequence, or anything at all."""

import numpy as np
import numpy.typing as npt

from ml.hips.scenes.grid import Tissue

Rng = np.random.Generator
Table = npt.NDArray[np.float32]

# In the order of the columns of `_SEQUENCES`
_GROUPS: tuple[tuple[Tissue, ...], ...] = (
    (Tissue.SKIN_FAT,),
    (Tissue.INNER_FAT,),
    (Tissue.HEAD_MARROW, Tissue.FEMUR_MARROW, Tissue.PELVIS_MARROW, Tissue.SPINE_MARROW),
    (Tissue.MUSCLE_A, Tissue.MUSCLE_B, Tissue.MUSCLE_C),
    (Tissue.CORTEX,),
    (Tissue.CARTILAGE,),
    (Tissue.JOINT_FLUID, Tissue.BLADDER),
    (Tissue.ORGAN_WALL,),
    (Tissue.ORGAN, Tissue.OBJECT_A, Tissue.OBJECT_B),
    (Tissue.BOWEL_A, Tissue.BOWEL_B),
    (Tissue.VESSEL,),
    (Tissue.DISC,),
    (Tissue.LESION,),
)
_SEQUENCES = {
    "stir": (0.12, 0.10, 0.14, 0.30, 0.03, 0.40, 0.95, 0.35, 0.50, 0.50, 0.55, 0.40, 0.65),
    "t2_fs": (0.20, 0.15, 0.12, 0.22, 0.03, 0.35, 1.00, 0.30, 0.50, 0.50, 0.30, 0.45, 0.60),
    "t2": (0.80, 0.75, 0.60, 0.18, 0.03, 0.35, 0.95, 0.20, 0.40, 0.50, 0.15, 0.35, 0.60),
    "t1": (1.00, 0.90, 0.75, 0.32, 0.04, 0.35, 0.22, 0.32, 0.35, 0.40, 0.15, 0.30, 0.35),
    "pd": (0.85, 0.80, 0.70, 0.45, 0.05, 0.60, 0.75, 0.45, 0.55, 0.55, 0.20, 0.45, 0.65),
}


_FLAT = [tissue for group in _GROUPS for tissue in group if tissue not in (Tissue.JOINT_FLUID, Tissue.BLADDER)]


def draw_table(rng: Rng) -> Table:
    """Intensity of every `Tissue`, shape (32,), about 0 … 1; metal's pile-up may be brighter."""
    table = np.zeros(32, np.float32)
    if rng.random() < 0.65:
        means = np.array(_SEQUENCES[str(rng.choice(list(_SEQUENCES)))]) * rng.lognormal(0, 0.25, len(_GROUPS))
    else:
        means = rng.uniform(0, 1, len(_GROUPS))
        if rng.random() < 0.8:
            means[4] = rng.uniform(0, 0.25)
    spread = rng.uniform(0, 0.25)
    for mean, group in zip(means, _GROUPS, strict=True):
        for tissue in group:
            table[tissue] = mean * rng.lognormal(0, spread)
    if rng.random() < 0.35:  # all but fluid nearly alike, as where a bright bladder sets the scale
        flat = rng.uniform(0.12, 1.0)
        level = float(table[[int(t) for t in _FLAT]].mean())
        table[[int(t) for t in _FLAT]] = level + flat * (table[[int(t) for t in _FLAT]] - level)
    table[[Tissue.AIR, Tissue.VOID, Tissue.GAS]] = rng.uniform(0, 0.04)
    table[Tissue.PILE_UP] = rng.uniform(0.5, 2.0)
    return table
