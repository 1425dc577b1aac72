"""Pages and REST of reads: what a reader gets is searched for another reader's numbers and for automatic scores."""

import re

import pytest
from django.urls import reverse
from rest_framework.authtoken.models import Token

from hipapp.reading.models import Read
from tests.builders import rows
from tests.followup.builders import add_mri, add_read

pytestmark = pytest.mark.django_db
FORM = {"right-femoral_bme": "20", "right-acetabular_bme": "10", "right-effusion": "5"}
SHOWN = re.compile(r'(>|value="|:)\s*(61|33|29|123)\b')
PLANTED = {"femoral": 61, "acetabular": 33, "effusion": 29}


@pytest.fixture
def other(centre):
    return rows.make_user("radiologist", centre, first_name="Planted", last_name="Reader")


def url(visit):
    return reverse("reading:visit", args=[visit.pk])


def test_totals_are_saved_and_lead_back_to_the_patient(client, radiologist, visit):
    client.force_login(radiologist)
    response = client.post(url(visit), FORM)
    assert response.url == reverse("followup:patient", args=[visit.patient_id])
    read = Read.objects.get()
    assert (read.side, read.total, read.reader) == ("right", 35, radiologist)


def test_wrong_values_are_said_beside_the_field_and_nothing_is_saved(client, radiologist, visit):
    client.force_login(radiologist)
    body = client.post(
        url(visit), {**FORM, "left-femoral_bme": "66", "left-acetabular_bme": "1", "left-effusion": "1"}
    ).content.decode()
    assert "less than or equal to 65" in body
    assert 'value="66"' in body
    assert "Give all three sub-scores" in client.post(url(visit), {**FORM, "left-effusion": "1"}).content.decode()
    assert "Nothing is filled in" in client.post(url(visit), {"right-comment": "x"}).content.decode()
    assert not Read.objects.exists()


def test_not_assessable_hip(client, radiologist, visit):
    client.force_login(radiologist)
    client.post(url(visit), {"left-not_assessable": "on", "left-comment": "prosthesis"})
    read = Read.objects.get()
    assert (read.side, read.is_assessable, read.total, read.comment) == ("left", False, None, "prosthesis")


def test_own_read_is_shown_again_and_replaced(client, radiologist, visit):
    add_read(visit, radiologist, "right", 17)
    client.force_login(radiologist)
    body = client.get(url(visit)).content.decode()
    assert 'value="17"' in body
    assert "You have read this visit before" in body
    client.post(url(visit), FORM)
    assert list(Read.objects.order_by("pk").values_list("total", "is_current")) == [(17, False), (35, True)]


def test_reader_gets_no_other_read_and_no_automatic_score(client, radiologist, other, visit):
    for side in ("right", "left"):
        add_read(visit, other, side, *PLANTED.values())
    add_mri(visit, 7.7771, 6.6661)
    client.force_login(radiologist)
    token = Token.objects.create(user=radiologist)
    answers = [
        client.get(url(visit)),
        client.get(reverse("reading:list")),
        client.get("/api/v1/reads/", headers={"authorization": f"Token {token.key}"}),
    ]
    for answer in answers:
        body = answer.content.decode()
        assert answer.status_code == 200
        assert not SHOWN.search(body)
        for planted in ("Planted", other.username, "7.77", "6.66"):
            assert planted not in body


def test_the_search_for_planted_reads_finds_them_where_they_may_stand(client, rheumatologist, other, visit):
    add_read(visit, other, "right", *PLANTED.values())
    client.force_login(rheumatologist)
    assert SHOWN.search(client.get(reverse("reading:list")).content.decode())


def test_visit_with_an_mri_waits_until_it_is_read(client, radiologist, visit):
    add_mri(visit, 1.0, 1.0)
    client.force_login(radiologist)
    assert client.get(reverse("reading:list")).context["waiting"] == [visit]
    add_read(visit, radiologist, "right", 3)
    assert client.get(reverse("reading:list")).context["waiting"] == []


def test_rheumatologist_sees_the_list_and_may_not_read(client, rheumatologist, other, visit):
    add_read(visit, other, "right", 17)
    client.force_login(rheumatologist)
    body = client.get(reverse("reading:list")).content.decode()
    assert "Planted Reader" in body
    assert "To read" not in body
    assert client.get(url(visit)).status_code == 403
    assert client.post(url(visit), FORM).status_code == 403


def test_withdrawing(client, radiologist, rheumatologist, other, visit):
    read = add_read(visit, radiologist, "right", 17)
    address = reverse("reading:withdraw", args=[read.pk])
    for user, status in ((other, 404), (rheumatologist, 403)):
        client.force_login(user)
        assert client.post(address).status_code == status
    client.force_login(radiologist)
    assert client.get(address).status_code == 405
    assert client.post(address).status_code == 302
    read.refresh_from_db()
    assert not read.is_current
    assert client.post(address).status_code == 409


def test_visit_of_another_centre_is_absent(client, other_centre, visit):
    client.force_login(rows.make_user("radiologist", other_centre))
    assert client.get(url(visit)).status_code == 404
    assert client.post(url(visit), FORM).status_code == 404


def api(client, user, method, path, **values):
    token, _ = Token.objects.get_or_create(user=user)
    call = getattr(client, method)
    extra = {"content_type": "application/json"} if method == "post" else {}
    return call(f"/api/v1/reads/{path}", values or None, headers={"authorization": f"Token {token.key}"}, **extra)


def test_api_takes_down_totals(client, radiologist, visit):
    answer = api(client, radiologist, "post", "", visit=visit.pk, side="left", femoral_bme=1, acetabular_bme=2, effusion=3)
    assert answer.status_code == 201
    assert answer.json()["total"] == 6
    assert (answer.json()["method"], answer.json()["patient"]) == ("totals", visit.patient_id)
    again = api(client, radiologist, "post", "", visit=visit.pk, side="left", femoral_bme=1, acetabular_bme=2, effusion=4)
    assert again.status_code == 201
    assert Read.objects.filter(is_current=True).count() == 1


def test_api_refuses_what_the_page_refuses(client, radiologist, rheumatologist, other_centre, visit):
    values = {"visit": visit.pk, "side": "left", "femoral_bme": 1, "acetabular_bme": 2, "effusion": 3}
    for wrong in ({"effusion": 31}, {"effusion": None}, {"side": "middle"}, {"is_assessable": False}):
        assert api(client, radiologist, "post", "", **{**values, **wrong}).status_code == 400
    assert api(client, rheumatologist, "post", "", **values).status_code == 403
    assert api(client, rows.make_user("radiologist", other_centre), "post", "", **values).status_code == 400
    assert client.get("/api/v1/reads/").status_code == 401
    assert not Read.objects.exists()


def test_api_narrows_by_patient_visit_and_current(client, rheumatologist, radiologist, patient, visit):
    read = add_read(visit, radiologist, "right", 5)
    Read.objects.filter(pk=read.pk).update(is_current=False)
    now = add_read(visit, radiologist, "right", 6)
    add_read(rows.make_visit(rows.make_patient(patient.centre)), radiologist, "right", 7)
    for query, totals in ((f"patient={patient.pk}", {5, 6}), (f"visit={visit.pk}&current=1", {6}), ("patient=999999", set())):
        answer = api(client, rheumatologist, "get", f"?{query}").json()
        assert {row["total"] for row in answer["results"]} == totals
    assert api(client, rheumatologist, "get", "?patient=x").status_code == 400
    assert api(client, rheumatologist, "get", f"{now.pk}/").json()["total"] == 6


def test_api_withdraws_own_reads_only(client, radiologist, rheumatologist, other, visit):
    read = add_read(visit, radiologist, "right", 5)
    assert api(client, other, "post", f"{read.pk}/withdraw/").status_code == 404
    assert api(client, rheumatologist, "post", f"{read.pk}/withdraw/").status_code == 403
    answer = api(client, radiologist, "post", f"{read.pk}/withdraw/")
    assert (answer.status_code, answer.json()["is_current"]) == (200, False)
