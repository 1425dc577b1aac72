"""Partial, repeated-measures and clustered correlation, with pingouin as the second implementation."""

import math
import warnings

import numpy as np
import pandas as pd
import pingouin
import pytest

from scoring.errors import ScoringError
from scoring.statistics.adjusted_correlation import (
    cluster_bootstrap,
    clustered_correlation,
    partial_correlation,
    repeated_measures_correlation,
)
from scoring.statistics.correlation import spearman


@pytest.fixture
def visits():
    random = np.random.default_rng(0)
    patient = np.repeat(np.arange(20), 3)
    x = random.normal(size=60)
    covariates = random.normal(size=(60, 2)) + x[:, None]
    y = 0.5 * x + patient + random.normal(size=60)
    return pd.DataFrame({"x": x, "y": y, "patient": patient, "a": covariates[:, 0], "b": covariates[:, 1]})


def oracle(call):
    """pingouin warns about its own plumbing (pandas, numpy); only its numbers count here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_partial_agrees_with_pingouin(visits, method):
    expected = oracle(lambda: pingouin.partial_corr(visits, "x", "y", ["a", "b"], method=method)).iloc[0]
    result = partial_correlation(visits["x"], visits["y"], visits[["a", "b"]], method)
    assert result.estimate == pytest.approx(expected["r"])
    assert result.p == pytest.approx(expected["p_val"])
    assert [result.low, result.high] == pytest.approx(list(expected["CI95"]), abs=0.006)
    assert result.parts["k"] == 2


def test_partial_drops_and_counts_rows(visits):
    holed = visits.copy()
    holed.loc[3, "x"] = math.nan
    holed.loc[5, "b"] = math.nan
    result = partial_correlation(holed["x"], holed["y"], holed[["a", "b"]])
    assert (result.n_used, result.n_dropped) == (58, 2)


def test_partial_of_what_the_covariates_explain_is_undefined(visits):
    result = partial_correlation(visits["a"] * 2, visits["y"], visits[["a", "b"]])
    assert math.isnan(result.estimate)
    assert result.warnings
    assert math.isnan(partial_correlation([1, 2, 3], [1, 3, 2], [[1], [2], [4]]).estimate)


def test_partial_with_few_rows_has_no_interval():
    result = partial_correlation([1, 2, 3, 5], [1, 3, 2, 6], [[1], [2], [4], [1]])
    assert not math.isnan(result.estimate)
    assert math.isnan(result.low)


def test_partial_refusals(visits):
    with pytest.raises(ScoringError, match="method"):
        partial_correlation(visits["x"], visits["y"], visits[["a"]], "kendall")
    with pytest.raises(ScoringError, match="y"):
        partial_correlation(visits["x"], visits["y"][:-1], visits[["a"]])


def test_repeated_measures_agrees_with_pingouin(visits):
    expected = oracle(lambda: pingouin.rm_corr(visits, "x", "y", "patient")).iloc[0]
    result = repeated_measures_correlation(visits["x"], visits["y"], visits["patient"].tolist())
    assert result.estimate == pytest.approx(expected["r"])
    assert result.p == pytest.approx(expected["pval"])
    assert result.parts == {"df": expected["dof"], "n_patients": 20}
    assert [result.low, result.high] == pytest.approx(list(expected["CI95"]), abs=0.006)


def test_repeated_measures_sees_through_differences_between_patients():
    x = [1, 2, 3, 11, 12, 13, 21, 22, 23]
    y = [23, 24, 25, 13, 14, 15, 3, 4, 5]
    result = repeated_measures_correlation(x, y, ["a"] * 3 + ["b"] * 3 + ["c"] * 3)
    assert result.estimate == pytest.approx(1.0)
    assert (result.low, result.high) == (1.0, 1.0)


def test_repeated_measures_without_repeats_is_undefined():
    result = repeated_measures_correlation([1, 2, 3, None], [1, 3, 2, 4], ["a", "b", "c", "a"])
    assert math.isnan(result.estimate)
    assert result.n_dropped == 1
    flat = repeated_measures_correlation([0.1, 0.1, 0.1, 0.2, 0.2, 0.2], [1, 2, 3, 4, 5, 6], list("aaabbb"))
    assert math.isnan(flat.estimate)


def test_two_hips_of_a_patient_widen_the_interval():
    random = np.random.default_rng(5)
    latent = random.normal(size=40)
    one_hip = latent + random.normal(size=40)
    x, y = np.repeat(latent, 2), np.repeat(one_hip, 2)
    patient = np.repeat(np.arange(40), 2).tolist()
    clustered = clustered_correlation(x, y, patient, n_resamples=400)
    naive = spearman(x, y)
    assert clustered.estimate == pytest.approx(naive.estimate)
    assert clustered.high - clustered.low > 1.2 * (naive.high - naive.low)
    assert clustered.n_used == 80
    assert clustered.parts["n_patients"] == 40


def test_bootstrap_is_repeatable_and_drops_are_counted():
    x, y, patient = [1, 2, 3, 4, 5, 6, None, 8], [2, 1, 4, 3, 6, 5, 7, 8], list("aabbccdd")
    one = clustered_correlation(x, y, patient, "pearson", n_resamples=200, seed=4)
    assert one == clustered_correlation(x, y, patient, "pearson", n_resamples=200, seed=4)
    assert one.n_dropped == 1
    assert one.name == "Pearson r, clustered by patient"


def test_undefined_resamples_are_left_out_and_said():

    def mean_of_different(rows):
        return math.nan if len(np.unique(rows)) < 2 else float(rows.mean())

    result = cluster_bootstrap(mean_of_different, [[1.0], [2.0]], ["a", "b"])
    assert result.parts["n_undefined"] > 0
    assert "gave no value" in result.warnings[0]
    assert result.estimate == result.low == result.high == 1.5
    nothing = cluster_bootstrap(lambda rows: math.nan, [[1.0], [2.0]], ["a", "b"], n_resamples=100)
    assert math.isnan(nothing.low)
    assert math.isnan(nothing.p)


def test_bootstrap_p_is_about_zero():
    rows = np.random.default_rng(2).normal(size=(60, 1))
    patient = list(range(60))
    assert cluster_bootstrap(lambda table: float(table.mean()), rows, patient, n_resamples=300).p > 0.05
    assert cluster_bootstrap(lambda table: float(table.mean()) + 5, rows, patient, n_resamples=300).p == pytest.approx(2 / 301)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"patient": ["a", "b", "c"]}, "patient"),
        ({"patient": ["a", "a"]}, "patient"),
        ({"n_resamples": 10}, "n_resamples"),
        ({"table": [[1.0], [math.nan]]}, "table"),
        ({"level": 0.0}, "level"),
    ],
)
def test_bootstrap_refusals(arguments, field):
    given = {"statistic": lambda rows: 0.0, "table": [[1.0], [2.0]], "patient": ["a", "b"], **arguments}
    with pytest.raises(ScoringError) as caught:
        cluster_bootstrap(**given)
    assert caught.value.field == field
