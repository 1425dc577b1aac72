"""Panels drawn: one slice of one hip in several columns, and all slices of a hip on one sheet."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ml.labels import BME, FEMORAL_HEAD, FEMUR, SYNOVITIS, Mask

PANEL_PX, SHEET_PX = 400, 170  # width of one picture on a panel and on a sheet
STRIP_PX = 22
GAP_PX = 6
JPG_QUALITY = 90
# Okabe–Ito, as look.md says; the last one lies on top.
COLOURS = {
    FEMUR: (0x56, 0xB4, 0xE9),
    FEMORAL_HEAD: (0x00, 0x9E, 0x73),
    SYNOVITIS: (0xF0, 0xE4, 0x42),
    BME: (0xD5, 0x5E, 0x00),
}
INK, PAPER = (0xE6, 0xE6, 0xE6), (0x14, 0x16, 0x18)
Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Column:
    """What stands in one column: its title, and the outlines drawn on the image, uint8 (slice, row, column), or None."""

    title: str
    mask: Mask | None = None


def hip_slices(*masks: Mask | None) -> list[int]:
    """The slices that show a femoral head or a lesion in any of the masks; the middle one where none does."""
    found: set[int] = set()
    n_slices = 1
    for mask in masks:
        if mask is not None:
            n_slices = len(mask)
            found |= set(np.flatnonzero((mask & (FEMORAL_HEAD | BME | SYNOVITIS)).any(axis=(1, 2))).tolist())
    return sorted(found) or [n_slices // 2]


def panels(
    pixels: Pixels, pixel_mm: tuple[float, float], columns: Sequence[Column], title: str, slices: Sequence[int]
) -> list[bytes]:
    """A JPG for each slice: the columns side by side under their titles.

    Parameters
    ----------
    pixels : float32 (slice, row, column), any unit
    pixel_mm : size of a pixel (row, column); pictures keep the body's proportions
    columns : left to right
    title : of the hip, without names
    slices : which ones
    """
    low, high = _window(pixels)
    found = []
    for index in slices:
        row = _row(pixels[index], low, high, pixel_mm, columns, index, PANEL_PX)
        found.append(_jpg(_under(row, columns, f"{title}, slice {index + 1} of {len(pixels)}", PANEL_PX)))
    return found


def contact_sheet(
    pixels: Pixels, pixel_mm: tuple[float, float], columns: Sequence[Column], title: str, slices: Sequence[int]
) -> bytes:
    """One JPG of all slices of a hip, in reading order, each with its columns and its number."""
    low, high = _window(pixels)
    cells = [_row(pixels[index], low, high, pixel_mm, columns, index, SHEET_PX) for index in slices]
    width, height = cells[0].size
    n_across = max(1, min(len(cells), round(math.sqrt(len(cells) * 1.5 * (height + STRIP_PX) / width)) or 1))
    n_down = math.ceil(len(cells) / n_across)
    sheet = Image.new("RGB", (n_across * (width + GAP_PX) - GAP_PX, STRIP_PX * 2 + n_down * (height + STRIP_PX + GAP_PX)), PAPER)
    draw = ImageDraw.Draw(sheet)
    words = " | ".join(column.title for column in columns)
    draw.text((4, 3), f"{title}: {words}", fill=INK, font=_font(15))
    for at, (index, cell) in enumerate(zip(slices, cells, strict=True)):
        down, across = divmod(at, n_across)
        x, y = across * (width + GAP_PX), STRIP_PX * 2 + down * (height + STRIP_PX + GAP_PX)
        draw.text((x + 4, y + 3), f"slice {index + 1}", fill=INK, font=_font(12))
        sheet.paste(cell, (x, y + STRIP_PX))
    return _jpg(sheet)


def _row(
    image: Pixels, low: float, high: float, pixel_mm: tuple[float, float], columns: Sequence[Column], index: int, width_px: int
) -> Image.Image:
    """The columns of one slice side by side."""
    height_px = round(width_px * image.shape[0] * pixel_mm[0] / (image.shape[1] * pixel_mm[1]))
    grey = Image.fromarray((np.clip((image - low) / (high - low), 0, 1) * 255).astype(np.uint8), "L")
    grey = grey.resize((width_px, height_px), Image.Resampling.BICUBIC)
    row = Image.new("RGB", (len(columns) * (width_px + GAP_PX) - GAP_PX, height_px), PAPER)
    for at, column in enumerate(columns):
        picture = np.array(grey.convert("RGB"))
        if column.mask is not None:
            for bit, colour in COLOURS.items():
                picture[_rim((column.mask[index] & bit) > 0, (width_px, height_px))] = colour
        row.paste(Image.fromarray(picture), (at * (width_px + GAP_PX), 0))
    return row


def _under(row: Image.Image, columns: Sequence[Column], footer: str, width_px: int) -> Image.Image:
    """A row under the titles of its columns, over a line of words."""
    page = Image.new("RGB", (row.width, row.height + 2 * STRIP_PX), PAPER)
    page.paste(row, (0, STRIP_PX))
    draw = ImageDraw.Draw(page)
    for at, column in enumerate(columns):
        draw.text((at * (width_px + GAP_PX) + 4, 3), column.title, fill=INK, font=_font(14))
    draw.text((4, row.height + STRIP_PX + 3), footer, fill=INK, font=_font(12))
    return page


def _rim(plane: npt.NDArray[np.bool_], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The rim of an area on the enlarged picture, 1 px inside its border."""
    if not plane.any():
        return np.zeros(size[::-1], bool)
    large = np.array(Image.fromarray(plane.astype(np.uint8) * 255, "L").resize(size, Image.Resampling.NEAREST)) > 127
    p = np.pad(large, 1)
    return np.asarray(large & ~(p[:-2, 1:-1] & p[2:, 1:-1] & p[1:-1, :-2] & p[1:-1, 2:]))


def _window(pixels: Pixels) -> tuple[float, float]:
    low, high = np.percentile(pixels, (1, 99.5))
    return float(low), float(max(high, low + 1e-6))


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _jpg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=JPG_QUALITY)
    return stream.getvalue()
