"""What the pictures of a stack say of its contrast, where its header does not: is it fat that is bright, or only fluid?

Fat is a large part of a pelvis: under the skin, between the muscles, in the marrow. Where it is not suppressed, it is the
brightest tissue (T1, proton density) or nearly so (T2), and a large share of the body is bright. Where it is suppressed, only
fluid is bright (bladder, vessels, effusions): a few per cent. The test needs no hips and no air in view. It can't tell a
fat-suppressed T1 after contrast from a STIR; TR, TE and names go before it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.dicom.assemble import build_volume
from ml.dicom.errors import UnscorableError
from ml.dicom.series import Series

N_SLICES = 5  # of the middle of the stack
BLOCK_MM = 4.0
BRIGHTEST = 99.5  # percentile of the blocks
BRIGHT, TISSUE = 0.5, 0.12  # of the brightest
# Shares of the tissue that is bright; docs/reference/dicom.md has the measured ones. Between the bounds nothing is said.
FEW, MANY = 0.15, 0.20
LEAST_BLOCKS = 64


@dataclass(frozen=True)
class Content:
    """What was seen: the share of the tissue that is at least half as bright as the brightest."""

    bright_share: float

    @property
    def fat_suppressed(self) -> bool | None:
        """None where the share lies between the bounds."""
        if self.bright_share <= FEW:
            return True
        return False if self.bright_share >= MANY else None

    @property
    def words(self) -> str:
        """With the number, in per cent."""
        share = f"{100 * self.bright_share:.0f} % of the tissue is bright"
        if self.fat_suppressed is None:
            return f"its pictures leave open whether fat is dark ({share})"
        return f"fat is dark in its pictures ({share})" if self.fat_suppressed else f"fat is bright in its pictures ({share})"


def look_into(series: Series) -> Content | None:
    """What the middle slices of a stack say; None where they can't be read or show too little."""
    first = max(0, (series.n_slices - N_SLICES) // 2)
    part = Series(series.uid, series.part, series.frames[first : first + N_SLICES])
    try:
        volume, _ = build_volume(part, strict=False)
    except UnscorableError:
        return None  # whoever builds the whole stack says why
    return content_of(volume.pixels, volume.spacing_mm)


def content_of(pixels: npt.NDArray[np.float32], spacing_mm: tuple[float, float, float]) -> Content | None:
    """What slices say.

    Parameters
    ----------
    pixels : float32, shape (slice, row, column)
    spacing_mm : (slice, row, column)
    """
    block = [max(1, round(BLOCK_MM / mm)) for mm in spacing_mm[1:]]
    n_rows, n_columns = (n // b for n, b in zip(pixels.shape[1:], block, strict=True))
    if len(pixels) * n_rows * n_columns < LEAST_BLOCKS:
        return None
    part = np.nan_to_num(pixels[:, : n_rows * block[0], : n_columns * block[1]])
    blocks = part.reshape(len(part), n_rows, block[0], n_columns, block[1]).mean(axis=(2, 4))
    brightest = float(np.percentile(blocks, BRIGHTEST))
    if brightest <= 0:
        return None
    return Content(float((blocks >= BRIGHT * brightest).sum() / (blocks >= TISSUE * brightest).sum()))
