"""The same over REST: upload, wait, read, attach, review."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from hipapp.accounts.models import Membership, Role
from hipapp.imaging.models import Study, Upload
from hipapp.jobs.models import Job
from tests.builders import rows
from tests.imaging.studies import SHAPE, receive, run_job, stir_files

pytestmark = pytest.mark.django_db
N = SHAPE[0]


def api(user) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user=user).key}")
    return client


def as_files(contents):
    return [SimpleUploadedFile(f"{n}.dcm", content) for n, content in enumerate(contents)]


def test_files_in_a_job_out_and_the_scores_after_it(radiologist, visit):
    client = api(radiologist)
    answer = client.post("/api/v1/studies/", {"files": as_files(stir_files()), "visit": visit.pk})
    assert answer.status_code == 202, answer.content
    ordered = answer.json()
    assert ordered["n_files"] == N
    assert client.get(f"/api/v1/jobs/{ordered['job']}/").json()["state"] == "queued"
    run_job(Job.objects.get(pk=ordered["job"]))
    run_job(Job.objects.get(task="imaging.segment_series"))
    job = client.get(f"/api/v1/jobs/{ordered['job']}/").json()
    assert (job["state"], job["is_final"], job["progress"], job["upload"]["id"]) == ("succeeded", True, 100, ordered["upload"])
    assert {row["outcome"] for row in job["upload"]["report"]} == {"accepted"}
    assert [child["state"] for child in job["children"]] == ["succeeded"]

    (study,) = client.get("/api/v1/studies/", {"patient": visit.patient_id}).json()["results"]
    assert (study["visit"], study["state"], study["centre"]) == (visit.pk, "ready", visit.patient.centre.code)
    assert study["hips"]["right"]["review"] == "unreviewed"
    assert study["series"][0]["plane"] == "coronal"
    assert client.get(f"/api/v1/studies/{study['id']}/").json()["hips"] == study["hips"]
    scores = client.get("/api/v1/scores/", {"study": study["id"]}).json()["results"]
    assert {score["side"] for score in scores} == {"right", "left"}
    assert all(score["is_current"] and len(score["slices"]) == N for score in scores)
    assert study["hips"]["left"]["unet_score"] in {score["unet_score"] for score in scores}


def test_without_a_visit_it_waits_unassigned_and_is_attached(radiologist, visit):
    client = api(radiologist)
    client.post("/api/v1/studies/", {"files": as_files(stir_files())})
    run_job(Job.objects.get())
    study = Study.objects.get()
    answer = client.post(f"/api/v1/studies/{study.pk}/attach/", {"visit": visit.pk}, format="json")
    assert (answer.status_code, answer.json()["visit"]) == (200, visit.pk)


def test_a_mismatch_is_a_conflict_that_names_fields(radiologist, centre):
    stranger = rows.make_visit(rows.make_patient(centre, sex="F"))
    receive(radiologist, stir_files())
    address = f"/api/v1/studies/{Study.objects.get().pk}/attach/"
    answer = api(radiologist).post(address, {"visit": stranger.pk}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "identity_mismatch")


def test_a_review_over_rest(radiologist, rheumatologist, visit):
    receive(radiologist, stir_files(), visit=visit)
    run_job(Job.objects.get(task="imaging.segment_series"))
    address, values = f"/api/v1/studies/{Study.objects.get().pk}/review/", {"side": "right", "verdict": "accept"}
    assert api(rheumatologist).post(address, values, format="json").status_code == 403
    client = api(radiologist)
    assert client.post(address, values, format="json").json()["hips"]["right"]["review"] == "accepted"
    assert client.post(address, {"side": "up", "verdict": "accept"}, format="json").json()["error"]["code"] == "invalid"


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        ({}, 400, "no_files"),
        ({"other": "text"}, 400, "no_files"),
        ({"files": "text"}, 400, "no_files"),
    ],
)
def test_no_files_is_said_in_words(radiologist, data, status, code):
    answer = api(radiologist).post("/api/v1/studies/", data)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert not Upload.objects.exists()


def test_a_visit_that_is_not_there_or_is_no_key(radiologist, other_centre):
    foreign = rows.make_visit(rows.make_patient(other_centre))
    for visit, status in ((foreign.pk, 404), (10**9, 404), ("x", 400)):
        answer = api_once(radiologist).post("/api/v1/studies/", {"files": as_files([b"x"]), "visit": visit})
        assert answer.status_code == status
    assert not Upload.objects.exists()


def api_once(user) -> APIClient:
    Token.objects.filter(user=user).delete()
    return api(user)


def test_a_person_of_two_centres_has_to_say_which(radiologist, other_centre):
    Membership.objects.create(user=radiologist, centre=other_centre, role=Role.RADIOLOGIST)
    answer = api(radiologist).post("/api/v1/studies/", {"files": as_files([b"x"])})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "centre_needed")
    answer = api_once(radiologist).post("/api/v1/studies/", {"files": as_files([b"x"]), "centre": other_centre.code})
    assert answer.status_code == 202
    assert Upload.objects.get().centre == other_centre


def test_an_administrator_uploads_nothing_and_nobody_does_without_a_token(administrator, settings):
    assert api(administrator).post("/api/v1/studies/", {"files": as_files([b"x"])}).status_code == 403
    assert APIClient().post("/api/v1/studies/", {"files": as_files([b"x"])}).status_code == 401
    assert not Upload.objects.exists()
    assert not list(settings.SPOOL_DIR.glob("*"))


def test_too_large_is_413(radiologist, settings):
    settings.UPLOAD_MAX_BYTES = 1000
    answer = api(radiologist).post("/api/v1/studies/", {"files": as_files([b"x" * 2000])})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert not list(settings.SPOOL_DIR.glob("*"))


@pytest.mark.parametrize("query", ["patient=x", "visit=-1", "patient=99999999999999"])
def test_senseless_filters_are_refused(radiologist, query):
    assert api(radiologist).get(f"/api/v1/studies/?{query}").status_code == 400


def test_nothing_of_another_centre_is_listed(radiologist, visit, other_centre):
    receive(radiologist, stir_files(), visit=visit)
    run_job(Job.objects.get(task="imaging.segment_series"))
    client = api(rows.make_user("radiologist", other_centre))
    assert [client.get(f"/api/v1/{name}/").json()["count"] for name in ("studies", "scores", "jobs")] == [0, 0, 0]
    assert client.get(f"/api/v1/studies/{Study.objects.get().pk}/").status_code == 404
    assert client.get(f"/api/v1/jobs/{Job.objects.first().pk}/").status_code == 404


def test_a_list_of_studies_takes_the_same_queries_however_long(radiologist, django_assert_max_num_queries):
    for number in range(4):
        receive(radiologist, stir_files(study=f"1.3.{number}", series=f"1.3.{number}.1"))
    client = api(radiologist)
    with django_assert_max_num_queries(8):
        assert client.get("/api/v1/studies/").json()["count"] == 4


def test_the_schema_names_the_multipart_field():
    schema = APIClient().get("/api/schema/", HTTP_ACCEPT="application/json").json()
    upload = schema["paths"]["/api/v1/studies/"]["post"]["requestBody"]["content"]
    assert "multipart/form-data" in upload
    assert {"/api/v1/jobs/{id}/", "/api/v1/scores/", "/api/v1/studies/{id}/attach/"} <= set(schema["paths"])
