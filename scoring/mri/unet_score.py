"""The UNet-score of one hip and of one patient: the only place in the tree where it is computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring import checks
from scoring.errors import ScoringError
from scoring.mri.lesions import LesionParts, checked_mask, split_lesions
from scoring.mri.patient import SIDES, PatientScore, combine_hips
from scoring.mri.slices import MIN_HEAD_MM2, PROTOCOL_SLICES, slice_roles
from scoring.result import IndexResult

VERSION = "1"
REPAIRED = "the mask broke a rule of the labels (head in femur, no pixel both BME and synovitis) and was put right"


@dataclass(frozen=True)
class SliceScore:
    """One slice with a role. `ratio` and its three parts are None where the slice is not assessable.

    `index` is the position in the stack, anterior first; `ratio` = bme_femoral + bme_acetabular + synovitis.
    """

    index: int
    role: str
    head_mm2: float
    ratio: float | None
    bme_femoral: float | None
    bme_acetabular: float | None
    synovitis: float | None
    lesion_mm2: float


@dataclass(frozen=True)
class HipScore:
    """The UNet-score of one hip with everything that belongs beside it.

    Attributes
    ----------
    unet_score, bme_femoral, bme_acetabular, synovitis : float or None
        Sum over the assessable slices with a role, and its three parts; None when no slice is assessable.
    mean_per_slice : float or None
        `unet_score` ÷ assessable slices: comparable between stacks of different coverage.
    lesion_ml : float
        Volume of the lesion on the slices with a role, in mL.
    n_role_slices, n_assessable_slices : int
    coverage, assessable_coverage : float
        Slices with a role ÷ 15, assessable slices ÷ 15. Never mixed.
    slices : tuple of SliceScore
        The slices with a role, anterior first.
    """

    side: str
    unet_score: float | None
    bme_femoral: float | None
    bme_acetabular: float | None
    synovitis: float | None
    mean_per_slice: float | None
    lesion_ml: float
    n_role_slices: int
    n_assessable_slices: int
    coverage: float
    assessable_coverage: float
    slices: tuple[SliceScore, ...]
    warnings: tuple[str, ...]
    version: str = VERSION


def score_hip(mask: npt.ArrayLike, pixels: npt.ArrayLike, spacing_mm: Sequence[float], side: str) -> HipScore:
    """UNet-score of one hip: Σ over slices of (Σ intensity over the lesion ÷ Σ intensity over the femoral head).

    Parameters
    ----------
    mask : uint8, shape (slice, row, column)
        Bit planes of one hip (femur 1, femoral_head 2, bme 4, synovitis 8) on the original grid, slices anterior to
        posterior.
    pixels : float, shape (slice, row, column)
        Intensities after the Modality LUT.
    spacing_mm : (slice, row, column), mm
    side : "right" or "left"

    Returns
    -------
    HipScore

    Raises
    ------
    TooFewSlicesError
        When fewer than 5 slices show a femoral head of at least 100 mm².
    ScoringError
        When shapes differ, a spacing is not positive, an intensity inside the mask is not finite, or a bit is unknown.

    Notes
    -----
    Negative intensities count as 0, with a warning. A slice without a femoral head (or whose head has no signal at
    all) is not assessable: it is counted, and never taken as 0. The ratio is not bounded by 1, because joint fluid
    and acetabulum are outside the head. Scaling all intensities changes nothing. Lesion outside the slices with a
    role is not in the score; a warning says how much.

    References
    ----------
    Zheng Y et al. Front Physiol 2023;14:1132214 ("gray value proportion of the segmented lesion regions relative to the
    whole femoral head for each slice").
    """
    checks.choice("side", side, SIDES)
    bits = checked_mask(mask)
    spacing = checks.spacing(spacing_mm, 3)
    values = _checked_pixels(np.asarray(pixels), bits)
    box = _box(bits)
    parts = split_lesions(bits[box])
    intensity, warnings = _intensities(values[box], bits[box])
    area = spacing[1] * spacing[2]
    head_mm2 = parts.head.sum(axis=(1, 2)) * area
    roles = slice_roles(head_mm2)
    scored = [_score_slice(index, role, parts, intensity[index], area) for index, role in enumerate(roles) if role is not None]
    warnings += _mask_warnings(parts, scored, area * spacing[0])
    return _sum_up(side, scored, spacing[0], tuple(warnings))


def slice_ratio(lesion: float, head: float) -> float | None:
    """Lesion ÷ femoral head of one slice; None (not assessable) where the head is nothing."""
    return lesion / head if head > 0 else None


def score_sums(lesion: Sequence[float], head: Sequence[float]) -> IndexResult:
    """UNet-score from the sums per slice: Σ over slices of lesion ÷ femoral head.

    Parameters
    ----------
    lesion, head : one number ≥ 0 per slice
        Summed intensities, or areas for the area form of the article.

    Returns
    -------
    IndexResult
        `parts` has the mean per assessable slice and both counts. Value None when no slice is assessable.

    Raises
    ------
    ScoringError
        When lengths differ, or a sum is negative or not finite.

    Notes
    -----
    A slice with a head of 0 is not assessable: left out and counted, never taken as 0.

    References
    ----------
    Zheng Y et al. Front Physiol 2023;14:1132214.
    """
    if len(lesion) != len(head):
        raise ScoringError("head", f"{len(head)} slices", f"as many as lesion, {len(lesion)}")
    ratios = [
        slice_ratio(checks.number("lesion", above, 0.0), checks.number("head", below, 0.0))
        for above, below in zip(lesion, head, strict=True)
    ]
    known = [ratio for ratio in ratios if ratio is not None]
    total = _add(known)
    return IndexResult(
        "unet_score",
        total,
        version=VERSION,
        parts={
            "mean_per_slice": None if total is None else total / len(known),
            "n_slices": float(len(ratios)),
            "n_assessable_slices": float(len(known)),
        },
    )


def score_patient(right: HipScore | None, left: HipScore | None) -> PatientScore:
    """Sum, mean and worst hip of a patient; None for a hip that was not found, excluded or not assessable."""
    for side, hip in zip(SIDES, (right, left), strict=True):
        if hip is not None and hip.side != side:
            raise ScoringError(side, f"a score of the {hip.side} hip", f"a score of the {side} hip or None")
    return combine_hips(*(None if hip is None else hip.unet_score for hip in (right, left)))


def _checked_pixels(pixels: npt.NDArray[Any], mask: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """The intensities, of the mask's shape and real."""
    if pixels.shape != mask.shape:
        raise ScoringError("pixels", f"an array of shape {pixels.shape}", f"the shape of the mask, {mask.shape}")
    if pixels.dtype.kind not in "uif":
        raise ScoringError("pixels", f"an array of type {pixels.dtype}", "real numbers")
    return pixels


def _box(mask: npt.NDArray[np.uint8]) -> tuple[slice, slice, slice]:
    """The rows and columns that the mask touches, on all slices: nothing outside enters the score."""
    rows, columns = (np.flatnonzero(mask.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    if not rows.size:
        return slice(None), slice(None), slice(None)
    return slice(None), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _intensities(pixels: npt.NDArray[Any], mask: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Intensities inside the mask, 0 elsewhere and where negative, with the warning that says so."""
    inside = np.where(mask > 0, pixels, 0).astype(np.float64)
    if not np.isfinite(inside).all():
        raise ScoringError("pixels", "NaN or inf inside the mask", "finite intensities")
    n_negative = int(np.count_nonzero(inside < 0))
    if not n_negative:
        return inside, []
    return np.maximum(inside, 0.0), [f"{n_negative} negative intensities inside the mask were counted as 0"]


def _score_slice(index: int, role: str, parts: LesionParts, intensity: npt.NDArray[np.float64], pixel_mm2: float) -> SliceScore:
    planes = (parts.bme_femoral[index], parts.bme_acetabular[index], parts.synovitis[index])
    head = parts.head[index]
    denominator = float(intensity[head].sum())
    ratios = [slice_ratio(float(intensity[plane].sum()), denominator) for plane in planes]
    return SliceScore(
        index=index,
        role=role,
        head_mm2=float(head.sum()) * pixel_mm2,
        ratio=_add(ratios),
        bme_femoral=ratios[0],
        bme_acetabular=ratios[1],
        synovitis=ratios[2],
        lesion_mm2=float(sum(int(plane.sum()) for plane in planes)) * pixel_mm2,
    )


def _mask_warnings(parts: LesionParts, scored: list[SliceScore], voxel_mm3: float) -> list[str]:
    warnings = []
    if parts.is_repaired:
        warnings.append(REPAIRED)
    dark = [item.index for item in scored if item.head_mm2 > 0 and item.ratio is None]
    if dark:
        warnings.append(f"the femoral head has no signal on slices {dark} (from 0): not assessable")
    small = [item.index for item in scored if 0 < item.head_mm2 < MIN_HEAD_MM2 and item.ratio is not None]
    if small:
        warnings.append(f"the femoral head is below {MIN_HEAD_MM2:g} mm² on slices {small} (from 0): their ratios are unstable")
    inside = {item.index for item in scored}
    outside = [index for index in range(len(parts.head)) if index not in inside]
    n_outside = int(np.count_nonzero(parts.lesion[outside]))
    if n_outside:
        warnings.append(f"{n_outside * voxel_mm3 / 1000:.2f} mL of lesion lie on slices without a role and are not in the score")
    return warnings


def _sum_up(side: str, scored: list[SliceScore], slice_mm: float, warnings: tuple[str, ...]) -> HipScore:
    assessable = [item for item in scored if item.ratio is not None]
    femoral = _add([item.bme_femoral for item in assessable])
    acetabular = _add([item.bme_acetabular for item in assessable])
    synovitis = _add([item.synovitis for item in assessable])
    total = _add([femoral, acetabular, synovitis])
    return HipScore(
        side=side,
        unet_score=total,
        bme_femoral=femoral,
        bme_acetabular=acetabular,
        synovitis=synovitis,
        mean_per_slice=None if total is None else total / len(assessable),
        lesion_ml=sum(item.lesion_mm2 for item in scored) * slice_mm / 1000.0,
        n_role_slices=len(scored),
        n_assessable_slices=len(assessable),
        coverage=len(scored) / PROTOCOL_SLICES,
        assessable_coverage=len(assessable) / PROTOCOL_SLICES,
        slices=tuple(scored),
        warnings=warnings,
    )


def _add(values: Sequence[float | None]) -> float | None:
    """Sum; None when there is nothing to add or any part is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
