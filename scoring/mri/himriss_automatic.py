"""Automatic HIMRISS: the same scheme applied to masks, with the evidence of every region."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scoring import checks
from scoring.errors import ScoringError
from scoring.mri.himriss_read import HimrissScore, SliceMarks, score_marks
from scoring.mri.himriss_scheme import Region, Scheme, load_scheme
from scoring.mri.lesions import LesionParts, Plane, checked_mask, split_lesions
from scoring.mri.patient import SIDES
from scoring.mri.slices import CENTRAL, slice_roles
from scoring.tolerance import at_least

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HeadFrame:
    """The frame of a hip's regions: centre (row, column) in pixels and radius in mm of the femoral head, once per hip."""

    row: float
    column: float
    radius_mm: float


@dataclass(frozen=True)
class RegionEvidence:
    """One region on one slice: the share of it that the lesion covers (0–1), and whether that makes it positive."""

    index: int
    role: str
    region: str
    part: str
    share: float
    is_positive: bool


@dataclass(frozen=True)
class EffusionEvidence:
    """The largest thickness of synovitis on one slice in mm, and its grade."""

    index: int
    role: str
    thickness_mm: float
    grade: int


@dataclass(frozen=True)
class AutomaticHimriss:
    """Automatic HIMRISS of one hip with everything it rests on."""

    side: str
    score: HimrissScore
    frame: HeadFrame
    regions: tuple[RegionEvidence, ...]
    effusions: tuple[EffusionEvidence, ...]


def automatic_himriss(
    mask: npt.ArrayLike,
    spacing_mm: Sequence[float],
    side: str,
    scheme: Scheme | None = None,
    frame: HeadFrame | None = None,
) -> AutomaticHimriss:
    """HIMRISS of one hip from its mask.

    Parameters
    ----------
    mask : uint8, shape (slice, row, column)
        Bit planes of one hip; rows superior to inferior, columns patient's right to left.
    spacing_mm : (slice, row, column), mm
    side : "right" or "left"
        Medial is towards larger columns in a right hip, smaller in a left one.
    scheme : Scheme, optional
        `himriss-compatible-1` unless given.
    frame : HeadFrame, optional
        Fitted to the femoral head unless given.

    Returns
    -------
    AutomaticHimriss

    Raises
    ------
    TooFewSlicesError
        When fewer than 5 slices show the femoral head.
    ScoringError
        For wrong shapes, spacings or an unknown side.

    Notes
    -----
    A femoral region is positive when femoral BME covers at least the scheme's share of it (25 %), an acetabular one
    when acetabular BME does. Effusion thickness is twice the largest distance transform of synovitis on the slice. A
    slice with a role but without a femoral head is not assessable. Compatible with HIMRISS, not the official overlay.
    """
    checks.choice("side", side, SIDES)
    bits = checked_mask(mask)
    spacing = checks.spacing(spacing_mm, 3)
    scheme = scheme or load_scheme()
    parts = split_lesions(bits)
    areas = parts.head.sum(axis=(1, 2))
    roles = slice_roles(areas * (spacing[1] * spacing[2]))
    frame = frame or fit_frame(parts.head, roles, spacing)
    scored = [(index, role) for index, role in enumerate(roles) if role is not None and areas[index] > 0]
    regions = tuple(evidence for index, role in scored for evidence in _regions(scheme, parts, index, role, frame, spacing, side))
    effusions = tuple(_effusion(scheme, parts, index, role, spacing) for index, role in scored)
    marks = [
        SliceMarks(
            found.index,
            found.role,
            {item.region: int(item.is_positive) for item in regions if item.index == found.index},
            found.grade,
        )
        for found in effusions
    ]
    return AutomaticHimriss(side, score_marks(scheme, marks, "automatic"), frame, regions, effusions)


def fit_frame(head: Plane, roles: Sequence[str | None], spacing_mm: Sequence[float]) -> HeadFrame:
    """Centre and radius of the head over the central slices.

    The centre is the centroid of the head on the central slices; the radius that of a circle with the area of the
    largest.
    """
    central = head[[index for index, role in enumerate(roles) if role == CENTRAL]]
    _, rows, columns = np.nonzero(central)
    largest_mm2 = float(central.sum(axis=(1, 2)).max()) * spacing_mm[1] * spacing_mm[2]
    return HeadFrame(float(rows.mean()), float(columns.mean()), math.sqrt(largest_mm2 / math.pi))


def region_pixels(
    polygon: Sequence[tuple[float, float]], frame: HeadFrame, spacing_mm: Sequence[float], side: str
) -> npt.NDArray[np.intp]:
    """Pixels (row, column), shape (n, 2), whose centres lie in a polygon of the frame; also those outside the image."""
    checks.choice("side", side, SIDES)
    if checks.number("radius_mm", frame.radius_mm) <= 0:
        raise ScoringError("radius_mm", frame.radius_mm, "a number greater than 0 mm")
    medial = 1.0 if side == "right" else -1.0
    corners = np.asarray(polygon, np.float64)
    unit_rows, unit_columns = frame.radius_mm / spacing_mm[1], medial * frame.radius_mm / spacing_mm[2]
    rows, columns = frame.row - corners[:, 1] * unit_rows, frame.column + corners[:, 0] * unit_columns
    grid_rows, grid_columns = np.mgrid[
        math.floor(rows.min()) : math.ceil(rows.max()) + 1, math.floor(columns.min()) : math.ceil(columns.max()) + 1
    ]
    inside = _inside(corners, (grid_columns - frame.column) / unit_columns, (frame.row - grid_rows) / unit_rows)
    return np.stack([grid_rows[inside], grid_columns[inside]], axis=1)


def effusion_thickness_mm(synovitis: Plane, spacing_mm: Sequence[float]) -> float:
    """Largest thickness in mm of synovitis on one slice (row, column): twice the largest distance transform."""
    spacing = checks.spacing(spacing_mm, 2)
    if not synovitis.any():
        return 0.0
    box = ndimage.find_objects(synovitis.astype(np.uint8))[0]
    return 2.0 * float(ndimage.distance_transform_edt(np.pad(synovitis[box], 1), sampling=spacing).max())


def _inside(corners: Floats, x: Floats, y: Floats) -> Plane:
    """Which points lie in a polygon, by counting crossings; in the head's frame, so that mirrored hips agree exactly."""
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y < y0) != (y < y1)
        inside ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def _regions(
    scheme: Scheme,
    parts: LesionParts,
    index: int,
    role: str,
    frame: HeadFrame,
    spacing: Sequence[float],
    side: str,
) -> list[RegionEvidence]:
    lesions = {"femoral": parts.bme_femoral[index], "acetabular": parts.bme_acetabular[index]}
    evidence = []
    for region in scheme.regions_of(role):
        share = _share(region, lesions[region.part], frame, spacing, side)
        is_positive = at_least(share, scheme.positive_share)
        evidence.append(RegionEvidence(index, role, region.name, region.part, share, is_positive))
    return evidence


def _share(region: Region, lesion: Plane, frame: HeadFrame, spacing: Sequence[float], side: str) -> float:
    """Share of a region that the lesion covers; what lies outside the image cannot be covered."""
    pixels = region_pixels(region.polygon, frame, spacing, side)
    in_image = pixels[((pixels >= 0) & (pixels < lesion.shape)).all(axis=1)]
    if not len(pixels):
        raise ScoringError("spacing_mm", spacing, f"pixels small enough that the region {region.name} holds one")
    return float(lesion[in_image[:, 0], in_image[:, 1]].sum()) / len(pixels)


def _effusion(scheme: Scheme, parts: LesionParts, index: int, role: str, spacing: Sequence[float]) -> EffusionEvidence:
    thickness = effusion_thickness_mm(parts.synovitis[index], spacing[1:])
    return EffusionEvidence(index, role, thickness, scheme.grade_effusion(thickness))
