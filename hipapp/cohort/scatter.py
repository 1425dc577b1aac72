"""The scatter of one pair of the correlation table, as a Plotly figure whose colours are CSS variables."""

from collections.abc import Sequence
from typing import Any

from django.urls import reverse

from hipapp.cohort.correlations import Cell
from hipapp.cohort.variables import Variable
from hipapp.core.templatetags.numbers import number
from hipapp.followup.rows import VisitRow

MUTED, LINE = "var(--bs-secondary-color)", "var(--bs-border-color)"


def scatter(rows: Sequence[VisitRow], cell: Cell, hips: str) -> dict[str, Any]:
    """`{"data": …, "layout": …}`: one point a visit that has both values; a point leads to its patient."""
    first, second = cell.first, cell.second
    points = [
        (x, y, row) for row in rows if (x := first.value(row, hips)) is not None and (y := second.value(row, hips)) is not None
    ]
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
        "hoverlabel": {"bgcolor": "var(--surface-raised)", "bordercolor": LINE, "font": {"color": "var(--bs-body-color)"}},
        "xaxis": _axis(first.title(hips), first.unit),
        "yaxis": _axis(second.title(hips), second.unit),
    }
    return {"data": [trace], "layout": layout}


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
