"""One slice as a PNG: window, outlines of the labels, and which side is the patient's right."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from ml.labels import LABELS, split_planes

# Okabe–Ito, as look.md gives them to the labels; in the order in which they are drawn (lesions on top).
COLOURS = {
    "femur": (0x56, 0xB4, 0xE9),
    "femoral_head": (0x00, 0x9E, 0x73),
    "bme": (0xD5, 0x5E, 0x00),
    "synovitis": (0xF0, 0xE4, 0x42),
}
WINDOW_PERCENTILES = (1.0, 99.5)
OUTLINE_PX = 1.5  # of the finished picture
SCALE = 2

Plane = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Style:
    """How a slice is drawn.

    `labels` are those shown; `fill` is the opacity of their areas (0 to 0.4 in the pages), `outline_px` counts in pixels of the
    finished picture.
    """

    labels: Sequence[str] = LABELS
    fill: float = 0.0
    outline_px: float = OUTLINE_PX
    scale: int = SCALE
    marks_sides: bool = True


def window_of(pixels: npt.NDArray[np.floating], percentiles: tuple[float, float] = WINDOW_PERCENTILES) -> tuple[float, float]:
    """(lowest, highest) intensity shown, from percentiles of a slice or of a whole volume; never empty."""
    finite = pixels[np.isfinite(pixels)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, percentiles))
    return (low, high) if high > low else (low, low + 1.0)


def to_grey(pixels: npt.NDArray[np.floating], window: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Intensities as 8 bit within a window; what is not finite is black."""
    low, high = window
    scaled = (np.nan_to_num(pixels, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-9)
    return np.asarray(np.clip(scaled * 255.0 + 0.5, 0, 255), np.uint8)


def render_slice(
    pixels: Plane,
    mask: npt.NDArray[np.uint8] | None = None,
    window: tuple[float, float] | None = None,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
    style: Style | None = None,
) -> bytes:
    """PNG of one slice of a `Volume` (patient's right at the left edge).

    Parameters
    ----------
    pixels : float, shape (row, column)
    mask : uint8, shape (row, column)
        Bit planes of `ml.labels`; None: no outlines.
    window : (lowest, highest) intensity
        None: percentiles 1 and 99.5 of this slice.
    spacing_mm : (row, column)
        Pixels that are no squares are drawn in their true proportion.
    style : Style

    Raises
    ------
    ValueError
        Mask and pixels differ in shape, or a label is not known.
    """
    style = style or Style()
    if mask is not None and mask.shape != pixels.shape:
        raise ValueError(f"the mask has shape {mask.shape}, the slice {pixels.shape}")
    unknown = set(style.labels) - set(LABELS)
    if unknown:
        raise ValueError(f"unknown label {sorted(unknown)}; known are {', '.join(LABELS)}")
    size = _finished_size(pixels.shape, spacing_mm, style.scale)
    grey = Image.fromarray(to_grey(pixels, window or window_of(pixels)))
    colours = np.array(grey.resize(size, Image.Resampling.BICUBIC).convert("RGB"), np.float32)
    if mask is not None:
        planes = dict(zip(LABELS, split_planes(mask), strict=True))
        for label in (name for name in COLOURS if name in style.labels and planes[name].any()):
            colours = _draw_label(colours, planes[label], COLOURS[label], style, size)
    picture = Image.fromarray(np.asarray(np.clip(colours + 0.5, 0, 255), np.uint8))
    if style.marks_sides:
        _mark_sides(picture)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _finished_size(shape: tuple[int, ...], spacing_mm: tuple[float, float], scale: int) -> tuple[int, int]:
    """(width, height): the finer spacing is enlarged `scale` times, the coarser one in proportion."""
    finest = min(spacing_mm)
    return round(shape[1] * spacing_mm[1] / finest * scale), round(shape[0] * spacing_mm[0] / finest * scale)


def _draw_label(
    colours: Plane, plane: npt.NDArray[np.bool_], colour: tuple[int, int, int], style: Style, size: tuple[int, int]
) -> Plane:
    """The picture with one label's area filled and outlined along its inner edge."""
    soft = Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    inside = np.asarray(soft) >= 0.5
    if not inside.any():
        return colours
    rows, columns = (_extent(np.any(inside, axis=axis)) for axis in (1, 0))
    part = inside[rows, columns]
    opacity = np.maximum(_outline(part, style.outline_px), style.fill * part)[..., None]
    colours[rows, columns] = colours[rows, columns] * (1 - opacity) + np.array(colour, np.float32) * opacity
    return colours


def _extent(occupied: npt.ArrayLike) -> slice:
    where = np.flatnonzero(occupied)
    return slice(int(where[0]), int(where[-1]) + 1)


def _outline(inside: npt.NDArray[np.bool_], width_px: float) -> Plane:
    """Opacity of the inner rim of an area: 1 in each whole pixel of the width, the fraction in the last one."""
    opacity = np.zeros(inside.shape, np.float32)
    left = np.pad(inside, 1)  # the picture's edge closes an area that reaches it
    while width_px > 0:
        eroded = np.asarray(Image.fromarray(left).convert("L").filter(ImageFilter.MinFilter(3))) > 0
        opacity[(left & ~eroded)[1:-1, 1:-1]] = min(1.0, width_px)
        left, width_px = eroded, width_px - 1
    return opacity


def _mark_sides(picture: Image.Image) -> None:
    """R at the left edge and L at the right one, as a Volume lies; with a dark rim so that they read on any grey."""
    draw = ImageDraw.Draw(picture)
    height = max(12, picture.height // 24)
    font = ImageFont.load_default(size=height)
    middle = picture.height / 2
    draw.text((height * 0.4, middle), "R", fill="white", font=font, anchor="lm", stroke_width=2, stroke_fill="black")
    right = picture.width - height * 0.4
    draw.text((right, middle), "L", fill="white", font=font, anchor="rm", stroke_width=2, stroke_fill="black")
