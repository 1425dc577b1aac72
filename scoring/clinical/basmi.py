"""BASMI, the Bath Ankylosing Spondylitis Metrology Index, in its linear and its 3-point form."""

from collections.abc import Sequence
from dataclasses import dataclass

from scoring import checks
from scoring.errors import ScoringError
from scoring.result import IndexResult
from scoring.tolerance import above, at_least

RULE = "any measurement missing: no value"


@dataclass(frozen=True)
class Measure:
    """One of the five measurements.

    `zero` is the value that scores 0 and `unit_size` what a point costs (negative: more is worse) in the linear form;
    `good` and `poor` are the limits between 0, 1 and 2 points in the 3-point form.
    """

    zero: float
    unit_size: float
    good: float
    poor: float
    limit: float
    unit: str
    is_two_sided: bool = False


# van der Heijde D et al. Ann Rheum Dis 2008;67:489 (linear); Jenkinson TR et al. J Rheumatol 1994;21:1694 (3-point).
MEASURES = {
    "lateral_flexion_cm": Measure(21.1, 2.1, 10, 5, 60, "cm", is_two_sided=True),
    "tragus_to_wall_cm": Measure(8, -3, 15, 30, 80, "cm", is_two_sided=True),
    "schober_cm": Measure(7.4, 0.7, 4, 2, 20, "cm"),
    "intermalleolar_cm": Measure(124.5, 10, 100, 70, 250, "cm"),
    "cervical_rotation_deg": Measure(89.3, 8.5, 70, 20, 180, "°", is_two_sided=True),
}

Reading = float | Sequence[float] | None


def basmi(
    lateral_flexion_cm: Reading,
    tragus_to_wall_cm: Reading,
    schober_cm: float | None,
    intermalleolar_cm: float | None,
    cervical_rotation_deg: Reading,
) -> IndexResult:
    """Linear BASMI, 0 (best) to 10: mean of five measurements, each turned into 0 to 10.

    Parameters
    ----------
    lateral_flexion_cm, tragus_to_wall_cm, cervical_rotation_deg : float, (right, left) pair of float, or None
        A pair enters as its mean. 0–60 cm, 0–80 cm, 0–180°.
    schober_cm : float 0–20 cm or None
        Modified Schober over 15 cm (10 above, 5 below). Over 10 cm it reads about 1.5 cm less and BASMI 0.4 more.
    intermalleolar_cm : float 0–250 cm or None

    Returns
    -------
    IndexResult
        `parts` holds the five component scores, and `three_point` with the 3-point total of the same measurements.

    Raises
    ------
    ScoringError
        When a measurement is out of range.

    Notes
    -----
    Components: (21.1 − lateral flexion)/2.1; (tragus to wall − 8)/3; (7.4 − Schober)/0.7; (124.5 − intermalleolar
    distance)/10; (89.3 − cervical rotation)/8.5, each limited to 0–10. Any measurement missing: no value.

    References
    ----------
    van der Heijde D et al. Ann Rheum Dis 2008;67:489.
    """
    given = _readings(lateral_flexion_cm, tragus_to_wall_cm, schober_cm, intermalleolar_cm, cervical_rotation_deg)
    known = {name: value for name, value in given.items() if value is not None}
    if len(known) < len(MEASURES):
        return _without_value("basmi", "linear", given)
    components = {name: _linear(MEASURES[name], value) for name, value in known.items()}
    three_point = sum(_three_point(MEASURES[name], value) for name, value in known.items())
    return IndexResult(
        "basmi",
        sum(components.values()) / len(components),
        form="linear",
        parts={**components, "three_point": float(three_point)},
    )


def basmi_3point(
    lateral_flexion_cm: Reading,
    tragus_to_wall_cm: Reading,
    schober_cm: float | None,
    intermalleolar_cm: float | None,
    cervical_rotation_deg: Reading,
) -> IndexResult:
    """3-point BASMI, 0 (best) to 10: five measurements of 0, 1 or 2 points.

    Parameters
    ----------
    lateral_flexion_cm, tragus_to_wall_cm, schober_cm, intermalleolar_cm, cervical_rotation_deg
        As for `basmi`.

    Notes
    -----
    0 / 1 / 2 points: lateral flexion > 10 / 5–10 / < 5 cm; tragus to wall < 15 / 15–30 / > 30 cm; Schober > 4 / 2–4 /
    < 2 cm; intermalleolar distance > 100 / 70–100 / < 70 cm; cervical rotation > 70 / 20–70 / < 20°. Any missing: no
    value.

    References
    ----------
    Jenkinson TR et al. J Rheumatol 1994;21:1694.
    """
    given = _readings(lateral_flexion_cm, tragus_to_wall_cm, schober_cm, intermalleolar_cm, cervical_rotation_deg)
    known = {name: value for name, value in given.items() if value is not None}
    if len(known) < len(MEASURES):
        return _without_value("basmi_3point", "3-point", given)
    points = {name: float(_three_point(MEASURES[name], value)) for name, value in known.items()}
    return IndexResult("basmi_3point", sum(points.values()), form="3-point", parts=points)


def _readings(*values: Reading) -> dict[str, float | None]:
    return {name: _reading(name, value) for name, value in zip(MEASURES, values, strict=True)}


def _reading(name: str, value: Reading) -> float | None:
    measure = MEASURES[name]
    if not isinstance(value, Sequence) or isinstance(value, str):
        return checks.optional_number(name, value, 0.0, measure.limit, measure.unit)
    if not measure.is_two_sided or len(value) != 2:
        allowed = "one number, or a right and a left one" if measure.is_two_sided else "one number"
        raise ScoringError(name, value, allowed)
    return sum(checks.number(name, side, 0.0, measure.limit, measure.unit) for side in value) / 2


def _linear(measure: Measure, value: float) -> float:
    return min(max((measure.zero - value) / measure.unit_size, 0.0), 10.0)


def _three_point(measure: Measure, value: float) -> int:
    sign = 1 if measure.unit_size > 0 else -1
    if above(sign * value, sign * measure.good):
        return 0
    return 1 if at_least(sign * value, sign * measure.poor) else 2


def _without_value(name: str, form: str, given: dict[str, float | None]) -> IndexResult:
    missing = tuple(field for field, value in given.items() if value is None)
    return IndexResult(name, None, missing=missing, missing_rule=RULE, form=form)
