"""Correlations: the vectors of domain.md §3.1, scipy and pingouin as second implementations, invariants."""

import math
import warnings

import numpy as np
import pandas as pd
import pingouin
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from scoring.errors import ScoringError
from scoring.statistics.correlation import METHODS, correlate, interval, kendall, linear_p, pearson, spearman
from scoring.statistics.matrix import correlation_matrix
from scoring.statistics.multiplicity import adjust, stars

X = (12, 30, 8, 45, 22, 15, 60, 5, 18, 33, 27, 40)
Y = (2.1, 3.0, 1.4, 3.6, 2.6, 2.6, 4.1, 1.2, 1.9, 3.3, 2.8, 2.9)


def test_pearson_golden():
    result = pearson(X, Y)
    assert result.estimate == pytest.approx(0.9323, abs=5e-5)
    assert (result.low, result.high) == (pytest.approx(0.7707, abs=5e-5), pytest.approx(0.9812, abs=5e-5))
    assert result.p == pytest.approx(1.0e-5, abs=5e-7)
    assert (result.n_used, result.n_dropped, result.name) == (12, 0, "Pearson r")


def test_spearman_golden():
    result = spearman(X, Y)
    assert result.estimate == pytest.approx(0.9527, abs=5e-5)
    assert (result.low, result.high) == (pytest.approx(0.7905, abs=5e-5), pytest.approx(0.9900, abs=5e-5))
    assert result.p == pytest.approx(1.7e-6, abs=5e-8)


def test_kendall_golden():
    result = kendall(X, Y)
    assert result.estimate == pytest.approx(0.8703, abs=5e-5)
    assert result.p == pytest.approx(stats.kendalltau(X, Y).pvalue)
    assert result.low < result.estimate < result.high < 1


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_p_and_interval_agree_with_scipy_and_pingouin(method):
    expected = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}[method](X, Y)
    result = correlate(X, Y, method)
    assert result.estimate == pytest.approx(expected.statistic)
    assert result.p == pytest.approx(expected.pvalue, rel=1e-9)
    if method == "pearson":
        low, high = pingouin.compute_esci(result.estimate, len(X), eftype="r", decimals=6)
        assert (result.low, result.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


@pytest.mark.parametrize("method", METHODS)
def test_missing_rows_are_dropped_and_counted(method):
    result = correlate([*X, None, 3], [*Y, 1.0, math.nan], method)
    assert result == correlate(X, Y, method).__class__(**{**vars(correlate(X, Y, method)), "n_dropped": 2})


@pytest.mark.parametrize("method", METHODS)
def test_undefined_is_nan_with_a_reason(method):
    few = correlate([1, 2, None], [1, 2, 3], method)
    assert math.isnan(few.estimate)
    assert "2 complete" in few.warnings[0]
    assert "x does not vary" in correlate([1, 1, 1, 1], [1, 2, 3, 4], method).warnings[0]
    assert "y does not vary" in correlate([1, 2, 3, 4], [1, 1, 1, 1], method).warnings[0]


def test_three_rows_have_an_estimate_without_an_interval():
    result = pearson([1, 2, 3], [1, 2, 4])
    assert result.estimate == pytest.approx(0.9820, abs=5e-5)
    assert math.isnan(result.low)


def test_perfect_correlation():
    result = pearson([1, 2, 3, 4, 5], [2, 4, 6, 8, 10])
    assert (result.estimate, result.low, result.high, result.p) == (1.0, 1.0, 1.0, 0.0)


def test_extreme_sizes_neither_overflow_nor_vanish():
    for size in (1e-12, 1e18):
        assert pearson(np.array(X) * size, Y).estimate == pytest.approx(pearson(X, Y).estimate)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: correlate(X, Y, "gamma"), "method"),
        (lambda: correlate(X, Y[:-1]), "y"),
        (lambda: correlate(X, Y, level=1.0), "level"),
        (lambda: correlate(X, Y, level=1.5), "level"),
        (lambda: correlate([math.inf, 1, 2], [1, 2, 3]), "x"),
        (lambda: correlate(["a", "b"], [1, 2]), "x"),
        (lambda: correlate([[1, 2]], [[1, 2]]), "x"),
        (lambda: interval(1.5, 10, "pearson"), "r"),
    ],
)
def test_refusals_name_the_field(call, field):
    with pytest.raises(ScoringError) as caught:
        call()
    assert caught.value.field == field


def test_critical_r_of_the_article():
    """domain.md §0.3: critical |r| at n = 195."""
    for r, p in ((0.1406, 0.05), (0.1841, 0.01), (0.2339, 0.001)):
        assert linear_p(r, 195) == pytest.approx(p, rel=0.01)
    assert math.isnan(linear_p(0.5, 2))


columns = st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=5, max_size=25)


@settings(max_examples=60, deadline=None)
@given(pairs=columns, scale=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_bounds_symmetry_and_unit_change(pairs, scale, shift):
    x, y = (np.array(column, float) for column in zip(*pairs, strict=True))
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    for method in METHODS:
        one = correlate(x, y, method)
        assert -1 <= one.estimate <= 1
        assert one.low <= one.estimate + 1e-12
        assert one.estimate <= one.high + 1e-12
        assert correlate(y, x, method).estimate == pytest.approx(one.estimate, abs=1e-9)
        assert correlate(-x, y, method).estimate == pytest.approx(-one.estimate, abs=1e-9)
    assert pearson(x * scale + shift, y).estimate == pytest.approx(pearson(x, y).estimate, abs=1e-7)
    assert spearman(x**3, y).estimate == pytest.approx(spearman(x, y).estimate, abs=1e-9)


P = (0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("benjamini-hochberg", (0.010, 0.040, 0.084, 0.084, 0.084, 0.100, 0.1057, 0.216, 0.216, 0.216)),
        ("holm", (0.010, 0.072, 0.312, 0.312, 0.312, 0.312, 0.312, 0.615, 0.615, 0.615)),
        ("bonferroni", (0.01, 0.08, 0.39, 0.41, 0.42, 0.60, 0.74, 1, 1, 1)),
    ],
)
def test_multiplicity_golden(method, expected):
    assert adjust(P, method) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("method", "name"), [("holm", "holm"), ("benjamini-hochberg", "fdr_bh"), ("bonferroni", "bonf")])
def test_multiplicity_agrees_with_pingouin(method, name):
    p = np.random.default_rng(3).random(30) ** 2
    assert adjust(p, method) == pytest.approx(pingouin.multicomp(p, method=name)[1])


def test_undefined_p_does_not_count_as_a_test():
    assert adjust([0.01, math.nan, 0.02], "bonferroni") == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)
    assert adjust([], "holm").size == 0


@pytest.mark.parametrize(("method", "expected"), [("holm", [9e-30, 4e-25, 0.01]), ("bonferroni", [9e-30, 6e-25, 0.03])])
def test_tiny_p_values_are_not_zero(method, expected):
    assert adjust([3e-30, 2e-25, 0.01], method) == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize("bad", [[-0.1, 0.5], [0.5, 1.1]])
def test_multiplicity_refuses_what_is_no_p(bad):
    with pytest.raises(ScoringError, match="p is"):
        adjust(bad)
    with pytest.raises(ScoringError, match="method"):
        adjust([0.5], "sidak")


@settings(max_examples=40, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=12), data=st.data())
def test_adjusted_p_is_never_smaller_and_follows_permutations(p, data):
    order = data.draw(st.permutations(range(len(p))))
    for method in ("holm", "benjamini-hochberg", "bonferroni"):
        adjusted = adjust(p, method)
        assert (adjusted >= np.array(p) - 1e-15).all()
        assert adjusted.max() <= 1
        assert adjust(np.array(p)[order], method) == pytest.approx(adjusted[order])


@pytest.mark.parametrize(
    ("p", "expected"), [(0.0009, "***"), (0.001, "**"), (0.0099, "**"), (0.01, "*"), (0.049, "*"), (0.05, "-"), (math.nan, "")]
)
def test_stars(p, expected):
    assert stars(p) == expected
    assert stars(p, is_three_star_used=False) == expected.replace("***", "**")


@pytest.fixture
def cohort():
    random = np.random.default_rng(7)
    latent = random.normal(size=80)
    table = {
        name: latent + random.normal(size=80) * noise
        for name, noise in (("asdas_crp", 0.5), ("crp_mg_l", 1.0), ("himriss", 1.5), ("vas", 2.0))
    }
    table["vas"] = np.round(table["vas"])
    return table


@pytest.fixture
def holed(cohort):
    random = np.random.default_rng(8)
    return {name: np.where(random.random(80) < 0.15, np.nan, values) for name, values in cohort.items()}


@pytest.mark.parametrize("method", METHODS)
def test_matrix_equals_pair_by_pair(cohort, holed, method):
    for table in (cohort, holed):
        matrix = correlation_matrix(table, method)
        assert len(matrix.pairs) == 6
        for pair in matrix.pairs:
            alone = correlate(table[pair.first], table[pair.second], method)
            for name in ("estimate", "low", "high", "p"):
                assert getattr(pair.estimate, name) == pytest.approx(getattr(alone, name), rel=1e-9, abs=1e-12)
            assert (pair.estimate.n_used, pair.estimate.n_dropped) == (alone.n_used, alone.n_dropped)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_matrix_agrees_with_pandas(holed, method):
    expected = pd.DataFrame(holed).corr(method=method)
    for pair in correlation_matrix(holed, method).pairs:
        assert pair.estimate.estimate == pytest.approx(expected.loc[pair.first, pair.second])


@pytest.mark.parametrize("method", METHODS)
def test_listwise_deletion_uses_the_same_rows_everywhere(holed, method):
    complete = pd.DataFrame(holed).dropna()
    matrix = correlation_matrix(holed, method, deletion="listwise")
    assert {pair.estimate.n_used for pair in matrix.pairs} == {len(complete)}
    assert {pair.estimate.n_dropped for pair in matrix.pairs} == {80 - len(complete)}
    cell = matrix.pair("himriss", "vas").estimate.estimate
    assert cell == pytest.approx(correlate(complete["himriss"], complete["vas"], method).estimate)


def test_matrix_adjusts_over_all_its_pairs_and_stars_the_unadjusted_p(cohort):
    matrix = correlation_matrix(cohort)
    p = [pair.estimate.p for pair in matrix.pairs]
    assert [pair.holm for pair in matrix.pairs] == pytest.approx(adjust(p, "holm").tolist())
    assert [pair.benjamini_hochberg for pair in matrix.pairs] == pytest.approx(adjust(p, "benjamini-hochberg").tolist())
    assert [pair.bonferroni for pair in matrix.pairs] == pytest.approx(adjust(p, "bonferroni").tolist())
    assert [pair.stars for pair in matrix.pairs] == [stars(value) for value in p]


def test_part_whole_pairs_are_flagged(cohort):
    matrix = correlation_matrix(cohort, ingredients={"vas": frozenset({"pain"}), "himriss": frozenset({"pain"})})
    flagged = {frozenset((pair.first, pair.second)): pair.shared for pair in matrix.pairs if pair.is_part_whole}
    assert flagged == {frozenset({"asdas_crp", "crp_mg_l"}): ("CRP",), frozenset({"himriss", "vas"}): ("pain",)}
    whole = correlation_matrix({"basdai": X, "asdas_esr": Y})
    assert whole.pairs[0].shared == ("BASDAI question 2", "BASDAI question 3", "BASDAI question 6")


def test_matrix_with_constant_few_and_extreme_columns():
    table = {"flat": [0.1] * 5, "up": [1, 2, 3, 4, 5], "huge": np.array([1, 3, 2, 5, 4]) * 1e200, "gone": [None] * 4 + [1]}
    for method in ("pearson", "spearman"):
        matrix = correlation_matrix(table, method)
        assert math.isnan(matrix.pair("flat", "up").estimate.estimate)
        assert matrix.pair("flat", "up").estimate.warnings
        assert matrix.pair("flat", "up").stars == ""
        assert matrix.pair("up", "huge").estimate.estimate == pytest.approx(0.8)
        assert math.isnan(matrix.pair("up", "gone").estimate.estimate)
        assert matrix.pair("up", "gone").estimate.n_used == 1
        complete = {name: table[name] for name in ("flat", "up", "huge")}
        assert correlation_matrix(complete, method).pair("up", "huge").estimate.estimate == pytest.approx(0.8)
        short = correlation_matrix({"up": [1, 2], "down": [2, 1]}, method)
        assert math.isnan(short.pairs[0].estimate.estimate)


def test_matrix_keeps_its_digits_where_a_pair_sees_a_sliver_of_the_spread():
    """Two columns whose common rows vary a million times less than the columns."""
    x = np.concatenate([np.array([1.0, 2, 3, 4, 5]) * 1e-6, [1e3, -1e3]])
    y = np.concatenate([np.array([2.0, 1, 4, 3, 5]), [np.nan, np.nan]])
    z = np.concatenate([np.array([2.0, 1, 4, 3, 5]), [1, np.nan]])
    matrix = correlation_matrix({"x": x, "y": y, "z": z}, "pearson")
    assert matrix.pair("x", "y").estimate.estimate == pytest.approx(0.8)


def test_matrix_that_overflows_its_sum_is_still_complete():
    table = {"x": [1e308, 1.5e308, 0.5e308, 1.2e308], "y": [1, 2, 0, 3]}
    assert correlation_matrix(table, "spearman").pairs[0].estimate.estimate == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("table", "arguments", "field"),
    [
        ({"x": X}, {}, "columns"),
        ({"x": X, "y": Y[:-1]}, {}, "columns"),
        ({"x": [X], "y": [Y]}, {}, "columns"),
        ({"x": X, "y": ["a"] * 12}, {}, "y"),
        ({"x": X, "y": [math.inf] * 12}, {}, "columns"),
        ({"x": X, "y": Y}, {"deletion": "mean"}, "deletion"),
        ({"x": X, "y": Y}, {"method": "gamma"}, "method"),
    ],
)
def test_matrix_refusals(table, arguments, field):
    with pytest.raises(ScoringError) as caught:
        correlation_matrix(table, **arguments)
    assert caught.value.field == field


def test_pair_of_unknown_columns_is_refused(cohort):
    with pytest.raises(ScoringError, match="pair"):
        correlation_matrix(cohort).pair("vas", "nothing")


def test_no_numerical_warning_escapes(holed):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in METHODS:
            correlation_matrix({**holed, "flat": np.ones(80), "empty": np.full(80, np.nan)}, method)
