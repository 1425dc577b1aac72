"""The Bland–Altman plot of two models as a Plotly figure whose colours are CSS variables."""

from collections.abc import Collection, Sequence
from html import escape
from typing import Any

from django.urls import reverse

from hipapp.core.templatetags.numbers import number, signed
from hipapp.imaging.comparison import Comparison, HipScores
from scoring.statistics.estimate import Estimate

Json = dict[str, Any]
MAX_POINTS = 4000  # more can't be told apart; the table has all
MUTED, LINE = "var(--bs-secondary-color)", "var(--bs-border-color)"
LOOKS = {"right": ("R hips", "circle", "var(--tl-right)"), "left": ("L hips", "square", "var(--tl-left)")}
ROOM = 0.06


def agreement_plot(found: Comparison, seen: Collection[int]) -> Json:
    """`{"data": …, "layout": …}`: a point a hip, new − old over their mean; bias and limits of agreement with their intervals.

    Parameters
    ----------
    seen : centres whose patients may be named to the person; their points lead to the study
    """
    pairs = found.widest[:MAX_POINTS]
    lowest, highest = min(hip.mean for hip in pairs), max(hip.mean for hip in pairs)
    room = ROOM * max(highest - lowest, 0.1)
    span = (lowest - room, highest + 4 * room)
    layout: Json = {
        "height": 420,
        "margin": {"l": 64, "r": 12, "t": 12, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--bs-body-color)", "size": 12},
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "var(--surface-raised)", "bordercolor": LINE, "font": {"color": "var(--bs-body-color)"}},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.08},
        "xaxis": {"title": {"text": "Mean of both UNet-scores"}, "range": list(span), **_axis()},
        "yaxis": {"title": {"text": f"{found.new} − {found.old}"}, **_axis()},
        "shapes": [],
        "annotations": [],
    }
    if agreement := found.agreement:
        for estimate, name in ((agreement.upper, "+1.96 SD"), (agreement.bias, "bias"), (agreement.lower, "−1.96 SD")):
            _add_line(layout, span, estimate, name)
    data = [_points([hip for hip in pairs if hip.side == side], seen, side) for side in LOOKS]
    return {"data": [trace for trace in data if trace["x"]], "layout": layout}


def _add_line(layout: Json, span: Sequence[float], estimate: Estimate, name: str) -> None:
    x = {"type": "rect", "xref": "x", "x0": span[0], "x1": span[1], "layer": "below"}
    layout["shapes"] += [
        {**x, "y0": estimate.low, "y1": estimate.high, "fillcolor": "var(--band-1)", "opacity": 0.6, "line": {"width": 0}},
        {
            **x,
            "type": "line",
            "y0": estimate.estimate,
            "y1": estimate.estimate,
            "line": {"color": MUTED, "width": 1.5, "dash": "solid" if name == "bias" else "dash"},
        },
    ]
    layout["annotations"].append(
        {
            "x": span[1],
            "y": estimate.estimate,
            "xanchor": "right",
            "yanchor": "bottom",
            "showarrow": False,
            "text": f"{name} {signed(estimate.estimate, 2)}",
            "font": {"size": 11, "color": MUTED},
        }
    )


def _points(hips: Sequence[HipScores], seen: Collection[int], side: str) -> Json:
    name, symbol, colour = LOOKS[side]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [hip.mean for hip in hips],
        "y": [hip.difference for hip in hips],
        "hovertext": [_about(hip, hip.centre_id in seen) for hip in hips],
        "hoverinfo": "text",
        "customdata": [reverse("imaging:study", args=[hip.study_id]) if hip.centre_id in seen else "" for hip in hips],
        "marker": {"symbol": symbol, "size": 8, "color": colour, "opacity": 0.75},
    }


def _about(hip: HipScores, is_seen: bool) -> str:
    day = f" · {hip.acquired_at:%Y-%m-%d}" if hip.acquired_at else ""
    who = f"{escape(hip.study_code)}{day}" if is_seen else f"Study {hip.short_id}"
    return f"{who} · {hip.letter}<br>old {number(hip.old, 2)}, new {number(hip.new, 2)}<br>difference {signed(hip.difference, 2)}"


def _axis() -> Json:
    return {"gridcolor": LINE, "zerolinecolor": LINE, "tickfont": {"color": MUTED}}
