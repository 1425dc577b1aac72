"""A `Series` as a `Volume`: laid in the canonical order by its geometry, checked to be one even stack."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from ml.dicom import limits
from ml.dicom.errors import RefusedFileError, UnscorableError
from ml.dicom.header import Frame
from ml.dicom.pixels import Pixels
from ml.dicom.series import DIRECTIONS, Series, image_centre_mm, nearest_plane
from ml.dicom.volume import SourceSlice, Volume

TILT_REFUSED_DEG = 0.5  # between slices of one stack
UNEVEN_WARNED = 0.05  # of the median spacing
UNEVEN_REFUSED = 0.25
SHIFT_REFUSED_MM = 2.0  # of a slice within its own plane, against the middle of the stack


@dataclass(frozen=True)
class Layout:
    """How a file's pixel array lies in the Volume, and the LPS steps of the Volume's slice."""

    source: SourceSlice
    origin_mm: npt.NDArray[np.float64]
    row_step_mm: npt.NDArray[np.float64]
    column_step_mm: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """A Volume without its pixels; the fields are those of `Volume`."""

    spacing_mm: tuple[float, float, float]
    affine: npt.NDArray[np.float64]
    sources: tuple[SourceSlice, ...]


def build_volume(series: Series, strict: bool = True) -> tuple[Volume, list[str]]:
    """The Volume of a stack, and what is to be said about it.

    Parameters
    ----------
    series : Series
        Of any plane: coronal as `Volume` says; axial with slices superior → inferior, rows anterior → posterior,
        columns right → left; sagittal with slices right → left, rows superior → inferior, columns anterior → posterior.
    strict : bool
        False: a stack that is no even one is built all the same, with a warning (to look for hips, never for a score).

    Raises
    ------
    UnscorableError
        `inconsistent` (tilted, shifted, missing or unevenly spaced slices), `unreadable_pixels`, `too_large`.
    """
    grid, warnings = lay_out(series, strict)
    pixels, pixel_warnings = _read_pixels(series.frames, grid.sources)
    volume = Volume(pixels, grid.spacing_mm, grid.affine, grid.sources, describe(series))
    return volume, [*warnings, *pixel_warnings]


def lay_out(series: Series, strict: bool = True) -> tuple[Grid, list[str]]:
    """The grid of the Volume of a stack, and what is to be said about it, from the headers alone; raises as `build_volume`."""
    first = series.frames[0]
    if series.n_slices * first.rows * first.columns * 4 > limits.MAX_VOLUME_BYTES:
        raise UnscorableError("too_large", f"the series needs more than {limits.MAX_VOLUME_BYTES // limits.MIB} MiB")
    problems = geometry_problems(series)
    if strict and problems:
        raise UnscorableError("inconsistent", "; ".join(problems))
    layouts = [layout_of(frame) for frame in series.frames]
    affine = _affine(series, layouts)
    row_mm, column_mm = (float(np.linalg.norm(affine[:3, axis])) for axis in (1, 2))
    grid = Grid((series.slice_spacing_mm, row_mm, column_mm), affine, tuple(layout.source for layout in layouts))
    return grid, [*series.warnings, *problems, *_uneven(series)]


def geometry_problems(series: Series) -> list[str]:
    """Why the slices make no even stack, in words; empty where they do."""
    frames, gaps = series.frames, series.gaps_mm
    problems = []
    tilt_deg = max(_angle_deg(frame.normal, frames[0].normal) for frame in frames)
    if tilt_deg > TILT_REFUSED_DEG:
        problems.append(f"the slices are not parallel (up to {tilt_deg:.1f}° apart), so they make no one volume")
    median_mm = series.slice_spacing_mm
    for i in np.flatnonzero(np.abs(gaps - median_mm) > UNEVEN_REFUSED * median_mm):
        n_missing = round(float(gaps[i]) / median_mm) - 1
        missing = f": {n_missing} slice(s) missing; send the whole series" if n_missing > 0 else ""
        problems.append(f"between slices {i + 1} and {i + 2} lie {gaps[i]:.1f} mm instead of {median_mm:.1f} mm{missing}")
    shift_mm = _largest_shift_mm(frames)
    if shift_mm > SHIFT_REFUSED_MM:
        problems.append(f"the slices are shifted against each other in their plane by up to {shift_mm:.1f} mm")
    return problems[:5]


def describe(series: Series) -> dict[str, object]:
    """`Volume.tags`: sequence and scanner of a stack, with nothing of the person."""
    frame = series.frames[0]
    names = {
        "series_description": series.description,
        "manufacturer": " ".join(frame.words.get("Manufacturer", ())),
        "model": " ".join(frame.words.get("ManufacturerModelName", ())),
        "scanning_sequence": "\\".join(frame.words.get("ScanningSequence", ())),
        "scan_options": "\\".join(frame.words.get("ScanOptions", ())),
    }
    keywords = {
        "tr_ms": "RepetitionTime",
        "te_ms": "EchoTime",
        "ti_ms": "InversionTime",
        "flip_deg": "FlipAngle",
        "slice_thickness_mm": "SliceThickness",
        "field_strength_t": "MagneticFieldStrength",
        "series_number": "SeriesNumber",
    }
    values = {name: frame.numbers[keyword] for name, keyword in keywords.items() if keyword in frame.numbers}
    if "EffectiveEchoTime" in frame.numbers:
        values.setdefault("te_ms", frame.numbers["EffectiveEchoTime"])
    if "InversionTimes" in frame.numbers:
        values.setdefault("ti_ms", frame.numbers["InversionTimes"])
    return {**{name: value for name, value in names.items() if value}, **values, "series_uid": series.uid}


def _angle_deg(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(one, other)), abs(float(one @ other)))))


def _largest_shift_mm(frames: tuple[Frame, ...]) -> float:
    centres = np.array([image_centre_mm(frame) for frame in frames])
    normal = frames[0].normal
    in_plane = centres - np.outer(centres @ normal, normal)
    return float(np.linalg.norm(in_plane - np.median(in_plane, axis=0), axis=1).max())


def _uneven(series: Series) -> list[str]:
    worst = float(np.abs(series.gaps_mm - series.slice_spacing_mm).max(initial=0.0))
    if worst <= UNEVEN_WARNED * series.slice_spacing_mm:
        return []
    return [f"slice spacing is uneven: up to {worst:.2f} mm off its median of {series.slice_spacing_mm:.2f} mm"]


def layout_of(frame: Frame) -> Layout:
    """How an image's pixel array lies in a Volume of the nearest body plane, from its geometry alone."""
    plane, _ = nearest_plane(frame.normal)
    _, to_row, to_column = (np.array(axis, np.float64) for axis in DIRECTIONS[plane])
    origin = np.array(frame.position_mm)
    down = np.array(frame.column_direction) * frame.pixel_spacing_mm[0]
    across = np.array(frame.row_direction) * frame.pixel_spacing_mm[1]
    n_rows, n_columns = frame.rows, frame.columns
    along_row, along_column = (np.dot(d, to_column) for d in (frame.row_direction, frame.column_direction))
    transpose = bool(abs(along_row) < abs(along_column))
    if transpose:
        down, across, n_rows, n_columns = across, down, n_columns, n_rows
    flip_rows, flip_columns = float(down @ to_row) < 0, float(across @ to_column) < 0
    if flip_rows:
        origin, down = origin + down * (n_rows - 1), -down
    if flip_columns:
        origin, across = origin + across * (n_columns - 1), -across
    return Layout(SourceSlice(frame.uid, frame.number, transpose, flip_rows, flip_columns), origin, down, across)


def _affine(series: Series, layouts: list[Layout]) -> npt.NDArray[np.float64]:
    affine = np.eye(4)
    if len(layouts) > 1:
        affine[:3, 0] = (layouts[-1].origin_mm - layouts[0].origin_mm) / (len(layouts) - 1)
    else:
        normal = series.frames[0].normal
        sign = 1.0 if float(normal @ np.array(DIRECTIONS[nearest_plane(normal)[0]][0])) > 0 else -1.0
        affine[:3, 0] = sign * normal * series.slice_spacing_mm
    affine[:3, 1] = layouts[0].row_step_mm
    affine[:3, 2] = layouts[0].column_step_mm
    affine[:3, 3] = layouts[0].origin_mm
    return affine


def _read_pixels(frames: tuple[Frame, ...], sources: tuple[SourceSlice, ...]) -> tuple[Pixels, list[str]]:
    pixels: Pixels | None = None
    inverted = False
    for i, (decoded, is_inverted) in enumerate(decoded_frames(frames)):
        laid = sources[i].from_source(decoded)
        inverted |= is_inverted
        if pixels is None:
            pixels = np.empty((len(frames), *laid.shape), np.float32)
        pixels[i] = laid
    assert pixels is not None  # a Series has at least one frame
    return _finish(pixels, inverted)


def decoded_frames(frames: Iterable[Frame]) -> Iterator[tuple[Pixels, bool]]:
    """The intensities of frames one after the other, with whether they are inverted; a file is opened once for its run.

    Raises
    ------
    UnscorableError
        `unreadable_pixels`, naming the file.
    """
    for _, run in groupby(frames, key=lambda frame: id(frame.source)):
        same_file = list(run)
        try:
            yield from same_file[0].source.read([frame.number for frame in same_file])
        except RefusedFileError as refusal:
            raise UnscorableError("unreadable_pixels", f"{same_file[0].name} {refusal}") from refusal


def _finish(pixels: Pixels, inverted: bool) -> tuple[Pixels, list[str]]:
    """MONOCHROME1 turned bright-is-high from 0 on; padding set to the darkest intensity."""
    warnings = []
    if inverted:
        pixels = np.asarray(np.nanmax(pixels) - pixels)
        warnings.append("the images are stored inverted (MONOCHROME1) and were turned")
    padding = np.isnan(pixels)
    if padding.any():
        pixels[padding] = np.nanmin(pixels)
    return pixels, warnings
