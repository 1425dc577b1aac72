"""Pages and the requests of the upload script, as a browser sends them."""

import base64
import io

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from PIL import Image

from hipapp.accounts.models import AccessEvent
from hipapp.clinic import identity
from hipapp.imaging.models import Review, Segmentation, Study, Upload
from hipapp.jobs.models import Job
from tests.builders import rows
from tests.imaging.studies import SHAPE, receive, run_job, stir_files

pytestmark = pytest.mark.django_db
N = SHAPE[0]


def signed_in(user, **options) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def send(client, started, content, number=1):
    """One file by tus, in the request that announces it."""
    given = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(len(content)),
        "Upload-Metadata": f"number {b64(str(number))}",
    }
    return client.post(started["files_url"], content, content_type="application/offset+octet-stream", headers=given)


def b64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def scored(radiologist, visit):
    """A study of `visit` with both hips scored."""
    receive(radiologist, stir_files(), visit=visit)
    run_job(Job.objects.get(task="imaging.segment_series"))
    return Study.objects.get()


def begin(client, **data):
    answer = client.post(reverse("imaging:upload-start"), data)
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_an_upload_from_the_first_byte_to_the_result(radiologist, visit):
    client = signed_in(radiologist)
    started = begin(client, target=f"visit:{visit.pk}")
    for number, content in enumerate(stir_files(), start=1):
        assert send(client, started, content, number).status_code == 201
    assert send(client, started, stir_files()[0]).status_code == 201  # sent again under its number: it is one file
    page = client.post(started["finish_url"]).json()["page_url"]
    assert "Waiting" in client.get(page).content.decode()
    run_job(Job.objects.get())
    html = client.get(page).content.decode()
    assert "1 study; files: 9 stored" in html
    assert "coronal, STIR" in html
    assert visit.patient.study_code in html
    assert not list(settings.SPOOL_DIR.iterdir())


def test_the_result_moves_by_itself_until_all_is_scored(radiologist, visit):
    upload = receive(radiologist, stir_files(), visit=visit)
    client = signed_in(radiologist)
    address = reverse("imaging:upload-result", args=[upload.pk])
    assert 'hx-trigger="every 1s"' in client.get(address, headers={"HX-Request": "true"}).content.decode()
    run_job(Job.objects.get(task="imaging.segment_series"))
    html = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "hx-trigger" not in html
    assert "<html" not in html
    assert "unreviewed" in html


def test_the_report_can_be_filtered_by_outcome(radiologist, visit):
    upload = receive(radiologist, [*stir_files(), b"Dear colleague"], visit=visit)
    client = signed_in(radiologist)
    html = client.get(reverse("imaging:upload-result", args=[upload.pk]), {"outcome": "refused"}).content.decode()
    assert html.count("data-file-number") == 1
    assert "is no DICOM file" in html


def test_files_need_the_csrf_token_and_nothing_stays_without_it(radiologist):
    client = signed_in(radiologist, enforce_csrf_checks=True)
    upload = Upload.objects.create(centre=rows.Centre.objects.get(), user=radiologist)
    assert send(client, {"files_url": reverse("imaging:tus", args=[upload.pk])}, b"x").status_code == 403
    assert not list(settings.SPOOL_DIR.glob("*"))


def test_too_large_an_upload_is_refused_and_nothing_of_it_stays(radiologist, settings):
    settings.UPLOAD_MAX_BYTES = 5000
    client = signed_in(radiologist)
    started = begin(client)
    assert send(client, started, b"x" * 3000).status_code == 201
    answer = send(client, started, b"x" * 3000, 2)
    assert answer.status_code == 413
    assert "GiB" in answer.json()["error"]["message"]
    assert [path.name for path in settings.SPOOL_DIR.rglob("0*")] == ["00000001"]


def test_a_full_disk_is_said_in_words(radiologist, monkeypatch):
    from hipapp.imaging.receiving import resumable

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resumable.os, "pwrite", full)
    client = signed_in(radiologist)
    answer = send(client, begin(client), b"x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_stored")
    assert "disk full" in answer.json()["error"]["message"]


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999999999", "20001"])
def test_a_file_with_a_senseless_number_is_refused(radiologist, number):
    client = signed_in(radiologist)
    assert send(client, begin(client), b"x", number).status_code == 400


def test_a_complete_upload_takes_no_more_files(radiologist):
    client = signed_in(radiologist)
    started = begin(client)
    send(client, started, b"x")
    assert client.post(started["finish_url"]).status_code == 202
    assert send(client, started, b"x", 2).status_code == 409
    assert client.post(started["cancel_url"]).status_code == 409


def test_a_cancelled_upload_leaves_nothing(radiologist):
    client = signed_in(radiologist)
    started = begin(client)
    send(client, started, b"x")
    assert client.post(started["cancel_url"]).status_code == 200
    assert (Upload.objects.get().state, list(settings.SPOOL_DIR.iterdir()), Job.objects.count()) == ("failed", [], 0)


def test_another_persons_upload_is_not_continued(radiologist, coordinator):
    started = begin(signed_in(radiologist))
    client = signed_in(coordinator)
    assert send(client, started, b"x").status_code == 403
    for address in ("finish_url", "cancel_url"):
        assert client.post(started[address]).status_code == 403


@pytest.mark.parametrize("target", ["visit:999999", "patient:x", "nonsense:1", "visit:"])
def test_a_target_that_is_not_there_is_404(radiologist, target):
    assert signed_in(radiologist).post(reverse("imaging:upload-start"), {"target": target}).status_code == 404


def test_a_patient_of_another_centre_is_no_target(radiologist, other_centre):
    foreign = rows.make_patient(other_centre)
    answer = signed_in(radiologist).post(reverse("imaging:upload-start"), {"target": f"patient:{foreign.pk}"})
    assert answer.status_code == 404


def test_patients_are_found_with_their_visits_and_names_for_care_roles_only(radiologist, coordinator, patient, visit):
    identity.store(patient, identity.Identity("Ottokar Plantedname", "R", None))
    address = reverse("imaging:pick-patient")
    seen = signed_in(radiologist).get(address, {"patient_words": "planted"}).content.decode()
    assert "Ottokar Plantedname" in seen
    assert f"visit:{visit.pk}" in seen
    assert "No patient" in signed_in(coordinator).get(address, {"patient_words": "planted"}).content.decode()
    assert "Plantedname" not in signed_in(coordinator).get(address, {"patient_words": patient.study_code}).content.decode()


def test_the_study_page_shows_both_hips_the_model_and_records_the_look(scored, rheumatologist):
    html = signed_in(rheumatologist).get(reverse("imaging:study", args=[scored.pk])).content.decode()
    assert "Research use only · model unet test" in html
    assert html.count("badge-unreviewed") == 2
    assert 'id="viewer-data"' in html
    assert "Accept both" not in html
    assert "Plantedname" not in html
    assert AccessEvent.objects.filter(user=rheumatologist, action="view", subject_id=str(scored.pk)).count() == 1


def test_a_radiologist_accepts_both_rejects_one_and_undoes_it(scored, radiologist):
    client, address = signed_in(radiologist), reverse("imaging:review", args=[scored.pk])
    series = scored.chosen_series
    seen = {f"score_{score.side}": score.pk for score in series.scores.all()}
    client.post(address, {"series": series.pk, "side": "both", "verdict": "accept", **seen})
    assert Review.objects.filter(verdict="accept").count() == 2
    client.post(address, {"series": series.pk, "side": "left", "verdict": "reject", "comment": "bad outline"})
    html = client.get(reverse("imaging:study", args=[scored.pk])).content.decode()
    assert "bad outline" in html
    assert "Rejected by a radiologist" in html
    client.post(address, {"series": series.pk, "side": "left", "verdict": "withdrawn"})
    assert "badge-unreviewed" in client.get(reverse("imaging:study", args=[scored.pk])).content.decode()


def test_a_rheumatologist_can_not_review(scored, rheumatologist):
    values = {"series": scored.chosen_series_id, "side": "right", "verdict": "accept"}
    assert signed_in(rheumatologist).post(reverse("imaging:review", args=[scored.pk]), values).status_code == 403
    assert not Review.objects.exists()


def test_slices_and_outlines_are_pictures_that_only_this_browser_keeps(scored, radiologist):
    client = signed_in(radiologist)
    keys = "-".join(str(key) for key in Segmentation.objects.values_list("pk", flat=True))
    grey = client.get(reverse("imaging:slice", args=[scored.pk, scored.chosen_series_id, 4]))
    lines = client.get(reverse("imaging:outlines", args=[scored.pk, scored.chosen_series_id, 4]), {"of": keys})
    filled = client.get(reverse("imaging:outlines", args=[scored.pk, scored.chosen_series_id, 4]), {"of": keys, "fill": "1"})
    for answer in (grey, lines, filled):
        assert answer["Content-Type"] == "image/png"
        assert "private" in answer["Cache-Control"]
    assert Image.open(io.BytesIO(grey.content)).size == (SHAPE[2], SHAPE[1])
    picture = Image.open(io.BytesIO(filled.content))
    assert picture.getpixel((SHAPE[2] // 4, SHAPE[1] // 2 + 3)) == (0x00, 0x9E, 0x73, 255)
    assert picture.getpixel((0, 0))[3] == 0
    assert Image.open(io.BytesIO(lines.content)).size[0] >= 1000


def test_pictures_that_are_not_there_are_404(scored, radiologist, visit):
    client = signed_in(radiologist)
    series = scored.chosen_series_id
    assert client.get(reverse("imaging:slice", args=[scored.pk, series, N])).status_code == 404
    assert client.get(reverse("imaging:slice", args=[scored.pk, series + 1, 0])).status_code == 404
    assert client.get(reverse("imaging:outlines", args=[scored.pk, series, 0]), {"of": "x"}).status_code == 404
    scored.chosen_series.instances.update(path="dicom/00/gone.dcm")
    assert client.get(reverse("imaging:slice", args=[scored.pk, series, 0])).status_code == 404


def test_pictures_of_a_held_study_are_for_care_roles_only(radiologist, coordinator, visit):
    receive(radiologist, stir_files(BurnedInAnnotation="YES"), visit=visit)
    study = Study.objects.get()
    address = reverse("imaging:slice", args=[study.pk, study.series.get().pk, 0])
    assert signed_in(radiologist).get(address).status_code == 200
    assert signed_in(coordinator).get(address).status_code == 404
    assert "held back" in signed_in(coordinator).get(reverse("imaging:study", args=[study.pk])).content.decode()


def test_lists_show_what_waits_and_what_is_scored(scored, radiologist, patient):
    receive(radiologist, stir_files(study="1.2.77", series="1.2.77.1"))
    client = signed_in(radiologist)
    page = client.get(reverse("imaging:studies")).content.decode()
    assert page.count("data-row-link") == 2
    assert patient.study_code in page
    assert client.get(reverse("imaging:studies"), {"q": "nothing like it"}).content.decode().count("data-row-link") == 0
    assert client.get(reverse("imaging:studies"), {"kind": "unassigned"}).content.decode().count("data-row-link") == 1
    assert ">Attach<" in client.get(reverse("imaging:unassigned")).content.decode()


def test_empty_lists_say_what_to_do_next(radiologist):
    client = signed_in(radiologist)
    assert "No studies yet" in client.get(reverse("imaging:studies")).content.decode()
    assert "Nothing waits" in client.get(reverse("imaging:unassigned")).content.decode()


def test_a_mismatch_is_shown_and_confirmed_on_the_page(radiologist, centre):
    stranger = rows.make_visit(rows.make_patient(centre, sex="F"))
    receive(radiologist, stir_files())
    study, client = Study.objects.get(), signed_in(radiologist)
    address = reverse("imaging:attach", args=[study.pk])
    answer = client.post(address, {"target": f"visit:{stranger.pk}"})
    assert answer.status_code == 409
    assert "sex differs" in answer.content.decode()
    assert 'name="confirm"' in answer.content.decode()
    client.post(address, {"target": f"visit:{stranger.pk}", "confirm": "1", "reason": "sex mistyped"})
    study.refresh_from_db()
    assert study.visit == stranger


def test_attaching_without_a_choice_asks_for_one(radiologist):
    receive(radiologist, stir_files())
    answer = signed_in(radiologist).post(reverse("imaging:attach", args=[Study.objects.get().pk]), {"target": ""})
    assert answer.status_code == 400
    assert "Choose a patient" in answer.content.decode()


def test_moving_detaching_releasing_and_ordering_on_the_page(scored, radiologist, patient):
    from datetime import date

    client = signed_in(radiologist)
    later = rows.make_visit(patient, date(2026, 5, 5))
    client.post(reverse("imaging:attach", args=[scored.pk]), {"target": f"visit:{later.pk}"})
    scored.refresh_from_db()
    assert scored.visit == later
    assert client.post(reverse("imaging:detach", args=[scored.pk]), {"reason": ""}).status_code == 400
    client.post(reverse("imaging:detach", args=[scored.pk]), {"reason": "wrong visit"})
    scored.refresh_from_db()
    assert scored.visit is None
    assert client.post(reverse("imaging:release", args=[scored.pk]), {"reason": "not held"}).status_code == 409
    assert client.post(reverse("imaging:score", args=[scored.pk])).status_code == 302
    answer = client.post(reverse("imaging:choose-series", args=[scored.pk]), {"series": scored.chosen_series_id})
    assert answer.status_code == 302
