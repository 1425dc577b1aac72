"""The timeline as a Plotly figure (plain dictionaries); colours are CSS variables, which the browser replaces by its theme's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from itertools import pairwise
from typing import Any

from hipapp.clinic.models import TreatmentPeriod
from hipapp.followup.panels import Line, Panel, Point, day_and_week, panels
from hipapp.followup.rows import VisitRow

Json = dict[str, Any]
TITLE_PX, STRIP_PX, TREATMENT_PX, BOTTOM_PX = 30, 18, 22, 26
DAY_MS = 86_400_000
PLAIN, MUTED, LINE = "var(--bs-body-color)", "var(--bs-secondary-color)", "var(--bs-border-color)"
HOVER = {"bgcolor": "var(--surface-raised)", "bordercolor": "var(--control-border)", "font": {"color": PLAIN}, "align": "left"}
FORM_COLOURS: dict[str, str] = {
    TreatmentPeriod.Form.ORAL: "var(--tl-oral)",
    TreatmentPeriod.Form.SUBCUTANEOUS: "var(--tl-sc)",
    TreatmentPeriod.Form.INTRAVENOUS: "var(--tl-iv)",
    TreatmentPeriod.Form.INTRA_ARTICULAR: "var(--tl-ia)",
}


@dataclass(frozen=True)
class Place:
    """Where a row of the figure lies: its axis number and its share of the height."""

    axis: int
    low: float
    high: float

    @property
    def trace_axis(self) -> str:
        return "y" if self.axis == 1 else f"y{self.axis}"

    @property
    def key(self) -> str:
        return "yaxis" if self.axis == 1 else f"yaxis{self.axis}"


# Plotly sets <b> by a style attribute, which the Content-Security-Policy forbids: texts use <br> alone.


def timeline(rows: Sequence[VisitRow], treatments: Sequence[TreatmentPeriod]) -> Json:
    """`{"data": …, "layout": …}` for Plotly.

    Parameters
    ----------
    rows : of one patient, oldest first; at least one
    treatments : of the same patient
    """
    first, last = _span(rows, treatments)
    found = panels(rows)
    heights = [panel.height for panel in found] + [STRIP_PX, max(1, len(treatments)) * TREATMENT_PX if treatments else 1]
    places, total = _places(heights)
    layout = _layout(first, last, total)
    data: list[Json] = []
    for panel, place in zip(found, places, strict=False):
        data += _panel(panel, place, layout)
    data += _visits(rows, places[-2], layout)
    data += _treatments(treatments, places[-1], layout, first, last)
    layout["shapes"] += [_visit_line(row) for row in rows]
    return {"data": data, "layout": layout}


def _span(rows: Sequence[VisitRow], treatments: Sequence[TreatmentPeriod]) -> tuple[date, date]:
    """First and last day shown: all visits and, after them, the start of treatments."""
    days = [row.visit_on for row in rows]
    first, last = min(days), max([*days, *(treatment.started_on for treatment in treatments)])
    pad = timedelta(days=max(14, (last - first).days // 20))
    return first - pad, last + pad


def _places(heights: Sequence[int]) -> tuple[list[Place], int]:
    total = sum(heights) + TITLE_PX * len(heights)
    places, top = [], total
    for number, height in enumerate(heights, start=1):
        high = top - TITLE_PX
        places.append(Place(number, max(0.0, (high - height) / total), high / total))
        top = high - height
    return places, total


def _layout(first: date, last: date, total: int) -> Json:
    return {
        "height": total + BOTTOM_PX,
        "margin": {"l": 38, "r": 12, "t": 0, "b": BOTTOM_PX},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": PLAIN, "size": 11},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": HOVER,
        "barmode": "overlay",
        "xaxis": {
            "type": "date",
            "range": [first.isoformat(), last.isoformat()],
            "anchor": "free",
            "position": 0,
            "nticks": 6,
            "showgrid": False,
            "zeroline": False,
            "linecolor": LINE,
            "tickfont": {"color": MUTED},
            "tickangle": 0,
            "tickformatstops": [
                {"dtickrange": [None, 14 * DAY_MS], "value": "%Y-%m-%d"},
                {"dtickrange": [14 * DAY_MS, None], "value": "%Y-%m"},
            ],
        },
        "shapes": [],
        "annotations": [],
    }  # fmt: skip


def _panel(panel: Panel, place: Place, layout: Json) -> list[Json]:
    layout["annotations"].append(_title(panel.title, place))
    layout[place.key] = _axis(place, panel.top)
    for number, (name, low, high) in enumerate(panel.bands):
        layout["shapes"].append(_band(place, low, high, f"var(--band-{number})"))
        layout["annotations"].append(_band_label(place, name, (low + high) / 2))
    return [_trace(line, place) for line in panel.lines if line.points]


def _title(text: str, place: Place) -> Json:
    return {
        "text": text, "x": 0, "y": place.high, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom",
        "showarrow": False, "align": "left", "font": {"weight": 600},
    }  # fmt: skip


def _axis(place: Place, top: float) -> Json:
    return {
        "domain": [place.low, place.high],
        "range": [0, top],
        "anchor": "x",
        "nticks": 5,
        "gridcolor": LINE,
        "zerolinecolor": LINE,
        "tickfont": {"color": MUTED},
        "fixedrange": True,
    }


def _band(place: Place, low: float, high: float, colour: str) -> Json:
    return {
        "type": "rect", "xref": "paper", "x0": 0, "x1": 1, "yref": place.trace_axis, "y0": low, "y1": high,
        "fillcolor": colour, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def _band_label(place: Place, name: str, middle: float) -> Json:
    return {
        "text": name, "x": 1, "xref": "paper", "xanchor": "right", "y": middle, "yref": place.trace_axis,
        "yanchor": "middle", "showarrow": False, "font": {"size": 10, "color": MUTED},
    }  # fmt: skip


def _visit_line(row: VisitRow) -> Json:
    day = row.visit_on.isoformat()
    return {
        "type": "line", "xref": "x", "x0": day, "x1": day, "yref": "paper", "y0": 0, "y1": 1,
        "line": {"color": LINE, "width": 1, "dash": "dot"}, "layer": "below",
    }  # fmt: skip


def _trace(line: Line, place: Place) -> Json:
    points = _with_gaps(line.points)
    return {
        "type": "scatter",
        "mode": "lines+markers+text" if any(point.mark for point in points) else "lines+markers",
        "name": line.name,
        "x": [point.on for point in points],
        "y": [point.value for point in points],
        "yaxis": place.trace_axis,
        "hovertext": [point.hover for point in points],
        "hoverinfo": "text",
        "customdata": [[point.url, point.picture] for point in points],
        "text": [point.mark for point in points],
        "textposition": "bottom center" if line.shape == "square" else "top center",
        "textfont": {"size": 10, "color": MUTED},
        "line": {"color": line.colour, "width": 2, "dash": line.dash},
        "marker": {
            "symbol": [f"{line.shape}-open" if point.is_open else line.shape for point in points],
            "size": line.size,
            "color": line.colour,
            "line": {"color": line.colour, "width": 2},
        },
        "cliponaxis": False,
        **_error_bars(points, line.colour),
    }


def _error_bars(points: Sequence[Point], colour: str) -> Json:
    """Bars from the low to the high end of each point's interval; nothing where no point has one."""
    if all(point.low is None for point in points):
        return {}
    above = [0.0 if point.high is None or point.value is None else point.high - point.value for point in points]
    below = [0.0 if point.low is None or point.value is None else point.value - point.low for point in points]
    bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    return {"error_y": bars | {"color": colour, "thickness": 1, "width": 3}}


def _with_gaps(points: Sequence[Point]) -> list[Point]:
    """The points with an empty one wherever the run changes: a line must not join what can't be compared."""
    spread = list(points[:1])
    for before, point in pairwise(points):
        spread += [point] if point.run == before.run else [Point(point.on, None, ""), point]
    return spread


def _visits(rows: Sequence[VisitRow], place: Place, layout: Json) -> list[Json]:
    layout["annotations"].append(_title("Visits, week", place))
    layout[place.key] = {**_axis(place, 1), "visible": False}
    return [
        {
            "type": "scatter",
            "mode": "markers+text",
            "name": "Visits",
            "x": [row.visit_on.isoformat() for row in rows],
            "y": [0.75] * len(rows),
            "yaxis": place.trace_axis,
            "text": [f"{row.week:.0f}" for row in rows],
            "textposition": "bottom center",
            "textfont": {"size": 10, "color": MUTED},
            "hovertext": [f"Visit {day_and_week(row)}" for row in rows],
            "hoverinfo": "text",
            "marker": {"symbol": "line-ns-open", "size": 8, "color": PLAIN, "line": {"width": 2, "color": PLAIN}},
            "cliponaxis": False,
        }
    ]


def _treatments(treatments: Sequence[TreatmentPeriod], place: Place, layout: Json, first: date, last: date) -> list[Json]:
    layout[place.key] = {**_axis(place, 1), "range": [max(1, len(treatments)) - 0.5, -0.5], "visible": False}
    if not treatments:
        return []
    layout["annotations"].append(_title("Treatments", place))
    starts = [max(treatment.started_on, first) for treatment in treatments]
    ends = [min(treatment.ended_on or last, last) for treatment in treatments]
    places = list(range(len(treatments)))
    bars: Json = {
        "type": "bar",
        "orientation": "h",
        "name": "Treatments",
        "base": [start.isoformat() for start in starts],
        "x": [max(1, (end - start).days) * DAY_MS for start, end in zip(starts, ends, strict=True)],
        "y": places,
        "width": 0.78,
        "yaxis": place.trace_axis,
        "marker": {"color": [FORM_COLOURS.get(item.form, "var(--tl-other)") for item in treatments]},
        "hovertext": [_about_treatment(treatment) for treatment in treatments],
        "hoverinfo": "text",
    }
    words: Json = {
        "type": "scatter",
        "mode": "text",
        "x": [start.isoformat() for start in starts],
        "y": places,
        "yaxis": place.trace_axis,
        "text": [f" {_short(treatment, first)}" for treatment in treatments],
        "textposition": "middle right",
        "hoverinfo": "skip",
        "cliponaxis": False,
    }
    return [bars, words]


def _short(treatment: TreatmentPeriod, first: date) -> str:
    """Drug and how it is given; arrows where it began before, or goes on after, what is shown."""
    before = "← " if treatment.started_on < first else ""
    form = f" ({treatment.form})" if treatment.form in ("sc", "iv", "ia") else f" ({treatment.form or 'form not known'})"
    return f"{before}{escape(treatment.drug)}{form}{'' if treatment.ended_on else ' →'}"


def _about_treatment(treatment: TreatmentPeriod) -> str:
    until = f"to {treatment.ended_on}" if treatment.ended_on else "goes on"
    form = treatment.get_form_display() or "form not known"
    said = [escape(treatment.drug), f"{form}{f' · {escape(treatment.dose)}' if treatment.dose else ''}"]
    return "<br>".join([*said, f"{treatment.started_on} {until}"])
