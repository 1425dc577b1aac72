"""Group comparisons, proportions, Table 1 and the models, against scipy, statsmodels and pingouin."""

import math
import warnings

import numpy as np
import pandas as pd
import pingouin
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scoring.errors import ScoringError
from scoring.statistics.groups import (
    chi_square,
    compare_counts,
    compare_values,
    fisher_exact,
    mann_whitney,
    paired_t,
    unpaired_t,
    welch_t,
)
from scoring.statistics.models import score_on_activity
from scoring.statistics.proportions import diagnose, mean_of_cases, proportion
from scoring.statistics.tables import standardised_difference, standardised_difference_of_shares, table_one


@pytest.fixture
def groups():
    random = np.random.default_rng(0)
    return random.normal(0, 1, 40), random.normal(0.6, 2, 35)


@pytest.mark.parametrize(("test", "is_welch"), [(unpaired_t, False), (welch_t, True)])
def test_t_tests_agree_with_pingouin(groups, test, is_welch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pingouin.ttest(*groups, correction=is_welch).iloc[0]
    result = test(*groups)
    assert result.p == pytest.approx(expected["p_val"])
    assert result.parts["t"] == pytest.approx(expected["T"])
    assert [result.low, result.high] == pytest.approx(list(expected["CI95"]), abs=0.0051)
    assert result.estimate == pytest.approx(groups[0].mean() - groups[1].mean())


def test_mann_whitney_agrees_with_pingouin(groups):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pingouin.mwu(*groups).iloc[0]
    result = mann_whitney(*groups)
    assert result.parts["u"] == expected["U_val"]
    assert result.p == pytest.approx(expected["p_val"])
    assert result.estimate == pytest.approx(expected["CLES"])
    assert result.low < result.estimate < result.high


def test_missing_values_are_dropped_and_counted(groups):
    first = [*groups[0], None, math.nan]
    assert welch_t(first, groups[1]).n_dropped == 2
    assert welch_t(first, groups[1]).estimate == welch_t(*groups).estimate


def test_tests_without_enough_values_are_undefined():
    for result in (unpaired_t([1], [1, 2]), welch_t([1, 1], [1, 1]), mann_whitney([], [1])):
        assert math.isnan(result.estimate)
        assert result.warnings
    apart = mann_whitney([1, 2, 3], [4, 5])
    assert apart.estimate == 0.0
    assert math.isnan(apart.low)


def test_chi_square_agrees_with_scipy():
    table = [[10, 20, 5], [20, 10, 9]]
    expected = stats.chi2_contingency(table, correction=False)
    result = chi_square(table)
    assert (result.p, result.parts["chi2"], result.parts["df"]) == pytest.approx((expected.pvalue, expected.statistic, 2))
    assert result.estimate == pytest.approx(stats.contingency.association(table, method="cramer"))
    assert 0 < result.low < result.estimate < result.high < 1


def test_chi_square_interval_starts_at_zero_without_association():
    result = chi_square([[10, 10], [10, 10]])
    assert (result.estimate, result.low, result.p) == (0.0, 0.0, 1.0)


def test_chi_square_ignores_empty_rows_and_needs_two():
    assert chi_square([[10, 20], [0, 0], [20, 10]]).estimate == chi_square([[10, 20], [20, 10]]).estimate
    assert math.isnan(chi_square([[10, 20], [0, 0]]).estimate)


def test_fisher_tea():
    """Fisher's tea-tasting lady: p = 0.4857, conditional odds ratio 6.4083 (R, fisher.test)."""
    result = fisher_exact([[3, 1], [1, 3]])
    assert result.p == pytest.approx(0.4857, abs=5e-5)
    assert result.estimate == pytest.approx(6.4083, abs=5e-3)
    assert (result.low, result.high) == (pytest.approx(0.2117, abs=5e-5), pytest.approx(621.93, rel=0.01))
    assert math.isnan(fisher_exact([[3, 1], [0, 0]]).estimate)


@pytest.mark.parametrize("table", [[[1, -1], [1, 1]], [[0.5, 1], [1, 1]], [[None, 1], [1, 1]], [[0, 0], [0, 0]]])
def test_counts_are_whole_and_not_negative(table):
    with pytest.raises(ScoringError, match="table"):
        chi_square(table)
    with pytest.raises(ScoringError, match="2 × 2"):
        fisher_exact([[1, 2, 3], [1, 2, 3]])


def test_choice_for_numbers_is_explained(groups):
    assert compare_values(*groups).reason.startswith("Welch t: both groups have at least 30")
    small = compare_values(groups[0][:8], groups[1][:8])
    assert small.test.name == "Welch t"
    assert "Shapiro" in small.reason
    skewed = compare_values(np.exp(3 * groups[0][:12]), np.exp(3 * groups[1][:12]))
    assert skewed.test.name == "Mann–Whitney"
    assert "not normal" in skewed.reason
    assert "fewer than 3" in compare_values([1, 2], [1, 2, 3]).reason
    assert compare_values([1, 1, 1], [1, 2, 3]).test.name == "Mann–Whitney"


def test_choice_for_counts_is_explained():
    assert compare_counts([[20, 20], [25, 15]]).test.name == "χ²"
    sparse = compare_counts([[3, 9], [1, 4]])
    assert sparse.test.name == "Fisher's exact test"
    assert "smallest expected count 1.2" in sparse.reason
    assert "with care" in compare_counts([[3, 9, 1], [1, 4, 1]]).reason
    assert "no test" in compare_counts([[3, 9]]).reason


@settings(max_examples=30, deadline=None)
@given(
    first=st.lists(st.integers(-9, 9), min_size=3, max_size=12),
    second=st.lists(st.integers(-9, 9), min_size=3, max_size=12),
    scale=st.integers(1, 50),
)
def test_exchange_of_groups_and_unit_change(first, second, scale):
    one, other = mann_whitney(first, second), mann_whitney(second, first)
    assert one.estimate + other.estimate == pytest.approx(1.0)
    assert one.p == pytest.approx(other.p)
    t = welch_t(first, second)
    scaled = welch_t(np.array(first) * scale, np.array(second) * scale)
    assert scaled.estimate == pytest.approx(t.estimate * scale, nan_ok=True)
    assert scaled.p == pytest.approx(t.p, nan_ok=True, abs=1e-9)


def test_wilson():
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 15 of 148 gives 0.0624 to 0.1605; 0 of 20 gives 0 to 0.1611."""
    for n_positive, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        result = proportion(n_positive, n)
        assert (result.low, result.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_proportion_of_nothing_and_refusals():
    assert math.isnan(proportion(0, 0).estimate)
    with pytest.raises(ScoringError, match="n_positive"):
        proportion(3, 2)


def test_diagnosis():
    truth = [1, 1, 1, 0, 0, None, 1]
    called = [1, 1, 0, 0, 1, 1, 1]
    result = diagnose(truth, called)
    assert (result.sensitivity.estimate, result.specificity.estimate) == (0.75, 0.5)
    assert (result.ppv.estimate, result.npv.estimate) == (0.75, 0.5)
    assert result.accuracy.estimate == pytest.approx(4 / 6)
    assert result.sensitivity.n_dropped == 1
    assert math.isnan(diagnose([0, 0], [0, 1]).sensitivity.estimate)
    with pytest.raises(ScoringError, match="predicted"):
        diagnose([0, 1], [0, 2])


def test_mean_over_cases_leaves_out_empty_against_empty():
    result = mean_of_cases([0.9, math.nan, 0.7, 0.8], "Dice")
    assert result.estimate == pytest.approx(0.8)
    assert (result.n_used, result.n_dropped, result.name) == (3, 1, "Dice")
    assert result.low < 0.8 < result.high
    assert mean_of_cases([0.5]).estimate == 0.5
    assert math.isnan(mean_of_cases([math.nan]).estimate)
    with pytest.raises(ScoringError, match="values"):
        mean_of_cases([1.0, math.inf])


@pytest.fixture
def cohort():
    return {
        "age": [20, 30, None, 40, 50, 33],
        "sex": ["m", "f", "m", "m", "f", None],
        "hla_b27": [True, True, False, True, math.nan, True],
        "crp": [1.0, 2.0, 3.0, 4.0, 5.0, 60.0],
    }


def test_table_one(cohort):
    age, sex, b27, crp = table_one(cohort, {"crp": "skewed"}, ["a", "a", "a", "b", "b", None])
    whole, a, b = age.summaries
    assert (whole.group, whole.n, whole.n_missing, whole.mean) == ("all", 5, 1, pytest.approx(34.6))
    assert (a.n, a.n_missing, a.mean) == (2, 1, 25.0)
    assert (b.mean, b.sd) == (45.0, pytest.approx(7.0711, abs=5e-5))
    assert age.n_missing == {"all": 1, "a": 1, "b": 0}
    assert age.standardised_difference == pytest.approx(20 / 7.0710678)
    assert crp.kind == "skewed"
    assert crp.summaries[0].median == 3.5
    assert crp.summaries[0].quartiles == (2.25, 4.75)
    assert (sex.kind, b27.kind) == ("categorical", "categorical")
    shares = {(share.group, share.category): share.percent for share in sex.shares}
    assert shares["a", "m"] == pytest.approx(200 / 3)
    assert shares["b", "m"] == 50.0
    assert sex.n_missing == {"all": 1, "a": 0, "b": 0}
    assert b27.n_missing["b"] == 1
    assert sex.comparison.reason.startswith("Fisher")


def test_table_one_without_and_with_three_groups(cohort):
    alone = table_one(cohort)
    assert all(row.comparison is None and math.isnan(row.standardised_difference) for row in alone)
    assert [summary.group for summary in alone[0].summaries] == ["all"]
    three = table_one(cohort, groups=["a", "b", "c", "a", "b", "c"])
    assert three[0].comparison is None
    assert three[0].standardised_difference > 0
    assert len(three[0].summaries) == 4


def test_table_one_of_empty_columns():
    rows = table_one({"gone": [None, None], "text": [None, None], "one": [1.0, 1.0]}, {"text": "categorical"}, ["a", "b"])
    assert rows[0].summaries[0].n == 0
    assert math.isnan(rows[0].summaries[0].mean)
    assert rows[1].shares == ()
    assert rows[1].comparison is None
    assert math.isnan(rows[2].summaries[1].sd)
    half = table_one({"text": ["x", None]}, groups=["a", "b"])[0]
    assert math.isnan(half.standardised_difference)
    assert math.isnan(half.shares[-1].percent)


@pytest.mark.parametrize(
    ("columns", "arguments", "field"),
    [
        ({"x": [1, 2], "y": [1]}, {}, "columns"),
        ({}, {}, "columns"),
        ({"x": [1, 2]}, {"groups": ["a"]}, "columns"),
        ({"x": [1, 2]}, {"kinds": {"x": "ordinal"}}, "kinds.x"),
        ({"x": [1, 2]}, {"kinds": {"z": "normal"}}, "kinds"),
        ({"x": ["a", "b"]}, {"kinds": {"x": "normal"}}, "x"),
    ],
)
def test_table_one_refusals(columns, arguments, field):
    with pytest.raises(ScoringError) as caught:
        table_one(columns, **arguments)
    assert caught.value.field == field


def test_standardised_differences():
    assert standardised_difference([1, 2, 3], [3, 4, 5]) == pytest.approx(2.0)
    assert math.isnan(standardised_difference([1], [1, 2]))
    assert math.isnan(standardised_difference([1, 1], [1, 1]))
    p, q = 0.3, 0.5
    expected = abs(p - q) / math.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    assert standardised_difference_of_shares([70, 30], [50, 50]) == pytest.approx(expected)
    assert standardised_difference_of_shares([70, 30, 10], [35, 15, 5]) == pytest.approx(0.0)
    assert math.isnan(standardised_difference_of_shares([0, 0], [1, 1]))
    assert math.isnan(standardised_difference_of_shares([5, 0], [3, 0]))


@pytest.fixture
def visits():
    """Activity goes with the score in men (slope 2), not in women; two hips and three visits a patient."""
    random = np.random.default_rng(0)
    patient = np.repeat(np.arange(60), 6)
    hip = np.tile([0, 1], 180) + patient * 2
    sex = np.where(patient % 3 == 0, "female", "male")
    activity = random.normal(3, 1, 360)
    week = np.tile([0, 0, 12, 12, 24, 24], 60)
    score = 2 * activity * (sex == "male") - 0.05 * week + random.normal(size=60)[patient]
    score += random.normal(size=120)[hip] + random.normal(size=360)
    return pd.DataFrame({"score": score, "activity": activity, "sex": sex, "patient": patient, "hip": hip, "week": week})


def model_of(data, **arguments):
    return score_on_activity(
        data["score"], data["activity"], data["sex"].tolist(), data["patient"].tolist(),
        covariates={"week": data["week"]}, **arguments,
    )  # fmt: skip


@pytest.mark.parametrize("route", ["gee", "mixed"])
def test_slopes_by_sex(visits, route):
    result = model_of(visits, route=route)
    assert result.slopes["male"].estimate == pytest.approx(2.0, abs=0.3)
    assert result.slopes["male"].p < 0.001
    assert result.slopes["female"].low < 0 < result.slopes["female"].high
    assert result.terms["activity:male"].estimate == pytest.approx(
        result.slopes["male"].estimate - result.slopes["female"].estimate
    )
    assert result.terms["week"].estimate == pytest.approx(-0.05, abs=0.02)
    assert (result.n_patients, result.slopes["male"].n_used) == (60, 360)


def test_models_agree_with_statsmodels_formulas(visits):
    formula = "score ~ activity * C(sex, Treatment('female')) + week"
    gee = smf.gee(formula, "patient", visits, cov_struct=None).fit()
    mixed = smf.mixedlm(formula, visits, groups="patient").fit()
    ours = model_of(visits, route="mixed").terms
    assert ours["activity"].estimate == pytest.approx(mixed.fe_params["activity"], rel=1e-3)
    assert ours["activity"].parts["se"] == pytest.approx(mixed.bse["activity"], rel=1e-2)
    assert model_of(visits).terms["activity"].estimate == pytest.approx(gee.params["activity"], abs=0.05)


def test_hips_within_patients_sharpen_the_mixed_model(visits):
    plain = model_of(visits, route="mixed")
    nested = model_of(visits, route="mixed", hip=visits["hip"].tolist())
    assert nested.slopes["male"].parts["se"] < plain.slopes["male"].parts["se"]


def test_rows_with_anything_missing_are_dropped_and_counted(visits):
    holed = visits.copy()
    holed.loc[0, "score"] = math.nan
    holed.loc[7, "activity"] = math.nan
    sex = [None if index == 20 else value for index, value in enumerate(holed["sex"])]
    result = score_on_activity(holed["score"], holed["activity"], sex, holed["patient"].tolist())
    assert (result.slopes["male"].n_used, result.slopes["male"].n_dropped) == (357, 3)


def test_perfect_fit_warns_instead_of_failing():
    """A score without any noise: slopes are exact, and what statsmodels has to say comes back as warnings."""
    activity = [1.0, 2, 3, 4, 5, 6, 1, 5]
    sex = ["male"] * 4 + ["female"] * 4
    result = score_on_activity([2.0 * value for value in activity], activity, sex, list("aabbccdd"), route="mixed")
    assert result.slopes["male"].estimate == pytest.approx(2.0, abs=1e-6)
    assert result.warnings


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"route": "anova"}, "route"),
        ({"sex": ["m"] * 360}, "sex"),
        ({"sex": ["male"] * 360}, "sex"),
        ({"sex": ["male"] * 10}, "male"),
        ({"patient": ["a", "b"] * 180}, "patient"),
        ({"patient": ["a"]}, "patient"),
        ({"hip": [1]}, "hip"),
        ({"covariates": {"again": "activity"}}, "covariates"),
        ({"covariates": {"short": [1.0]}}, "short"),
    ],
)
def test_model_refusals(visits, change, field):
    arguments = {
        "score": visits["score"],
        "activity": visits["activity"],
        "sex": visits["sex"].tolist(),
        "patient": visits["patient"].tolist(),
        **change,
    }
    if arguments.get("covariates") == {"again": "activity"}:
        arguments["covariates"] = {"again": visits["activity"] * 2}
    with pytest.raises(ScoringError) as caught:
        score_on_activity(**arguments)
    assert caught.value.field == field


def test_paired_t_against_a_worked_example():
    """Student's hours of sleep (Biometrika 1908;6:1), as the help of R's data set `sleep` works them out: t = −4.0621, 9 df."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    result = paired_t(first, second)
    assert result.estimate == pytest.approx(-1.58)
    assert result.parts["t"] == pytest.approx(-4.0621, abs=1e-4)
    assert result.p == pytest.approx(0.00283, abs=1e-5)
    assert (result.low, result.high) == pytest.approx((-2.4598858, -0.7001142), abs=1e-6)
    assert result.n_used == 10


def test_paired_t_drops_half_pairs_and_refuses_what_does_not_vary():
    result = paired_t([1.0, 2.0, math.nan, 4.0], [0.5, 1.0, 1.0, math.nan])
    assert (result.n_used, result.n_dropped) == (2, 2)
    flat = paired_t([1.0, 2.0, 3.0], [0.0, 1.0, 2.0])
    assert flat.estimate == 1
    assert math.isnan(flat.p)
    assert flat.warnings
