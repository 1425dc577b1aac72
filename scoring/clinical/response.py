"""ASAS response criteria between two visits."""

from collections.abc import Sequence

from scoring import checks
from scoring.errors import ScoringError
from scoring.result import IndexResult
from scoring.tolerance import TOLERANCE, above, at_least

DOMAINS = ("patient_global", "pain", "basfi", "inflammation")
SIX_DOMAINS = (*DOMAINS, "crp", "lateral_flexion")
RULE = "any domain missing: no value"
REMISSION_LIMIT = 2.0

Domains = Sequence[float | None]


def asas_response(baseline: Domains, follow_up: Domains) -> IndexResult:
    """ASAS20, ASAS40 and partial remission from the four domains at two visits.

    Parameters
    ----------
    baseline, follow_up : four numbers 0–10 or None
        Patient global, spinal pain, BASFI, inflammation (mean of BASDAI questions 5 and 6).

    Returns
    -------
    IndexResult
        Value 40, 20 or 0: the highest level reached. State "ASAS40", "ASAS20" or "non-responder". `parts` has `asas20`,
        `asas40` and `partial_remission`; `reasons` spells out every domain.

    Raises
    ------
    ScoringError
        When there are not four domains, or one is outside 0–10.

    Notes
    -----
    ASAS20: at least 20 % and 1 unit better in 3 domains, and the remaining one not worse by 20 % and 1 unit. ASAS40: at
    least 40 % and 2 units better in 3, and the remaining one not worse at all. Partial remission: no domain above 2 at
    follow-up. Limits hold within 1e-9. Any domain missing: no value.

    References
    ----------
    Anderson JJ et al. Arthritis Rheum 2001;44:1876 (ASAS20, partial remission). Brandt J et al. Ann Rheum Dis
    2004;63:1438 (ASAS40, ASAS 5/6).
    """
    pairs, missing = _pairs(DOMAINS, baseline, follow_up, (10.0,) * len(DOMAINS))
    if missing:
        return IndexResult("asas_response", None, missing=missing, missing_rule=RULE)
    changes = list(pairs.values())
    is_asas20 = _responds(changes, 0.20, 1.0, (0.20, 1.0))
    is_asas40 = _responds(changes, 0.40, 2.0, None)
    remission = not any(above(after, REMISSION_LIMIT) for _, after in changes)
    value, state = (40.0, "ASAS40") if is_asas40 else (20.0, "ASAS20") if is_asas20 else (0.0, "non-responder")
    return IndexResult(
        "asas_response",
        value,
        state=state,
        parts={"asas20": is_asas20, "asas40": is_asas40, "partial_remission": remission},
        reasons=tuple(_reason(name, *pair) for name, pair in pairs.items()),
    )


def asas_5_6(baseline: Domains, follow_up: Domains) -> IndexResult:
    """ASAS 5/6: at least 20 % better in five of six domains.

    Parameters
    ----------
    baseline, follow_up : six numbers or None
        The four domains of `asas_response` (0–10), CRP (0–500 mg/L), lateral spinal flexion (0–60 cm, more is better).

    Returns
    -------
    IndexResult
        Value: number of domains improved by 20 %. State "responder" from five, else "non-responder".

    Notes
    -----
    A domain that is 0 at baseline cannot improve by a share of itself, except that flexion improves by any gain. Any
    domain missing: no value.

    References
    ----------
    Brandt J et al. Ann Rheum Dis 2004;63:1438.
    """
    pairs, missing = _pairs(SIX_DOMAINS, baseline, follow_up, (10.0,) * len(DOMAINS) + (500.0, 60.0))
    if missing:
        return IndexResult("asas_5_6", None, missing=missing, missing_rule=RULE)
    improved = {}
    for name, (before, after) in pairs.items():
        gain = after - before if name == "lateral_flexion" else before - after
        improved[name] = gain > TOLERANCE and at_least(gain, 0.20 * before)
    n_improved = sum(improved.values())
    return IndexResult(
        "asas_5_6",
        float(n_improved),
        state="responder" if n_improved >= 5 else "non-responder",
        parts=improved,
        reasons=tuple(f"{name}: {'' if better else 'not '}improved by 20 %" for name, better in improved.items()),
    )


def _pairs(
    names: tuple[str, ...], baseline: Domains, follow_up: Domains, limits: tuple[float, ...]
) -> tuple[dict[str, tuple[float, float]], tuple[str, ...]]:
    """Value before and after by domain, and the names of what is missing."""
    pairs, missing = {}, []
    visits = {"baseline": baseline, "follow_up": follow_up}
    for visit, values in visits.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != len(names):
            raise ScoringError(visit, values, f"{len(names)} numbers: " + ", ".join(names))
    for name, before, after, limit in zip(names, baseline, follow_up, limits, strict=True):
        first = checks.optional_number(f"baseline {name}", before, 0.0, limit)
        second = checks.optional_number(f"follow_up {name}", after, 0.0, limit)
        missing += [f"{visit} {name}" for visit, value in zip(visits, (first, second), strict=True) if value is None]
        if first is not None and second is not None:
            pairs[name] = (first, second)
    return pairs, tuple(missing)


def _responds(changes: list[tuple[float, float]], share: float, units: float, worsening: tuple[float, float] | None) -> bool:
    """Three domains better by `share` and `units`, the others not worse (by `worsening`, or at all when it is None)."""
    others = [(before, after) for before, after in changes if not _changed(before - after, before, share, units)]
    if len(changes) - len(others) < 3:
        return False
    if worsening is None:
        return not any(above(after, before) for before, after in others)
    return not any(_changed(after - before, before, *worsening) for before, after in others)


def _changed(difference: float, before: float, share: float, units: float) -> bool:
    return at_least(difference, units) and at_least(difference, share * before)


def _reason(name: str, before: float, after: float) -> str:
    percent = f" ({100 * (after - before) / before:+.0f} %)" if before > 0 else ""
    return f"{name}: {before:g} → {after:g}, {after - before:+g}{percent}"
