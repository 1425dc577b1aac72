"""ASAS axial criteria, modified New York criteria and ASAS responses: domain.md §2.9–2.11."""

import pytest

from scoring.clinical.asas import FEATURE_TITLES, asas_axial, inflammatory_back_pain
from scoring.clinical.new_york import modified_new_york
from scoring.clinical.response import asas_5_6, asas_response
from scoring.errors import ScoringError

NOTHING = {name: False for name in (*FEATURE_TITLES, "sacroiliitis_mri", "sacroiliitis_radiograph")}


def axial(months, age, **findings):
    return asas_axial(months, age, **{**NOTHING, **findings})


def test_imaging_arm():
    result = axial(6, 30, sacroiliitis_mri=True, inflammatory_back_pain=True)
    assert (result.value, result.state) == (1.0, "imaging arm")
    assert any("sacroiliitis on MRI: yes" in reason for reason in result.reasons)


def test_clinical_arm():
    result = axial(6, 30, hla_b27=True, inflammatory_back_pain=True, uveitis=True)
    assert (result.value, result.state) == (1.0, "clinical arm")


def test_b27_counts_once_in_the_clinical_arm():
    assert axial(6, 30, hla_b27=True, inflammatory_back_pain=True).value == 0.0


def test_b27_is_the_feature_of_the_imaging_arm():
    assert axial(6, 30, sacroiliitis_mri=True, hla_b27=True).state == "imaging arm"


def test_radiograph_opens_the_imaging_arm_too():
    assert axial(6, 30, sacroiliitis_radiograph=True, psoriasis=True).state == "imaging arm"


def test_sacroiliitis_without_a_feature_is_not_enough():
    assert axial(6, 30, sacroiliitis_mri=True).state == "not met"


def test_both_arms():
    assert axial(6, 30, sacroiliitis_mri=True, **dict.fromkeys(FEATURE_TITLES, True)).state == "imaging and clinical arm"


@pytest.mark.parametrize(("months", "age", "met"), [(6, 47, 0), (6, 45, 0), (6, 44.9, 1), (2.9, 30, 0), (3, 30, 1)])
def test_entry(months, age, met):
    everything = dict.fromkeys(NOTHING, True)
    result = asas_axial(months, age, **everything)
    assert result.value == met
    assert result.parts["entry"] is bool(met)


def test_unknown_findings_leave_it_undetermined_only_where_they_matter():
    open_case = asas_axial(6, 30, hla_b27=True, inflammatory_back_pain=True)
    assert (open_case.value, open_case.state) == (None, "undetermined")
    assert "arthritis" in open_case.missing
    assert open_case.missing_rule
    assert any(reason.startswith("not known:") for reason in open_case.reasons)
    assert asas_axial(6, 50, hla_b27=True).value == 0.0
    assert asas_axial(None, None, **NOTHING).value == 0.0
    assert asas_axial(None, 30, **{**NOTHING, "sacroiliitis_mri": True, "hla_b27": True}).state == "undetermined"


def test_axial_refusals():
    with pytest.raises(ScoringError, match="age_at_onset_years"):
        axial(6, -1)
    with pytest.raises(ScoringError, match="uveitis"):
        axial(6, 30, uveitis="yes")


@pytest.mark.parametrize(
    ("answers", "value", "state"),
    [
        ((True, True, True, True, False), 1.0, "met"),
        ((True, True, True, True, None), 1.0, "met"),
        ((True, True, True, False, False), 0.0, "not met"),
        ((True, True, True, False, None), None, "undetermined"),
        ((False, False, None, None, None), 0.0, "not met"),
    ],
)
def test_inflammatory_back_pain(answers, value, state):
    result = inflammatory_back_pain(*answers)
    assert (result.value, result.state) == (value, state)
    assert bool(result.missing) is bool(result.missing_rule)


@pytest.mark.parametrize(
    ("grades", "clinical", "state", "value"),
    [
        ((2, 2), (True, False, False), "definite", 1.0),
        ((2, 1), (True, False, False), "not met", 0.0),
        ((3, 0), (False, False, True), "definite", 1.0),
        ((1, 4), (False, False, False), "probable", 0.0),
        ((1, 1), (True, True, True), "probable", 0.0),
        ((2, 2), (None, False, False), "undetermined", None),
        ((4, None), (True, None, None), "definite", 1.0),
        ((None, 1), (False, False, False), "undetermined", None),
    ],
)
def test_modified_new_york(grades, clinical, state, value):
    result = modified_new_york(*grades, *clinical)
    assert (result.state, result.value) == (state, value)
    assert len(result.reasons) == 4


def test_modified_new_york_reasons_name_what_is_unknown():
    assert "right not known, left 1" in modified_new_york(None, 1, False, False, False).reasons[0]
    assert "not known" in modified_new_york(2, 2).reasons[1]


@pytest.mark.parametrize("grade", [5, -1, 2.5])
def test_modified_new_york_refuses_grades(grade):
    with pytest.raises(ScoringError, match="grade_left"):
        modified_new_york(0, grade)


@pytest.mark.parametrize(
    ("baseline", "follow_up", "asas20", "asas40"),
    [
        ((6, 6, 5, 6), (4, 4, 4, 5.5), True, False),
        ((6, 6, 5, 6), (3, 3, 3, 6), True, True),
        ((6, 6, 5, 6), (3, 3, 3, 6.1), True, False),
        ((6, 6, 5, 6), (3, 3, 3, 7.2), False, False),
        ((4, 4, 4, 4), (3.3, 3.3, 3.3, 3.3), False, False),
        ((7, 6, 4, 5), (4.2, 3.6, 2.0, 5), True, True),
        ((7, 6, 4, 5), (4, 3.5, 2.5, 5), True, False),
        ((6, 6, 5, 0), (3, 3, 3, 1), False, False),
    ],
)
def test_asas_response_golden(baseline, follow_up, asas20, asas40):
    result = asas_response(baseline, follow_up)
    assert (result.parts["asas20"], result.parts["asas40"]) == (asas20, asas40)
    assert result.value == (40 if asas40 else 20 if asas20 else 0)
    assert result.state == ("ASAS40" if asas40 else "ASAS20" if asas20 else "non-responder")
    assert len(result.reasons) == 4


def test_partial_remission_includes_two():
    assert asas_response((6, 6, 5, 6), (2, 2, 2, 2)).parts["partial_remission"] is True
    assert asas_response((6, 6, 5, 6), (2, 2, 2, 2.1)).parts["partial_remission"] is False


def test_response_with_a_missing_domain():
    result = asas_response((6, None, 5, 6), (3, 3, None, 6))
    assert result.value is None
    assert result.missing == ("baseline pain", "follow_up basfi")
    assert asas_5_6((6, 6, 5, 6, None, 8), (4, 4, 4, 5, 5, 8)).missing == ("baseline crp",)


@pytest.mark.parametrize(
    ("follow_up", "n", "state"),
    [
        ((4, 4, 4, 4, 10, 10), 6, "responder"),
        ((4, 4, 4, 4, 10, 8), 5, "responder"),
        ((4, 4, 4, 6, 10, 8), 4, "non-responder"),
    ],
)
def test_asas_5_6(follow_up, n, state):
    result = asas_5_6((6, 6, 5, 6, 20, 8), follow_up)
    assert (result.value, result.state) == (n, state)


def test_asas_5_6_from_zero():
    result = asas_5_6((0, 6, 5, 6, 20, 0), (0, 6, 5, 6, 20, 1))
    assert result.parts == {
        "patient_global": False, "pain": False, "basfi": False, "inflammation": False, "crp": False, "lateral_flexion": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("baseline", "follow_up", "field"),
    [
        ((6, 6, 5), (3, 3, 3, 6), "baseline"),
        ((6, 6, 5, 6), "3336", "follow_up"),
        ((6, 6, 5, 6), 3, "follow_up"),
        ((6, 6, 5, 11), (3, 3, 3, 6), "baseline inflammation"),
    ],
)
def test_response_refusals(baseline, follow_up, field):
    with pytest.raises(ScoringError) as caught:
        asas_response(baseline, follow_up)
    assert caught.value.field == field
