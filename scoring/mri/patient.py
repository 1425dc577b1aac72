"""Two hips of one patient put together: the same rule for the UNet-score and for HIMRISS."""

from dataclasses import dataclass

SIDES = ("right", "left")


@dataclass(frozen=True)
class PatientScore:
    """Both hips together.

    Attributes
    ----------
    right, left : float or None
        Score of each hip, None where it is not assessable.
    sum, mean : float or None
        None unless both hips are assessable: a missing hip is not a hip without a lesion.
    worst : "right", "left" or None
        The hip with the higher score (right when equal).
    worst_score : float or None
    worst_of : tuple of str
        The sides that could be compared; one side only means that the other was not assessable.
    """

    right: float | None
    left: float | None
    sum: float | None
    mean: float | None
    worst: str | None
    worst_score: float | None
    worst_of: tuple[str, ...]


def combine_hips(right: float | None, left: float | None) -> PatientScore:
    """Sum, mean and worst of two hips' scores; None for a hip that is not assessable."""
    known = {side: score for side, score in zip(SIDES, (right, left), strict=True) if score is not None}
    both = sum(known.values()) if len(known) == len(SIDES) else None
    worst = max(known, key=lambda side: known[side]) if known else None
    return PatientScore(
        right=right,
        left=left,
        sum=both,
        mean=None if both is None else both / len(SIDES),
        worst=worst,
        worst_score=None if worst is None else known[worst],
        worst_of=tuple(known),
    )
