"""Correlations of many columns with missing values: each pair over its own complete rows, without a pass per pair."""

import itertools

import numpy as np
import numpy.typing as npt

from scoring.statistics.correlation import MIN_ROWS, unit_columns
from scoring.statistics.rows import Floats

# Below this share of a column's variance, the sums of a pair have lost too many digits and are computed afresh.
CANCELLATION = 1e-6


def pairwise_pearson(table: Floats) -> tuple[Floats, Floats]:
    """Pearson coefficients and row counts of the upper triangle of a (variable, row) table with NaN.

    Notes
    -----
    Sums over the complete rows of all pairs come from five matrix products of the standardised, zero-filled columns. A
    pair whose variance nearly cancels there is computed directly.
    """
    present = ~np.isnan(table)
    filled, weight = _standardised(table, present), present.astype(np.float64)
    n = weight @ weight.T
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (filled @ weight.T) / n
        variance = (np.square(filled) @ weight.T) / n - mean**2
        covariance = (filled @ filled.T) / n - mean * mean.T
        r = covariance / np.sqrt(variance * variance.T)
    upper = np.triu_indices(len(table), 1)
    r, counts, doubtful = r[upper], n[upper], np.minimum(variance, variance.T)[upper] < CANCELLATION
    pairs = list(itertools.combinations(range(len(table)), 2))
    for cell in np.flatnonzero(doubtful):
        i, j = pairs[cell]
        r[cell] = _direct(table, i, j)
    r[counts < MIN_ROWS] = np.nan
    return np.clip(r, -1.0, 1.0), counts


def pairwise_spearman(table: Floats) -> tuple[Floats, Floats]:
    """Spearman coefficients and row counts of the upper triangle of a (variable, row) table with NaN.

    Notes
    -----
    Each column is sorted once, into whole numbers that order its values. The mid-ranks within the complete rows of a
    pair then follow from counting those numbers.
    """
    present = ~np.isnan(table)
    codes = [_order_codes(column, mask) for column, mask in zip(table, present, strict=True)]
    r, counts = [], []
    for i, j in itertools.combinations(range(len(table)), 2):
        both = present[i] & present[j]
        a, b = _centred_ranks(codes[i][both]), _centred_ranks(codes[j][both])
        counts.append(float(len(a)))
        length = np.sqrt(float(a @ a) * float(b @ b))
        r.append(float(a @ b) / length if len(a) >= MIN_ROWS and length > 0 else np.nan)
    return np.clip(r, -1.0, 1.0), np.array(counts)


def _standardised(table: Floats, present: npt.NDArray[np.bool_]) -> Floats:
    """Columns with mean 0 and standard deviation 1 over their own values, missing values 0."""
    filled = np.where(present, table, 0.0)
    n = np.maximum(present.sum(axis=1, keepdims=True), 1)
    largest = np.abs(filled).max(axis=1, keepdims=True)
    filled /= np.where(largest > 0, largest, 1.0)
    filled -= np.where(present, filled.sum(axis=1, keepdims=True) / n, 0.0)
    deviation = np.sqrt(np.einsum("vr,vr->v", filled, filled)[:, None] / n)
    return np.asarray(filled / np.where(deviation > 0, deviation, 1.0))


def _direct(table: Floats, i: int, j: int) -> float:
    pair = table[[i, j]]
    pair = pair[:, ~np.isnan(pair).any(axis=0)]
    if pair.shape[1] < MIN_ROWS:
        return np.nan
    first, second = unit_columns(pair)
    return float(first @ second)


def _order_codes(column: Floats, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """For each value its place among the distinct values of the column, from 0; 0 where missing."""
    codes = np.zeros(len(column), np.intp)
    codes[mask] = np.unique(column[mask], return_inverse=True)[1]
    return codes


def _centred_ranks(codes: npt.NDArray[np.intp]) -> Floats:
    """Mid-ranks of the codes, minus their mean."""
    frequency = np.bincount(codes)
    below = np.cumsum(frequency)
    middle = below - (frequency - 1) / 2 - (len(codes) + 1) / 2
    return np.asarray(middle[codes])
