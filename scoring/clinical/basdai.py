"""BASDAI, the Bath Ankylosing Spondylitis Disease Activity Index."""

from scoring import checks
from scoring.result import IndexResult
from scoring.tolerance import at_least

ITEMS = ("q1", "q2", "q3", "q4", "q5", "q6")
ACTIVE_FROM = 4.0
RULE_STIFFNESS = "q5 or q6 missing: the other one stands for morning stiffness"
RULE_ITEM = "one of q1 to q4 missing: mean of the four remaining components"
RULE_TOO_MANY = "more than one item missing: no value"


def basdai(
    q1: float | None, q2: float | None, q3: float | None, q4: float | None, q5: float | None, q6: float | None
) -> IndexResult:
    """BASDAI, 0 (best) to 10: (q1 + q2 + q3 + q4 + (q5 + q6) / 2) / 5.

    Parameters
    ----------
    q1 … q6 : float 0–10 or None
        Fatigue; neck, back or hip pain; pain or swelling of other joints; tenderness to touch; morning stiffness,
        level; morning stiffness, duration (0 h = 0, 2 h or more = 10). None means not answered.

    Returns
    -------
    IndexResult
        State "active" from 4.0 (inclusive), else "not active".

    Raises
    ------
    ScoringError
        When an item is outside 0–10 or not a number.

    Notes
    -----
    Missing items: q5 or q6 missing, the other stands for both; one of q1–q4 missing, the mean of the four remaining
    components (the other three and stiffness); more than one item missing, no value. The rule used comes back.

    References
    ----------
    Garrett S et al. J Rheumatol 1994;21:2286. Active from 4: a convention, ASAS/EULAR recommendations.
    """
    answers = checks.items(ITEMS, (q1, q2, q3, q4, q5, q6), 0.0, 10.0)
    missing = tuple(name for name in ITEMS if answers[name] is None)
    if len(missing) > 1:
        return IndexResult("basdai", None, missing=missing, missing_rule=RULE_TOO_MANY)
    stiffness = [answer for answer in (answers["q5"], answers["q6"]) if answer is not None]
    components = [answer for answer in (answers[name] for name in ITEMS[:4]) if answer is not None]
    components.append(sum(stiffness) / len(stiffness))
    value = sum(components) / len(components)
    rule = ""
    if missing:
        rule = RULE_ITEM if missing[0] in ITEMS[:4] else RULE_STIFFNESS
    return IndexResult(
        "basdai",
        value,
        state=basdai_state(value),
        missing=missing,
        missing_rule=rule,
        parts={"morning_stiffness": components[-1]},
    )


def basdai_state(value: float) -> str:
    """ "active" from 4.0 (inclusive), else "not active"."""
    return "active" if at_least(checks.number("basdai", value, 0.0, 10.0), ACTIVE_FROM) else "not active"
