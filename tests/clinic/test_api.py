"""REST of the clinic: rows of one's own centres, writes by role, computed fields, errors by field."""

from datetime import date

import pytest
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from hipapp.accounts.models import AccessEvent
from hipapp.clinic import services
from hipapp.clinic.identity import Identity
from hipapp.clinic.models import Assessment, HipExamination, Patient, Visit
from tests.builders import rows

pytestmark = pytest.mark.django_db
RESOURCES = ("patients", "visits", "assessments", "hip-examinations", "treatments")


def client_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def filled(rheumatologist, visit):
    """One row of every resource, by resource."""
    return {
        "patients": visit.patient,
        "visits": visit,
        "assessments": services.save_assessment(rheumatologist, visit, patient_global=4),
        "hip-examinations": services.save_hip_examination(rheumatologist, visit, "left", pain=44),
        "treatments": services.create_treatment(rheumatologist, visit.patient, drug="adalimumab", started_on=date(2026, 1, 1)),
    }


CHANGES = {
    "patients": {"sex": "F"},
    "visits": {"label": "week 12"},
    "assessments": {"vas_pain": 3.5},
    "hip-examinations": {"limp": 8},
    "treatments": {"dose": "40 mg every 2 weeks"},
}


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("role", ["radiologist", "rheumatologist", "coordinator", "administrator"])
@pytest.mark.parametrize("is_own", [True, False])
class TestAccess:
    """Every resource × role × own or other centre: list, one, change, delete."""

    def test_reads_and_writes(self, filled, centre, other_centre, resource, role, is_own):
        client = client_of(rows.make_user(role, centre if is_own else other_centre))
        address = f"/api/v1/{resource}/{filled[resource].pk}/"
        is_seen = is_own and role != "administrator"
        may_write = is_seen and role != "radiologist"
        assert client.get(f"/api/v1/{resource}/").json()["count"] == (1 if is_seen else 0)
        assert client.get(address).status_code == (200 if is_seen else 404)
        refused = 403 if is_seen else 404
        changed = client.patch(address, CHANGES[resource], format="json")
        assert changed.status_code == (200 if may_write else refused)
        if may_write:
            field, value = next(iter(CHANGES[resource].items()))
            assert changed.json()[field] == value
        if resource == "patients":
            Visit.objects.all().delete()
        assert client.delete(address).status_code == (204 if may_write else refused)
        assert type(filled[resource]).objects.filter(pk=filled[resource].pk).exists() != may_write


@pytest.mark.parametrize("resource", RESOURCES)
def test_needs_a_token(resource):
    answer = APIClient().get(f"/api/v1/{resource}/")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "not_authenticated"


class TestIdentity:
    @pytest.fixture
    def named(self, rheumatologist, patient):
        services.set_identity(rheumatologist, patient, Identity("Planted Name", "MRN-4711", date(1995, 5, 6)))
        return patient

    def test_care_roles_see_it(self, named, rheumatologist, radiologist):
        for user in (rheumatologist, radiologist):
            shown = client_of(user).get(f"/api/v1/patients/{named.pk}/").json()
            assert shown["identity"] == {
                "name": "Planted Name", "record_number": "MRN-4711", "birth_on": "1995-05-06",
            }  # fmt: skip

    def test_no_byte_of_it_reaches_a_coordinator(self, named, coordinator):
        client = client_of(coordinator)
        for address in ("/api/v1/patients/", f"/api/v1/patients/{named.pk}/", "/api/v1/patients/?search=Planted"):
            answer = client.get(address)
            assert answer.status_code == 200
            assert not any(secret in answer.content for secret in (b"Planted", b"4711", b"1995-05-06", b"identity"))

    def test_is_entered_by_care_roles_only(self, patient, radiologist, coordinator):
        body = {"name": "Wei  Zhang", "record_number": "A 1"}
        assert client_of(coordinator).put(f"/api/v1/patients/{patient.pk}/identity/", body).status_code == 403
        answer = client_of(radiologist).put(f"/api/v1/patients/{patient.pk}/identity/", body)
        assert answer.json()["identity"] == {"name": "Wei Zhang", "record_number": "A 1", "birth_on": None}

    def test_search_finds_name_and_record_number_for_care_roles(self, named, rheumatologist, coordinator):
        for words, n in (("planted", 1), ("mrn-4711", 1), ("MRN-471", 0), ("nobody", 0)):
            assert client_of(rheumatologist).get("/api/v1/patients/", {"search": words}).json()["count"] == n
            assert client_of(coordinator).get("/api/v1/patients/", {"search": words}).json()["count"] == 0


class TestWrites:
    def test_patient_gets_the_next_code(self, coordinator, centre):
        answer = client_of(coordinator).post("/api/v1/patients/", {"centre": centre.pk, "sex": "F", "birth_year": 1990})
        assert answer.status_code == 201
        assert answer.json()["study_code"] == f"{centre.code}-0001"

    def test_centre_has_to_be_ones_own(self, coordinator, other_centre):
        answer = client_of(coordinator).post("/api/v1/patients/", {"centre": other_centre.pk})
        assert answer.status_code == 400
        assert "centre" in answer.json()["error"]["fields"]
        assert not Patient.objects.exists()

    @pytest.mark.parametrize(
        ("resource", "body"),
        [
            ("visits", {"visit_on": "2026-03-03"}),
            ("treatments", {"drug": "adalimumab", "started_on": "2026-03-03"}),
        ],
    )
    def test_patient_of_another_centre_does_not_exist(self, coordinator, other_centre, resource, body):
        stranger = rows.make_patient(other_centre)
        answer = client_of(coordinator).post(f"/api/v1/{resource}/", {**body, "patient": stranger.pk})
        assert answer.status_code == 400
        assert "does not exist" in answer.json()["error"]["fields"]["patient"][0]

    def test_visit_of_another_centre_does_not_exist(self, coordinator, other_centre):
        visit = rows.make_visit(rows.make_patient(other_centre))
        for resource, body in (("assessments", {}), ("hip-examinations", {"side": "left"})):
            answer = client_of(coordinator).post(f"/api/v1/{resource}/", {**body, "visit": visit.pk})
            assert answer.status_code == 400
            assert "does not exist" in answer.json()["error"]["fields"]["visit"][0]

    def test_assessment_is_computed(self, rheumatologist, visit):
        body = {
            "visit": visit.pk, "basdai_q2": 4, "basdai_q6": 3, "patient_global": 4, "basdai_q3": 2, "crp_value": 1.18,
            "crp_unit": "mg/dL", "basdai": 9.9, "asdas_crp": 9.9,
        }  # fmt: skip
        shown = client_of(rheumatologist).post("/api/v1/assessments/", body, format="json").json()
        assert shown["asdas_crp"] == pytest.approx(2.7201, abs=5e-5)  # domain.md §2.2
        assert (shown["basdai"], shown["crp_mg_l"], shown["asdas_form"]) == (None, pytest.approx(11.8), "3-decimal")
        assert shown["patient"] == visit.patient_id

    def test_warnings_come_back(self, rheumatologist, visit):
        body = {"visit": visit.pk, "crp_value": 1.18, "esr_mm_h": 200}
        warnings = client_of(rheumatologist).post("/api/v1/assessments/", body, format="json").json()["warnings"]
        assert any("is this mg/dL?" in text for text in warnings)
        assert any("above 150" in text for text in warnings)

    def test_second_assessment_or_hip_is_a_conflict(self, rheumatologist, filled, visit):
        client = client_of(rheumatologist)
        assert client.post("/api/v1/assessments/", {"visit": visit.pk}).status_code == 409
        assert client.post("/api/v1/hip-examinations/", {"visit": visit.pk, "side": "left"}).status_code == 409
        assert client.post("/api/v1/hip-examinations/", {"visit": visit.pk, "side": "right"}).status_code == 201
        assert (Assessment.objects.count(), HipExamination.objects.count()) == (1, 2)

    @pytest.mark.parametrize(
        ("resource", "field", "value"),
        [
            ("patients", "birth_year", 1200), ("patients", "sex", "<script>"), ("patients", "study_code", "ZZ-1"),
            ("visits", "visit_on", "02.03.2026"), ("visits", "visit_on", "1800-01-01"), ("visits", "label", "x" * 41),
            ("visits", "note", "nul\u0000"), ("assessments", "basdai_q1", 11), ("assessments", "crp_value", 501),
            ("assessments", "basdai_q2", "NaN"), ("assessments", "crp_unit", "nmol/L"), ("assessments", "esr_mm_h", 1e300),
            ("hip-examinations", "pain", 43), ("hip-examinations", "flexion_deg", 10**30),
            ("treatments", "ended_on", "2025-12-31"), ("treatments", "drug", ""),
        ],
    )  # fmt: skip
    def test_wrong_values_are_named_by_field(self, rheumatologist, filled, resource, field, value):
        address = f"/api/v1/{resource}/{filled[resource].pk}/"
        answer = client_of(rheumatologist).patch(address, {field: value}, format="json")
        assert answer.status_code == 400
        assert field in answer.json()["error"]["fields"]

    @pytest.mark.parametrize(
        ("resource", "field"),
        [
            ("patients", "centre"), ("visits", "patient"), ("assessments", "visit"), ("hip-examinations", "visit"),
            ("treatments", "patient"),
        ],
    )  # fmt: skip
    def test_a_row_stays_where_it_belongs(self, rheumatologist, centre, filled, resource, field):
        patient = rows.make_patient(centre)
        other = {"centre": rows.make_centre().pk, "patient": patient.pk, "visit": rows.make_visit(patient).pk}
        if field == "centre":
            rheumatologist.memberships.create(centre_id=other["centre"], role="rheumatologist")
        address = f"/api/v1/{resource}/{filled[resource].pk}/"
        answer = client_of(rheumatologist).patch(address, {field: other[field]}, format="json")
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "fixed"

    def test_side_stays(self, rheumatologist, filled):
        address = f"/api/v1/hip-examinations/{filled['hip-examinations'].pk}/"
        assert client_of(rheumatologist).patch(address, {"side": "right"}).status_code == 400
        assert HipExamination.objects.get().side == "left"


def test_history_names_who_wrote_with_a_token(coordinator, patient):
    token = Token.objects.create(user=coordinator)
    client = APIClient(headers={"Authorization": f"Token {token.key}"})
    assert client.patch(f"/api/v1/patients/{patient.pk}/", {"sex": "F"}).status_code == 200
    event = patient.events.order_by("-pgh_id").first()
    assert event.sex == "F"
    assert (event.pgh_context.metadata["user"], event.pgh_context.metadata["door"]) == (coordinator.pk, "api")


class TestLists:
    def test_narrowed_by_patient_and_visit(self, rheumatologist, filled, centre):
        other = rows.make_visit(rows.make_patient(centre))
        services.save_assessment(rheumatologist, other, patient_global=1)
        client = client_of(rheumatologist)
        assert client.get("/api/v1/assessments/").json()["count"] == 2
        for query in ({"patient": other.patient_id}, {"visit": other.pk}):
            found = client.get("/api/v1/assessments/", query).json()["results"]
            assert [row["visit"] for row in found] == [other.pk]

    @pytest.mark.parametrize("text", ["x", "-1", "1.5", "²", "9" * 30, ""])
    def test_wrong_key_is_said(self, rheumatologist, text):
        answer = client_of(rheumatologist).get("/api/v1/visits/", {"patient": text})
        assert answer.status_code == 400
        assert "patient" in answer.json()["error"]["fields"]

    def test_pages_and_a_constant_number_of_queries(self, rheumatologist, centre, django_assert_max_num_queries):
        for number in range(12):
            patient = rows.make_patient(centre)
            services.set_identity(rheumatologist, patient, Identity(f"Name {number}"))
        client = client_of(rheumatologist)
        with django_assert_max_num_queries(6):
            page = client.get("/api/v1/patients/", {"page_size": 10}).json()
        assert (page["count"], len(page["results"])) == (12, 10)
        assert page["next"].endswith("page=2&page_size=10")

    def test_a_look_is_noted_by_ids(self, radiologist, filled, patient):
        client_of(radiologist).get(f"/api/v1/assessments/{filled['assessments'].pk}/")
        event = AccessEvent.objects.get()
        assert (event.user, event.action, event.subject_type, event.subject_id) == (
            radiologist, "view", "patient", str(patient.pk),
        )  # fmt: skip
