"""The administrator's pages of models, as a browser uses them."""

import json
import pickle
from datetime import date

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from hipapp.imaging import bundles
from hipapp.imaging.models import ModelVersion, Rescoring, Score, Series, Study
from hipapp.imaging.registry import ensure_model_in_force
from hipapp.imaging.services import models, rescoring
from hipapp.jobs.models import Job
from tests.builders import rows
from tests.imaging.bundles import calibrated, contents, write_bundle, zipped

pytestmark = pytest.mark.django_db


@pytest.fixture
def current():
    return ensure_model_in_force()


@pytest.fixture
def candidate(current):
    return ModelVersion.objects.create(name="unet", version="2", sha256="2" * 64, files={"unet.safetensors": "x"})


@pytest.fixture
def page(client, administrator):
    client.force_login(administrator)
    return client


def as_zip(files) -> SimpleUploadedFile:
    return SimpleUploadedFile("bundle.zip", zipped(files).getvalue(), "application/zip")


def make_study(visit, old, new, values):
    study = Study.objects.create(
        centre=visit.patient.centre, visit=visit, study_uid=f"2.25.{visit.pk}", acquired_at=timezone.now()
    )
    study.chosen_series = Series.objects.create(study=study, series_uid=f"2.25.{visit.pk}.1", plane="coronal", n_slices=9)
    study.save()
    for side, pair in values.items():
        for model, value in zip((old, new), pair, strict=True):
            Score.objects.create(series=study.chosen_series, side=side, model_version=model, unet_score=value)
    return study


@pytest.fixture
def compared(current, candidate, administrator, centre):
    """A finished re-scoring of four patients; one right hip has no lesion any more."""
    studies = []
    for n in range(4):
        patient = rows.make_patient(centre)
        values = {"right": (0.5 if n else 0.2, 0.6 if n else 0.0), "left": (0.3, 0.3)}
        studies.append(make_study(rows.make_visit(patient, date(2026, 1, n + 1)), current, candidate, values))
    row = rescoring.order_rescoring(candidate, administrator, [centre])
    Job.objects.filter(pk=row.job_id).update(state="succeeded", progress=100, message="4 studies scored with unet 2")
    Rescoring.objects.filter(pk=row.pk).update(n_done=4, last_series=studies[-1].chosen_series_id)
    return row


def test_a_bundle_comes_by_the_page_and_is_checked(page, current):
    answer = page.post("/models/import/", {"bundle": as_zip(contents("2", 7))}, follow=True)
    model = ModelVersion.objects.get(version="2")
    assert answer.redirect_chain == [(f"/models/{model.pk}/", 302)]
    assert "unet 2 is imported, and is being checked" in answer.content.decode()
    assert "A worker loads it and tries it" in answer.content.decode()
    assert Job.objects.get(task="imaging.check_model").arguments == {"model_sha256": model.sha256}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({**contents("2"), "weights.pt": pickle.dumps(1)}, "weights.pt is neither"),
        ({**contents("2"), "../evil.json": b"{}"}, "lies outside"),
        ({"notes.json": b"{}"}, "no bundle.json"),
    ],
)
def test_a_hostile_bundle_is_refused_in_words(page, current, files, words):
    answer = page.post("/models/import/", {"bundle": as_zip(files)})
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert ModelVersion.objects.count() == 1


def test_no_file_and_a_file_that_is_too_large_are_refused(page, current, monkeypatch):
    assert "Choose the zip of a bundle first" in page.post("/models/import/").content.decode()
    monkeypatch.setattr(bundles, "MAX_BYTES", 100)
    big = SimpleUploadedFile("bundle.zip", bytes(2 * 2**20))
    answer = page.post("/models/import/", {"bundle": big})
    assert answer.status_code == 400
    assert "larger than" in answer.content.decode()


def test_an_import_from_another_site_is_refused(administrator, current):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(administrator)
    assert strict.post("/models/import/", {"bundle": as_zip(contents("2", 7))}).status_code == 403
    assert ModelVersion.objects.count() == 1


def test_the_shipped_bundle_is_offered_when_it_is_another(page, current, model_folder):
    assert "Import the shipped model" not in page.get("/models/").content.decode()
    write_bundle(model_folder, version="5", seed=9)
    assert "This release ships unet 5" in page.get("/models/").content.decode()
    page.post("/models/import/", {"shipped": "1"})
    assert ModelVersion.objects.get(version="5").state == "checking"


def test_the_same_weights_with_a_calibration_are_taken_by_the_page(page, current, model_folder):
    assert "Import the shipped model" not in page.get("/models/").content.decode()
    (model_folder / "bundle.json").write_bytes(calibrated(contents())["bundle.json"])
    assert "Import the shipped model" in page.get("/models/").content.decode()
    answer = page.post("/models/import/", {"bundle": as_zip(calibrated(contents()))}, follow=True).content.decode()
    assert "its calibration and figures are renewed" in answer
    assert not Job.objects.exists()
    assert "Import the shipped model" not in page.get("/models/").content.decode()


def test_the_page_says_whether_scores_have_an_interval_and_how_to_get_one(page, current, settings):
    def said():
        return " ".join(page.get(f"/models/{current.pk}/").content.decode().split())

    assert "its bundle holds no calibration" in said()
    assert "python -m ml interval --model FOLDER" in said()
    about = json.loads(calibrated(contents())["bundle.json"])
    ModelVersion.objects.filter(pk=current.pk).update(description=about)
    assert "90 % interval, calibrated on 77 hips" in said()
    assert "HIPAPP_SCORE_INTERVALS=1" in said()
    settings.SCORE_INTERVALS = True
    assert "90 % interval, calibrated on 77 hips" in said()
    assert "HIPAPP_SCORE_INTERVALS" not in said()


def test_pages_without_any_model_say_what_goes_there(page):
    assert "No model yet" in page.get("/models/").content.decode()


def test_promotion_and_going_back_on_the_page(page, compared, candidate):
    assert "Put it in force without a comparison" not in page.get(f"/models/{candidate.pk}/").content.decode()
    answer = page.post(f"/models/{candidate.pk}/promote/", {"reason": "better on BME"}, follow=True)
    assert "unet 2 is in force" in answer.content.decode()
    assert "Put unet test in force again" in answer.content.decode()
    answer = page.post("/models/rollback/", {"reason": "worse on the left"}, follow=True)
    assert "unet test is in force again" in answer.content.decode()
    history = page.get(f"/models/{candidate.pk}/").content.decode()
    assert "better on BME" in history


def test_going_back_twice_leads_two_models_back_and_says_so(page, current, candidate, administrator):
    third = ModelVersion.objects.create(name="unet", version="3", sha256="3" * 64, files={"unet.safetensors": "x"})
    for model in (candidate, third):
        models.promote_model(model, administrator, reason="better")
    assert "Put unet 2 in force again" in page.get("/models/").content.decode()
    answer = page.post("/models/rollback/", {"reason": "worse"}, follow=True).content.decode()
    assert "Put unet test in force again" in answer
    assert "went back" in page.get(f"/models/{candidate.pk}/").content.decode()
    answer = page.post("/models/rollback/", {"reason": "worse"}, follow=True).content.decode()
    assert "In force: <strong>unet test</strong>" in answer
    assert "No other model was in force before" in answer


def test_the_comparison_shows_plot_table_and_who_changes(page, compared, centre):
    answer = page.get(f"/models/rescorings/{compared.pk}/")
    text = answer.content.decode()
    assert "4 studies scored with unet 2" in text
    assert "a lesion" in text
    assert "no lesion" in text
    assert len(answer.context["comparison"].pairs) == 8
    points = [trace for trace in answer.context["figure"]["data"] if trace["mode"] == "markers"]
    assert [len(trace["x"]) for trace in points] == [4, 4]
    assert len(answer.context["figure"]["layout"]["shapes"]) == 6
    codes = [patient.study_code for patient in centre.patients.all()]
    assert not [code for code in codes if code in text], "an administrator alone sees no study codes"


def test_an_administrator_who_is_radiologist_too_sees_the_patients(page, compared, administrator, centre):
    from hipapp.accounts.models import Membership

    Membership.objects.create(user=administrator, centre=centre, role="radiologist")
    text = page.get(f"/models/rescorings/{compared.pk}/").content.decode()
    assert all(patient.study_code in text for patient in centre.patients.all())


def test_while_it_runs_the_part_that_moves_is_asked_for(page, compared):
    Job.objects.filter(pk=compared.job_id).update(state="running", progress=40, message="Study 2 of 4")
    answer = page.get(f"/models/rescorings/{compared.pk}/", headers={"HX-Request": "true"})
    assert "Study 2 of 4" in answer.content.decode()
    assert "HX-Refresh" not in answer
    Job.objects.filter(pk=compared.job_id).update(state="succeeded")
    assert page.get(f"/models/rescorings/{compared.pk}/", headers={"HX-Request": "true"})["HX-Refresh"] == "true"


def test_ordering_needs_a_centre_of_ones_own(page, candidate, other_centre, current):
    answer = page.post(f"/models/{candidate.pk}/rescore/", {})
    assert answer.status_code == 400
    assert "Choose at least one centre" in answer.content.decode()
    assert page.post(f"/models/{candidate.pk}/rescore/", {"centres": other_centre.pk}).status_code == 400
    assert not Rescoring.objects.exists()


def test_a_rescoring_over_two_centres_is_seen_by_who_administers_both(page, compared, other_centre):
    compared.centres.add(other_centre)
    assert page.get(f"/models/rescorings/{compared.pk}/").status_code == 404
