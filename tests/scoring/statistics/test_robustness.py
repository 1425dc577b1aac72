"""No statistic lets a numerical warning or any error but `ScoringError` escape, whatever numbers it is given."""

import contextlib
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.errors import ScoringError
from scoring.statistics import agreement, correlation, groups, matrix, method_comparison, responsiveness, tables
from scoring.statistics.adjusted_correlation import partial_correlation, repeated_measures_correlation
from scoring.statistics.icc_mixed import icc_mixed
from scoring.statistics.measurement_error import sem

NUMBERS = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-100, 100),
    st.floats(-1e-15, 1e-15),
    st.floats(-1e20, 1e20),
    st.none(),
)
PAIRS = st.integers(3, 8).flatmap(lambda n: st.tuples(*[st.lists(NUMBERS, min_size=n, max_size=n)] * 2))


def table(a, b):
    return np.array([a, b], float).T


def mixed(a, b):
    n = len(a)
    return icc_mixed(table(a, b).ravel(), np.repeat(np.arange(n), 2).tolist(), [0, 1] * n)


STATISTICS = {
    **{name: lambda a, b, name=name: correlation.correlate(a, b, name) for name in correlation.METHODS},
    **{f"ICC({form})": lambda a, b, form=form: agreement.icc(table(a, b), form) for form in agreement.FORMS},
    "matrix pearson": lambda a, b: matrix.correlation_matrix({"a": a, "b": b, "c": a[::-1]}, "pearson"),
    "matrix spearman": lambda a, b: matrix.correlation_matrix({"a": a, "b": b, "c": a[::-1]}, "spearman"),
    "mixed": mixed,
    "ccc": method_comparison.lin_ccc,
    "bland-altman": method_comparison.bland_altman,
    "kappa": method_comparison.weighted_kappa,
    "sem": lambda a, b: sem(table(a, b)),
    "srm": responsiveness.srm,
    "kazis": responsiveness.kazis,
    "guyatt": responsiveness.guyatt,
    "t": groups.unpaired_t,
    "welch": groups.welch_t,
    "mann-whitney": groups.mann_whitney,
    "choice": groups.compare_values,
    "table one": lambda a, b: tables.table_one({"a": a, "b": b}, groups=["x", "y"] * (len(a) // 2) + ["x"] * (len(a) % 2)),
    "repeated": lambda a, b: repeated_measures_correlation(a, b, [index // 2 for index in range(len(a))]),
    "partial": lambda a, b: partial_correlation(a, b, table(a[::-1], a)[:, :1]),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_nothing_but_scoring_errors_escapes(name):
    @settings(max_examples=15 if name == "mixed" else 40, deadline=None)
    @given(pair=PAIRS)
    def check(pair):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with contextlib.suppress(ScoringError):
                assert STATISTICS[name](*pair) is not None

    check()


def test_absurd_sizes_are_refused():
    with pytest.raises(ScoringError, match="at most 1e\\+20 in size"):
        correlation.pearson([1e21, 1, 2], [1, 2, 3])
