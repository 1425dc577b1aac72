"""Pages of the clinic: what a person types is kept, errors stand beside their fields, names stay where they belong."""

import re
from datetime import date

import pytest
from django.test import Client

from hipapp.accounts.models import AccessEvent
from hipapp.clinic import services
from hipapp.clinic.identity import Identity, open_identity
from hipapp.clinic.models import Patient, TreatmentPeriod, Visit
from tests.builders import rows
from tests.clinic.test_services import ASDAS_HIGH, HARRIS_FAIR

pytestmark = pytest.mark.django_db


def client_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def typed_visit(day="2026-03-02", **changes) -> dict[str, str]:
    """A whole visit as the browser sends it: ASDAS-CRP 2.72, right hip 77.7."""
    typed = {f"assessment-{name}": str(value) for name, value in ASDAS_HIGH.items()}
    typed |= {"assessment-crp_value": "1,18", "assessment-crp_unit": "mg/dL", "visit_on": day}
    typed |= {f"right-{name}": "yes" if value is True else str(value) for name, value in HARRIS_FAIR.items()}
    return {**typed, **changes}


class TestVisitForm:
    def test_saves_a_whole_visit(self, rheumatologist, patient):
        answer = client_of(rheumatologist).post(f"/patients/{patient.pk}/visits/new/", typed_visit())
        assert answer.status_code == 302
        visit = Visit.objects.get()
        assert visit.assessment.asdas_crp == pytest.approx(2.7201, abs=5e-5)
        assert visit.hip_examinations.get().harris == pytest.approx(77.735)

    def test_shows_again_what_was_saved(self, rheumatologist, patient):
        client = client_of(rheumatologist)
        client.post(f"/patients/{patient.pk}/visits/new/", typed_visit())
        page = client.get(f"/visits/{Visit.objects.get().pk}/edit/").content.decode()
        assert 'name="assessment-crp_value" value="1.18"' in page
        assert re.search(r'<option value="30" selected>Mild · 30</option>', page)
        assert page.count('<option value="yes" selected>') == 4

    def test_saving_unchanged_changes_nothing(self, rheumatologist, patient):
        client = client_of(rheumatologist)
        client.post(f"/patients/{patient.pk}/visits/new/", typed_visit())
        visit = Visit.objects.get()
        before = {**vars(visit.assessment)}
        client.post(f"/visits/{visit.pk}/edit/", typed_visit())
        after = {**vars(Visit.objects.get().assessment)}
        for volatile in ("_state", "updated_at"):
            before.pop(volatile), after.pop(volatile)
        assert before == after

    def test_does_not_overwrite_unseen_what_somebody_else_saved(self, rheumatologist, coordinator, visit):
        client, address = client_of(rheumatologist), f"/visits/{visit.pk}/edit/"
        seen = re.search(r'name="seen" value="(\w+)"', client.get(address).content.decode()).group(1)
        services.save_assessment(coordinator, visit, vas_pain=7)
        page = client.post(address, typed_visit(seen=seen)).content.decode()
        assert "Somebody else saved this visit" in page
        assert Visit.objects.get().assessment.basdai_q2 is None
        seen = re.search(r'name="seen" value="(\w+)"', page).group(1)
        assert client.post(address, typed_visit(seen=seen)).status_code == 302
        assert Visit.objects.get().assessment.basdai_q2 == 4

    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("assessment-basdai_q1", "11", "Enter a number from 0 to 10."),
            ("assessment-patient_global", "1.23", "no more than 1 decimal place"),
            ("assessment-vas_pain", "NaN", "Enter a number from 0 to 10."),
            ("assessment-crp_value", "51", "Allowed: a number from 0 to 50 mg/dL"),
            ("assessment-esr_mm_h", "9" * 400, "Enter a number from 0 to 300 mm/h."),
            ("right-flexion_deg", "<script>alert(1)</script>", "Whole degrees from 0 to 180."),
            ("left-pain", "43", "Select a valid choice"),
            ("visit_on", "02.03.2026", "Write the day like 2026-03-02."),
            ("visit_on", "2099-01-01", "more than two years ahead"),
            ("visit_on", "", "Enter a day"),
            ("label", "x" * 41, "at most 40 characters"),
        ],
    )
    def test_keeps_what_was_typed_and_says_what_is_wrong(self, rheumatologist, patient, field, value, words):
        answer = client_of(rheumatologist).post(f"/patients/{patient.pk}/visits/new/", typed_visit(**{field: value}))
        page = answer.content.decode()
        assert answer.status_code == 200
        assert words in page
        assert "Not saved yet" in page
        assert 'name="assessment-basdai_q2" value="4"' in page
        assert "<script>alert(1)" not in page
        assert not Visit.objects.exists()

    def test_two_visits_on_a_day_are_refused_in_words(self, rheumatologist, visit):
        answer = client_of(rheumatologist).post(f"/patients/{visit.patient.pk}/visits/new/", typed_visit())
        assert "has a visit on 2026-03-02 already" in answer.content.decode()
        assert Visit.objects.count() == 1


class TestPreview:
    def test_computes_what_is_typed_and_stores_nothing(self, rheumatologist, patient):
        page = client_of(rheumatologist).post("/visits/preview/", typed_visit()).content.decode()
        assert "2.72" in page
        assert 'class="state state-high">high' in page
        assert "77.7" in page
        assert "16 items missing" in page
        assert not Visit.objects.exists()

    def test_says_what_is_missing_suspect_or_unreadable(self, rheumatologist):
        typed = typed_visit(**{
            "assessment-crp_value": "1.18", "assessment-crp_unit": "", "assessment-esr_mm_h": "160",
            "assessment-basdai_q6": "lots",
        })  # fmt: skip
        page = client_of(rheumatologist).post("/visits/preview/", typed).content.decode()
        assert "is this mg/dL?" in page
        assert "enters ASDAS-CRP as 2 mg/L (floor)" in page
        assert "ESR 160 mm/h is above 150" in page
        assert "missing: morning stiffness, duration" in page
        assert "Can’t be read: 6 Morning stiffness, duration" in page

    def test_survives_an_empty_post(self, rheumatologist):
        answer = client_of(rheumatologist).post("/visits/preview/")
        assert answer.status_code == 200
        assert answer.content.decode().count("items missing") == 5


class TestVisitPage:
    def test_shows_values_and_reasons_and_notes_the_look(self, radiologist, rheumatologist, visit):
        services.save_assessment(rheumatologist, visit, **ASDAS_HIGH, crp_value="1.18", crp_unit="mg/dL")
        page = client_of(radiologist).get(f"/visits/{visit.pk}/").content.decode()
        assert "2.72" in page
        assert "entered as 1.18 mg/dL" in page
        assert 'title="Not measured"' in page
        assert "Edit visit" not in page
        assert AccessEvent.objects.filter(user=radiologist, subject_id=str(visit.patient_id)).exists()

    def test_deleting_names_what_goes_and_asks_by_name(self, rheumatologist, visit):
        services.save_assessment(rheumatologist, visit, patient_global=1)
        client, address = client_of(rheumatologist), f"/visits/{visit.pk}/delete/"
        assert "the assessment: BASDAI" in client.get(address).content.decode()
        assert client.post(address, {"name": "yes"}).status_code == 200
        assert Visit.objects.exists()
        assert client.post(address, {"name": f"{visit.patient} 2026-03-02"}).status_code == 302
        assert not Visit.objects.exists()


class TestPatients:
    def typed(self, centre, **changes) -> dict[str, str]:
        return {"centre": str(centre.pk), "study_code": "", "sex": "F", "birth_year": "1990", "hla_b27": "yes", **changes}

    def test_adds_a_patient_with_identity(self, rheumatologist, centre):
        typed = self.typed(centre, **{"identity-name": "Wei Zhang", "identity-birth_on": "1990-05-06"})
        answer = client_of(rheumatologist).post("/patients/new/", typed)
        patient = Patient.objects.get()
        assert answer["Location"] == f"/patients/{patient.pk}/visits/new/"
        assert (patient.hla_b27, patient.study_code) == (True, f"{centre.code}-0001")
        assert open_identity(patient) == Identity("Wei Zhang", "", date(1990, 5, 6))

    def test_coordinator_neither_sees_nor_writes_identities(self, coordinator, rheumatologist, centre):
        client = client_of(coordinator)
        client.post("/patients/new/", self.typed(centre, **{"identity-name": "Planted Name"}))
        patient = Patient.objects.get()
        assert open_identity(patient) is None
        services.set_identity(rheumatologist, patient, Identity("Planted Name", "MRN-4711", date(1990, 5, 6)))
        visit = rows.make_visit(patient)
        for address in (
            "/", "/patients/", "/patients/?q=Planted", "/patients/?q=MRN-4711", f"/patients/{patient.pk}/edit/",
            f"/patients/{patient.pk}/treatments/", f"/patients/{patient.pk}/visits/new/", f"/visits/{visit.pk}/",
        ):  # fmt: skip
            answer = client.get(address)
            assert answer.status_code == 200
            page = answer.content.replace(b'value="Planted"', b"").replace(b'value="MRN-4711"', b"")
            assert b"Planted" not in page, address
            assert b"4711" not in page, address
        assert client.get("/patients/?q=Planted").context["page"].paginator.count == 0

    def test_errors_of_both_parts_stand_beside_their_fields(self, rheumatologist, centre):
        typed = self.typed(centre, birth_year="nineteen", study_code="ZZ-1", **{"identity-birth_on": "6.5.1990"})
        page = client_of(rheumatologist).post("/patients/new/", typed).content.decode()
        assert "Enter a year with four digits" in page
        assert 'value="nineteen"' in page
        assert "Write the day like 2026-03-02." in page
        typed = self.typed(centre, **{"identity-birth_on": "1991-05-06"})
        page = client_of(rheumatologist).post("/patients/new/", typed).content.decode()
        assert "not in the year of birth 1990" in page
        assert not Patient.objects.exists()

    def test_hostile_name_is_text(self, rheumatologist, centre):
        name = "<img src=x onerror=alert(1)>"
        client_of(rheumatologist).post("/patients/new/", self.typed(centre, **{"identity-name": name}))
        page = client_of(rheumatologist).get("/patients/").content.decode()
        assert "&lt;img src=x onerror=alert(1)&gt;" in page
        assert name not in page

    def test_radiologist_changes_the_identity_only(self, radiologist, patient):
        client, address = client_of(radiologist), f"/patients/{patient.pk}/edit/"
        assert "Year of birth" not in client.get(address).content.decode()
        client.post(address, {"identity-name": "Wei Zhang", "sex": "F", "birth_year": "1950"})
        patient.refresh_from_db()
        assert (patient.sex, patient.birth_year) == ("M", 1995)
        assert open_identity(patient).name == "Wei Zhang"

    def test_is_deleted_by_name_only(self, rheumatologist, patient):
        client, address = client_of(rheumatologist), f"/patients/{patient.pk}/delete/"
        client.post(address, {"name": "x"})
        assert Patient.objects.exists()
        client.post(address, {"name": patient.study_code})
        assert not Patient.objects.exists()

    @pytest.mark.parametrize(
        "query", ["sort=-seen", "sort=nonsense", "page=99999999999", "hips=both", "q=%00", "q=" + "x" * 5000]
    )
    def test_list_bears_any_query(self, rheumatologist, patient, query):
        assert client_of(rheumatologist).get(f"/patients/?{query}").status_code == 200

    def test_empty_list_says_what_to_do(self, rheumatologist, radiologist):
        assert "Add the first patient" in client_of(rheumatologist).get("/patients/").content.decode()
        assert "A rheumatologist or study coordinator adds them" in client_of(radiologist).get("/patients/").content.decode()


class TestTreatments:
    def test_added_changed_ended_deleted(self, coordinator, patient):
        client, address = client_of(coordinator), f"/patients/{patient.pk}/treatments/"
        client.post(address, {"drug": "adalimumab", "form": "sc", "started_on": "2026-01-01"})
        row = TreatmentPeriod.objects.get()
        client.post(f"/treatments/{row.pk}/edit/", {"drug": "adalimumab", "dose": "40 mg", "started_on": "2026-01-01"})
        client.post(f"/treatments/{row.pk}/end/")
        row.refresh_from_db()
        assert (row.dose, row.form) == ("40 mg", "")
        assert row.ended_on is not None
        client.post(f"/treatments/{row.pk}/delete/", {"name": "other"})
        assert TreatmentPeriod.objects.exists()
        client.post(f"/treatments/{row.pk}/delete/", {"name": "adalimumab"})
        assert not TreatmentPeriod.objects.exists()

    def test_wrong_end_is_said_beside_the_field(self, coordinator, patient):
        typed = {"drug": "adalimumab", "started_on": "2026-01-02", "ended_on": "2026-01-01"}
        page = client_of(coordinator).post(f"/patients/{patient.pk}/treatments/", typed).content.decode()
        assert "The last day is before the first day." in page
        assert 'value="adalimumab"' in page
        assert not TreatmentPeriod.objects.exists()
