"""Policies and erasures over REST: by whom, in what words, noted."""

import pytest
from django.test import Client
from rest_framework.authtoken.models import Token

from hipapp.accounts.models import AccessEvent
from hipapp.imaging.models import Erasure, ImagingPolicy, Study
from hipapp.imaging.policy import policy_of
from hipapp.jobs.models import Job
from tests.builders.rows import make_centre, make_user
from tests.imaging.studies import receive, run_job, stir_files

pytestmark = pytest.mark.django_db


def api(user) -> Client:
    key, _ = Token.objects.get_or_create(user=user)
    return Client(headers={"Authorization": f"Token {key.key}"})


def put(client, where, **values):
    policy = {"protocol": {}, "keeps_originals": False, "needs_second_person": False, **values}
    return client.put(f"/api/v1/policies/{where.code}/", policy, content_type="application/json")


def post(client, address, **values):
    return client.post(f"/api/v1/erasures/{address}", values, content_type="application/json")


def test_a_policy_comes_whole_and_can_be_sent_back(administrator, centre):
    client = api(administrator)
    found = client.get(f"/api/v1/policies/{centre.code}/").json()
    assert found["is_default"]
    assert found["protocol"]["tr_ms"] == {
        "low": 2500, "high": 6500, "forbids": False, "label": "Repetition time", "unit": "ms", "article": "3550",
    }  # fmt: skip
    found["protocol"]["tr_ms"] |= {"low": 3000, "high": None, "forbids": True}
    answer = put(client, centre, **{**found, "needs_second_person": True})
    assert answer.status_code == 200
    assert answer.json() == client.get(f"/api/v1/policies/{centre.code}/").json()
    policy = policy_of(centre)
    assert policy.protocol["tr_ms"] == {"low": 3000, "high": None, "forbids": True}
    assert (policy.needs_second_person, policy.keeps_originals) == (True, False)
    assert AccessEvent.objects.filter(user=administrator, action="imaging-policy", subject_id=str(centre.pk)).count() == 1


@pytest.mark.parametrize(
    ("protocol", "field", "words"),
    [
        ({"tr_ms": {"low": 5, "high": 4}}, "tr_ms-high", "above"),
        ({"plane": {"forbids": False}}, "plane", "always asked for"),
        ({"colour": {"low": 1}}, "colour", "no item"),
        ({"tr_ms": {"low": -1}}, "tr_ms-low", "from 0"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_words(administrator, centre, protocol, field, words):
    answer = put(api(administrator), centre, protocol=protocol)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert list(answer.json()["error"]["fields"]) == [field]
    assert not ImagingPolicy.objects.exists()


def test_only_administrators_of_the_centre_set_its_policy(administrator, radiologist, coordinator, centre):
    for user in (radiologist, coordinator, make_user("administrator", make_centre())):
        assert put(api(user), centre).status_code == 404
    assert Client().get("/api/v1/policies/").status_code == 401
    assert not ImagingPolicy.objects.exists()


@pytest.fixture
def study(radiologist, visit):
    receive(radiologist, stir_files(), visit=visit)
    return Study.objects.get()


def test_a_study_is_erased_by_two_words(radiologist, administrator, study, network):
    client = api(radiologist)
    asked = post(client, "", study=str(study.pk), reason="consent withdrawn")
    assert asked.status_code == 201
    order = asked.json()
    assert (order["state"], order["name"], order["asked_by"]) == ("asked", str(study.pk)[:8], radiologist.username)
    assert post(client, "", study=str(study.pk), reason="once more").status_code == 409
    wrong = post(client, f"{order['id']}/confirm/", name="something")
    assert (wrong.status_code, Study.objects.count()) == (400, 1)
    assert order["name"] in wrong.json()["error"]["message"]
    confirmed = post(client, f"{order['id']}/confirm/", name=order["name"])
    assert (confirmed.status_code, confirmed.json()["state"]) == (202, "confirmed")
    assert run_job(Job.objects.get(pk=confirmed.json()["job"])).state == "succeeded"
    assert not Study.objects.exists()
    done = api(administrator).get(f"/api/v1/erasures/{order['id']}/").json()
    assert (done["state"], done["name"], done["counts"]["studies"]) == ("done", "", 1)
    noted = AccessEvent.objects.filter(subject_id=str(study.pk), action__endswith="erasure").values_list("action", flat=True)
    assert set(noted) == {"ask-erasure", "confirm-erasure"}


def test_an_order_can_be_withdrawn_and_a_patient_named(radiologist, visit):
    client = api(radiologist)
    order = post(client, "", patient=visit.patient_id, reason="asked for it").json()
    assert (order["kind"], order["name"]) == ("patient", visit.patient.study_code)
    assert post(client, f"{order['id']}/withdraw/").json()["state"] == "withdrawn"
    assert post(client, f"{order['id']}/withdraw/").status_code == 409


def test_a_second_person_where_the_centre_wants_one(radiologist, rheumatologist, centre, study):
    ImagingPolicy.objects.create(centre=centre, needs_second_person=True)
    order = post(api(radiologist), "", study=str(study.pk), reason="consent withdrawn").json()
    assert post(api(radiologist), f"{order['id']}/confirm/", name=order["name"]).status_code == 409
    assert post(api(rheumatologist), f"{order['id']}/confirm/", name=order["name"]).status_code == 202


def test_who_may_not_erase_is_told_or_finds_nothing(radiologist, administrator, study, other_centre):
    stranger = make_user("radiologist", other_centre)
    assert post(api(stranger), "", study=str(study.pk), reason="not mine").status_code == 404
    assert post(api(administrator), "", study=str(study.pk), reason="unseen").status_code == 404
    order = post(api(radiologist), "", study=str(study.pk), reason="consent withdrawn").json()
    assert post(api(administrator), f"{order['id']}/confirm/", name=order["name"]).status_code == 403
    assert post(api(stranger), f"{order['id']}/confirm/", name=order["name"]).status_code == 404
    assert Erasure.objects.get().state == "asked"


def test_an_order_names_one_thing_and_a_reason(radiologist, study, visit):
    client = api(radiologist)
    assert post(client, "", reason="nothing named").status_code == 400
    assert post(client, "", study=str(study.pk), patient=visit.patient_id, reason="both").status_code == 400
    assert post(client, "", study=str(study.pk)).status_code == 400
    assert not Erasure.objects.exists()
