"""The line through a scatter, against NIST's certified values and statsmodels."""

import math
import warnings

import numpy as np
import pytest
import statsmodels.api as sm

from scoring.errors import ScoringError
from scoring.statistics.regression import straight_line

# NIST Statistical Reference Datasets, Linear Regression, "Norris" (certified values, 1995).
NORRIS_Y = [
    0.1, 338.8, 118.1, 888.0, 9.2, 228.1, 668.5, 998.5, 449.1, 778.9, 559.2, 0.3, 0.1, 778.1, 668.8, 339.3, 448.9, 10.8,
    557.7, 228.3, 998.0, 888.8, 119.6, 0.3, 0.6, 557.6, 339.3, 888.0, 998.5, 778.9, 10.2, 117.6, 228.9, 668.4, 449.2, 0.2,
]  # fmt: skip
NORRIS_X = [
    0.2, 337.4, 118.2, 884.6, 10.1, 226.5, 666.3, 996.3, 448.6, 777.0, 558.2, 0.4, 0.6, 775.5, 666.9, 338.0, 447.5, 11.6,
    556.0, 228.1, 995.8, 887.6, 120.2, 0.3, 0.3, 556.8, 339.1, 887.2, 999.0, 779.0, 11.1, 118.3, 229.2, 669.1, 448.9, 0.5,
]  # fmt: skip


def test_nist_norris():
    line = straight_line(NORRIS_X, NORRIS_Y)
    assert line.intercept.estimate == pytest.approx(-0.262323073774029, rel=1e-9)
    assert line.slope.estimate == pytest.approx(1.00211681802045, rel=1e-12)
    assert line.intercept.parts["se"] == pytest.approx(0.232818234301152, rel=1e-9)
    assert line.slope.parts["se"] == pytest.approx(0.429796848199937e-03, rel=1e-9)
    assert line.residual_sd == pytest.approx(0.884796396144373, rel=1e-9)
    assert line.r_squared == pytest.approx(0.999993745883712, rel=1e-12)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_band_is_that_of_statsmodels(level):
    random = np.random.default_rng(3)
    x = random.normal(10, 3, 40)
    y = 2 - 0.5 * x + random.normal(0, 2, 40)
    line = straight_line(x, y, level)
    fitted = sm.OLS(y, sm.add_constant(x)).fit()
    points = np.linspace(0, 20, 9)
    expected = fitted.get_prediction(sm.add_constant(points)).conf_int(alpha=1 - level)
    middle, low, high = line.at(points)
    np.testing.assert_allclose(np.stack([low, high], 1), expected, rtol=1e-10)
    np.testing.assert_allclose(middle, fitted.predict(sm.add_constant(points)), rtol=1e-10)
    np.testing.assert_allclose([line.slope.low, line.slope.high], fitted.conf_int(alpha=1 - level)[1], rtol=1e-10)
    assert line.slope.p == pytest.approx(fitted.pvalues[1], rel=1e-9)


def test_missing_rows_are_dropped_and_counted():
    line = straight_line([1, 2, None, 4, 5], [2, 4, 6, math.nan, 10])
    assert (line.slope.n_used, line.slope.n_dropped, line.slope.estimate) == (3, 2, pytest.approx(2))


def test_points_on_a_line_have_no_band():
    line = straight_line([0, 1, 2, 3], [1, 3, 5, 7])
    assert (line.slope.estimate, line.intercept.estimate, line.residual_sd) == (
        pytest.approx(2), pytest.approx(1), pytest.approx(0, abs=1e-12),
    )  # fmt: skip
    _, low, high = line.at([10])
    assert low[0] == pytest.approx(high[0])


def test_a_score_that_never_varies_has_a_flat_line():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        line = straight_line([1, 2, 3], [4, 4, 4])
    assert (line.slope.estimate, line.intercept.estimate) == (0, 4)
    assert math.isnan(line.r_squared)


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([], [])])
def test_too_little_is_refused(x, y):
    with pytest.raises(ScoringError):
        straight_line(x, y)
