"""The rows of the timeline as plain data: which points stand where, how they look and what they say. No Plotly here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from django.urls import reverse

from hipapp.core.templatetags.numbers import number
from hipapp.followup.measures import (
    ASDAS_CRP,
    ASDAS_ESR,
    BASDAI,
    CRP,
    ESR,
    HARRIS,
    HIMRISS,
    SIDES,
    UNET,
    Measure,
    value_of,
)
from hipapp.followup.rows import VisitRow
from hipapp.imaging.results import HipResult
from scoring.clinical.asdas import INACTIVE_BELOW, LOW_BELOW, VERY_HIGH_ABOVE

COLOURS = {"right": "var(--tl-right)", "left": "var(--tl-left)", "": "var(--tl-plain)"}
BANDS = (("inactive", 0.0, INACTIVE_BELOW), ("low", INACTIVE_BELOW, LOW_BELOW), ("high", LOW_BELOW, VERY_HIGH_ABOVE))
VERY_HIGH = "very high"


@dataclass(frozen=True)
class Point:
    """One value at one day. `run` changes where the line must break; `mark` is written beside the point; an interval is a bar.

    `url` is where a click leads, `picture` the address of what is shown while the pointer is on the point.
    """

    on: str
    value: float | None
    hover: str
    is_open: bool = False
    url: str = ""
    run: str = ""
    mark: str = ""
    low: float | None = None
    high: float | None = None
    picture: str = ""


@dataclass(frozen=True)
class Line:
    """Points of one score; right hips are circles on a solid line, left hips squares on a dashed one."""

    name: str
    points: tuple[Point, ...]
    colour: str
    shape: str = "circle"
    dash: str = "solid"
    size: int = 9


@dataclass(frozen=True)
class Panel:
    """One row of the timeline."""

    title: str
    lines: tuple[Line, ...]
    top: float
    height: int = 92
    bands: tuple[tuple[str, float, float], ...] = field(default=())


def panels(rows: Sequence[VisitRow]) -> list[Panel]:
    """The rows of the timeline that have at least one value, from rows of one patient, oldest first."""
    found = [
        _hips(rows, UNET, 1.0, height=110),
        _hips(rows, HIMRISS, 20.0, height=110),
        _asdas(rows),
        Panel("BASDAI (0–10)", (_line(rows, BASDAI),), 10.5),
        _hips(rows, HARRIS, 107.0, title="Harris hip score (0–100, higher is better)", is_fixed=True),
        _laboratory(rows, CRP, "var(--tl-crp)", "diamond"),
        _laboratory(rows, ESR, "var(--tl-esr)", "triangle-up"),
    ]
    return [panel for panel in found if any(line.points for line in panel.lines)]


def mixed_models(rows: Sequence[VisitRow]) -> list[str]:
    """The model versions behind the patient's scores, in the order of the visits, where there is more than one."""
    found = dict.fromkeys(result.model for row in rows for result in row.mri.values() if result.has_score and result.model)
    return list(found) if len(found) > 1 else []


def _hips(
    rows: Sequence[VisitRow], measure: Measure, least: float, title: str = "", height: int = 92, is_fixed: bool = False
) -> Panel:
    is_mixed = measure is UNET and bool(mixed_models(rows))
    lines = tuple(_line(rows, measure, side, is_mixed) for side in SIDES)
    highest = max((point.high or point.value or 0.0 for line in lines for point in line.points), default=0.0)
    return Panel(title or measure.label, lines, least if is_fixed else max(least, 1.15 * highest), height)


def _line(rows: Sequence[VisitRow], measure: Measure, side: str = "", is_mixed: bool = False) -> Line:
    points = tuple(
        _point(row, measure, side, value, is_mixed) for row in rows if (value := value_of(row, measure, side)) is not None
    )
    is_left = side == "left"
    if is_left:  # smaller, so that equal values of both hips show both shapes
        return Line(measure.name(side), points, COLOURS[side], "square", "dash", 7)
    return Line(measure.name(side), points, COLOURS[side], size=10 if side else 9)


def _point(row: VisitRow, measure: Measure, side: str, value: float, is_mixed: bool) -> Point:
    unit = f" {measure.unit}" if measure.unit else ""
    said = [f"{measure.name(side)} {number(value, measure.decimals)}{unit}", day_and_week(row)]
    result = row.mri.get(side) if measure is UNET else None
    if result is not None:
        said += _about_mri(result)
        version = ("corrected" if result.is_corrected else f"v{escape(result.model_version)}") if is_mixed else ""
        url = reverse("imaging:study", args=[result.study_id])
        return Point(
            on=_day(row),
            value=value,
            hover="<br>".join(said),
            is_open=result.is_unreviewed,
            url=url,
            run=result.model,
            mark=version,
            low=result.interval_low,
            high=result.interval_high,
            picture=_picture(result),
        )
    if measure is HIMRISS:
        read = row.himriss[side]
        readers = "one reader" if read.n_readers == 1 else f"mean of {read.n_readers} readers"
        said.append(f"{readers}, {'totals by hand' if read.method == 'totals' else 'by regions'}")
    return Point(_day(row), value, "<br>".join(said))


def _picture(result: HipResult) -> str:
    """Address of the hip on its most inflamed slice; empty where it has no outlines."""
    if result.segmentation_id is None:
        return ""
    return f"{reverse('imaging:thumbnail', args=[result.study_id, result.side])}?of={result.score_id}"


def _about_mri(result: HipResult) -> list[str]:
    state = "corrected by hand" if result.is_corrected else "unreviewed" if result.is_unreviewed else "accepted"
    said = [f"{escape(result.model)} · {state}" if result.model else state, f"{result.n_role_slices} of 15 slices"]
    if result.interval_level is not None:
        ends = f"{number(result.interval_low, 2)}–{number(result.interval_high, 2)}"
        said.append(f"{100 * result.interval_level:.0f} % interval {ends}")
    if result.flags:
        said.append(f"pictures to be checked: {', '.join(dict.fromkeys(str(flag['code']) for flag in result.flags))}")
    return [*said, "click: open the slices"]


def _asdas(rows: Sequence[VisitRow]) -> Panel:
    by_crp = _line(rows, ASDAS_CRP).points
    without = [row for row in rows if row.asdas_kind == ASDAS_ESR.label]
    by_esr = _line(without, ASDAS_ESR).points
    opened = [
        Point(point.on, point.value, f"{point.hover}<br>by ESR, because the CRP is missing", True, run="ESR") for point in by_esr
    ]
    points = tuple(sorted([*by_crp, *opened], key=lambda point: point.on))
    top = max([4.3, *((point.value or 0.0) + 0.4 for point in points)])
    title = "ASDAS-CRP" + (" (open: ASDAS-ESR, where the CRP is missing)" if opened else "")
    bands = (*BANDS, (VERY_HIGH, VERY_HIGH_ABOVE, top))
    return Panel(title, (Line("ASDAS", points, COLOURS[""]),), top, 140, bands=bands)


def _laboratory(rows: Sequence[VisitRow], measure: Measure, colour: str, shape: str) -> Panel:
    points = _line(rows, measure).points
    top = max([10.0, *(1.15 * (point.value or 0.0) for point in points)])
    return Panel(f"{measure.label}, {measure.unit}", (Line(measure.label, points, colour, shape),), top, 64)


def day_and_week(row: VisitRow) -> str:
    """Date and week of a visit with its name, for hover texts (escaped)."""
    label = f" · {escape(row.visit.label)}" if row.visit.label else ""
    return f"{_day(row)} · week {row.week:.0f}{label}"


def _day(row: VisitRow) -> str:
    return row.visit_on.isoformat()
