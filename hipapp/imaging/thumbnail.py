"""A small picture of one hip where it is most inflamed, with its outlines: what the timeline shows at an MRI point."""

import io

import numpy as np
from PIL import Image

from hipapp.imaging.drawing import draw_outlines, draw_slice, unpack_mask
from hipapp.imaging.models import Segmentation, Series, SliceMeasure
from hipapp.imaging.results import HipResult
from ml.labels import Mask

WIDTH_PX = 260
MARGIN_MM = 25.0


def most_inflamed_slice(result: HipResult) -> int | None:
    """The slice that adds most to the hip's UNet-score; with no lesion at all, the one with the largest head."""
    rows = list(SliceMeasure.objects.filter(score=result.score_id))
    if not rows:
        return None
    return max(rows, key=lambda row: (row.ratio or 0.0, row.lesion_mm2, row.head_mm2)).index


def draw_thumbnail(result: HipResult) -> bytes:
    """PNG of the hip on that slice, WIDTH_PX wide, in its true proportions.

    Raises
    ------
    IndexError
        The hip has no outlines or no slice.
    RefusedFileError
        The stored file can't be decoded any more.
    """
    index = most_inflamed_slice(result)
    if index is None or result.segmentation_id is None or result.series_id is None:
        raise IndexError("the hip has no outlines")
    series = Series.objects.get(pk=result.series_id)
    drawn = Segmentation.objects.get(pk=result.segmentation_id)
    picture = Image.open(io.BytesIO(draw_slice(series, index))).convert("RGBA")
    lines = Image.open(io.BytesIO(draw_outlines([drawn], index)))
    scale = lines.width / picture.width
    picture = picture.resize(lines.size, Image.Resampling.BILINEAR)
    picture.alpha_composite(lines)
    _, row_mm, column_mm = series.spacing_mm
    left, top, right, bottom = (round(scale * edge) for edge in _around(unpack_mask(drawn), row_mm, column_mm))
    height = round(WIDTH_PX * (bottom - top) * row_mm / ((right - left) * column_mm))
    small = picture.crop((left, top, right, bottom)).convert("RGB").resize((WIDTH_PX, max(1, height)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _around(mask: Mask, row_mm: float, column_mm: float) -> tuple[int, int, int, int]:
    """Left, top, right and bottom edge of the hip with some room, in pixels of the Volume; the whole slice for an empty mask."""
    _, n_rows, n_columns = mask.shape
    rows, columns = (np.flatnonzero(mask.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    if not rows.size:
        return 0, 0, n_columns, n_rows
    across, down = round(MARGIN_MM / column_mm), round(MARGIN_MM / row_mm)
    left, right = max(0, int(columns[0]) - across), min(n_columns, int(columns[-1]) + 1 + across)
    return left, max(0, int(rows[0]) - down), right, min(n_rows, int(rows[-1]) + 1 + down)
