"""No second formula: outside `scoring`, nothing holds a coefficient of an index or computes a statistic of its own."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("hipapp", "ml")
# Coefficients that can only mean ASDAS, BASMI or the Harris index, in either form.
COEFFICIENTS = {0.121, 0.579, 0.293, 0.079, 0.113, 21.1, 124.5, 89.3}
STATISTICS = {
    "pearsonr", "spearmanr", "kendalltau", "corrcoef", "rankdata", "cohens_kappa", "ttest_ind", "mannwhitneyu",
    "chi2_contingency", "fisher_exact", "multipletests", "proportion_confint", "distance_transform_bf", "directed_hausdorff",
}  # fmt: skip
FUNCTIONS = {"dice", "jaccard", "hd95", "assd", "icc", "basdai", "asdas", "asdas_crp", "asdas_esr", "harris", "basfi", "basmi"}


def sources():
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts]
    assert len(files) > 20
    return sorted(files)


def offences(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value in COEFFICIENTS:
            yield f"{path.relative_to(ROOT)}:{node.lineno} holds the coefficient {node.value}"
        if isinstance(node, ast.Attribute) and node.attr in STATISTICS:
            yield f"{path.relative_to(ROOT)}:{node.lineno} computes {node.attr}"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("scipy.stats", "statsmodels", "pingouin")):
            yield f"{path.relative_to(ROOT)}:{node.lineno} imports from {node.module}"
        if isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS and not is_wrapper(node):
            yield f"{path.relative_to(ROOT)}:{node.lineno} defines {node.name}"


def is_wrapper(function):
    """A property or wrapper of the same name is no formula as long as it does no arithmetic."""
    arithmetic = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
    return not any(isinstance(node, ast.BinOp) and isinstance(node.op, arithmetic) for node in ast.walk(function))


@pytest.mark.parametrize("package", PACKAGES)
def test_formulas_and_statistics_are_in_scoring_alone(package):
    found = [offence for path in sources() if path.is_relative_to(ROOT / package) for offence in offences(path)]
    assert found == []


def test_the_search_finds_what_it_looks_for(tmp_path, monkeypatch):
    bad = tmp_path / "bad.py"
    lines = ("from scipy.stats import rankdata", "def dice(a, b):", "    return 2 * a / b + 0.579", "numpy.corrcoef(1)")
    bad.write_text("\n".join(lines))
    monkeypatch.setattr("tests.scoring.test_one_place.ROOT", tmp_path)
    assert len(list(offences(bad))) == 4
