"""Change of the indices against their thresholds."""

import pytest

from scoring.clinical.asdas import asdas_crp, asdas_esr
from scoring.clinical.change import asdas_change, basdai50, basdai_change, basfi_change
from scoring.errors import ScoringError


@pytest.mark.parametrize(
    ("baseline", "follow_up", "state"),
    [
        (4.0, 2.0, "major improvement"),
        (2.8, 1.7, "clinically important improvement"),  # 1.0999999999999999 in binary
        (4.0, 2.01, "clinically important improvement"),
        (2.8, 1.71, "no clinically important change"),
        (2.0, 2.89, "no clinically important change"),
        (2.0, 2.9, "clinically important worsening"),
        (1.1, 2.0, "clinically important worsening"),
    ],
)
def test_asdas_change(baseline, follow_up, state):
    result = asdas_change(baseline, follow_up)
    assert result.state == state
    assert result.value == pytest.approx(follow_up - baseline)


def test_asdas_change_takes_results_of_one_form():
    before, after = asdas_crp(7, 6, 8, 5, 40), asdas_crp(3, 2, 3, 1, 5)
    assert asdas_change(before, after).state == "major improvement"


def test_crp_and_esr_forms_are_not_set_against_each_other():
    with pytest.raises(ScoringError, match="asdas_esr"):
        asdas_change(asdas_crp(4, 3, 4, 2, 5), asdas_esr(4, 3, 4, 2, 5))
    with pytest.raises(ScoringError, match="2-decimal"):
        asdas_change(asdas_crp(4, 3, 4, 2, 5), asdas_crp(4, 3, 4, 2, 5, form="2-decimal"))


def test_change_without_a_value():
    assert asdas_change(asdas_crp(4, 3, 4, 2), 2.0).missing == ("baseline",)
    assert basdai_change(4, None).missing == ("follow_up",)
    assert basdai50(None, None).missing == ("baseline", "follow_up")


@pytest.mark.parametrize(
    ("baseline", "follow_up", "threshold", "improved"),
    [(3.0, 2.3, 0.7, True), (3.0, 2.4, 0.7, False), (4.0, 3.2, 1.1, False), (4.0, 2.9, 1.1, True)],
)
def test_basdai_threshold_depends_on_the_baseline(baseline, follow_up, threshold, improved):
    result = basdai_change(baseline, follow_up)
    assert result.parts["threshold"] == threshold
    assert (result.state == "clinically important improvement") is improved


def test_basfi_threshold_depends_on_basdai():
    assert basfi_change(3, 2.5).state == "clinically important improvement"
    assert basfi_change(3, 2.5, baseline_basdai=4).state == "no clinically important change"


@pytest.mark.parametrize(("follow_up", "state"), [(2.0, "responder"), (2.001, "non-responder"), (5.0, "non-responder")])
def test_basdai50(follow_up, state):
    assert basdai50(4.0, follow_up).state == state


def test_basdai50_of_nothing_is_not_defined():
    result = basdai50(0, 1)
    assert result.value is None
    assert "not defined" in result.warnings[0]


def test_refuses_out_of_range():
    with pytest.raises(ScoringError, match="follow_up"):
        basdai50(4, 11)
