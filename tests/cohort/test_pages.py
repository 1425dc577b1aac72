"""The cohort page and the list of what is missing: who sees them, whose patients count, how many queries they take."""

from datetime import date

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from hipapp.accounts.models import AccessEvent
from hipapp.clinic.models import HipExamination, Patient, Visit
from hipapp.cohort.correlations import correlation_table
from hipapp.cohort.rows import cohort_rows
from hipapp.cohort.selection import Selection, select_visits
from hipapp.cohort.variables import BY_KEY
from hipapp.followup.rows import VisitRow
from hipapp.imaging.results import HipResult
from scoring.statistics.correlation import pearson
from tests.builders import rows
from tests.cohort.builders import add_patients
from tests.followup.builders import add_read, add_visit

pytestmark = pytest.mark.django_db
PAGES = ("cohort:cohort", "cohort:missing", "cohort:correlations-csv", "cohort:long-csv", "cohort:dictionary-csv")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    ("role", "status"), [("coordinator", 200), ("rheumatologist", 200), ("radiologist", 403), ("administrator", 403)]
)
def test_only_some_roles_see_cohorts(client, centre, name, role, status):
    client.force_login(rows.make_user(role, centre))
    assert client.get(reverse(name)).status_code == status


def test_patients_of_other_centres_are_left_out(client, coordinator, radiologist, rheumatologist, centre, other_centre):
    add_patients(centre, rheumatologist, radiologist, 3)
    stranger = rows.make_user("rheumatologist", other_centre)
    (foreign,) = add_patients(other_centre, stranger, rows.make_user("radiologist", other_centre), 1)
    client.force_login(coordinator)
    response = client.get(reverse("cohort:cohort"))
    assert response.context["n_patients"] == 3
    assert foreign.study_code not in response.content.decode()
    for name in ("cohort:long-csv", "cohort:missing"):
        assert foreign.study_code.encode() not in b"".join(client.get(reverse(name)))


def test_empty_cohort_says_what_goes_there(client, coordinator):
    client.force_login(coordinator)
    assert "Add the first patient" in client.get(reverse("cohort:cohort")).content.decode()
    assert "No visits yet" in client.get(reverse("cohort:missing")).content.decode()


def test_selection_without_visits_says_so(client, coordinator, patient, visit):
    client.force_login(coordinator)
    assert "No visit fits this selection" in client.get(reverse("cohort:cohort"), {"criteria": "mny"}).content.decode()


def test_flow_counts_who_was_left_out(coordinator, radiologist, rheumatologist, centre):
    add_patients(centre, rheumatologist, radiologist, 3, n_visits=2)
    rows.make_patient(centre)  # without a visit
    add_visit(rows.make_patient(centre, criteria="mny"), date(2025, 3, 3))  # without MRI
    add_visit(rows.make_patient(centre, criteria="other"), date(2025, 3, 3))
    visits, flow = select_visits(coordinator, Selection(criteria="mny", mri="yes"))
    assert [(step.n_patients, step.n_visits, step.n_patients_out, step.n_visits_out) for step in flow] == [
        (6, 8, 0, 0),
        (5, 8, 1, 0),
        (4, 7, 1, 1),
        (3, 6, 1, 1),
        (3, 3, 0, 3),
    ]
    assert visits.count() == 3


@pytest.mark.parametrize(
    ("which", "days"),
    [("first", [date(2025, 1, 6)]), ("last", [date(2025, 3, 31)]), ("each", [date(2025, 1, 6), date(2025, 3, 31)])],
)
def test_first_last_and_each_visit(coordinator, radiologist, rheumatologist, centre, which, days):
    add_patients(centre, rheumatologist, radiologist, 1, n_visits=2)
    visits, _ = select_visits(coordinator, Selection(visit=which))
    assert sorted(visits.values_list("visit_on", flat=True)) == days


def test_every_visit_comes_with_a_warning(client, coordinator, radiologist, rheumatologist, centre):
    add_patients(centre, rheumatologist, radiologist, 4, n_visits=2)
    client.force_login(coordinator)
    warning = "Visits of one patient are not independent"
    assert warning in client.get(reverse("cohort:cohort"), {"visit": "each"}).content.decode()
    body = client.get(reverse("cohort:cohort")).content.decode()
    assert warning not in body
    assert "One visit a patient keeps the rows independent" in body


def test_table_has_the_numbers_of_scoring(coordinator, radiologist, rheumatologist, centre):
    add_patients(centre, rheumatologist, radiologist, 8)
    selection = Selection(method="pearson", hips="sum")
    found = cohort_rows(coordinator, select_visits(coordinator, selection)[0], selection)
    cell = correlation_table(found, selection).cell("unet_score", "himriss_total")
    expected = pearson(
        [row.unet_score("right") + row.unet_score("left") for row in found],
        [row.himriss_total("right") + row.himriss_total("left") for row in found],
    )
    assert cell.pair.estimate.estimate == pytest.approx(expected.estimate, abs=1e-12)
    assert cell.pair.estimate.low == pytest.approx(expected.low, abs=1e-12)
    assert cell.pair.estimate.p == pytest.approx(expected.p, rel=1e-9)
    assert cell.pair.estimate.n_used == 8


@pytest.mark.parametrize(
    ("hips", "unet", "harris"),
    [("sum", 1.3, (90 + 60) / 2), ("mean", 0.65, (90 + 60) / 2), ("worst", 0.9, 60)],
)
def test_both_hips_are_put_together_as_chosen(hips, unet, harris):
    mri = {side: HipResult(side, None, "accepted", unet_score=value) for side, value in (("right", 0.9), ("left", 0.4))}
    examined = {"right": HipExamination(harris=90), "left": HipExamination(harris=60)}
    row = VisitRow(Patient(), Visit(visit_on=date(2026, 1, 1)), 0, None, examined, mri, {})
    assert BY_KEY["unet_score"].value(row, hips) == pytest.approx(unet)
    assert BY_KEY["harris"].value(row, hips) == pytest.approx(harris)
    lonely = VisitRow(Patient(), Visit(visit_on=date(2026, 1, 1)), 0, None, {}, {"right": mri["right"]}, {})
    assert BY_KEY["unet_score"].value(lonely, hips) == (0.9 if hips == "worst" else None)


def test_part_whole_pairs_are_flagged(client, coordinator, radiologist, rheumatologist, centre):
    add_patients(centre, rheumatologist, radiologist, 5)
    client.force_login(coordinator)
    table = client.get(reverse("cohort:cohort")).context["table"]
    assert table.cell("himriss_total", "himriss_bme").pair.is_part_whole
    assert table.cell("asdas_crp", "crp_mg_l").pair.is_part_whole
    assert table.cell("unet_score", "unet_synovitis").pair.is_part_whole
    assert not table.cell("unet_score", "himriss_total").pair.is_part_whole


def test_chosen_cell_shows_its_scatter(client, coordinator, radiologist, rheumatologist, centre):
    add_patients(centre, rheumatologist, radiologist, 5)
    client.force_login(coordinator)
    response = client.get(reverse("cohort:cohort"), {"x": "crp_mg_l", "y": "basdai"})
    figure = response.context["scatter"].figure
    low, high, line, points = figure["data"]
    assert points["x"] == [2, 3, 4, 5, 6]
    slope, intercept = np.polyfit(points["x"], points["y"], 1)
    np.testing.assert_allclose(line["y"], intercept + slope * np.array(line["x"]))
    assert all(below < middle < above for below, middle, above in zip(low["y"], line["y"], high["y"], strict=True))
    assert response.context["scatter"].equation.startswith("BASDAI = ")
    assert "× CRP" in response.context["scatter"].equation
    assert figure["layout"]["xaxis"]["title"]["text"] == "CRP, mg/L"
    assert 'id="scatter-figure"' in response.content.decode()
    assert client.get(reverse("cohort:cohort"), {"x": "crp_mg_l", "y": "nothing"}).context["scatter"] is None


def test_two_points_have_no_line(client, coordinator, radiologist, rheumatologist, centre):
    add_patients(centre, rheumatologist, radiologist, 2)
    client.force_login(coordinator)
    response = client.get(reverse("cohort:cohort"), {"x": "crp_mg_l", "y": "basdai"})
    assert len(response.context["scatter"].figure["data"]) == 1
    assert "A line needs at least 3 visits" in response.content.decode()


def test_accepted_only_leaves_unreviewed_scores_out(coordinator, radiologist, rheumatologist, centre):
    (patient,) = add_patients(centre, rheumatologist, radiologist, 1)
    study = patient.visits.get().studies.get()
    study.chosen_series.reviews.filter(side="left").delete()
    for reviewed, sides in (("", {"right", "left"}), ("yes", {"right"})):
        selection = Selection(reviewed=reviewed)
        (row,) = cohort_rows(coordinator, select_visits(coordinator, selection)[0], selection)
        assert set(row.mri) == sides


def test_unknown_choices_count_as_not_chosen(client, coordinator, radiologist, rheumatologist, centre):
    add_patients(centre, rheumatologist, radiologist, 2)
    client.force_login(coordinator)
    response = client.get(reverse("cohort:cohort"), {"visit": "tomorrow", "centre": "nowhere", "method": "magic"})
    assert response.context["selection"] == Selection()


def test_missing_values_are_listed_with_where_to_enter_them(client, coordinator, radiologist, rheumatologist, centre):
    add_patients(centre, rheumatologist, radiologist, 1)  # complete
    patient = rows.make_patient(centre)
    visit = add_visit(patient, date(2025, 5, 5), rheumatologist, level=3, crp_value=None, crp_unit=None)
    add_read(visit, radiologist, "right", 5)
    client.force_login(coordinator)
    response = client.get(reverse("cohort:missing"))
    (gap,) = response.context["gaps"]
    assert gap.visit == visit
    assert [kind.label for kind in gap.kinds] == ["CRP", "Harris R", "Harris L", "scored MRI", "HIMRISS L"]
    counts = {key: n for key, _, n in response.context["kinds"] if n}
    assert counts == {"crp": 1, "harris_right": 1, "harris_left": 1, "mri": 1, "read_left": 1}
    assert reverse("clinic:visit-edit", args=[visit.pk]) in response.content.decode()
    assert client.get(reverse("cohort:missing"), {"kind": "esr"}).context["gaps"] == []
    assert len(client.get(reverse("cohort:missing"), {"kind": "mri"}).context["gaps"]) == 1


def test_looks_are_recorded(client, coordinator):
    client.force_login(coordinator)
    for name in PAGES:
        b"".join(client.get(reverse(name)))
    events = AccessEvent.objects.filter(user=coordinator).order_by("pk").values_list("action", "subject_id")
    assert list(events) == [
        ("view", "correlations"),
        ("view", "missing"),
        ("export", "correlations"),
        ("export", "long"),
        ("export", "dictionary"),
    ]


@pytest.mark.parametrize("name", ["cohort:cohort", "cohort:missing"])
def test_number_of_queries_does_not_grow_with_patients(client, coordinator, radiologist, rheumatologist, centre, name):
    client.force_login(coordinator)
    counts = []
    for n_more in (3, 27):
        add_patients(centre, rheumatologist, radiologist, n_more)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse(name)).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
