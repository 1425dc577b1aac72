"""Checks of arguments, and which packages scoring may import."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest

import scoring
from scoring import checks
from scoring.errors import ScoringError

ALLOWED = {"numpy", "scipy", "statsmodels", "scoring"}


def test_error_names_field_value_and_allowed_range():
    with pytest.raises(ScoringError) as caught:
        checks.number("crp_mg_l", 700, 0, 500, "mg/L")
    assert str(caught.value) == "crp_mg_l is 700; allowed: a number from 0 to 500 mg/L"
    assert (caught.value.field, caught.value.value, caught.value.allowed) == ("crp_mg_l", 700, "a number from 0 to 500 mg/L")
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("value", [1, 1.5, np.float32(2), np.int64(3)])
def test_numbers_of_any_kind_are_numbers(value):
    assert checks.number("x", value) == float(value)


@pytest.mark.parametrize("value", [True, np.True_, "1", None, math.nan, math.inf, [1], 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ScoringError, match="x is"):
        checks.number("x", value)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(-math.inf, math.inf, "a finite number"), (0, math.inf, "a number of at least 0"), (0, 10, "a number from 0 to 10")],
)
def test_ranges_in_words(low, high, text):
    assert checks.describe_range(low, high) == text
    assert checks.describe_range(low, high, "mm") == f"{text} mm"


def test_choice_refuses_nan_and_strangers():
    checks.choice("x", 1, (0, 1))
    for value in (2, math.nan, "1"):
        with pytest.raises(ScoringError, match="one of 0, 1"):
            checks.choice("x", value, (0, 1))


def test_boolean():
    assert checks.boolean("x", np.True_) is True
    for value in (1, "true", None):
        with pytest.raises(ScoringError, match="true or false"):
            checks.boolean("x", value)


def imported_packages(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "scoring").split(".")[0]


def test_scoring_imports_numpy_scipy_statsmodels_and_the_standard_library_only():
    import sys

    folder = Path(scoring.__file__).parent
    files = sorted(folder.rglob("*.py"))
    assert len(files) > 40
    for path in files:
        foreign = set(imported_packages(path)) - ALLOWED - set(sys.stdlib_module_names)
        assert not foreign, f"{path.relative_to(folder)} imports {foreign}"


def test_no_file_is_long():
    for path in sorted(Path(scoring.__file__).parent.rglob("*.py")):
        assert len(path.read_text("utf-8").splitlines()) <= 350, path
