"""BASFI, the Bath Ankylosing Spondylitis Functional Index."""

from scoring import checks
from scoring.result import IndexResult

N_ITEMS = 10
MAX_MISSING = 2
ITEMS = tuple(f"q{number}" for number in range(1, N_ITEMS + 1))
RULE_MEAN = "up to two items missing: mean of the rest"
RULE_TOO_MANY = "more than two items missing: no value"


def basfi(
    q1: float | None,
    q2: float | None,
    q3: float | None,
    q4: float | None,
    q5: float | None,
    q6: float | None,
    q7: float | None,
    q8: float | None,
    q9: float | None,
    q10: float | None,
) -> IndexResult:
    """BASFI, 0 (best) to 10: mean of ten items.

    Parameters
    ----------
    q1 … q10 : float 0–10 or None
        0 easy, 10 impossible; None means not answered.

    Returns
    -------
    IndexResult
        Without a state.

    Raises
    ------
    ScoringError
        When an item is outside 0–10 or not a number.

    Notes
    -----
    Up to two items missing: mean of the rest; more: no value. The rule used comes back.

    References
    ----------
    Calin A et al. J Rheumatol 1994;21:2281. Missing items: a convention.
    """
    answers = checks.items(ITEMS, (q1, q2, q3, q4, q5, q6, q7, q8, q9, q10), 0.0, 10.0)
    known = [answer for answer in answers.values() if answer is not None]
    missing = tuple(name for name, answer in answers.items() if answer is None)
    if len(missing) > MAX_MISSING:
        return IndexResult("basfi", None, missing=missing, missing_rule=RULE_TOO_MANY)
    return IndexResult("basfi", sum(known) / len(known), missing=missing, missing_rule=RULE_MEAN if missing else "")
