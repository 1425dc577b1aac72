"""An endless stream of training slices: a slowly changing pool of scenes, cut and painted anew for every slice."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.hips.prepare import CANVAS_PX, normalise
from ml.hips.scenes import others
from ml.hips.scenes.grid import Head, Scene, Vector
from ml.hips.scenes.pelvis import hip_pelvis
from ml.hips.scenes.sample import Frame, Image, crop, cut, draw_frame, draw_look, draw_window, paint, target

Rng = np.random.Generator


FIRST_SCENES = 16  # in the pool before the first slice is cut


@dataclass(frozen=True)
class Kind:
    """A kind of scene: its share of the pool, how it is made, and how often it is shown in each plane."""

    name: str
    share: float
    make: Callable[[Rng], Scene]
    planes: dict[str, float]


def _prosthesis(rng: Rng) -> Scene:
    return hip_pelvis(rng, prosthesis=str(rng.choice(["right", "left"])))


_ANY_PLANE = {"coronal": 0.6, "axial": 0.25, "sagittal": 0.15}
KINDS = (
    Kind("pelvis", 0.62, hip_pelvis, {"coronal": 0.74, "axial": 0.17, "sagittal": 0.09}),
    Kind("prosthesis", 0.10, _prosthesis, {"coronal": 0.85, "axial": 0.10, "sagittal": 0.05}),
    Kind("no bones", 0.07, lambda rng: hip_pelvis(rng, bones=False), _ANY_PLANE),
    Kind("knees", 0.06, others.knees, _ANY_PLANE),
    Kind("brain", 0.04, others.brain, _ANY_PLANE),
    Kind("blobs", 0.09, others.blobs, _ANY_PLANE),
    Kind("noise", 0.02, others.noise, {"coronal": 1.0}),
)


def draw_kind(rng: Rng) -> Kind:
    """A kind of scene, by its share."""
    return KINDS[int(rng.choice(len(KINDS), p=np.array([kind.share for kind in KINDS])))]


def draw_plane(rng: Rng, kind: Kind) -> str:
    """A plane to show a scene in, by its share."""
    return str(rng.choice(list(kind.planes), p=list(kind.planes.values())))


def draw_aim(rng: Rng, scene: Scene, plane: str) -> tuple[Vector, Head | None]:
    """A point that the slice passes through, mostly inside a head, and that head."""
    if scene.heads and rng.random() < 0.8:
        head = scene.heads[int(rng.integers(len(scene.heads)))]
        reach = 1.0 if plane == "coronal" else 1.3
        return head.centre_mm + rng.uniform(-reach, reach, 3) * head.radius_mm, head
    return rng.uniform((-110, -70, -120), (110, 80, 170)), None


def show(frame: Frame, point_mm: Vector) -> tuple[float, float]:
    """(row, column) in canvas pixels of a point of the scene on the frame's first slice."""
    from_middle = frame.steps @ (point_mm - frame.origin) / frame.scale / 3.0
    middle = (CANVAS_PX - 1) / 2
    return float(middle + from_middle[1]), float(middle + from_middle[2])


def training_slice(rng: Rng, kind: Kind, scene: Scene) -> tuple[Image, Image]:
    """One image as the network sees it, shape (144, 144), and its target, shape (parts, 72, 72)."""
    plane = draw_plane(rng, kind)
    aim, head = draw_aim(rng, scene, plane)
    frame = draw_frame(rng, plane, aim)
    shift = rng.uniform(-90, 90, 2) if head is not None else np.zeros(2)
    if head is not None and rng.random() < 0.6:  # show both hips rather than this one in the middle
        shift[1] = float(-(frame.steps @ aim)[2])
    moved = aim + shift[0] * 0.5 * frame.steps[1] + shift[1] * frame.steps[2]
    frame = Frame(moved, frame.steps, frame.pitch_mm, frame.thickness_mm, frame.scale)
    labels = cut(scene, frame, 0, CANVAS_PX)
    if plane != "coronal":
        labels = labels & np.uint8(31)
    look = draw_look(rng)
    window = draw_window(rng, CANVAS_PX, None if head is None else show(frame, aim))
    image = normalise(crop(paint(labels, look, rng), window, look))
    return image, hide(target(labels), window)


def hide(shares: Image, window: tuple[slice, slice]) -> Image:
    """The target with everything outside the field of view called other."""
    rows, columns = (slice((w.start + 1) // 2, w.stop // 2) for w in window)
    hidden = np.zeros_like(shares)
    hidden[0] = 1
    hidden[:, rows, columns] = shares[:, rows, columns]
    return hidden


def stream(seed: int, pool_size: int, refresh: int) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Training slices for ever; every `refresh` slices one scene of the pool is replaced by a new one."""
    rng = np.random.default_rng(seed)
    pool = [_fresh(rng) for _ in range(min(FIRST_SCENES, pool_size))]
    for count in itertools.count(1):
        kind, scene = pool[int(rng.integers(len(pool)))]
        image, shares = training_slice(rng, kind, scene)
        yield image[None], shares
        if count % refresh == 0:
            if len(pool) == pool_size:
                pool.pop(int(rng.integers(pool_size)))
            pool.append(_fresh(rng))


def _fresh(rng: Rng) -> tuple[Kind, Scene]:
    kind = draw_kind(rng)
    return kind, kind.make(rng)
