"""Agreement of two masks: Dice, Jaccard, surface distances, volumes and lesions (the only place in the tree).

Empty against empty is NaN in every measure, never 1; one empty mask gives an overlap of 0 and an infinite distance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scoring import checks
from scoring.errors import ScoringError
from scoring.mri.lesions import Plane, volume_ml


@dataclass(frozen=True)
class LesionDetection:
    """Connected lesions found and missed; `sensitivity` is NaN without true lesions, `ppv` without predicted ones."""

    n_truth: int
    n_truth_found: int
    n_predicted: int
    n_predicted_true: int
    sensitivity: float
    ppv: float


@dataclass(frozen=True)
class Overlap:
    """All measures of one pair of masks; distances in mm, volumes in mL.

    `n_false_lesions` are predicted lesions that no true one touches.
    """

    dice: float
    jaccard: float
    hd95_mm: float
    assd_mm: float
    truth_ml: float
    predicted_ml: float
    volume_difference_ml: float
    volume_difference_percent: float
    lesion_sensitivity: float
    lesion_ppv: float
    n_lesions: int
    n_lesions_found: int
    n_false_lesions: int


def dice(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Dice coefficient 2|A∩B| ÷ (|A|+|B|), 0 to 1; NaN when both masks are empty.

    References
    ----------
    Dice LR. Ecology 1945;26:297. NaN for empty masks: Maier-Hein L et al. Nat Methods 2024;21:195 (Metrics Reloaded).
    """
    a, b = _pair(truth, predicted)
    total = _count(a) + _count(b)
    return 2.0 * _count(a & b) / total if total else math.nan


def pooled_dice(dice: npt.ArrayLike, truth_ml: npt.ArrayLike, predicted_ml: npt.ArrayLike) -> float:
    """Dice of all cases as if they were one: 2 Σ|A∩B| ÷ Σ(|A|+|B|); small cases weigh little in it.

    Parameters
    ----------
    dice : per case; NaN counts as no overlap
    truth_ml, predicted_ml : per case, not negative

    Returns
    -------
    float
        0 to 1; NaN where all is empty.
    """
    sizes = np.asarray(truth_ml, np.float64) + np.asarray(predicted_ml, np.float64)
    return float(np.nan_to_num(np.asarray(dice, np.float64)) @ sizes / sizes.sum()) if sizes.sum() else math.nan


def jaccard(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Jaccard index |A∩B| ÷ |A∪B|, 0 to 1 (= Dice ÷ (2 − Dice)); NaN when both masks are empty."""
    a, b = _pair(truth, predicted)
    union = _count(a | b)
    return _count(a & b) / union if union else math.nan


def hd95(truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing_mm: Sequence[float]) -> float:
    """95 % Hausdorff distance in mm: the larger of the two directed 95th percentiles of the surface distance.

    Parameters
    ----------
    truth, predicted : bool, same shape
    spacing_mm : one positive number per axis

    Returns
    -------
    float
        NaN when both masks are empty, infinite when one is.

    References
    ----------
    Huttenlocher DP et al. IEEE TPAMI 1993;15:850; percentile form as in Metrics Reloaded (Nat Methods 2024;21:195).
    """
    distances = _surface_distances(truth, predicted, spacing_mm)
    if distances is None:
        return math.nan
    return max(float(np.percentile(directed, 95)) if directed.size else math.inf for directed in distances)


def assd(truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing_mm: Sequence[float]) -> float:
    """Average symmetric surface distance in mm; NaN when both masks are empty, infinite when one is.

    References
    ----------
    Heimann T et al. IEEE Trans Med Imaging 2009;28:1251.
    """
    distances = _surface_distances(truth, predicted, spacing_mm)
    if distances is None:
        return math.nan
    pooled = np.concatenate(distances)
    return float(pooled.mean()) if pooled.size else math.inf


def volume_difference_ml(truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing_mm: Sequence[float]) -> float:
    """Predicted minus true volume in mL; 0 means equal, also when both are empty."""
    a, b = _pair(truth, predicted)
    return volume_ml(b, spacing_mm) - volume_ml(a, spacing_mm)


def volume_difference_percent(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """(Predicted − true volume) ÷ true volume × 100; NaN when the truth is empty."""
    a, b = _pair(truth, predicted)
    n_truth = _count(a)
    return 100.0 * (_count(b) - n_truth) / n_truth if n_truth else math.nan


def detect_lesions(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> LesionDetection:
    """Lesion-wise sensitivity and PPV: a connected lesion counts as found when the other mask touches it.

    Parameters
    ----------
    truth, predicted : bool, same shape
        Components are joined over faces, edges and corners.
    """
    a, b = _pair(truth, predicted)
    n_truth, n_truth_found = _touched(a, b)
    n_predicted, n_predicted_true = _touched(b, a)
    return LesionDetection(
        n_truth=n_truth,
        n_truth_found=n_truth_found,
        n_predicted=n_predicted,
        n_predicted_true=n_predicted_true,
        sensitivity=n_truth_found / n_truth if n_truth else math.nan,
        ppv=n_predicted_true / n_predicted if n_predicted else math.nan,
    )


def lesion_sensitivity(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Share of true lesions that the prediction touches; NaN when there is none."""
    return detect_lesions(truth, predicted).sensitivity


def lesion_ppv(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Share of predicted lesions that the truth touches; NaN when nothing was predicted."""
    return detect_lesions(truth, predicted).ppv


def compare_masks(truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing_mm: Sequence[float]) -> Overlap:
    """Every measure of this module for one pair of masks."""
    a, b = _pair(truth, predicted)
    detection = detect_lesions(a, b)
    return Overlap(
        dice=dice(a, b),
        jaccard=jaccard(a, b),
        hd95_mm=hd95(a, b, spacing_mm),
        assd_mm=assd(a, b, spacing_mm),
        truth_ml=volume_ml(a, spacing_mm),
        predicted_ml=volume_ml(b, spacing_mm),
        volume_difference_ml=volume_difference_ml(a, b, spacing_mm),
        volume_difference_percent=volume_difference_percent(a, b),
        lesion_sensitivity=detection.sensitivity,
        lesion_ppv=detection.ppv,
        n_lesions=detection.n_truth,
        n_lesions_found=detection.n_truth_found,
        n_false_lesions=detection.n_predicted - detection.n_predicted_true,
    )


def _pair(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> tuple[Plane, Plane]:
    a, b = _plane("truth", truth), _plane("predicted", predicted)
    if a.shape != b.shape:
        raise ScoringError("predicted", f"an array of shape {b.shape}", f"the shape of the truth, {a.shape}")
    return a, b


def _count(plane: Plane) -> int:
    return int(np.count_nonzero(plane))


def _plane(field: str, values: npt.ArrayLike) -> Plane:
    array = np.asarray(values)
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind not in "uif" or not np.isin(array, (0, 1)).all():
        raise ScoringError(field, f"an array of type {array.dtype}", "booleans, or 0 and 1")
    return array.astype(np.bool_)


def _surface_distances(
    truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing_mm: Sequence[float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Distances of each surface to the other in mm; None when both are empty, two empty arrays when one is."""
    a, b = _pair(truth, predicted)
    spacing = checks.spacing(spacing_mm, a.ndim)
    if not a.any() and not b.any():
        return None
    if not a.any() or not b.any():
        return np.empty(0), np.empty(0)
    box = ndimage.find_objects((a | b).astype(np.uint8))[0]
    surface_a, surface_b = _surface(a[box]), _surface(b[box])
    to_b = ndimage.distance_transform_edt(~surface_b, sampling=spacing)
    to_a = ndimage.distance_transform_edt(~surface_a, sampling=spacing)
    return to_b[surface_a], to_a[surface_b]


def _surface(plane: Plane) -> Plane:
    """Voxels of the mask that have a face neighbour outside it; the edge of the image counts as outside."""
    return np.asarray(plane & ~ndimage.binary_erosion(plane, border_value=0))


def _touched(lesions: Plane, other: Plane) -> tuple[int, int]:
    """Number of connected lesions, and how many of them the other mask touches."""
    components, n = ndimage.label(lesions, structure=np.ones((3,) * lesions.ndim, np.uint8))
    hit = np.unique(components[lesions & other])
    return int(n), int(hit.size)
