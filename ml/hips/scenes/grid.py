"""A scene: one 2 mm label grid in LPS mm, and the shapes that are painted into it."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

STEP_MM = 2.0
LOW_MM = np.array([-216.0, -136.0, -200.0])  # x (left), y (posterior), z (superior) of the first voxel
SHAPE = (216, 136, 220)

Vector = npt.NDArray[np.float64]
Field = npt.NDArray[np.float32]
Axes = tuple[Field, Field, Field]


class Tissue(IntEnum):
    """What a voxel is made of; the value indexes the table of intensities."""

    AIR = 0
    SKIN_FAT = 1
    INNER_FAT = 2
    MUSCLE_A = 3
    MUSCLE_B = 4
    MUSCLE_C = 5
    HEAD_MARROW = 6
    FEMUR_MARROW = 7
    PELVIS_MARROW = 8
    SPINE_MARROW = 9
    CORTEX = 10
    CARTILAGE = 11
    JOINT_FLUID = 12
    BLADDER = 13
    ORGAN_WALL = 14
    ORGAN = 15
    BOWEL_A = 16
    BOWEL_B = 17
    GAS = 18
    VESSEL = 19
    DISC = 20
    LESION = 21
    VOID = 22
    PILE_UP = 23
    OBJECT_A = 24
    OBJECT_B = 25


class Part(IntEnum):
    """What the network is to say of a voxel."""

    OTHER = 0
    HEAD_RIGHT = 1
    HEAD_LEFT = 2
    FEMUR_RIGHT = 3
    FEMUR_LEFT = 4
    PELVIS = 5


@dataclass(frozen=True)
class Head:
    """One true femoral head of a scene."""

    side: str
    centre_mm: Vector
    radius_mm: float


@dataclass
class Scene:
    """Label grid of one body part; `labels` holds the tissue in its low five bits and the `Part` in the upper three."""

    labels: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(SHAPE, np.uint8))
    heads: tuple[Head, ...] = ()

    def box(self, low_mm: npt.ArrayLike, high_mm: npt.ArrayLike) -> tuple[npt.NDArray[np.uint8], Axes]:
        """The part of the grid (a view) between two corners, and its x, y, z in mm, ready to broadcast."""
        first = np.clip(np.floor((np.asarray(low_mm) - LOW_MM) / STEP_MM).astype(int), 0, np.array(SHAPE) - 1)
        last = np.clip(np.ceil((np.asarray(high_mm) - LOW_MM) / STEP_MM).astype(int) + 1, first + 1, SHAPE)
        view = self.labels[first[0] : last[0], first[1] : last[1], first[2] : last[2]]
        x, y, z = ((LOW_MM[axis] + STEP_MM * np.arange(first[axis], last[axis])).astype(np.float32) for axis in range(3))
        return view, (x[:, None, None], y[None, :, None], z[None, None, :])

    def everywhere(self) -> tuple[npt.NDArray[np.uint8], Axes]:
        """The whole grid and its axes."""
        return self.box(LOW_MM, LOW_MM + STEP_MM * np.array(SHAPE))


def code(tissue: Tissue, part: Part = Part.OTHER) -> int:
    """The label value of a tissue that belongs to a part."""
    return int(tissue) | int(part) << 5


def ellipsoid(axes: Axes, centre: npt.ArrayLike, radii: npt.ArrayLike) -> Field:
    """About the signed distance in mm to an ellipsoid along the axes (negative inside)."""
    centre, radii = np.asarray(centre, np.float32), np.asarray(radii, np.float32)
    scaled = np.sqrt(sum(((axis - centre[i]) / radii[i]) ** 2 for i, axis in enumerate(axes)))
    return np.asarray((scaled - 1) * radii.min(), np.float32)


def capsule(axes: Axes, start: npt.ArrayLike, end: npt.ArrayLike, radii: tuple[float, float]) -> Field:
    """About the signed distance in mm to a rod from `start` to `end` whose radius goes from `radii[0]` to `radii[1]`."""
    start, along = np.asarray(start, np.float32), np.asarray(end, np.float32) - np.asarray(start, np.float32)
    from_start = [axis - start[i] for i, axis in enumerate(axes)]
    t = sum(d * along[i] for i, d in enumerate(from_start)) / max(float(along @ along), 1e-6)
    t = np.clip(t, 0, 1)
    distance = np.sqrt(sum((d - t * along[i]) ** 2 for i, d in enumerate(from_start)))
    return np.asarray(distance - (radii[0] + t * (radii[1] - radii[0])), np.float32)


def paint_ellipsoid(scene: Scene, centre: npt.ArrayLike, radii: npt.ArrayLike, value: int) -> None:
    """Paint a filled ellipsoid."""
    centre, radii = np.asarray(centre, float), np.asarray(radii, float)
    view, axes = scene.box(centre - radii, centre + radii)
    view[ellipsoid(axes, centre, radii) < 0] = value


def paint_capsule(scene: Scene, start: npt.ArrayLike, end: npt.ArrayLike, radii: tuple[float, float], value: int) -> None:
    """Paint a filled rod."""
    ends = np.array([start, end], float)
    view, axes = scene.box(ends.min(0) - max(radii), ends.max(0) + max(radii))
    view[capsule(axes, start, end, radii) < 0] = value
