"""From a Volume to what the network sees: slices at 3 mm, scaled to the same brightness, on a canvas of a fixed raster."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ml.dicom.volume import Volume
from ml.resample import resample

PIXEL_MM = 3.0
CELL_MM = 6.0  # the network's output raster
CANVAS_PX = 144  # smallest canvas; larger fields of view get a larger one
RASTER_PX = 16
MIN_PITCH_MM = 3.0  # thinner slices are skipped over
MAX_SLICES = 48
_AROUND_PX = 17
_FLAT = 0.03  # of the brightness scale: contrast below this is noise

Image = npt.NDArray[np.float32]


def normalise(image: Image, seen: npt.NDArray[np.bool_], share: Image | None = None) -> Image:
    """Two channels of a slice, shape (2, row, column), both 0 outside the field of view.

    The first is brightness: the 90th percentile of what is not empty at 0.85, darker parts lifted, nothing above 1.5. The
    second is local contrast: standard deviations from the mean of the surroundings (5 cm), so that neither a bright
    bladder nor the fall-off of a coil hides the bones. `share` is `seen_share(seen)`, where it is known.
    """
    shown = image[image > 0]
    top = 1.4 * float(np.percentile(shown, 90)) if shown.size else 0.0
    if top <= 0:
        return np.zeros((2, *image.shape), np.float32)
    bright = np.sqrt(np.clip(image / top, 0, 2.25))
    share = seen_share(seen) if share is None else share
    mean = ndimage.uniform_filter(bright, _AROUND_PX, mode="constant") / share
    square = ndimage.uniform_filter(bright**2, _AROUND_PX, mode="constant") / share
    spread = np.sqrt(np.clip(square - mean**2, 0, None)) + _FLAT
    local = np.clip((bright - mean) / spread, -3, 3) / 2
    return np.asarray(np.stack([bright, local]) * seen, np.float32)


def seen_share(seen: npt.NDArray[np.bool_]) -> Image:
    """How much of each pixel's surroundings is inside the field of view; the same for all slices of a stack."""
    return np.maximum(ndimage.uniform_filter(seen.astype(np.float32), _AROUND_PX, mode="constant"), 1e-3)


@dataclass(frozen=True)
class Canvas:
    """Slices as the network sees them and the way back to the Volume.

    Attributes
    ----------
    images : float32, shape (slice, 2, row, column), rows and columns multiples of `RASTER_PX`; see `normalise`
    slices : index in the Volume of each image
    offset_px : (row, column) on the canvas of the Volume's pixel (0, 0), at the canvas's pixel centres
    zoom : (row, column) canvas pixels a Volume pixel
    seen : bool, shape (slice, row, column): where the Volume has pixels
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
    """Slices (slice, row, column) at the canvas's pixel size, smoothed first so that nothing aliases."""
    by_row, by_column = (_shrinking(size, z) for size, z in zip(pixels.shape[1:], zoom, strict=True))
    return resample(resample(pixels, by_row, 1), by_column, 2)


def _shrinking(size: int, zoom: float) -> Image:
    """Smoothing and linear interpolation of a line of pixels as one matrix, shape (fewer pixels, pixels)."""
    sigma = max(0.0, 0.42 * (1 / zoom - 1))
    smoothing = ndimage.gaussian_filter1d(np.eye(size), sigma, axis=0) if sigma > 0 else np.eye(size)
    places = np.clip((np.arange(max(1, round(size * zoom))) + 0.5) / zoom - 0.5, 0, size - 1)
    before = np.minimum(places.astype(np.intp), max(size - 2, 0))
    share = (places - before)[:, None]
    return np.asarray(smoothing[before] * (1 - share) + smoothing[np.minimum(before + 1, size - 1)] * share, np.float32)


def prepare(volume: Volume) -> Canvas:
    """Lay a Volume on canvases of 3 mm."""
    zoom = (float(volume.spacing_mm[1]) / PIXEL_MM, float(volume.spacing_mm[2]) / PIXEL_MM)
    slices = pick_slices(len(volume.pixels), float(volume.spacing_mm[0]))
    small = shrink(np.clip(np.nan_to_num(volume.pixels[slices]), 0, None), zoom)
    size = [max(CANVAS_PX, -(-n // RASTER_PX) * RASTER_PX) for n in small.shape[1:]]
    start = [(full - n) // 2 for full, n in zip(size, small.shape[1:], strict=True)]
    laid = np.zeros((len(slices), *size), np.float32)
    seen = np.zeros(laid.shape, bool)
    window = (slice(None), *(slice(s, s + n) for s, n in zip(start, small.shape[1:], strict=True)))
    laid[window], seen[window] = small, True
    share = seen_share(seen[0])
    images = np.stack([normalise(image, seen[0], share) for image in laid])
    offset = (start[0] + 0.5 * zoom[0] - 0.5, start[1] + 0.5 * zoom[1] - 0.5)
    return Canvas(images, slices, offset, zoom, seen)
