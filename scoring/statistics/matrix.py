"""The correlation table of many scores: each pair with interval, n, corrections, stars and part–whole flag."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.correlation import METHODS, NOTES, TITLES, correlate, interval, linear_p, unit_columns
from scoring.statistics.estimate import Estimate
from scoring.statistics.multiplicity import adjust, stars
from scoring.statistics.pairwise import pairwise_pearson, pairwise_spearman
from scoring.statistics.rows import Floats

ROUNDING = 1e-12
SMALLEST = 1e-140
DELETIONS = ("pairwise", "listwise")
_STIFFNESS_ITEMS = frozenset({"BASDAI question 2", "BASDAI question 3", "BASDAI question 6", "patient global"})
_BASDAI = frozenset(f"BASDAI question {number}" for number in range(1, 7))

# What each score is made of. Two scores that share an ingredient correlate by construction.
INGREDIENTS: dict[str, frozenset[str]] = {
    "basdai": _BASDAI,
    "morning_stiffness": frozenset({"BASDAI question 5", "BASDAI question 6"}),
    "back_pain": frozenset({"BASDAI question 2"}),
    "peripheral_pain": frozenset({"BASDAI question 3"}),
    "stiffness_duration": frozenset({"BASDAI question 6"}),
    "patient_global": frozenset({"patient global"}),
    "asdas_crp": _STIFFNESS_ITEMS | {"CRP"},
    "asdas_esr": _STIFFNESS_ITEMS | {"ESR"},
    "crp": frozenset({"CRP"}),
    "crp_mg_l": frozenset({"CRP"}),
    "crp_mg_dl": frozenset({"CRP"}),
    "esr": frozenset({"ESR"}),
    "esr_mm_h": frozenset({"ESR"}),
    "himriss": frozenset({"HIMRISS femoral BME", "HIMRISS acetabular BME", "HIMRISS effusion"}),
    "himriss_total": frozenset({"HIMRISS femoral BME", "HIMRISS acetabular BME", "HIMRISS effusion"}),
    "himriss_bme": frozenset({"HIMRISS femoral BME", "HIMRISS acetabular BME"}),
    "himriss_femoral": frozenset({"HIMRISS femoral BME"}),
    "himriss_femoral_bme": frozenset({"HIMRISS femoral BME"}),
    "himriss_acetabular": frozenset({"HIMRISS acetabular BME"}),
    "himriss_acetabular_bme": frozenset({"HIMRISS acetabular BME"}),
    "himriss_effusion": frozenset({"HIMRISS effusion"}),
    "himriss_synovitis": frozenset({"HIMRISS effusion"}),
    "unet_score": frozenset({"UNet femoral BME", "UNet acetabular BME", "UNet synovitis"}),
    "unet_mean_per_slice": frozenset({"UNet femoral BME", "UNet acetabular BME", "UNet synovitis"}),
    "unet_lesion_ml": frozenset({"UNet femoral BME", "UNet acetabular BME", "UNet synovitis"}),
    "unet_bme": frozenset({"UNet femoral BME", "UNet acetabular BME"}),
    "unet_bme_femoral": frozenset({"UNet femoral BME"}),
    "unet_bme_acetabular": frozenset({"UNet acetabular BME"}),
    "unet_synovitis": frozenset({"UNet synovitis"}),
}


@dataclass(frozen=True)
class Pair:
    """One cell of the table.

    Attributes
    ----------
    first, second : str
    estimate : Estimate
        r with its interval, unadjusted p, n used and n dropped.
    holm, benjamini_hochberg, bonferroni : float
        p adjusted over all pairs of the table that could be tested.
    stars : str
        From the unadjusted p: * < 0.05, ** < 0.01, *** < 0.001, - otherwise, "" where there is none.
    shared : tuple of str
        Ingredients that both scores contain; not empty for a part–whole pair.
    """

    first: str
    second: str
    estimate: Estimate
    holm: float
    benjamini_hochberg: float
    bonferroni: float
    stars: str
    shared: tuple[str, ...]

    @property
    def is_part_whole(self) -> bool:
        """True when the two scores share an ingredient."""
        return bool(self.shared)


@dataclass(frozen=True)
class CorrelationMatrix:
    """Every pair of the columns, in the order of the columns."""

    names: tuple[str, ...]
    method: str
    deletion: str
    n_rows: int
    pairs: tuple[Pair, ...]

    def pair(self, first: str, second: str) -> Pair:
        """The cell of two columns, in either order."""
        for pair in self.pairs:
            if {pair.first, pair.second} == {first, second}:
                return pair
        raise ScoringError("pair", (first, second), "two different columns of " + ", ".join(self.names))


def correlation_matrix(
    columns: Mapping[str, npt.ArrayLike],
    method: str = "spearman",
    *,
    deletion: str = "pairwise",
    level: float = 0.95,
    ingredients: Mapping[str, frozenset[str]] | None = None,
) -> CorrelationMatrix:
    """Correlations of all pairs of columns, with intervals, corrections for multiplicity and part–whole flags.

    Parameters
    ----------
    columns : name → float, all of one length, at least two
        NaN or None means missing.
    method : "pearson", "spearman" or "kendall"
    deletion : "pairwise" or "listwise"
        Rows are dropped where a value of the pair, or of any column, is missing; n is given per cell.
    level : float, 0–1
    ingredients : name → what the score is made of, optional
        Added to `INGREDIENTS`; two columns that share an ingredient are flagged.

    Raises
    ------
    ScoringError
        For an unknown method or deletion, fewer than two columns, unequal lengths, infinite values.

    References
    ----------
    As `correlate`; Holm 1979, Benjamini & Hochberg 1995.
    """
    checks.choice("method", method, METHODS)
    checks.choice("deletion", deletion, DELETIONS)
    level = checks.level(level)
    names, table = tuple(columns), _stack(columns)
    n_rows = table.shape[1]
    is_complete = _is_complete(table)
    if not is_complete and deletion == "listwise":
        table, is_complete = table[:, ~np.isnan(table).any(axis=0)], True
    estimates = _estimates(table, method, level, is_complete, n_rows)
    p = np.array([estimate.p for estimate in estimates])
    adjusted = [adjust(p, correction).tolist() for correction in ("holm", "benjamini-hochberg", "bonferroni")]
    known = {**INGREDIENTS, **(ingredients or {})}
    pairs = tuple(
        Pair(a, b, estimate, holm, bh, bonferroni, stars(estimate.p), _shared(known, a, b))
        for (a, b), estimate, holm, bh, bonferroni in zip(itertools.combinations(names, 2), estimates, *adjusted, strict=True)
    )
    return CorrelationMatrix(names, method, deletion, n_rows, pairs)


def _stack(columns: Mapping[str, npt.ArrayLike]) -> Floats:
    if len(columns) < 2:
        raise ScoringError("columns", list(columns), "at least two columns")
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = np.asarray(values, np.float64)
        except (TypeError, ValueError) as error:
            raise ScoringError(name, "values that are not numbers", "numbers, NaN or None for missing") from error
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) != 1:
        raise ScoringError("columns", {name: a.shape for name, a in arrays.items()}, "one-dimensional, of one length")
    return np.stack(list(arrays.values()))


def _is_complete(table: Floats) -> bool:
    """True when nothing is missing; infinite values are refused. The sum answers both at once for clean data."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(table.sum()):
            return True
    if np.isinf(table).any():
        raise ScoringError("columns", "inf", "finite numbers, NaN for missing")
    return not np.isnan(table).any()


def _estimates(table: Floats, method: str, level: float, is_complete: bool, n_rows: int) -> list[Estimate]:
    if method == "kendall":
        return [_recounted(correlate(a, b, method, level), n_rows) for a, b in itertools.combinations(table, 2)]
    r, n = _coefficients(table, method, is_complete)
    low, high = interval(r, n, method, level)
    p = linear_p(r, n)
    return [
        Estimate(
            TITLES[method],
            float(r[cell]),
            float(low[cell]),
            float(high[cell]),
            float(p[cell]),
            int(n[cell]),
            n_rows - int(n[cell]),
            level,
            NOTES[method],
            ("too few complete rows, or a column that does not vary",) if np.isnan(r[cell]) else (),
        )
        for cell in range(len(r))
    ]


def _coefficients(table: Floats, method: str, is_complete: bool) -> tuple[Floats, Floats]:
    """Coefficients and row counts of the upper triangle, row by row."""
    if not is_complete:
        return pairwise_pearson(table) if method == "pearson" else pairwise_spearman(table)
    upper = np.triu_indices(len(table), 1)
    n = table.shape[1]
    if n < 3:
        return np.full(len(upper[0]), np.nan), np.full(len(upper[0]), float(n))
    values = stats.rankdata(table, axis=1) if method == "spearman" else table
    return np.clip(_complete_coefficients(values), -1.0, 1.0)[upper], np.full(len(upper[0]), float(n))


def _complete_coefficients(table: Floats) -> Floats:
    """Coefficients of a complete table: one product, and the careful way where its digits cannot be trusted."""
    mean = table.mean(axis=1)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        centred = table - mean[:, None]
        products = centred @ centred.T
        length = np.sqrt(np.diag(products))
        noise = np.maximum(np.abs(mean) * ROUNDING * np.sqrt(table.shape[1]), SMALLEST)
        if np.isfinite(products).all() and (length > noise).all():
            return np.asarray(products / length / length[:, None])
    unit = unit_columns(table)
    return np.asarray(unit @ unit.T)


def _recounted(estimate: Estimate, n_rows: int) -> Estimate:
    """The estimate with the rows that list-wise deletion dropped before."""
    return Estimate(**{**vars(estimate), "n_dropped": n_rows - estimate.n_used})


def _shared(ingredients: Mapping[str, frozenset[str]], first: str, second: str) -> tuple[str, ...]:
    empty: frozenset[str] = frozenset()
    return tuple(sorted(ingredients.get(first, empty) & ingredients.get(second, empty)))
