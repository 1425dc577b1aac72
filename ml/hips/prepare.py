"""From a Volume to what the network sees: slices at 3 mm, scaled to the same brightness, on a canvas of a fixed raster."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ml.dicom.volume import Volume

PIXEL_MM = 3.0
CELL_MM = 6.0  # the network's output raster
CANVAS_PX = 144  # smallest canvas; larger fields of view get a larger one
RASTER_PX = 16
MIN_PITCH_MM = 3.0  # thinner slices are skipped over
MAX_SLICES = 48

Image = npt.NDArray[np.float32]


def normalise(image: Image) -> Image:
    """The slice with its 98th percentile (of what is not empty) at 1, darker parts lifted a little, nothing above 1.5."""
    shown = image[image > 0]
    top = float(np.percentile(shown, 98)) if shown.size else 0.0
    if top <= 0:
        return np.zeros_like(image)
    return np.asarray(np.sqrt(np.clip(image / top, 0, 2.25)), np.float32)


@dataclass(frozen=True)
class Canvas:
    """Slices as the network sees them and the way back to the Volume.

    Attributes
    ----------
    images : float32, shape (slice, row, column), rows and columns multiples of `RASTER_PX`
    slices : index in the Volume of each image
    offset_px : (row, column) on the canvas of the Volume's pixel (0, 0), at the canvas's pixel centres
    zoom : (row, column) canvas pixels a Volume pixel
    seen : bool like images: where the Volume has pixels
    """

    images: Image
    slices: npt.NDArray[np.int64]
    offset_px: tuple[float, float]
    zoom: tuple[float, float]
    seen: npt.NDArray[np.bool_]

    def to_index(self, cell_row: float, cell_column: float) -> tuple[float, float]:
        """(row, column) of the Volume of a position on the cell raster."""
        cell = CELL_MM / PIXEL_MM
        row, column = cell * cell_row + (cell - 1) / 2, cell * cell_column + (cell - 1) / 2
        return (row - self.offset_px[0]) / self.zoom[0], (column - self.offset_px[1]) / self.zoom[1]


def pick_slices(n_slices: int, pitch_mm: float) -> npt.NDArray[np.int64]:
    """Slices to look at: all, or every k-th of a thin or very long stack."""
    step = max(1, int(MIN_PITCH_MM // pitch_mm) if pitch_mm > 0 else 1, -(-n_slices // MAX_SLICES))
    return np.arange(0, n_slices, step)


def shrink(pixels: Image, zoom: tuple[float, float]) -> Image:
    """One slice at the canvas's pixel size, smoothed first so that nothing aliases."""
    sigma = [max(0.0, 0.42 * (1 / z - 1)) for z in zoom]
    shape = [max(1, round(n * z)) for n, z in zip(pixels.shape, zoom, strict=True)]
    rows, columns = ((np.arange(n) + 0.5) / z - 0.5 for n, z in zip(shape, zoom, strict=True))
    smooth = ndimage.gaussian_filter(pixels, sigma)
    grid = np.meshgrid(rows, columns, indexing="ij")
    return np.asarray(ndimage.map_coordinates(smooth, grid, order=1, mode="nearest"), np.float32)


def prepare(volume: Volume) -> Canvas:
    """Lay a Volume on canvases of 3 mm."""
    zoom = (float(volume.spacing_mm[1]) / PIXEL_MM, float(volume.spacing_mm[2]) / PIXEL_MM)
    slices = pick_slices(len(volume.pixels), float(volume.spacing_mm[0]))
    small = np.stack([shrink(np.clip(np.nan_to_num(volume.pixels[i]), 0, None), zoom) for i in slices])
    size = [max(CANVAS_PX, -(-n // RASTER_PX) * RASTER_PX) for n in small.shape[1:]]
    start = [(full - n) // 2 for full, n in zip(size, small.shape[1:], strict=True)]
    images = np.zeros((len(slices), *size), np.float32)
    seen = np.zeros(images.shape, bool)
    window = (slice(None), *(slice(s, s + n) for s, n in zip(start, small.shape[1:], strict=True)))
    images[window] = np.stack([normalise(image) for image in small])
    seen[window] = True
    offset = (start[0] + 0.5 * zoom[0] - 0.5, start[1] + 0.5 * zoom[1] - 0.5)
    return Canvas(images, slices, offset, zoom, seen)
