"""HOOS, the Hip disability and Osteoarthritis Outcome Score: five subscales, no total."""

from collections.abc import Sequence

from scoring import checks
from scoring.errors import ScoringError
from scoring.result import IndexResult

SUBSCALES = {"symptoms": 5, "pain": 10, "adl": 17, "sport": 4, "qol": 4}
ANSWERS = (0, 1, 2, 3, 4)
RULE_MEAN = "at least half of the items of a subscale answered: mean of those"
RULE_TOO_MANY = "less than half of the items of a subscale answered: no value"

Items = Sequence[float | None]


def hoos_subscale(subscale: str, items: Items) -> IndexResult:
    """One HOOS subscale, 0 to 100 (no problems): 100 − mean of the answered items × 100 / 4.

    Parameters
    ----------
    subscale : "symptoms" (5 items), "pain" (10), "adl" (17), "sport" (4) or "qol" (4)
    items : 0, 1, 2, 3, 4 or None each
        In the order of the questionnaire; None means not answered.

    Returns
    -------
    IndexResult

    Raises
    ------
    ScoringError
        For an unknown subscale, a wrong number of items, or an answer other than 0 to 4.

    Notes
    -----
    At least half of the items must be answered; the rule used comes back.

    References
    ----------
    Nilsdotter AK et al. BMC Musculoskelet Disord 2003;4:10.
    """
    checks.choice("subscale", subscale, tuple(SUBSCALES))
    n_items = SUBSCALES[subscale]
    if isinstance(items, str) or not isinstance(items, Sequence) or len(items) != n_items:
        raise ScoringError(subscale, items, f"{n_items} answers, None for those not given")
    names = [f"{subscale}_{number}" for number in range(1, n_items + 1)]
    answers = checks.items(names, items, 0.0, 4.0)
    known = [answer for answer in answers.values() if answer is not None]
    for name, answer in answers.items():
        if answer is not None:
            checks.choice(name, answer, ANSWERS)
    missing = tuple(name for name, answer in answers.items() if answer is None)
    name = f"hoos_{subscale}"
    if 2 * len(known) < n_items:
        return IndexResult(name, None, missing=missing, missing_rule=RULE_TOO_MANY)
    value = 100.0 - sum(known) / len(known) * 25.0
    return IndexResult(name, value, missing=missing, missing_rule=RULE_MEAN if missing else "")


def hoos(
    symptoms: Items | None = None,
    pain: Items | None = None,
    adl: Items | None = None,
    sport: Items | None = None,
    qol: Items | None = None,
) -> IndexResult:
    """HOOS subscales side by side, 0 to 100 (no problems) each; there is no total.

    Parameters
    ----------
    symptoms, pain, adl, sport, qol : sequences of 5, 10, 17, 4 and 4 answers 0–4, or None (subscale not used)

    Returns
    -------
    IndexResult
        `parts` has the subscales; `value` is that of the subscale when one alone is given, else None.

    Raises
    ------
    ScoringError
        As `hoos_subscale`, and when no subscale is given.

    References
    ----------
    Nilsdotter AK et al. BMC Musculoskelet Disord 2003;4:10.
    """
    given = dict(zip(SUBSCALES, (symptoms, pain, adl, sport, qol), strict=True))
    results = {name: hoos_subscale(name, items) for name, items in given.items() if items is not None}
    if not results:
        raise ScoringError("hoos", None, "at least one of the subscales " + ", ".join(SUBSCALES))
    rules = dict.fromkeys(result.missing_rule for result in results.values() if result.missing_rule)
    return IndexResult(
        "hoos",
        next(iter(results.values())).value if len(results) == 1 else None,
        missing=tuple(item for result in results.values() for item in result.missing),
        missing_rule="; ".join(rules),
        parts={name: result.value for name, result in results.items()},
    )
