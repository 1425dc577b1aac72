"""The scatter of one pair of the correlation table, as a Plotly figure whose colours are CSS variables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.urls import reverse

from hipapp.cohort.correlations import Cell
from hipapp.cohort.variables import Variable
from hipapp.core.templatetags.numbers import number
from hipapp.followup.rows import VisitRow
from scoring.errors import ScoringError
from scoring.statistics.regression import Line, straight_line

MUTED, LINE = "var(--bs-secondary-color)", "var(--bs-border-color)"
N_BAND = 41  # places at which the band is drawn; it is a hyperbola


@dataclass(frozen=True)
class Scatter:
    """The figure of a pair, `{"data": …, "layout": …}`, and its line in words; `equation` is empty where there is none."""

    figure: dict[str, Any]
    equation: str
    interval: str


def scatter(rows: Sequence[VisitRow], cell: Cell, hips: str) -> Scatter:
    """One point a visit that has both values, leading to its patient; the least-squares line with the 95 % band of its mean."""
    first, second = cell.first, cell.second
    points = [
        (x, y, row) for row in rows if (x := first.value(row, hips)) is not None and (y := second.value(row, hips)) is not None
    ]
    line = _line([x for x, _, _ in points], [y for _, y, _ in points])
    hover = [f"{_who(row)}<br>{_value(first, x)}<br>{_value(second, y)}" for x, y, row in points]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [x for x, _, _ in points],
        "y": [y for _, y, _ in points],
        "hovertext": hover,
        "hoverinfo": "text",
        "customdata": [reverse("followup:patient", args=[row.patient.pk]) for _, _, row in points],
        "marker": {"size": 8, "color": "var(--heat-point)", "opacity": 0.75, "line": {"width": 1, "color": "var(--surface)"}},
    }
    layout = {
        "height": 380,
        "margin": {"l": 56, "r": 12, "t": 8, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--bs-body-color)", "size": 12},
        "hovermode": "closest",
        "showlegend": False,
        "hoverlabel": {"bgcolor": "var(--surface-raised)", "bordercolor": LINE, "font": {"color": "var(--bs-body-color)"}},
        "xaxis": _axis(first.title(hips), first.unit),
        "yaxis": _axis(second.title(hips), second.unit),
    }
    drawn = _drawn(line, [x for x, _, _ in points]) if line else []
    figure = {"data": [*drawn, trace], "layout": layout}
    return Scatter(figure, _equation(line, first, second), _interval(line)) if line else Scatter(figure, "", "")


def _line(x: list[float], y: list[float]) -> Line | None:
    try:
        return straight_line(x, y)
    except ScoringError:  # too few points, or all above each other: the points stand alone
        return None


def _drawn(line: Line, x: list[float]) -> list[dict[str, Any]]:
    """The band as an area between two traces, and the line on it."""
    places = np.linspace(min(x), max(x), N_BAND)
    middle, low, high = (values.tolist() for values in line.at(places))
    common = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    edge = {"width": 0, "color": "var(--heat-point)"}
    return [
        {**common, "x": places.tolist(), "y": low, "line": edge},
        {**common, "x": places.tolist(), "y": high, "line": edge, "fill": "tonexty", "fillcolor": "var(--band-1)"},
        {**common, "x": places.tolist(), "y": middle, "line": {"width": 2, "color": "var(--heat-point)"}},
    ]


def _equation(line: Line, first: Variable, second: Variable) -> str:
    slope, intercept = line.slope.estimate, line.intercept.estimate
    sign = "−" if slope < 0 else "+"
    return f"{second.label} = {_significant(intercept)} {sign} {_significant(abs(slope))} × {first.label}"


def _interval(line: Line) -> str:
    slope = line.slope
    explained = "" if math.isnan(line.r_squared) else f"; R² {number(line.r_squared, 2)}"
    return f"slope {_significant(slope.low)} to {_significant(slope.high)} (95 %){explained}"


def _significant(value: float) -> str:
    """Three significant digits, never as a power of ten."""
    decimals = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return number(value, min(decimals, 6))


def _who(row: VisitRow) -> str:
    return f"{row.patient.study_code} · {row.visit_on} · week {row.week:.0f}"


def _value(variable: Variable, value: float) -> str:
    return f"{variable.label} {number(value, variable.decimals)} {variable.unit}".strip()


def _axis(title: str, unit: str) -> dict[str, Any]:
    return {
        "title": {"text": f"{title}, {unit}" if unit else title},
        "gridcolor": LINE,
        "zerolinecolor": LINE,
        "tickfont": {"color": MUTED},
        "rangemode": "tozero",
    }
