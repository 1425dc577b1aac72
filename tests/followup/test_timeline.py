"""The timeline: shapes and lines of right and left, gaps where scores can't be compared, texts that can't inject markup."""

import json
from dataclasses import replace
from datetime import date
from itertools import pairwise
from uuid import uuid4

import pytest

from hipapp.clinic.models import Assessment, Patient, TreatmentPeriod, Visit
from hipapp.followup.panels import mixed_models, panels
from hipapp.followup.rows import VisitRow
from hipapp.followup.timeline import timeline
from hipapp.imaging.results import HipResult

STUDY = uuid4()


def row(day: date, *, mri=None, label="", **values) -> VisitRow:
    assessment = Assessment(asdas_form="3-decimal", **values) if values else None
    return VisitRow(Patient(), Visit(visit_on=day, label=label), (day - date(2026, 1, 5)).days / 7, assessment, {}, mri or {}, {})


def result(side: str, value: float, *, version: str = "1", review: str = "accepted") -> HipResult:
    return HipResult(side, STUDY, review, unet_score=value, model_name="unet", model_version=version)


def trace(figure: dict, name: str) -> dict:
    return next(item for item in figure["data"] if item["name"] == name)


def test_right_is_a_circle_on_a_solid_line_and_left_a_square_on_a_dashed_one():
    figure = timeline([row(date(2026, 1, 5), mri={"right": result("right", 1.0), "left": result("left", 0.4)})], [])
    right, left = trace(figure, "UNet-score R"), trace(figure, "UNet-score L")
    assert (right["marker"]["symbol"], right["line"]["dash"]) == (["circle"], "solid")
    assert (left["marker"]["symbol"], left["line"]["dash"]) == (["square"], "dash")
    assert (right["y"], left["y"]) == ([1.0], [0.4])


def test_unreviewed_point_is_hollow_says_so_and_leads_to_its_slices():
    mri = {"right": result("right", 1.0, review="unreviewed")}
    point = trace(timeline([row(date(2026, 1, 5), mri=mri)], []), "UNet-score R")
    assert point["marker"]["symbol"] == ["circle-open"]
    assert "unreviewed" in point["hovertext"][0]
    assert "2026-01-05 · week 0" in point["hovertext"][0]
    assert point["customdata"] == [[f"/studies/{STUDY}/", ""]]


def test_a_point_with_outlines_shows_the_most_inflamed_slice_of_its_hip():
    mri = {side: replace(result(side, 1.0), segmentation_id=4, score_id=9) for side in ("right", "left")}
    figure = timeline([row(date(2026, 1, 5), mri=mri)], [])
    for side, name in (("right", "UNet-score R"), ("left", "UNet-score L")):
        assert trace(figure, name)["customdata"] == [[f"/studies/{STUDY}/", f"/studies/{STUDY}/{side}.png?of=9"]]


def test_line_breaks_between_model_versions_and_points_name_them():
    rows = [
        row(date(2026, 1, 5), mri={"right": result("right", 1.0, version="1")}),
        row(date(2026, 3, 2), mri={"right": result("right", 0.5, version="2")}),
    ]
    line = trace(timeline(rows, []), "UNet-score R")
    assert mixed_models(rows) == ["unet 1", "unet 2"]
    assert line["y"] == [1.0, None, 0.5]
    assert [text for text in line["text"] if text] == ["v1", "v2"]


def test_asdas_by_esr_is_open_and_not_joined_to_asdas_by_crp():
    rows = [row(date(2026, 1, 5), asdas_crp=2.0, asdas_esr=2.2), row(date(2026, 3, 2), asdas_esr=1.5)]
    figure = timeline(rows, [])
    line = trace(figure, "ASDAS")
    assert line["y"] == [2.0, None, 1.5]
    assert line["marker"]["symbol"][-1] == "circle-open"
    assert "CRP is missing" in line["hovertext"][-1]
    assert "ASDAS-ESR" in line["hovertext"][-1]
    assert any("open: ASDAS-ESR" in note["text"] for note in figure["layout"]["annotations"])


def test_asdas_states_are_bands_at_the_published_limits():
    figure = timeline([row(date(2026, 1, 5), asdas_crp=5.0)], [])
    bands = [shape for shape in figure["layout"]["shapes"] if shape["type"] == "rect"]
    assert [(band["y0"], band["y1"]) for band in bands[:3]] == [(0.0, 1.3), (1.3, 2.1), (2.1, 3.5)]
    assert bands[3]["y0"] == 3.5
    assert bands[3]["y1"] > 5.0


def test_rows_without_a_value_are_left_out():
    assert [panel.title for panel in panels([row(date(2026, 1, 5), basdai=3.0, crp_mg_l=4.0)])] == ["BASDAI (0–10)", "CRP, mg/L"]


def test_treatments_are_bars_with_their_form_cut_at_what_is_shown():
    rows = [row(date(2026, 1, 5)), row(date(2026, 6, 1))]
    treatments = [
        TreatmentPeriod(drug="naproxen", form="oral", started_on=date(2020, 1, 1), ended_on=date(2026, 2, 1)),
        TreatmentPeriod(drug="adalimumab", form="sc", dose="40 mg", started_on=date(2026, 2, 2)),
    ]
    figure = timeline(rows, treatments)
    bars, words = [item for item in figure["data"] if item.get("yaxis") == figure["data"][-1]["yaxis"]]
    assert bars["base"] == ["2025-12-22", "2026-02-02"]
    assert words["text"] == [" ← naproxen (oral)", " adalimumab (sc) →"]
    assert bars["hovertext"][1] == "adalimumab<br>Subcutaneous · 40 mg<br>2026-02-02 goes on"


def test_entered_texts_are_escaped():
    treatment = TreatmentPeriod(drug="<b>x</b>", dose="<a href='y'>", started_on=date(2026, 1, 5))
    text = json.dumps(timeline([row(date(2026, 1, 5), label="<i>w</i>", basdai=1.0)], [treatment]))
    assert "<b>" not in text
    assert "<i>" not in text
    assert "<a " not in text


@pytest.mark.parametrize("n_visits", [1, 2, 40])
def test_rows_of_the_figure_do_not_overlap(n_visits):
    rows = [row(date(2026, 1, 1 + number % 28), basdai=2.0, asdas_crp=1.0, crp_mg_l=3.0) for number in range(n_visits)]
    layout = timeline(rows, [])["layout"]
    domains = sorted(axis["domain"] for key, axis in layout.items() if key.startswith("yaxis"))
    assert all(low[1] < high[0] for low, high in pairwise(domains))
    assert domains[0][0] >= 0
    assert domains[-1][1] <= 1


def test_intervals_are_bars_above_and_below_their_points():
    with_interval = HipResult(
        "right", STUDY, "accepted", unet_score=1.0, interval_low=0.75, interval_high=1.5, interval_level=0.9, model_name="unet"
    )
    rows = [row(date(2026, 1, 5), mri={"right": with_interval}), row(date(2026, 3, 2), mri={"right": result("right", 0.5)})]
    line = trace(timeline(rows, []), "UNet-score R")
    bars = line["error_y"]
    values = [value for value in line["y"] if value is not None]
    assert values == [1.0, 0.5]
    assert [bar for bar in bars["array"] if bar] == [0.5]
    assert [bar for bar in bars["arrayminus"] if bar] == [0.25]
    assert "90 % interval 0.75–1.50" in line["hovertext"][0]
    assert "error_y" not in trace(timeline([rows[1]], []), "UNet-score R")
    assert panels(rows)[0].top > 1.5


def test_faults_of_the_pictures_are_named_at_the_point():
    flagged = HipResult("right", STUDY, "accepted", unet_score=1.0, flags=({"code": "noise"}, {"code": "motion"}))
    line = trace(timeline([row(date(2026, 1, 5), mri={"right": flagged})], []), "UNet-score R")
    assert "pictures to be checked: noise, motion" in line["hovertext"][0]
