"""Erasing studies and patients: asked for, confirmed, done by a job, wholly; the audit stays without identity."""

import io

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse

from hipapp.accounts.models import AccessEvent
from hipapp.clinic.identity import Identity
from hipapp.clinic.models import Assessment, Patient, PatientKey, Visit
from hipapp.clinic.services import set_identity
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from hipapp.core.storage import named_paths, put_content, stored_paths
from hipapp.imaging.models import (
    Erasure,
    ImagingPolicy,
    Instance,
    OriginalFile,
    Score,
    Segmentation,
    Study,
    StudyIdentity,
    UidLink,
    Upload,
)
from hipapp.imaging.receiving import spool
from hipapp.imaging.services import erasure as erasures
from hipapp.imaging.services import uploads
from hipapp.jobs.models import Job
from hipapp.jobs.services import cancel_job, retry_job
from tests.builders.rows import make_patient, make_user
from tests.imaging.studies import BIRTH_ON, receive, run_job, spool_files, stir_files

pytestmark = pytest.mark.django_db
MARKS = ("Plantedname", "Ottokar", "REC-778899", "1995-07-14", "Planted note", "Planted decision")


@pytest.fixture
def known(rheumatologist, radiologist, patient, visit):
    """A patient with identity, a visit with a note, an assessment, a scored study with kept originals."""
    ImagingPolicy.objects.create(centre=patient.centre, keeps_originals=True)
    set_identity(rheumatologist, patient, Identity("Plantedname Ottokar", "REC-778899", BIRTH_ON))
    visit.note = "Planted note"
    visit.save()
    Assessment.objects.create(visit=visit, crp_mg_l=12)
    receive(radiologist, stir_files(), visit=visit)
    run_job(Job.objects.get(task="imaging.segment_series"))
    Study.objects.update(decision="Planted decision")
    return patient


def erased(user, subject, reason="consent withdrawn") -> Job:
    order = erasures.ask_erasure(user, subject, reason=reason)
    return run_job(erasures.confirm_erasure(order, user, typed=erasures.name_of(order)))


def images() -> set[str]:
    """What is stored, but for the model."""
    return {path for path in stored_paths() if not path.startswith("models/")}


def whole_database() -> str:
    """Every table as text, bytes as hex and as far as they are text."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                found += [bytes(v).decode("latin-1") if isinstance(v, (bytes, memoryview)) else str(v) for v in row]
    return "\n".join(found)


def test_an_erased_study_leaves_no_image_outline_or_identity(known, radiologist):
    assert OriginalFile.objects.count() == Instance.objects.count() > 0
    job = erased(radiologist, Study.objects.get())
    assert (job.state, job.message) == ("succeeded", "Erased: 1 study with 18 stored files")
    for model in (Study, Instance, Segmentation, Score, UidLink, StudyIdentity, OriginalFile):
        assert not model.objects.exists(), model
    assert images() == set()
    assert "Planted decision" not in whole_database()
    assert (Patient.objects.count(), Visit.objects.count()) == (1, 1)
    order = Erasure.objects.get()
    assert (order.state, order.paths, order.counts["studies"], order.asked_by) == ("done", [], 1, radiologist)
    assert order.finished_at is not None
    assert not Job.objects.filter(subject_type="study").exclude(message="").exists()


def test_an_erased_patient_is_nowhere_but_the_audit_still_counts(known, radiologist, rheumatologist):
    events = AccessEvent.objects.count()
    key, code = known.pk, known.study_code
    assert all(mark in whole_database() for mark in ("Planted note", "Planted decision", code))
    job = erased(rheumatologist, known)
    assert job.state == "succeeded", job.message
    for model in (Patient, PatientKey, Visit, Assessment, Study, Instance):
        assert not model.objects.exists(), model
    assert images() == set()
    left = whole_database()
    assert [mark for mark in (*MARKS, code) if mark in left] == []
    assert AccessEvent.objects.count() > events
    history = Patient.pgh_event_model.objects.filter(pgh_obj_id=key)  # type: ignore[attr-defined]
    assert history.exists()
    assert set(history.values_list("study_code", "sex", "birth_year")) == {("", "", None)}
    assert Visit.pgh_event_model.objects.filter(patient_id=key).exists()  # type: ignore[attr-defined]


def test_other_patients_stay(known, radiologist, rheumatologist, centre):
    other = make_patient(centre)
    receive(radiologist, stir_files(study="9.9", series="9.9.1", PatientName="Other", PatientID="", seed=3), patient=other)
    kept = set(Instance.objects.filter(study__visit__patient=other).values_list("path", flat=True))
    erased(rheumatologist, known)
    assert Study.objects.get().visit.patient == other
    originals = set(OriginalFile.objects.values_list("path", flat=True))
    assert images() == kept | originals


def test_a_content_that_another_row_names_stays(known, radiologist):
    shared = Instance.objects.first()
    other = Study.objects.create(centre=known.centre, study_uid="2.25.1")
    Instance.objects.create(study=other, sop_uid="2.25.2", pixel_sha256="", path=shared.path, n_bytes=1)
    erased(radiologist, Study.objects.exclude(pk=other.pk).get())
    assert images() == {shared.path}


@pytest.mark.parametrize("moment", ["_erase_rows", "delete_content"])
def test_a_killed_worker_goes_on(known, rheumatologist, monkeypatch, moment):
    order = erasures.ask_erasure(rheumatologist, known, reason="consent withdrawn")
    job = erasures.confirm_erasure(order, rheumatologist, typed=known.study_code)
    real, calls = getattr(erasures, moment), []

    def die(*args):
        calls.append(args)
        if moment == "_erase_rows" or len(calls) == 4:
            raise MemoryError
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(erasures, moment, die)
        assert run_job(job).state == "queued"
    assert Patient.objects.exists() == (moment == "_erase_rows")
    assert run_job(job).state == "succeeded"
    assert (Patient.objects.count(), images(), Erasure.objects.get().state) == (0, set(), "done")


def test_what_is_being_uploaded_for_the_patient_is_stopped(known, radiologist, rheumatologist):
    waiting = spool_files(uploads.start_upload(radiologist, patient=known), stir_files(study="7.7"))
    job = uploads.finish_upload(waiting, radiologist)
    erased(rheumatologist, known)
    job.refresh_from_db()
    assert (job.state, Upload.objects.get(pk=waiting.pk).state) == ("cancelled", "failed")
    assert not spool.folder_of(waiting.pk).exists()


def test_a_study_held_for_the_patient_goes_too(known, radiologist, rheumatologist):
    receive(radiologist, stir_files(study="8.8", series="8.8.1", PatientName="Someone^Else"), patient=known)
    assert Study.objects.filter(state="held", intended_patient=known).count() == 1
    erased(rheumatologist, known)
    assert not Study.objects.exists()
    assert not StudyIdentity.objects.exists()


def test_it_needs_a_reason_without_names_and_the_right_word(known, radiologist):
    study = Study.objects.get()
    for reason in (" ", "Mr Plantedname asked", "rec-778899 is double", "born 1995-07-14"):
        with pytest.raises(DomainError) as error:
            erasures.ask_erasure(radiologist, study, reason=reason)
        assert error.value.field == "reason"
    order = erasures.ask_erasure(radiologist, study, reason="sent twice")
    with pytest.raises(ConflictError):
        erasures.ask_erasure(radiologist, study, reason="sent twice")
    with pytest.raises(DomainError, match="Type"):
        erasures.confirm_erasure(order, radiologist, typed="yes")
    assert Study.objects.exists()
    erasures.withdraw_erasure(order, radiologist)
    with pytest.raises(ConflictError):
        erasures.confirm_erasure(order, radiologist, typed=erasures.name_of(order))
    assert erasures.ask_erasure(radiologist, study, reason="sent twice").state == "asked"


def test_a_centre_may_want_a_second_person(known, radiologist, rheumatologist):
    ImagingPolicy.objects.update(needs_second_person=True)
    order = erasures.ask_erasure(radiologist, known, reason="consent withdrawn")
    with pytest.raises(ConflictError, match="another person"):
        erasures.confirm_erasure(order, radiologist, typed=known.study_code)
    assert run_job(erasures.confirm_erasure(order, rheumatologist, typed=known.study_code)).state == "succeeded"


def test_another_role_or_centre_may_not(known, administrator, other_centre):
    for person in (administrator, make_user("rheumatologist", other_centre)):
        with pytest.raises(ForbiddenError):
            erasures.ask_erasure(person, known, reason="consent withdrawn")


def test_the_pages_ask_and_confirm(known, rheumatologist, client):
    client.force_login(rheumatologist)
    address = reverse("imaging:patient-erase", args=[known.pk])
    assert b"Ask for the erasure" in client.get(address).content
    assert client.post(address, {"act": "ask", "reason": ""}).status_code == 400
    assert client.post(address, {"act": "ask", "reason": "consent withdrawn"}).status_code == 302
    assert b"to confirm" in client.get(address).content
    assert client.post(address, {"act": "confirm", "name": "no"}).status_code == 400
    assert client.post(address, {"act": "confirm", "name": known.study_code}).status_code == 302
    assert run_job(Job.objects.get(task="imaging.erase")).state == "succeeded"
    assert client.get(address).status_code == 404


def orphans(*arguments: str) -> tuple[str, bool]:
    """What the command says, and whether it found nothing."""
    said = io.StringIO()
    try:
        call_command("orphans", *arguments, stdout=said)
    except CommandError:
        return said.getvalue(), False
    return said.getvalue(), True


def test_orphans_are_found_both_ways(known):
    n = len({path for path, _ in named_paths()})
    assert n >= 18
    assert orphans("--verify") == (f"{n} named, 0 missing, 0 damaged, 0 unnamed, 0 deleted\n", True)
    young = put_content(b"an attempt that was killed", "dicom", ".dcm")
    assert orphans()[1], "a young content may belong to an upload under way"
    lost, changed = Instance.objects.order_by("pk")[:2]
    default_storage.delete(lost.path)
    default_storage.delete(changed.path)
    default_storage.save(changed.path, ContentFile(b"other bytes"))
    said, is_clean = orphans("--older-than", "0", "--verify", "--delete")
    assert not is_clean
    assert f"missing {lost.path} (imaging.Instance {lost.pk})" in said
    assert f"damaged {changed.path} (imaging.Instance {changed.pk}): file_damaged" in said
    assert f"unnamed {young}" in said
    assert not default_storage.exists(young)
    assert default_storage.exists(changed.path)


def test_an_order_waits_on_a_page_for_those_who_may_confirm(known, radiologist, rheumatologist, other_centre, client):
    study = Study.objects.get()
    order = erasures.ask_erasure(radiologist, study, reason="consent withdrawn")
    address = reverse("imaging:study-erase", args=[study.pk])
    client.force_login(rheumatologist)
    assert address in client.get(reverse("imaging:unassigned")).content.decode()
    assert "Confirm or withdraw it" in client.get(reverse("imaging:study", args=[study.pk])).content.decode()
    client.force_login(make_user("radiologist", other_centre))
    assert address not in client.get(reverse("imaging:unassigned")).content.decode()
    erasures.withdraw_erasure(order, rheumatologist)
    client.force_login(rheumatologist)
    assert address not in client.get(reverse("imaging:unassigned")).content.decode()


def test_a_cancelled_erasure_says_how_it_goes_on(known, radiologist, client):
    study = Study.objects.get()
    order = erasures.ask_erasure(radiologist, study, reason="consent withdrawn")
    job = erasures.confirm_erasure(order, radiologist, typed=erasures.name_of(order))
    client.force_login(radiologist)
    address = reverse("imaging:study-erase", args=[study.pk])
    assert b"It is being erased" in client.get(address).content
    cancel_job(job)
    page = client.get(address).content.decode()
    assert "Try it again there" in page
    assert reverse("jobs:detail", args=[job.pk]) in page
    assert run_job(retry_job(job)).state == "succeeded"
    assert not Study.objects.exists()
