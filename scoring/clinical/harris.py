"""Harris hip score of one hip, from its items."""

from scoring import checks
from scoring.result import IndexResult
from scoring.tolerance import at_least

# Points of each item, best first (Harris 1969, table 1).
POINTS: dict[str, tuple[int, ...]] = {
    "pain": (44, 40, 30, 20, 10, 0),
    "limp": (11, 8, 5, 0),
    "support": (11, 7, 5, 3, 2, 0),
    "distance": (11, 8, 5, 2, 0),
    "stairs": (4, 2, 1, 0),
    "shoes": (4, 2, 0),
    "sitting": (5, 3, 0),
    "transport": (1, 0),
}
FUNCTION_ITEMS = ("limp", "support", "distance", "stairs", "shoes", "sitting", "transport")
DEFORMITY_ITEMS = (
    "fixed_flexion_under_30",
    "fixed_adduction_under_10",
    "fixed_internal_rotation_under_10",
    "leg_difference_under_3_2_cm",
)
# Each band: upper end in degrees and the index value of a degree in it.
MOTION_BANDS: dict[str, tuple[tuple[float, float], ...]] = {
    "flexion_deg": ((45.0, 1.0), (90.0, 0.6), (110.0, 0.3)),
    "abduction_deg": ((15.0, 0.8), (20.0, 0.3)),
    "external_rotation_deg": ((15.0, 0.4),),
    "adduction_deg": ((15.0, 0.2),),
}
MOTION_MAX_DEG = {"flexion_deg": 180.0, "abduction_deg": 90.0, "external_rotation_deg": 90.0, "adduction_deg": 90.0}
MOTION_FACTOR = 0.05
MOTION_CAP = 5.0
DEFORMITY_POINTS = 4.0
MODIFIED_FACTOR = 1.1
GRADES = ((90.0, "excellent"), (80.0, "good"), (70.0, "fair"))
FORM = "original range-of-motion index, deformity all or nothing"
RULE = "any item missing: no value"


def harris(
    pain: int | None,
    limp: int | None,
    support: int | None,
    distance: int | None,
    stairs: int | None,
    shoes: int | None,
    sitting: int | None,
    transport: int | None,
    fixed_flexion_under_30: bool | None,
    fixed_adduction_under_10: bool | None,
    fixed_internal_rotation_under_10: bool | None,
    leg_difference_under_3_2_cm: bool | None,
    flexion_deg: float | None,
    abduction_deg: float | None,
    external_rotation_deg: float | None,
    adduction_deg: float | None,
) -> IndexResult:
    """Harris hip score of one hip, 0 to 100 (best): pain 44 + function 47 + absence of deformity 4 + range of motion 5.

    Parameters
    ----------
    pain, limp, support, distance, stairs, shoes, sitting, transport : int or None
        Points of the chosen answer: pain 44, 40, 30, 20, 10, 0; limp 11, 8, 5, 0; support 11, 7, 5, 3, 2, 0; distance
        11, 8, 5, 2, 0; stairs 4, 2, 1, 0; shoes 4, 2, 0; sitting 5, 3, 0; transport 1, 0.
    fixed_flexion_under_30, fixed_adduction_under_10, fixed_internal_rotation_under_10 : bool or None
        True when the fixed contracture is smaller than that many degrees.
    leg_difference_under_3_2_cm : bool or None
    flexion_deg : float 0–180, abduction_deg, external_rotation_deg, adduction_deg : float 0–90, or None
        Range of motion in degrees.

    Returns
    -------
    IndexResult
        State: "excellent" from 90, "good" from 80, "fair" from 70, else "poor". `parts` holds pain, function, deformity
        with its four booleans, range of motion with its index, and the modified score (pain + function) × 1.1.

    Raises
    ------
    ScoringError
        When points are not among those of the item, or degrees are out of range.

    Notes
    -----
    Deformity: 4 points when all four statements are true, else 0. Range of motion: 0.05 × Σ index values (flexion
    0–45° × 1.0, 45–90° × 0.6, 90–110° × 0.3; abduction 0–15° × 0.8, 15–20° × 0.3; external rotation 0–15° × 0.4;
    adduction 0–15° × 0.2), capped at 5. Any item missing: no value. Left and right are scored apart.

    References
    ----------
    Harris WH. J Bone Joint Surg Am 1969;51:737.
    """
    answers = dict(zip(POINTS, (pain, limp, support, distance, stairs, shoes, sitting, transport), strict=True))
    flags = dict(
        zip(
            DEFORMITY_ITEMS,
            (
                fixed_flexion_under_30,
                fixed_adduction_under_10,
                fixed_internal_rotation_under_10,
                leg_difference_under_3_2_cm,
            ),
            strict=True,
        )
    )
    motions = dict(zip(MOTION_BANDS, (flexion_deg, abduction_deg, external_rotation_deg, adduction_deg), strict=True))
    points = {name: _points(name, answer) for name, answer in answers.items()}
    booleans = {name: None if flag is None else checks.boolean(name, flag) for name, flag in flags.items()}
    degrees = {name: checks.optional_number(name, motions[name], 0.0, MOTION_MAX_DEG[name], "°") for name in motions}
    missing = tuple(name for name, given in {**points, **booleans, **degrees}.items() if given is None)
    if missing:
        return IndexResult("harris", None, missing=missing, missing_rule=RULE, form=FORM, parts=booleans)
    return _total(
        {name: value for name, value in points.items() if value is not None},
        {name: value for name, value in booleans.items() if value is not None},
        {name: value for name, value in degrees.items() if value is not None},
    )


def range_of_motion_index(degrees: dict[str, float]) -> float:
    """Sum of Harris's index values (at most 100.5) of the four motions in degrees."""
    return sum(_band_value(degrees[name], bands) for name, bands in MOTION_BANDS.items())


def harris_grade(value: float) -> str:
    """ "excellent" from 90, "good" from 80, "fair" from 70, else "poor"."""
    value = checks.number("harris", value, 0.0, 100.0)
    return next((grade for limit, grade in GRADES if at_least(value, limit)), "poor")


def _points(name: str, answer: float | None) -> float | None:
    if answer is None:
        return None
    value = checks.number(name, answer)
    checks.choice(name, value, POINTS[name])
    return value


def _band_value(degrees: float, bands: tuple[tuple[float, float], ...]) -> float:
    total, lower = 0.0, 0.0
    for upper, factor in bands:
        total += (min(max(degrees, lower), upper) - lower) * factor
        lower = upper
    return total


def _total(points: dict[str, float], booleans: dict[str, bool], degrees: dict[str, float]) -> IndexResult:
    function = sum(points[name] for name in FUNCTION_ITEMS)
    deformity = DEFORMITY_POINTS if all(booleans.values()) else 0.0
    index = range_of_motion_index(degrees)
    motion = min(MOTION_FACTOR * index, MOTION_CAP)
    value = points["pain"] + function + deformity + motion
    return IndexResult(
        "harris",
        value,
        state=harris_grade(value),
        form=FORM,
        parts={
            "pain": points["pain"],
            "function": function,
            "deformity": deformity,
            **booleans,
            "range_of_motion_index": index,
            "range_of_motion": motion,
            "modified": (points["pain"] + function) * MODIFIED_FACTOR,
        },
    )
