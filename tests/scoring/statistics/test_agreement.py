"""Agreement: Shrout & Fleiss 1979, the HIMRISS-like vector of domain.md §3.2, pingouin as second implementation."""

import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pingouin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

from scoring.errors import ScoringError
from scoring.statistics.agreement import FORMS, icc, icc_band, mean_squares
from scoring.statistics.icc_mixed import icc_mixed
from scoring.statistics.measurement_error import change_beyond, sdc, sdd, sem
from scoring.statistics.method_comparison import bland_altman, kappa_from_table, lin_ccc, weighted_kappa
from scoring.statistics.responsiveness import guyatt, kazis, responsiveness_band, srm

SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
A0 = np.array([12, 30, 8, 45, 22, 15, 60, 5, 18, 33, 27, 40.0])
B0 = np.array([14, 27, 9, 48, 20, 17, 55, 6, 21, 30, 29, 38.0])
A1 = np.array([10, 18, 8, 30, 20, 10, 41, 4, 15, 25, 28, 26.0])
B1 = np.array([11, 17, 7, 35, 17, 13, 40, 6, 16, 21, 27, 27.0])
STATUS = np.column_stack([A0, B0])
CHANGE = np.column_stack([A1 - A0, B1 - B0])
MEAN0, MEAN1 = STATUS.mean(axis=1), (A1 + B1) / 2
KAPPA = [[20, 5, 1], [4, 15, 6], [0, 3, 16]]


def to4(value):
    return pytest.approx(value, abs=5e-5)


@pytest.mark.parametrize(
    ("form", "expected"), [("1,1", 0.1657), ("2,1", 0.2898), ("3,1", 0.7148), ("1,k", 0.4428), ("2,k", 0.6201), ("3,k", 0.9093)]
)
def test_shrout_fleiss(form, expected):
    assert icc(SHROUT_FLEISS, form).estimate == to4(expected)


def test_shrout_fleiss_intervals_and_mean_squares():
    absolute, consistency = icc(SHROUT_FLEISS, "A,1"), icc(SHROUT_FLEISS, "C,1")
    assert (absolute.low, absolute.high) == (to4(0.0188), to4(0.7611))
    assert (consistency.low, consistency.high) == (to4(0.3425), to4(0.9459))
    assert absolute.parts["ms_rows"] == to4(11.2417)
    assert absolute.parts["ms_columns"] == to4(32.4861)
    assert absolute.parts["ms_error"] == to4(1.0194)
    assert absolute.parts["ms_within"] == to4(6.2639)
    assert absolute.name == "ICC(A,1)"


def long(table):
    rows = [(target, reader, value) for target, row in enumerate(table) for reader, value in enumerate(row)]
    return pd.DataFrame(rows, columns=["target", "reader", "value"])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("table", [SHROUT_FLEISS, STATUS.tolist(), CHANGE.tolist()], ids=["shrout-fleiss", "status", "change"])
def test_icc_agrees_with_pingouin(form, table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pingouin.intraclass_corr(long(table), "target", "reader", "value").set_index("Type").loc[f"ICC({form})"]
    result = icc(table, form)
    assert result.estimate == pytest.approx(expected["ICC"])
    assert result.p == pytest.approx(expected["pval"])
    assert [result.low, result.high] == pytest.approx(list(expected["CI95"]), abs=0.0051)


def test_himriss_vector():
    status, change = icc(STATUS, "A,1"), icc(CHANGE, "A,1")
    assert (status.estimate, status.low, status.high) == (to4(0.9859), to4(0.9519), to4(0.9959))
    assert icc(STATUS, "C,1").estimate == to4(0.9847)
    assert (change.estimate, change.low, change.high) == (to4(0.9342), to4(0.7898), to4(0.9806))
    assert icc(CHANGE, "C,1").estimate == to4(0.9295)


def test_icc_drops_and_counts_incomplete_targets():
    result = icc([*SHROUT_FLEISS, [1, None, 2, 3]])
    assert (result.n_used, result.n_dropped) == (6, 1)
    assert result.estimate == to4(0.2898)


def test_icc_at_the_edges():
    perfect = icc([[0.1, 0.1], [0.2, 0.2], [0.7, 0.7]])
    assert (perfect.estimate, perfect.low, perfect.high, perfect.p) == (1.0, 1.0, 1.0, 0.0)
    consistent = icc([[1, 2], [2, 3], [3, 4]], "C,k")
    assert (consistent.estimate, consistent.low, consistent.high) == (1.0, 1.0, 1.0)
    flat = icc([[0.1, 0.1], [0.1, 0.1]])
    assert math.isnan(flat.estimate)
    assert flat.warnings
    shifted = icc([[1, 2], [1, 2]])
    assert shifted.estimate == 0.0
    assert math.isnan(shifted.low)
    assert icc([[1, 3], [3, 1]], "C,1").estimate == -1.0
    assert math.isnan(icc([[1, 3], [3, 1]], "C,k").estimate)
    assert math.isnan(icc([[0, 0, 1], [0, 1, 0], [0, 0, 1]], "A,k").estimate)


@pytest.mark.parametrize(
    ("table", "form", "field"),
    [
        (SHROUT_FLEISS, "4,1", "form"),
        ([[1], [2]], "A,1", "table"),
        ([[1, 2]], "A,1", "table"),
        ([[1, 2], [1, None]], "A,1", "table"),
        ([1, 2], "A,1", "table"),
        ([[1, 2], [math.inf, 2]], "A,1", "table"),
    ],
)
def test_icc_refusals(table, form, field):
    with pytest.raises(ScoringError) as caught:
        icc(table, form)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("value", "band"), [(0.49, "poor"), (-1, "poor"), (0.5, "moderate"), (0.75, "good"), (0.9, "good"), (0.901, "excellent")]
)
def test_icc_bands(value, band):
    assert icc_band(value) == band


tables = st.integers(2, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 60), min_size=k, max_size=k), min_size=3, max_size=10)
)


@settings(max_examples=60, deadline=None)
@given(table=tables, data=st.data(), scale=st.integers(1, 1000), shift=st.integers(-100, 100))
def test_icc_bounds_permutation_of_readers_and_unit_change(table, data, scale, shift):
    array = np.array(table, float)
    order = data.draw(st.permutations(range(array.shape[1])))
    for form in FORMS:
        one = icc(array, form)
        if math.isnan(one.estimate):
            continue
        assert one.estimate <= 1 + 1e-12
        assert icc(array[:, order], form).estimate == pytest.approx(one.estimate, rel=1e-6, abs=1e-9)
        assert icc(array * scale + shift, form).estimate == pytest.approx(one.estimate, rel=1e-6, abs=1e-9)


def test_mean_squares_are_exactly_zero_for_equal_readings():
    squares = mean_squares(np.array([[0.1, 0.1, 0.1], [0.3, 0.3, 0.3]]))
    assert squares.error == squares.columns == squares.within == 0.0


def stacked(table):
    n, k = np.shape(table)
    return np.ravel(table), np.repeat(np.arange(n), k).tolist(), np.tile(np.arange(k), n).tolist()


@pytest.mark.parametrize("form", ["A,1", "C,1"])
def test_mixed_model_equals_the_table_where_it_is_complete(form):
    result = icc_mixed(*stacked(SHROUT_FLEISS), form)
    assert result.estimate == pytest.approx(icc(SHROUT_FLEISS, form).estimate, abs=1e-4)
    assert result.low < result.estimate < result.high
    assert result.p < 0.001
    assert result.warnings == ()


def test_mixed_model_without_reader_variance_is_the_one_way_form():
    """In the status vector readers differ less than chance: their variance is 0, and targets alone are left."""
    result = icc_mixed(*stacked(STATUS))
    assert result.parts["variance_readers"] == 0.0
    assert result.estimate == pytest.approx(icc(STATUS, "1,1").estimate, abs=1e-4)
    assert "a variance component is 0" in result.warnings[0]


def test_mixed_model_agrees_with_statsmodels_on_an_unbalanced_table():
    values, targets, readers = stacked(SHROUT_FLEISS)
    keep = np.ones(len(values), bool)
    keep[[1, 10, 15]] = False
    values, targets, readers = values[keep], np.array(targets)[keep], np.array(readers)[keep]
    dummies = [(given[:, None] == np.unique(given)).astype(float) for given in (targets, readers)]
    names = [[[str(column) for column in range(matrix.shape[1])]] for matrix in dummies]
    components = VCSpec(["target", "reader"], names, [[matrix] for matrix in dummies])
    fitted = MixedLM(values.astype(float), np.ones((len(values), 1)), np.zeros(len(values)), exog_vc=components).fit()
    result = icc_mixed(values, targets.tolist(), readers.tolist())
    assert result.parts["variance_targets"] == pytest.approx(fitted.vcomp[0], rel=1e-3)
    assert result.parts["variance_readers"] == pytest.approx(fitted.vcomp[1], rel=1e-3)
    assert result.parts["variance_error"] == pytest.approx(fitted.scale, rel=1e-3)


def test_mixed_model_uses_incomplete_targets():
    values, targets, readers = stacked(SHROUT_FLEISS)
    values = values.astype(float)
    values[[1, 10]] = math.nan
    result = icc_mixed(values, targets, readers)
    assert (result.n_used, result.n_dropped) == (22, 2)
    assert result.parts["n_targets"] == 6
    assert 0.1 < result.estimate < 0.5


def test_mixed_model_without_target_variance():
    """Targets that do not differ: an ICC of 0, without an interval, and a p that says so."""
    table = [[1, 2, 3], [3, 1, 2], [2, 3, 1], [1, 3, 2], [3, 2, 1], [2, 1, 3]]
    result = icc_mixed(*stacked(table))
    assert result.estimate == pytest.approx(0.0, abs=1e-3)
    assert result.p > 0.3
    assert result.warnings


def test_mixed_model_of_readers_who_always_agree_is_at_the_limit():
    result = icc_mixed(*stacked([[1, 1], [2, 2], [3, 3]]))
    assert result.estimate == pytest.approx(1.0, abs=1e-5)
    assert math.isnan(result.low)
    assert any("at the limit" in warning for warning in result.warnings)


def test_mixed_model_of_equal_readings_is_undefined():
    result = icc_mixed([5, 5, 5, 5], ["a", "a", "b", "b"], ["r", "s", "r", "s"])
    assert math.isnan(result.estimate)
    assert result.warnings


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"form": "A,k"}, "form"),
        ({"targets": ["a"]}, "targets"),
        ({"readers": ["r"]}, "readers"),
        ({"targets": ["a"] * 4}, "targets"),
        ({"targets": list("abcd")}, "targets"),
        ({"readers": ["r"] * 4}, "readers"),
    ],
)
def test_mixed_model_refusals(arguments, field):
    given = {"values": [1, 2, 3, 4], "targets": list("aabb"), "readers": list("rsrs"), **arguments}
    with pytest.raises(ScoringError) as caught:
        icc_mixed(**given)
    assert caught.value.field == field


def test_lin_golden():
    result = lin_ccc(A0, B0)
    assert result.estimate == to4(0.9847)
    assert result.low < result.estimate < result.high
    assert result.p < 1e-6
    assert result.parts["pearson"] * result.parts["bias_correction"] == pytest.approx(result.estimate)


def test_lin_at_the_edges():
    assert lin_ccc([1, 2, 3], [1, 2, 3]).low == 1.0
    assert math.isnan(lin_ccc([1, 2], [1, 2]).estimate)
    assert math.isnan(lin_ccc([], []).estimate)
    assert math.isnan(lin_ccc([1, 1, 1], [1, 2, 3]).estimate)
    unrelated = lin_ccc([1, 2, 3, 2], [2, 1, 2, 3])
    assert unrelated.estimate == 0.0
    assert math.isnan(unrelated.low)


def test_lin_is_lowered_by_a_shift_that_pearson_does_not_see():
    shifted = lin_ccc(A0, A0 + 20)
    assert shifted.parts["pearson"] == pytest.approx(1.0)
    assert shifted.estimate < 0.7


def test_bland_altman_golden():
    result = bland_altman(A0, B0)
    assert (result.bias.estimate, result.bias.low, result.bias.high) == (to4(0.0833), to4(-1.6611), to4(1.8278))
    assert result.sd == to4(2.7455)
    assert (result.lower.estimate, result.upper.estimate) == (to4(-5.2979), to4(5.4646))
    assert result.lower.parts["se"] == to4(1.3944)
    assert result.upper.low < result.upper.estimate < result.upper.high


def test_bland_altman_agrees_with_scipy_and_takes_other_limits():
    from scipy import stats

    assert bland_altman(A0, B0).bias.p == pytest.approx(stats.ttest_rel(A0, B0).pvalue)
    assert bland_altman(A0, B0, limits=0.80).upper.estimate == to4(0.0833 + 3.5187)
    assert math.isnan(bland_altman([1, 2, 3], [0, 1, 2]).bias.p)
    with pytest.raises(ScoringError, match="2 complete rows"):
        bland_altman([1, 2, None], [1, 2, 3])


@pytest.mark.parametrize(("weights", "expected"), [("none", 0.5925), ("linear", 0.6758), ("quadratic", 0.7603)])
def test_kappa_golden(weights, expected):
    result = kappa_from_table(KAPPA, weights)
    assert result.kappa.estimate == to4(expected)
    assert result.raw_agreement.estimate == to4(0.7286)
    assert result.kappa.low < expected < result.kappa.high
    assert result.kappa.p < 1e-6


def test_kappa_of_readings_equals_that_of_their_table():
    first = [row for row in range(3) for column in range(3) for _ in range(KAPPA[row][column])]
    second = [column for row in range(3) for column in range(3) for _ in range(KAPPA[row][column])]
    result = weighted_kappa([*first, None], [*second, 1], "linear")
    assert result.kappa.estimate == pytest.approx(kappa_from_table(KAPPA, "linear").kappa.estimate)
    assert result.kappa.n_dropped == result.raw_agreement.n_dropped == 1
    assert weighted_kappa(first, second, categories=[0, 1, 2]).kappa == kappa_from_table(KAPPA).kappa


def test_kappa_paradox_shows_raw_agreement():
    rare = kappa_from_table([[95, 2], [3, 0]], "none")
    assert rare.kappa.estimate < 0
    assert rare.raw_agreement.estimate == pytest.approx(0.95)
    assert rare.prevalence_adjusted == pytest.approx(0.9)


def test_kappa_of_one_grade_is_undefined():
    for table in ([[5]], [[5, 0], [0, 0]]):
        result = kappa_from_table(table)
        assert math.isnan(result.kappa.estimate)
        assert result.kappa.warnings
        assert result.raw_agreement.estimate == 1.0


@pytest.mark.parametrize("table", [[[1, 2]], [[1, -1], [0, 1]], [[0.5, 1], [1, 1]], [[None, 1], [1, 1]], [[0, 0], [0, 0]], [[]]])
def test_kappa_refuses_tables(table):
    with pytest.raises(ScoringError, match="table"):
        kappa_from_table(table)


def test_kappa_refuses_grades_and_weights():
    with pytest.raises(ScoringError, match="second"):
        weighted_kappa([0, 1], [0, 3], categories=[0, 1, 2])
    with pytest.raises(ScoringError, match="weights"):
        kappa_from_table(KAPPA, "cubic")


@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=4, max_size=30))
def test_kappa_bounds_and_exchange_of_readers(pairs):
    first, second = zip(*pairs, strict=True)
    one, other = weighted_kappa(first, second), weighted_kappa(second, first)
    assert one.kappa.estimate == pytest.approx(other.kappa.estimate, nan_ok=True)
    if not math.isnan(one.kappa.estimate):
        assert -1 - 1e-12 <= one.kappa.estimate <= 1 + 1e-12
        assert not one.kappa.low > one.kappa.estimate
        assert not one.kappa.high < one.kappa.estimate
    assert 0 <= one.raw_agreement.estimate <= 1


def test_measurement_error_golden():
    assert sem(STATUS).estimate == to4(1.9414)
    assert sdd(STATUS).estimate == to4(5.3812)
    assert sdd(STATUS, share=0.80).estimate == to4(3.5187)
    assert sdc(CHANGE).parts["sd_of_differences"] == to4(2.2208)
    assert sdc(CHANGE).estimate == to4(3.0778)
    assert sdc(CHANGE, n_readers=2).estimate == to4(2.1764)
    assert sem(STATUS).low < 1.9414 < sem(STATUS).high


def test_sem_of_three_readers_is_the_root_of_the_error_mean_square():
    three = np.array(SHROUT_FLEISS, float)[:, :3]
    assert sem(three).estimate == pytest.approx(math.sqrt(mean_squares(three).error))
    with pytest.raises(ScoringError, match="n_readers"):
        sdc(CHANGE, n_readers=0)


def test_responsiveness_golden():
    result = srm(MEAN0, MEAN1)
    assert result.estimate == to4(-1.1261)
    assert (result.parts["mean_change"], result.parts["sd"]) == (to4(-6.5417), to4(5.8093))
    assert kazis(MEAN0, MEAN1).estimate == to4(-0.4188)
    assert result.low < result.estimate < result.high < 0
    assert result.p < 0.01


def test_share_beyond_the_sdc_golden():
    change = MEAN1 - MEAN0
    assert change_beyond(change, 2.1764).improved.parts["n_positive"] == 9
    assert change_beyond(change, 3.0778).improved.parts["n_positive"] == 7


def test_change_beyond_counts_every_patient_once_in_either_direction():
    shares = change_beyond([-5, 5, 0, None], 2)
    assert [share.parts["n_positive"] for share in (shares.improved, shares.worsened, shares.unchanged)] == [1, 1, 1]
    assert shares.improved.n_dropped == 1
    assert change_beyond([5, 5, 0], 2, lower_is_better=False).improved.parts["n_positive"] == 2
    assert change_beyond([-2, 2], 2).unchanged.estimate == 1.0
    with pytest.raises(ScoringError, match="sdc"):
        change_beyond([1], -1)


def test_guyatt_divides_by_the_stable():
    result = guyatt([-4, -6, -5, None], [-1, 1, 0])
    assert result.estimate == pytest.approx(-5.0)
    assert (result.n_used, result.n_dropped) == (3, 1)
    assert result.low < -5 < result.high


@pytest.mark.parametrize(
    "effect", [srm([1, 2], [2, 3]), srm([1, 2, 3], [2, 3, 4]), kazis([1, 1, 1], [2, 3, 4]), guyatt([1, 2, 3], [1])]
)
def test_responsiveness_without_spread_is_undefined(effect):
    assert math.isnan(effect.estimate)
    assert effect.warnings


def test_uniform_change_has_an_effect_size_without_p():
    result = kazis([1, 2, 3], [2, 3, 4])
    assert result.estimate == 1.0
    assert math.isnan(result.p)


@pytest.mark.parametrize(("value", "band"), [(0.1, "trivial"), (-0.2, "small"), (0.5, "moderate"), (-0.8, "large"), (2, "large")])
def test_responsiveness_bands(value, band):
    assert responsiveness_band(value) == band


@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=4, max_size=15), scale=st.integers(1, 50))
def test_unit_change_scales_errors_and_leaves_effects_alone(pairs, scale):
    before, after = (np.array(column, float) for column in zip(*pairs, strict=True))
    assert srm(before * scale, after * scale).estimate == pytest.approx(srm(before, after).estimate, nan_ok=True)
    table = np.column_stack([before, after])
    assert sem(table * scale).estimate == pytest.approx(sem(table).estimate * scale)
    assert sem(table[:, ::-1]).estimate == pytest.approx(sem(table).estimate)
    for one, other in itertools.pairwise((sdd(table, 0.8).estimate, sdd(table, 0.95).estimate, sdd(table, 0.99).estimate)):
        assert one <= other
