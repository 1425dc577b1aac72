"""An endless stream of training slices: a slowly changing pool of scenes, cut and painted anew for every slice."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ml.hips.prepare import CANVAS_PX, PIXEL_MM, normalise
from ml.hips.scenes import others
from ml.hips.scenes.grid import Head, Scene, Vector
from ml.hips.scenes.pelvis import hip_pelvis
from ml.hips.scenes.phantoms import PhantomScene, cut_phantom, make_phantom
from ml.hips.scenes.sample import (
    Frame,
    Image,
    crop,
    cut,
    draw_bones,
    draw_frame,
    draw_look,
    draw_window,
    paint,
    spoil,
    target,
    without_bones,
)

Rng = np.random.Generator
Labels = npt.NDArray[np.uint8]

FIRST_SCENES = 16  # in the pool before the first slice is cut
_NO_PART = np.uint8(31)


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
    Kind("pelvis", 0.56, hip_pelvis, {"coronal": 0.76, "axial": 0.16, "sagittal": 0.08}),
    Kind("prosthesis", 0.09, _prosthesis, {"coronal": 0.85, "axial": 0.10, "sagittal": 0.05}),
    Kind("no bones", 0.15, lambda rng: hip_pelvis(rng, bones=False), _ANY_PLANE),
    Kind("knees", 0.06, others.knees, _ANY_PLANE),
    Kind("brain", 0.04, others.brain, _ANY_PLANE),
    Kind("blobs", 0.08, others.blobs, _ANY_PLANE),
    Kind("noise", 0.02, others.noise, {"coronal": 1.0}),
)
PHANTOM_SHARE = 0.4
ODD_SHARE = 0.04  # coronal pelves of an impossible size or upside down, which are no hips
BONELESS_SHARE = 0.15
PLAIN_SHARE = 0.03  # pure noise and mosaics


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
    from_middle = frame.steps @ (point_mm - frame.origin) / frame.scale / PIXEL_MM
    middle = (CANVAS_PX - 1) / 2
    return float(middle + from_middle[1]), float(middle + from_middle[2])


def scene_labels(rng: Rng, kind: Kind, scene: Scene) -> tuple[Labels, tuple[float, float] | None]:
    """Fine labels of one slice of a scene, and where on it a head was aimed at."""
    plane = draw_plane(rng, kind)
    aim, head = draw_aim(rng, scene, plane)
    frame = draw_frame(rng, plane, aim)
    shift = rng.uniform(-90, 90, 2) if head is not None else np.zeros(2)
    if head is not None and rng.random() < 0.6:  # show both hips rather than this one in the middle
        shift[1] = float(-(frame.steps @ aim)[2])
    frame = replace(frame, origin=aim + shift[0] * 0.5 * frame.steps[1] + shift[1] * frame.steps[2])
    is_odd = rng.random() < ODD_SHARE
    if is_odd:
        frame = _odd(rng, frame)
    labels = cut(scene, frame, 0, CANVAS_PX)
    if is_odd or plane != "coronal":
        labels = labels & _NO_PART
    return labels, None if head is None else show(frame, aim)


def _odd(rng: Rng, frame: Frame) -> Frame:
    """The frame with its rows upside down or its patient half or twice as large as any."""
    if rng.random() < 0.5:
        return replace(frame, steps=frame.steps * np.array([[1.0], [-1.0], [1.0]]))
    return replace(frame, scale=float(rng.choice([rng.uniform(0.3, 0.5), rng.uniform(1.9, 2.8)])))


def plain_image(rng: Rng, image: Image) -> Image:
    """Pure noise, or a mosaic of one small image."""
    if rng.random() < 0.6:
        level = rng.uniform(0, 3)
        real, imaginary = rng.normal(level, 1, image.shape), rng.normal(0, 1, image.shape)
        return np.asarray(np.hypot(real, imaginary), np.float32)
    times = int(rng.integers(2, 7))
    return np.asarray(np.tile(image[::times, ::times], (times, times))[: len(image), : len(image)], np.float32)


def training_slice(rng: Rng, kind: Kind | None, scene: Scene | PhantomScene) -> tuple[Image, Image]:
    """One image as the network sees it, shape (2, 144, 144), and its target, shape (parts, 72, 72)."""
    look = draw_look(rng)
    is_boneless = rng.random() < BONELESS_SHARE
    if isinstance(scene, PhantomScene):
        labels, pixels = cut_phantom(rng, scene, CANVAS_PX)
        labels = without_bones(rng, labels, draw_bones(rng)) if is_boneless else labels
        if is_boneless or rng.random() < 0.35:
            image = paint(labels, look, rng)
        else:
            image = spoil(pixels, replace(look, noise=look.noise * 0.15), rng)
        focus = None if rng.random() < 0.5 else (CANVAS_PX / 2, CANVAS_PX / 2)
    elif kind is not None:
        labels, focus = scene_labels(rng, kind, scene)
        labels = without_bones(rng, labels, draw_bones(rng)) if is_boneless else labels
        image = paint(labels, look, rng)
    else:
        raise ValueError("a scene needs its kind")
    if rng.random() < PLAIN_SHARE:
        labels, image = labels & _NO_PART, plain_image(rng, image)
    window = draw_window(rng, CANVAS_PX, focus)
    seen = np.zeros(image.shape, bool)
    seen[window] = True
    return normalise(crop(image, window, look), seen), hide(target(labels), window)


def hide(shares: Image, window: tuple[slice, slice]) -> Image:
    """The target with everything outside the field of view called other."""
    rows, columns = (slice((w.start + 1) // 2, w.stop // 2) for w in window)
    hidden = np.zeros_like(shares)
    hidden[0] = 1
    hidden[:, rows, columns] = shares[:, rows, columns]
    return hidden


def stream(seed: int, pool_size: int, refresh: int) -> Iterator[tuple[Image, Image]]:
    """Training slices for ever; every `refresh` slices one scene of the pool is replaced by a new one."""
    rng = np.random.default_rng(seed)
    pool = [_fresh(rng) for _ in range(min(FIRST_SCENES, pool_size))]
    for count in itertools.count(1):
        kind, scene = pool[int(rng.integers(len(pool)))]
        yield training_slice(rng, kind, scene)
        if count % refresh == 0:
            if len(pool) == pool_size:
                pool.pop(int(rng.integers(pool_size)))
            pool.append(_fresh(rng))


def _fresh(rng: Rng) -> tuple[Kind | None, Scene | PhantomScene]:
    if rng.random() < PHANTOM_SHARE:
        return None, make_phantom(rng)
    kind = draw_kind(rng)
    return kind, kind.make(rng)
