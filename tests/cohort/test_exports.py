"""What leaves the house: no identities, no true dates, no formulas, and every variable explained."""

import csv
import io
from datetime import date, timedelta

import pytest
from django.urls import reverse

from hipapp.clinic import services as clinic
from hipapp.clinic.identity import Identity
from hipapp.cohort.exports import LONG_COLUMNS, MAX_SHIFT_DAYS, dictionary_rows, pseudonym, shifted
from hipapp.cohort.tables import csv_lines, neutralise
from scoring.statistics.correlation import spearman
from tests.builders import rows
from tests.cohort.builders import add_patients

pytestmark = pytest.mark.django_db


def download(client, user, name, **query) -> list[dict[str, str]]:
    client.force_login(user)
    response = client.get(reverse(name), query)
    assert response.streaming
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(response).decode("utf-8"))))


@pytest.fixture
def patients(centre, rheumatologist, radiologist):
    return add_patients(centre, rheumatologist, radiologist, 6, n_visits=2, is_synthetic=True, birth_year=1987)


def test_long_file_has_one_row_a_patient_visit_side_and_variable(client, coordinator, patients):
    lines = download(client, coordinator, "cohort:long-csv", visit="each")
    keys = [(line["patient"], line["visit"], line["side"], line["variable"]) for line in lines]
    assert len(set(keys)) == len(keys)
    assert len({line["patient"] for line in lines}) == 6
    assert len({line["visit"] for line in lines}) == 12
    first = next(line for line in lines if line["variable"] == "unet_score" and line["side"] == "right")
    assert (first["value"], first["version"], first["review_state"], first["note"]) == (
        "0.1",
        "unet 1",
        "accepted",
        "research use only",
    )
    assert {line["week"] for line in lines} == {"0.0", "12.0"}
    crp = next(line for line in lines if line["variable"] == "crp_mg_l")
    assert (crp["value"], crp["unit"], crp["side"], crp["source"]) == ("2.0", "mg/L", "", "entered")
    assert {line["is_synthetic"] for line in lines} == {"1"}


def test_long_file_carries_no_identity_and_no_true_date(client, coordinator, rheumatologist, patients):
    patient = patients[0]
    clinic.set_identity(rheumatologist, patient, Identity("Planted, Name", "R-77123", date(1987, 5, 6)))
    client.force_login(coordinator)
    body = b"".join(client.get(reverse("cohort:long-csv"), {"visit": "each"})).decode()
    for planted in ("Planted", "R-77123", patient.study_code, rheumatologist.username):
        assert planted not in body
    lines = list(csv.DictReader(io.StringIO(body)))
    assert "1987" not in {line["value"] for line in lines}
    days = {line["shifted_date"] for line in lines if line["patient"] == pseudonym("patient", patient.pk)}
    assert len(days) == 2
    assert not days & {"2025-01-06"}


def test_dates_are_shifted_by_the_same_days_for_all_visits_of_a_patient(patients):
    first, second = date(2025, 1, 6), date(2025, 3, 31)
    shifts = set()
    for patient in patients:
        assert shifted(patient, second) - shifted(patient, first) == second - first
        shifts.add((shifted(patient, first) - first).days)
    assert len(shifts) > 1
    assert all(1 <= abs(days) <= MAX_SHIFT_DAYS for days in shifts)


def test_an_interval_has_rows_where_there_is_one(client, coordinator, patients):
    score = patients[0].visits.first().studies.get().chosen_series.scores.get(side="right")
    type(score).objects.filter(pk=score.pk).update(interval_low=0.05, interval_high=0.2, interval_level=0.9)
    lines = download(client, coordinator, "cohort:long-csv", visit="first")
    told = [(line["variable"], line["side"], line["value"]) for line in lines if line["variable"].startswith("unet_score_")]
    assert told == [
        ("unet_score_low", "right", "0.05"),
        ("unet_score_high", "right", "0.2"),
        ("unet_score_level", "right", "0.9"),
    ]


def test_hip_without_a_number_says_why(client, coordinator, patients, radiologist):
    score = patients[0].visits.first().studies.get().chosen_series.scores.get(side="right")
    score.series.reviews.create(side="right", verdict="not_assessable", reviewer=radiologist)
    lines = download(client, coordinator, "cohort:long-csv", visit="first")
    (line,) = [line for line in lines if line["review_state"] == "not_assessable"]
    assert (line["variable"], line["side"], line["value"]) == ("unet_score", "right", "")


def test_dictionary_explains_every_column_and_variable(client, coordinator, patients):
    entries = download(client, coordinator, "cohort:dictionary-csv")
    lines = download(client, coordinator, "cohort:long-csv")
    assert {line["variable"] for line in lines} <= {entry["name"] for entry in entries if entry["kind"] == "variable"}
    assert [entry["name"] for entry in entries if entry["kind"] == "column"] == list(LONG_COLUMNS)
    assert all(entry["meaning"] for entry in entries)
    crp = next(entry for entry in entries if entry["name"] == "crp_mg_l")
    assert (crp["meaning"], crp["unit"], crp["table"]) == ("CRP in mg/L", "mg/L", "clinic.Assessment")
    assert len({row[1] for row in dictionary_rows()}) == len(entries)


def test_correlations_file_has_the_numbers_of_scoring(client, coordinator, patients):
    lines = download(client, coordinator, "cohort:correlations-csv")
    assert len(lines) == 66
    line = next(line for line in lines if (line["first"], line["second"]) == ("crp_mg_l", "basdai"))
    expected = spearman([2, 3, 4, 5, 6, 7], [1, 2.2, 3.3, 4.5, 5.7, 6.8])
    assert float(line["r"]) == pytest.approx(expected.estimate, abs=1e-5)
    assert (line["n"], line["method"], line["note"]) == ("6", "spearman", "research use only")
    assert line["models"] == "unet 1"
    part = next(line for line in lines if (line["first"], line["second"]) == ("himriss_total", "himriss_bme"))
    assert (part["is_part_whole"], "HIMRISS femoral BME" in part["shared"]) == ("1", True)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_formulas_are_neutralised(text):
    assert neutralise(text) == f"'{text}"
    (line,) = list(csv.reader(io.StringIO("".join(csv_lines(["a"], [[text]])))))[1:]
    assert line[0].startswith("'")


def test_numbers_stay_numbers():
    assert neutralise(-1.5) == -1.5
    assert "".join(csv_lines(["a", "b"], [[-1.5, None]])) == "a,b\r\n-1.5,\r\n"


def test_streaming_in_chunks_gives_every_visit_once(client, coordinator, patients, monkeypatch):
    monkeypatch.setattr("hipapp.cohort.rows.CHUNK", 5)
    lines = download(client, coordinator, "cohort:long-csv", visit="each")
    assert len({line["visit"] for line in lines}) == 12


def test_blinded_reads_stay_out_of_exports_of_a_person_who_reads_too(client, centre, patients, rheumatologist):
    """A coordinator who is a reader as well gets only the own reads, also here."""
    both = rows.make_user("coordinator", centre)
    both.memberships.create(centre=centre, role="radiologist")
    assert not [line for line in download(client, both, "cohort:long-csv") if line["variable"] == "himriss_total"]


def test_week_and_shift_agree(client, coordinator, patients):
    by_patient: dict[str, dict[str, float]] = {}
    for line in download(client, coordinator, "cohort:long-csv", visit="each"):
        by_patient.setdefault(line["patient"], {})[line["shifted_date"]] = float(line["week"])
    for days in by_patient.values():
        (first, start), (second, end) = sorted(days.items())
        assert date.fromisoformat(second) - date.fromisoformat(first) == timedelta(weeks=end - start)
