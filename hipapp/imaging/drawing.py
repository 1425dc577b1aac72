"""Slices and outlines as PNG, drawn from the stored files; nothing of the file's header gets into a picture."""

import functools
import io
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image

from hipapp.imaging.models import Segmentation, Series
from hipapp.imaging.parsers import StoredPixels
from ml.dicom.volume import SourceSlice
from ml.labels import BME, FEMORAL_HEAD, FEMUR, SYNOVITIS, Mask

WIDTH_PX = 1024  # outlines are drawn at about this width, so that their lines stay thin when the picture is large
LINE_PX = 2
# Okabe–Ito, as look.md says: femur sky, femoral head green, BME vermilion, synovitis yellow; the last one lies on top.
COLOURS = {
    FEMUR: (0x56, 0xB4, 0xE9),
    FEMORAL_HEAD: (0x00, 0x9E, 0x73),
    SYNOVITIS: (0xF0, 0xE4, 0x42),
    BME: (0xD5, 0x5E, 0x00),
}


def source_of(series: Series, index: int) -> SourceSlice:
    """Where slice `index` of a Series row lies and how it goes onto the Volume; IndexError where there is none."""
    if not 0 <= index < len(series.slices):
        raise IndexError(index)
    uid, frame, transpose, flip_rows, flip_columns = series.slices[index]
    return SourceSlice(uid, frame, transpose, flip_rows, flip_columns)


def draw_slice(series: Series, index: int) -> bytes:
    """PNG of one slice in the Volume's orientation, grey 0–255 over the series' window, at its own matrix size.

    Raises
    ------
    IndexError
        There is no such slice.
    RefusedFileError
        The stored file can't be decoded any more.
    """
    source = source_of(series, index)
    path = series.instances.values_list("path", flat=True).get(sop_uid=source.uid)
    ((decoded, is_inverted),) = StoredPixels(path).read([source.frame])
    pixels = source.from_source(decoded)
    low, high = series.window
    if is_inverted:  # as the Volume turns them, but about the slice's own maximum: this is for looking at only
        top = float(np.nanmax(pixels))
        pixels = top - pixels
    grey = np.clip((np.nan_to_num(pixels, nan=low) - low) / (high - low), 0, 1) * 255
    return _png(Image.fromarray(grey.astype(np.uint8), "L"))


def draw_stored(path: str, frame: int | None, like: tuple[str, int | None] | None = None) -> bytes:
    """PNG of one frame of a stored file as it lies in the file, grey over its own 1st to 99th percentile.

    With `like`, path and frame of another file, over that one's percentiles, so that the two can be compared.

    Raises
    ------
    RefusedFileError
        The stored file can't be decoded.
    """
    ((pixels, is_inverted),) = StoredPixels(path).read([frame])
    measured = pixels if like is None else next(iter(StoredPixels(like[0]).read([like[1]])))[0]
    low, high = np.nanpercentile(measured, (1, 99))
    grey = np.clip((np.nan_to_num(pixels, nan=low) - low) / max(high - low, 1e-6), 0, 1)
    return _png(Image.fromarray(((1 - grey if is_inverted else grey) * 255).astype(np.uint8), "L"))


def draw_outlines(segmentations: list[Segmentation], index: int, *, is_filled: bool = False) -> bytes:
    """Transparent PNG of the outlines (or the filled areas) of both hips on one slice, enlarged by a whole number."""
    planes = [_mask(row.pk)[index] for row in segmentations]
    mask = np.bitwise_or.reduce(planes)
    scale = 1 if is_filled else max(1, round(WIDTH_PX / mask.shape[1]))
    canvas = np.zeros((mask.shape[0] * scale, mask.shape[1] * scale, 4), np.uint8)
    for bit, colour in COLOURS.items():
        plane = (mask & bit) > 0
        if is_filled:
            canvas[plane] = (*colour, 255)
        elif plane.any():
            part = _around(plane)
            large = tuple(slice(s.start * scale, s.stop * scale) for s in part)
            canvas[large][_rim(plane[part], scale)] = (*colour, 255)
    return _png(Image.fromarray(canvas, "RGBA"))


def unpack_mask(row: Segmentation) -> Mask:
    """The bit planes of a segmentation, uint8 (slice, row, column)."""
    flat = np.frombuffer(zlib.decompress(bytes(row.mask)), np.uint8)
    return flat.reshape(row.shape)


@functools.lru_cache(maxsize=8)
def _mask(segmentation_id: int) -> Mask:
    """The mask of a segmentation, kept while its slices are looked through; a segmentation is never changed."""
    return unpack_mask(Segmentation.objects.only("mask", "shape").get(pk=segmentation_id))


def _around(plane: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rectangle that holds an area, in rows and columns."""
    rows, columns = (np.flatnonzero(plane.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _rim(plane: npt.NDArray[np.bool_], scale: int) -> npt.NDArray[np.bool_]:
    """The rim of an area, a line of LINE_PX inside its border, on the enlarged grid."""
    large = plane.repeat(scale, axis=0).repeat(scale, axis=1)
    inner = large
    for _ in range(LINE_PX if scale > 1 else 1):
        p = np.pad(inner, 1)
        inner = inner & p[:-2, 1:-1] & p[2:, 1:-1] & p[1:-1, :-2] & p[1:-1, 2:]
    return large & ~inner


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
