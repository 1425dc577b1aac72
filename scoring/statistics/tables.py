"""Table 1: every variable by group, with missing values counted, a test with its reason, and standardised differences."""

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from scoring import checks
from scoring.errors import ScoringError
from scoring.statistics.groups import Comparison, compare_counts, compare_values
from scoring.statistics.rows import Floats

KINDS = ("normal", "skewed", "categorical")


@dataclass(frozen=True)
class Summary:
    """One numeric variable in one group; mean and SD for "normal", median and quartiles for "skewed" ones are shown."""

    group: str
    n: int
    n_missing: int
    mean: float
    sd: float
    median: float
    quartiles: tuple[float, float]
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Share:
    """One category of one variable in one group."""

    group: str
    category: str
    n: int
    percent: float


@dataclass(frozen=True)
class TableRow:
    """One variable of Table 1.

    Attributes
    ----------
    name, kind : str
    summaries : one per group, the whole first; empty for a categorical variable
    shares : one per group and category, the whole first; empty for a number
    n_missing : group → count
    standardised_difference : float
        Largest over pairs of groups; NaN with fewer than two groups or no spread.
    comparison : Comparison or None
        For exactly two groups.
    """

    name: str
    kind: str
    summaries: tuple[Summary, ...]
    shares: tuple[Share, ...]
    n_missing: Mapping[str, int]
    standardised_difference: float
    comparison: Comparison | None


WHOLE = "all"
Column = Sequence[object] | npt.NDArray[np.generic]


def table_one(
    columns: Mapping[str, Column],
    kinds: Mapping[str, str] | None = None,
    groups: Sequence[Hashable] | None = None,
) -> tuple[TableRow, ...]:
    """Table 1 of a cohort, whole and by group.

    Parameters
    ----------
    columns : name → values, all of one length
        Numbers (NaN or None missing) or categories (None missing).
    kinds : name → "normal", "skewed" or "categorical", optional
        How to present a variable; text and booleans are categorical, numbers normal unless said otherwise. Both mean
        and median are always computed.
    groups : one label a row, optional
        Rows whose label is None count only in the whole.

    Returns
    -------
    tuple of TableRow, in the order of the columns

    Raises
    ------
    ScoringError
        For unequal lengths, an unknown kind, or text where numbers were announced.

    References
    ----------
    Austin PC. Stat Med 2009;28:3083 (standardised difference). Yang D, Dalton JE. SAS Global Forum 2012, 335
    (categories).
    """
    n = _common_length(columns, groups)
    labels = [None] * n if groups is None else list(groups)
    names = [str(label) for label in dict.fromkeys(labels) if label is not None]
    members = {WHOLE: np.ones(n, bool)}
    members |= {name: np.array([label is not None and str(label) == name for label in labels], bool) for name in names}
    given = kinds or {}
    for name in given:
        checks.choice("kinds", name, tuple(columns))
    return tuple(_row(name, list(values), given.get(name), members, names) for name, values in columns.items())


def standardised_difference(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """|Difference of means| ÷ √ of the mean of the two variances; NaN without two values a group or without spread."""
    a, b = (values[~np.isnan(values)] for values in (np.asarray(first, float), np.asarray(second, float)))
    if min(len(a), len(b)) < 2:
        return math.nan
    spread = math.sqrt((float(a.var(ddof=1)) + float(b.var(ddof=1))) / 2)
    return abs(float(a.mean() - b.mean())) / spread if spread > 0 else math.nan


def standardised_difference_of_shares(first: Sequence[int], second: Sequence[int]) -> float:
    """Mahalanobis distance between two groups' shares of the same categories (counts given); NaN for an empty group.

    For two categories it is |p₁ − p₂| ÷ √((p₁(1 − p₁) + p₂(1 − p₂))/2).
    """
    counts = np.array([first, second], np.float64)
    if counts.sum(axis=1).min() == 0:
        return math.nan
    p, q = (counts / counts.sum(axis=1, keepdims=True))[:, 1:]
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    square = float((p - q) @ np.linalg.pinv(covariance) @ (p - q))
    return math.sqrt(max(square, 0.0)) if covariance.any() else math.nan


def _common_length(columns: Mapping[str, Column], groups: Sequence[Hashable] | None) -> int:
    lengths = {name: len(values) for name, values in columns.items()}
    if groups is not None:
        lengths["groups"] = len(groups)
    if len(set(lengths.values())) != 1:
        raise ScoringError("columns", lengths, "at least one column, all (and groups) of one length")
    return next(iter(lengths.values()))


def _row(
    name: str, values: list[object], kind: str | None, members: Mapping[str, npt.NDArray[np.bool_]], groups: list[str]
) -> TableRow:
    kind = kind or ("categorical" if any(isinstance(value, str | bool | np.bool_) for value in values) else "normal")
    checks.choice(f"kinds.{name}", kind, KINDS)
    if kind == "categorical":
        return _category_row(name, values, members, groups)
    numbers = checks.finite_or_missing(name, cast(npt.ArrayLike, values), 1)
    split = {group: numbers[rows] for group, rows in members.items()}
    known = {group: part[~np.isnan(part)] for group, part in split.items()}
    differences = [standardised_difference(known[a], known[b]) for a, b in itertools.combinations(groups, 2)]
    return TableRow(
        name=name,
        kind=kind,
        summaries=tuple(_summary(group, known[group], len(split[group])) for group in members),
        shares=(),
        n_missing={group: len(split[group]) - len(known[group]) for group in members},
        standardised_difference=_largest(differences),
        comparison=compare_values(known[groups[0]], known[groups[1]]) if len(groups) == 2 else None,
    )


def _summary(group: str, known: Floats, n_rows: int) -> Summary:
    n = len(known)
    if not n:
        nothing = math.nan
        return Summary(group, 0, n_rows, nothing, nothing, nothing, (nothing, nothing), nothing, nothing)
    low, median, high = (float(value) for value in np.quantile(known, (0.25, 0.5, 0.75)))
    sd = float(known.std(ddof=1)) if n > 1 else math.nan
    return Summary(group, n, n_rows - n, float(known.mean()), sd, median, (low, high), float(known.min()), float(known.max()))


def _category_row(name: str, values: list[object], members: Mapping[str, npt.NDArray[np.bool_]], groups: list[str]) -> TableRow:
    texts = [None if _is_missing(value) else str(value) for value in values]
    categories = sorted({text for text in texts if text is not None})
    counts = {
        group: [
            sum(1 for text, is_member in zip(texts, rows, strict=True) if is_member and text == category)
            for category in categories
        ]
        for group, rows in members.items()
    }
    differences = [
        standardised_difference_of_shares(counts[a], counts[b]) for a, b in itertools.combinations(groups, 2) if categories
    ]
    comparison = None
    if len(groups) == 2 and sum(counts[groups[0]]) + sum(counts[groups[1]]):
        comparison = compare_counts([counts[groups[0]], counts[groups[1]]])
    return TableRow(
        name=name,
        kind="categorical",
        summaries=(),
        shares=tuple(
            Share(group, category, n, 100.0 * n / sum(row) if sum(row) else math.nan)
            for group, row in counts.items()
            for category, n in zip(categories, row, strict=True)
        ),
        n_missing={group: int(rows.sum()) - sum(counts[group]) for group, rows in members.items()},
        standardised_difference=_largest(differences),
        comparison=comparison,
    )


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def _largest(differences: list[float]) -> float:
    known = [difference for difference in differences if not math.isnan(difference)]
    return max(known) if known else math.nan
