"""Whole synthetic stacks as a Volume with the true heads, to fit and to test the finder's verdict."""

from dataclasses import dataclass

import numpy as np

from ml.dicom.volume import SourceSlice, Volume
from ml.hips.prepare import CANVAS_PX
from ml.hips.scenes.grid import Head, Scene
from ml.hips.scenes.sample import (
    ALL_BONES,
    PIXEL_MM,
    Frame,
    crop,
    cut,
    draw_frame,
    draw_look,
    draw_window,
    paint,
    without_bones,
)
from ml.hips.scenes.stream import BONELESS_SHARE, Kind, draw_plane, show
from ml.phantom import generate

Rng = np.random.Generator
VALIDATION_SEEDS = (10_000, 20_000)  # ml.phantom's


@dataclass(frozen=True)
class Stack:
    """A Volume shown as coronal and the heads whose centres are truly in it (none when the plane is not coronal)."""

    volume: Volume
    heads: tuple[Head, ...]
    kind: str
    plane: str


def phantom_stack(rng: Rng) -> Stack:
    """A study of `ml.phantom` of a validation seed: hips in the coronal plane, hips in another plane, or no hips."""
    seed, draw = int(rng.integers(*VALIDATION_SEEDS)), rng.random()
    if draw < 0.5:
        phantom = generate(seed)
    elif draw < 0.8:
        phantom = generate(seed, plane=str(rng.choice(["axial", "sagittal"])))
    else:
        phantom = generate(seed, hips=False, scene="pelvis" if rng.random() < 0.5 else None)
    plane = phantom.plane
    heads = tuple(Head(side, np.array(hip.centre_mm), hip.radius_mm) for side, hip in phantom.hips.items() if plane == "coronal")
    return Stack(phantom.volume, heads, "phantom", plane)


def draw_stack(rng: Rng, kind: Kind, scene: Scene) -> Stack:
    """A stack of 2 to 40 slices through a scene."""
    plane = draw_plane(rng, kind)
    focus = rng.normal(0, (8, 12, 15))
    if scene.heads and rng.random() < 0.3:
        focus = scene.heads[int(rng.integers(len(scene.heads)))].centre_mm + rng.normal(0, (15, 8, 15))
    frame = draw_frame(rng, plane, focus, max_tilt=16)
    n_slices = int(np.clip(rng.uniform(60, 140) / frame.pitch_mm, 3, 40)) if rng.random() < 0.8 else int(rng.integers(2, 7))
    first = frame.origin - 0.5 * (n_slices - 1) * frame.pitch_mm * frame.scale * frame.steps[0]
    frame = Frame(first, frame.steps, frame.pitch_mm, frame.thickness_mm, frame.scale)
    look = draw_look(rng)
    window = draw_window(rng, CANVAS_PX, show(frame, focus))
    labels = [cut(scene, frame, k, CANVAS_PX) for k in range(n_slices)]
    is_boneless = rng.random() < BONELESS_SHARE
    if is_boneless:
        labels = [without_bones(rng, cut_labels, bones=ALL_BONES) for cut_labels in labels]
    images = [crop(paint(cut_labels, look, rng), window, look)[window] for cut_labels in labels]
    volume = _volume(np.stack(images), frame, window)
    heads = _seen(scene, frame, volume) if plane == "coronal" and not is_boneless else ()
    return Stack(volume, heads, kind.name, plane)


def _volume(pixels: np.ndarray, frame: Frame, window: tuple[slice, slice]) -> Volume:
    """The images as a coronal Volume whose LPS origin is the middle of the first canvas."""
    middle = (CANVAS_PX - 1) / 2
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, PIXEL_MM], [frame.pitch_mm, 0, 0], [0, -PIXEL_MM, 0]]
    affine[:3, 3] = [(window[1].start - middle) * PIXEL_MM, 0, -(window[0].start - middle) * PIXEL_MM]
    sources = tuple(SourceSlice(uid=f"1.2.826.0.1.{k}") for k in range(len(pixels)))
    return Volume(pixels.astype(np.float32), (frame.pitch_mm, PIXEL_MM, PIXEL_MM), affine, sources)


def _seen(scene: Scene, frame: Frame, volume: Volume) -> tuple[Head, ...]:
    """The scene's heads in the Volume's LPS, those whose centre lies inside it."""
    seen = []
    for head in scene.heads:
        slice_mm, row_mm, column_mm = frame.steps @ (head.centre_mm - frame.origin) / frame.scale
        centre = np.array([column_mm, slice_mm, -row_mm])
        index = volume.to_index(centre)
        if np.all(index > -0.5) and np.all(index < np.array(volume.pixels.shape) - 0.5):
            seen.append(Head(head.side, centre, head.radius_mm / frame.scale))
    return tuple(seen)
