"""3-D grading of bone-marrow oedema by its share of the femoral head, as the article's forerunner has it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring import checks
from scoring.errors import ScoringError
from scoring.mri.lesions import checked_mask, split_lesions, volume_ml
from scoring.tolerance import at_least

# Lower limits in percent of grades 2 and 3.
LIMITS_PERCENT = (15.0, 30.0)


@dataclass(frozen=True)
class BmeGrade:
    """Grade 1 (< 15 %), 2 (15 to below 30 %) or 3 (30 % and more) of one hip, with the volumes in mL behind it."""

    grade: int
    share_percent: float
    bme_ml: float
    head_ml: float


def grade_bme(mask: npt.ArrayLike, spacing_mm: Sequence[float]) -> BmeGrade:
    """Grade of BME in the femoral head of one hip, over all slices.

    Parameters
    ----------
    mask : uint8, shape (slice, row, column)
        Bit planes of one hip.
    spacing_mm : (slice, row, column), mm

    Raises
    ------
    ScoringError
        When there is no femoral head, or for wrong shapes and spacings.

    Notes
    -----
    Only BME inside the head counts. A head without BME is grade 1 with a share of 0 %: the scale has no grade 0.

    References
    ----------
    Han Q et al. Mod Rheumatol 2021, roab073.
    """
    bits = checked_mask(mask)
    parts = split_lesions(bits)
    if not parts.head.any():
        raise ScoringError("mask", "no femoral head", "a mask in which at least one pixel is femoral head")
    bme = parts.bme_femoral & parts.head
    share = 100.0 * float(np.count_nonzero(bme)) / float(np.count_nonzero(parts.head))
    return BmeGrade(
        grade=grade_share(share),
        share_percent=share,
        bme_ml=volume_ml(bme, spacing_mm),
        head_ml=volume_ml(parts.head, spacing_mm),
    )


def grade_share(share_percent: float) -> int:
    """Grade 1, 2 or 3 of a share of the head in percent, 0–100."""
    share = checks.number("share_percent", share_percent, 0.0, 100.0, "%")
    return 1 + sum(at_least(share, limit) for limit in LIMITS_PERCENT)
