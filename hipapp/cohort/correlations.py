"""The correlation table as the page and its CSV show it; every number of it comes from `scoring.statistics`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hipapp.cohort.selection import Selection
from hipapp.cohort.variables import BY_KEY, VARIABLES, Variable, columns
from hipapp.core.templatetags.numbers import MISSING, number
from hipapp.followup.rows import VisitRow
from scoring.statistics.matrix import CorrelationMatrix, Pair, correlation_matrix
from scoring.statistics.multiplicity import NOT_SIGNIFICANT

N_SHADES = 5


@dataclass(frozen=True)
class Cell:
    """One pair of the table, ready to be shown."""

    pair: Pair
    first: Variable
    second: Variable
    q: float

    @property
    def is_known(self) -> bool:
        return not math.isnan(self.pair.estimate.estimate)

    @property
    def stars(self) -> str:
        """Stars of the unadjusted p; nothing where it is 0.05 or more."""
        return "" if self.pair.stars == NOT_SIGNIFICANT else self.pair.stars

    @property
    def shade(self) -> str:
        """Class of the colour: p1 … p5 for positive, n1 … n5 for negative correlations, 0 for none."""
        r = self.pair.estimate.estimate
        step = 0 if math.isnan(r) else math.ceil(abs(r) * N_SHADES - 1e-9)
        return f"r-{'p' if r > 0 else 'n'}{step}" if step else "r-0"

    @property
    def r(self) -> str:
        return number(self.pair.estimate.estimate, 2) if self.is_known else MISSING

    @property
    def interval(self) -> str:
        estimate = self.pair.estimate
        return MISSING if math.isnan(estimate.low) else f"{number(estimate.low, 2)} to {number(estimate.high, 2)}"

    @property
    def p_text(self) -> str:
        return probability(self.pair.estimate.p)

    @property
    def q_text(self) -> str:
        return probability(self.q)

    @property
    def why(self) -> str:
        """Why there is no number, or what the two scores share."""
        if not self.is_known:
            return "; ".join(self.pair.estimate.warnings)
        return f"part–whole: both contain {', '.join(self.pair.shared)}" if self.pair.is_part_whole else ""

    @property
    def sentence(self) -> str:
        """The whole cell in words, for hover and screen readers."""
        estimate = self.pair.estimate
        said = f"{self.first.label} with {self.second.label}: {estimate.name} {self.r}, 95 % interval {self.interval}"
        said += f", p {self.p_text}, q {self.q_text}, n {estimate.n_used}"
        return f"{said}; {self.why}" if self.why else said


@dataclass(frozen=True)
class TableRow:
    """One row of the triangle: its variable, the cells left of the diagonal, and how many visits have a value."""

    variable: Variable
    title: str
    cells: tuple[Cell, ...]
    n_values: int


@dataclass(frozen=True)
class Table:
    """The triangle, the list of pairs, and what is said below them."""

    matrix: CorrelationMatrix
    rows: tuple[TableRow, ...]
    cells: tuple[Cell, ...]

    @property
    def n_tested(self) -> int:
        return sum(not math.isnan(cell.pair.estimate.p) for cell in self.cells)

    def cell(self, first: str, second: str) -> Cell | None:
        """The cell of two different variables in either order."""
        return next((cell for cell in self.cells if {cell.first.key, cell.second.key} == {first, second}), None)


def correlation_table(rows: Sequence[VisitRow], selection: Selection) -> Table:
    """Correlations of all variables over the chosen visits."""
    found = columns(rows, selection.hips)
    matrix = correlation_matrix(found, selection.method, deletion=selection.deletion)
    cells = tuple(_cell(pair, selection) for pair in matrix.pairs)
    by_pair = {(cell.first.key, cell.second.key): cell for cell in cells}
    triangle = tuple(
        TableRow(
            variable=variable,
            title=variable.title(selection.hips),
            cells=tuple(by_pair[other.key, variable.key] for other in VARIABLES[:number]),
            n_values=sum(not math.isnan(value) for value in found[variable.key]),
        )
        for number, variable in enumerate(VARIABLES)
    )
    return Table(matrix, triangle, cells)


def probability(p: float) -> str:
    """A p or q as it is printed: three decimals, below that "< 0.001", a dash where there is none."""
    if math.isnan(p):
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _cell(pair: Pair, selection: Selection) -> Cell:
    q = pair.holm if selection.adjustment == "holm" else pair.benjamini_hochberg
    return Cell(pair, BY_KEY[pair.first], BY_KEY[pair.second], q)
