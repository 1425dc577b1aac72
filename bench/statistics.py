"""Correlation of 10 variables × 500,000 rows against `numpy.corrcoef` and scipy's rank transform, in one run.

Run with `python -m bench.statistics`. Aim: at most 2 for complete data; with missing values the figure stands beside it.
"""

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import stats

from scoring.statistics.matrix import correlation_matrix

N_VARIABLES = 10
N_ROWS = 500_000
MISSING_SHARE = 0.1
REPEATS = 3
AIM = 2.0


def make_scores(n_variables: int, n_rows: int) -> npt.NDArray[np.float64]:
    """Correlated columns, half of them rounded as questionnaires are."""
    random = np.random.default_rng(20230313)
    scores = random.normal(size=(n_variables, n_rows)) + random.normal(size=n_rows)
    scores[::2] = np.round(scores[::2], 1)
    return scores


def fastest(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Shortest wall time of a call in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def reference(scores: npt.NDArray[np.float64]) -> None:
    """What the libraries alone take: Pearson's matrix and the ranks that Spearman needs."""
    np.corrcoef(scores)
    stats.rankdata(scores, axis=1)


def measure(n_variables: int = N_VARIABLES, n_rows: int = N_ROWS, repeats: int = REPEATS) -> dict[str, float]:
    """Seconds of the reference and of both correlation tables, and their ratios, complete and with missing values."""
    scores = make_scores(n_variables, n_rows)
    columns = {f"score_{index}": column for index, column in enumerate(scores)}
    holes = np.random.default_rng(1).random(scores.shape) < MISSING_SHARE
    gaps = {name: np.where(hole, np.nan, column) for (name, column), hole in zip(columns.items(), holes, strict=True)}

    def both(table: dict[str, npt.NDArray[np.float64]]) -> None:
        correlation_matrix(table, "pearson")
        correlation_matrix(table, "spearman")

    reference_s = fastest(lambda: reference(scores), repeats)
    complete_s = fastest(lambda: both(columns), repeats)
    missing_s = fastest(lambda: both(gaps), 1)
    return {
        "reference_s": reference_s,
        "complete_s": complete_s,
        "missing_s": missing_s,
        "complete_ratio": complete_s / reference_s,
        "missing_ratio": missing_s / reference_s,
    }


def main() -> int:
    """Print the figures; 1 when the aim is missed."""
    figures = measure()
    print(f"correlation tables, Pearson and Spearman, intervals and corrections, {N_VARIABLES} variables × {N_ROWS:,} rows")
    print(f"  numpy.corrcoef + scipy rank transform  {figures['reference_s']:.2f} s")
    for name, title in (
        ("complete", f"complete rows (aim ≤ {AIM:g})"),
        ("missing", f"{MISSING_SHARE:.0%} missing, pairwise"),
    ):
        print(f"  {title:<38} {figures[f'{name}_s']:.2f} s, ratio {figures[f'{name}_ratio']:.2f}")
    return int(figures["complete_ratio"] > AIM)


if __name__ == "__main__":
    raise SystemExit(main())
