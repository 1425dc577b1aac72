"""Change of a clinical index between two visits against its published threshold."""

from scoring import checks
from scoring.errors import ScoringError
from scoring.result import IndexResult
from scoring.tolerance import at_least

# ASDAS: improvement Machado P et al. Ann Rheum Dis 2011;70:47; worsening Moltó A et al. Ann Rheum Dis 2018;77:124.
ASDAS_IMPROVEMENT = 1.1
ASDAS_MAJOR_IMPROVEMENT = 2.0
ASDAS_WORSENING = 0.9
# Minimal clinically important improvement (overall, with a baseline BASDAI ≥ 4): Kviatkovsky MJ et al.
# J Rheumatol 2016;43:1680.
BASDAI_MCII = (0.7, 1.1)
BASFI_MCII = (0.4, 0.6)
ACTIVE_FROM = 4.0
BASDAI50_PERCENT = 50.0

MAJOR_IMPROVEMENT = "major improvement"
IMPROVEMENT = "clinically important improvement"
WORSENING = "clinically important worsening"
NO_CHANGE = "no clinically important change"


def asdas_change(baseline: float | IndexResult | None, follow_up: float | IndexResult | None) -> IndexResult:
    """Change of ASDAS (follow-up − baseline) and whether it matters.

    Parameters
    ----------
    baseline, follow_up : float ≥ 0, or the results of `asdas_crp` / `asdas_esr`

    Returns
    -------
    IndexResult
        State "major improvement" (decrease ≥ 2.0), "clinically important improvement" (≥ 1.1), "clinically important
        worsening" (increase ≥ 0.9) or "no clinically important change". Value None when a result has none.

    Raises
    ------
    ScoringError
        When ASDAS-CRP is set against ASDAS-ESR, or a 3-decimal against a 2-decimal form.

    References
    ----------
    Machado P et al. Ann Rheum Dis 2011;70:47. Moltó A et al. Ann Rheum Dis 2018;77:124 (worsening).
    """
    _refuse_other_form(baseline, follow_up)
    pair = (baseline, follow_up)
    before, after = (item.value if isinstance(item, IndexResult) else item for item in pair)
    if before is None or after is None:
        return _without_value("asdas_change", before, after)
    change = checks.number("follow_up", after, 0.0) - checks.number("baseline", before, 0.0)
    return IndexResult("asdas_change", change, state=_asdas_state(change))


def basdai_change(baseline: float | None, follow_up: float | None) -> IndexResult:
    """Change of BASDAI (follow-up − baseline) against its MCII: a decrease of 0.7, or 1.1 when BASDAI was ≥ 4.

    Parameters
    ----------
    baseline, follow_up : float 0–10 or None

    Notes
    -----
    A value missing: no change. There is no published threshold for worsening: it has no state of its own.

    References
    ----------
    Kviatkovsky MJ et al. J Rheumatol 2016;43:1680.
    """
    return _mcii("basdai_change", baseline, follow_up, BASDAI_MCII, is_active=baseline)


def basfi_change(baseline: float | None, follow_up: float | None, baseline_basdai: float | None = None) -> IndexResult:
    """Change of BASFI (follow-up − baseline) against its MCII: a decrease of 0.4, or 0.6 when BASDAI was ≥ 4.

    Parameters
    ----------
    baseline, follow_up : float 0–10 or None
    baseline_basdai : float 0–10 or None
        Unknown counts as below 4.

    Notes
    -----
    A value missing: no change. There is no published threshold for worsening: it has no state of its own.

    References
    ----------
    Kviatkovsky MJ et al. J Rheumatol 2016;43:1680.
    """
    return _mcii("basfi_change", baseline, follow_up, BASFI_MCII, is_active=baseline_basdai)


def basdai50(baseline: float | None, follow_up: float | None) -> IndexResult:
    """BASDAI50: the reduction of BASDAI in percent of baseline, "responder" from 50 %.

    Parameters
    ----------
    baseline, follow_up : float 0–10 or None

    Returns
    -------
    IndexResult
        Value None with a warning when the baseline is 0: a share of nothing is not defined.

    References
    ----------
    Braun J et al. Ann Rheum Dis 2003;62:817.
    """
    before = checks.optional_number("baseline", baseline, 0.0, 10.0)
    after = checks.optional_number("follow_up", follow_up, 0.0, 10.0)
    if before is None or after is None:
        return _without_value("basdai50", before, after)
    if before == 0:
        return IndexResult("basdai50", None, warnings=("baseline BASDAI is 0: a reduction in percent is not defined",))
    reduction = 100.0 * (before - after) / before
    return IndexResult("basdai50", reduction, state="responder" if at_least(reduction, BASDAI50_PERCENT) else "non-responder")


def _refuse_other_form(baseline: float | IndexResult | None, follow_up: float | IndexResult | None) -> None:
    if not isinstance(baseline, IndexResult) or not isinstance(follow_up, IndexResult):
        return
    if (baseline.name, baseline.form) != (follow_up.name, follow_up.form):
        allowed = f"{baseline.name} ({baseline.form}), as at baseline"
        raise ScoringError("follow_up", f"{follow_up.name} ({follow_up.form})", allowed)


def _asdas_state(change: float) -> str:
    if at_least(-change, ASDAS_MAJOR_IMPROVEMENT):
        return MAJOR_IMPROVEMENT
    if at_least(-change, ASDAS_IMPROVEMENT):
        return IMPROVEMENT
    return WORSENING if at_least(change, ASDAS_WORSENING) else NO_CHANGE


def _mcii(
    name: str,
    baseline: float | None,
    follow_up: float | None,
    thresholds: tuple[float, float],
    is_active: float | None,
) -> IndexResult:
    before = checks.optional_number("baseline", baseline, 0.0, 10.0)
    after = checks.optional_number("follow_up", follow_up, 0.0, 10.0)
    activity = checks.optional_number("baseline_basdai", is_active, 0.0, 10.0)
    if before is None or after is None:
        return _without_value(name, before, after)
    threshold = thresholds[activity is not None and at_least(activity, ACTIVE_FROM)]
    state = IMPROVEMENT if at_least(before - after, threshold) else NO_CHANGE
    return IndexResult(name, after - before, state=state, parts={"threshold": threshold})


def _without_value(name: str, before: float | None, after: float | None) -> IndexResult:
    missing = tuple(field for field, value in (("baseline", before), ("follow_up", after)) if value is None)
    return IndexResult(name, None, missing=missing, missing_rule="a value missing: no change")
