"""`Volume`: one stack of slices in one fixed order, whatever order and orientation the files had."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class SourceSlice:
    """Where one slice of a Volume came from, and how to lay an array of it back on the file's own pixels.

    `transpose` is applied first, then the flips, to go from the file's pixel array to the Volume's slice.
    """

    uid: str
    frame: int | None = None  # 1-based frame number of a multi-frame object
    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def from_source(self, array: npt.NDArray) -> npt.NDArray:  # type: ignore[type-arg]
        """A (row, column) array of the file as it lies in the Volume."""
        array = array.T if self.transpose else array
        array = array[::-1] if self.flip_rows else array
        return array[:, ::-1] if self.flip_columns else array

    def to_source(self, array: npt.NDArray) -> npt.NDArray:  # type: ignore[type-arg]
        """A (row, column) array of the Volume as it lies in the file; the inverse of `from_source`."""
        array = array[:, ::-1] if self.flip_columns else array
        array = array[::-1] if self.flip_rows else array
        return array.T if self.transpose else array


@dataclass(frozen=True)
class Volume:
    """A coronal stack: slices anterior → posterior, rows superior → inferior, columns patient's right → left.

    Attributes
    ----------
    pixels : float32, shape (slice, row, column)
        After Modality LUT.
    spacing_mm : (slice, row, column)
        Slice spacing is centre to centre along the normal (gap included), not the slice thickness.
    affine : float64, shape (4, 4)
        (slice, row, column, 1) index → LPS mm, from ImageOrientationPatient / ImagePositionPatient only.
    sources : one per slice
    tags : what later steps need of the header, identity-free (`series_description`, `manufacturer`, `tr_ms`, `te_ms`,
        `ti_ms`, `slice_thickness_mm`, `field_strength_t`, `scan_options` …)
    """

    pixels: npt.NDArray[np.float32]
    spacing_mm: tuple[float, float, float]
    affine: npt.NDArray[np.float64]
    sources: tuple[SourceSlice, ...]
    tags: dict[str, object] = field(default_factory=dict)

    @property
    def uids(self) -> tuple[str, ...]:
        """SOP Instance UIDs in slice order."""
        return tuple(source.uid for source in self.sources)

    def to_lps(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """LPS position in mm of (slice, row, column) indices, shape (..., 3)."""
        index = np.asarray(index, np.float64)
        return np.asarray(index @ self.affine[:3, :3].T + self.affine[:3, 3])

    def to_index(self, lps_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Continuous (slice, row, column) index of LPS positions in mm, shape (..., 3)."""
        point = np.asarray(lps_mm, np.float64) - self.affine[:3, 3]
        return np.asarray(np.linalg.solve(self.affine[:3, :3], point[..., None])[..., 0])
