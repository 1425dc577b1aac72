"""Writes of the clinic: what is stored, what is computed, what is refused and why."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from hipapp.clinic import services
from hipapp.clinic.models import Assessment, HipExamination, Patient, PatientIdentity, Visit
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from tests.builders import rows

pytestmark = pytest.mark.django_db

# domain.md §2.1 and §2.2: BASDAI 4.30 of 5,6,2,3,7,4; ASDAS-CRP (long) 2.7201 and state high of 4,3,4,2 and CRP 11.8 mg/L.
ASDAS_HIGH = {"basdai_q2": 4, "basdai_q6": 3, "patient_global": 4, "basdai_q3": 2}
# domain.md §2.3: 30,8,11,8,5,1,2,4 with no deformity and 100,18,12,10 degrees give 77.735, fair.
HARRIS_FAIR = {
    "pain": 30, "limp": 8, "support": 11, "distance": 8, "sitting": 5, "transport": 1, "stairs": 2, "shoes": 4,
    "fixed_flexion_under_30": True, "fixed_adduction_under_10": True,
    "fixed_internal_rotation_under_10": True, "leg_difference_under_3_2_cm": True,
    "flexion_deg": 100, "abduction_deg": 18, "external_rotation_deg": 12, "adduction_deg": 10,
}  # fmt: skip


class TestPatients:
    def test_takes_the_next_study_code_of_the_centre(self, coordinator, centre):
        rows.make_patient(centre, study_code=f"{centre.code}-0142")
        rows.make_patient(centre, study_code=f"{centre.code}-A9999")
        patient = services.create_patient(coordinator, centre=centre, sex="F", birth_year=1990)
        assert patient.study_code == f"{centre.code}-0143"

    def test_first_patient_of_a_centre_is_number_one(self, coordinator, centre):
        assert services.create_patient(coordinator, centre=centre).study_code == f"{centre.code}-0001"

    def test_writes_the_study_code_in_capitals(self, coordinator, centre):
        patient = services.create_patient(coordinator, centre=centre, study_code=f" {centre.code.lower()}-ab1 ")
        assert patient.study_code == f"{centre.code}-AB1"

    @pytest.mark.parametrize("code", ["0143", "YY-0143", "{}-", "{}-01 43", "{}-0143-", "{}-" + "1" * 30, "{}-<b>"])
    def test_refuses_a_study_code_of_another_form(self, coordinator, centre, code):
        with pytest.raises(DomainError) as caught:
            services.create_patient(coordinator, centre=centre, study_code=code.format(centre.code))
        assert caught.value.field == "study_code"
        assert not Patient.objects.exists()

    def test_refuses_a_code_that_is_taken(self, coordinator, patient):
        with pytest.raises(ConflictError) as caught:
            services.create_patient(coordinator, centre=patient.centre, study_code=patient.study_code.lower())
        assert caught.value.code == "study_code_taken"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("birth_year", 1899),
            ("birth_year", timezone.localdate().year + 1),
            ("birth_year", 10**9),
            ("sex", "X"),
            ("criteria", "guess"),
            ("symptom_onset_on", timezone.localdate() + timedelta(days=1)),
            ("symptom_onset_on", date(1989, 12, 31)),
            ("hip_involvement", "three"),
            ("centre_id", 1),
        ],
    )
    def test_refuses_values_that_cannot_be(self, coordinator, centre, field, value):
        with pytest.raises(DomainError) as caught:
            services.create_patient(coordinator, centre=centre, **{"birth_year": 1990, field: value})
        assert caught.value.field == field

    def test_update_keeps_what_is_not_named(self, coordinator, patient):
        services.update_patient(coordinator, patient, hla_b27=True)
        patient.refresh_from_db()
        assert (patient.hla_b27, patient.birth_year) == (True, 1995)

    def test_patient_with_visits_is_not_deleted(self, coordinator, visit):
        with pytest.raises(ConflictError, match="1 visit"):
            services.delete_patient(coordinator, visit.patient)
        services.delete_visit(coordinator, visit)
        services.delete_patient(coordinator, visit.patient)
        assert not Patient.objects.exists()


class TestRoles:
    @pytest.mark.parametrize("role", ["radiologist", "administrator"])
    def test_other_roles_enter_nothing(self, centre, visit, role):
        user = rows.make_user(role, centre)
        for call in (
            lambda: services.create_patient(user, centre=centre),
            lambda: services.update_patient(user, visit.patient, sex="F"),
            lambda: services.delete_patient(user, visit.patient),
            lambda: services.create_visit(user, visit.patient, visit_on=date(2026, 4, 1)),
            lambda: services.update_visit(user, visit, label="x"),
            lambda: services.delete_visit(user, visit),
            lambda: services.save_assessment(user, visit, patient_global=1),
            lambda: services.save_hip_examination(user, visit, "left", pain=44),
            lambda: services.create_treatment(user, visit.patient, drug="a", started_on=date(2026, 1, 1)),
        ):
            with pytest.raises(ForbiddenError):
                call()
        assert (Patient.objects.count(), Visit.objects.count(), Assessment.objects.count()) == (1, 1, 0)

    def test_rheumatologist_of_another_centre_enters_nothing(self, other_centre, visit):
        stranger = rows.make_user("rheumatologist", other_centre)
        with pytest.raises(ForbiddenError):
            services.save_visit(stranger, visit, assessment={"patient_global": 1})
        with pytest.raises(ForbiddenError):
            services.create_patient(stranger, centre=visit.patient.centre)


class TestVisits:
    def test_one_visit_a_day(self, coordinator, visit):
        with pytest.raises(ConflictError) as caught:
            services.create_visit(coordinator, visit.patient, visit_on=visit.visit_on)
        assert caught.value.field == "visit_on"

    @pytest.mark.parametrize("day", [date(1994, 12, 31), timezone.localdate() + timedelta(days=900)])
    def test_refuses_days_outside_the_patients_time(self, coordinator, patient, day):
        with pytest.raises(DomainError) as caught:
            services.create_visit(coordinator, patient, visit_on=day)
        assert caught.value.field == "visit_on"

    def test_all_of_a_visit_is_saved_or_nothing(self, coordinator, patient):
        with pytest.raises(DomainError):
            services.save_visit(
                coordinator, Visit(patient=patient), visit_on=date(2026, 3, 2),
                assessment={"basdai_q1": 5}, hips={"right": {"pain": 43}},
            )  # fmt: skip
        assert not Visit.objects.exists()
        services.save_visit(
            coordinator, Visit(patient=patient), visit_on=date(2026, 3, 2),
            assessment={"basdai_q1": 5}, hips={"right": HARRIS_FAIR, "left": dict.fromkeys(HARRIS_FAIR)},
        )  # fmt: skip
        assert Visit.objects.get().assessment.basdai_q1 == 5
        assert [row.side for row in HipExamination.objects.all()] == ["right"]

    def test_emptied_parts_are_removed(self, coordinator, visit):
        services.save_visit(coordinator, visit, assessment={"patient_global": 3}, hips={"left": {"pain": 44}})
        services.save_visit(
            coordinator, visit, assessment={"patient_global": None, "crp_unit": "mg/L"}, hips={"left": {"pain": None}}
        )
        assert not Assessment.objects.exists()
        assert not HipExamination.objects.exists()


class TestAssessments:
    def test_indices_come_with_form_and_version(self, rheumatologist, visit):
        items = dict(zip((f"basdai_q{n}" for n in range(1, 7)), (5, 6, 2, 3, 7, 4), strict=True))
        row = services.save_assessment(rheumatologist, visit, **items)
        row.refresh_from_db()
        assert row.basdai == pytest.approx(4.30)
        assert row.asdas_crp is None
        assert (row.asdas_form, row.formula_version) == ("3-decimal", "basdai-1 asdas-1")

    @pytest.mark.parametrize(("value", "unit"), [("11.8", "mg/L"), ("1.18", "mg/dL"), ("11.8", "")])
    def test_crp_is_kept_as_entered_and_in_mg_l(self, rheumatologist, visit, value, unit):
        row = services.save_assessment(rheumatologist, visit, **ASDAS_HIGH, crp_value=value, crp_unit=unit)
        row.refresh_from_db()
        assert row.crp_mg_l == pytest.approx(11.8)
        assert row.asdas_crp == pytest.approx(2.7201, abs=5e-5)
        assert (row.crp_value.normalize().to_eng_string(), row.crp_unit, row.warnings) == (value, unit, [])

    def test_short_form_is_used_and_stored_on_request(self, rheumatologist, visit):
        row = services.save_assessment(
            rheumatologist, visit, **ASDAS_HIGH, crp_value=11.8, crp_unit="mg/L", asdas_form="2-decimal"
        )
        assert (round(row.asdas_crp, 4), row.asdas_form) == (2.7187, "2-decimal")
        row = services.save_assessment(rheumatologist, visit, vas_pain=2)
        assert row.asdas_form == "2-decimal"

    def test_remarks_are_kept(self, rheumatologist, visit):
        row = services.save_assessment(
            rheumatologist, visit, crp_value="1.18", esr_mm_h=151, **ASDAS_HIGH, basdai_q1=1, basdai_q4=1
        )
        text = " | ".join(row.warnings)
        assert "is this mg/dL?" in text
        assert "enters ASDAS-CRP as 2 mg/L (floor)" in text
        assert "ESR 151 mm/h is above 150" in text
        assert "q5 or q6 missing" in text

    def test_changed_items_recompute_the_indices(self, rheumatologist, visit):
        services.save_assessment(rheumatologist, visit, **ASDAS_HIGH, crp_value=11.8, crp_unit="mg/L")
        row = services.save_assessment(rheumatologist, visit, crp_value=None)
        assert (row.asdas_crp, row.crp_mg_l, row.crp_unit) == (None, None, "")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("basdai_q1", 10.1), ("basdai_q6", -1), ("patient_global", "many"), ("vas_pain", "NaN"), ("basdai_q2", 1.25),
            ("crp_value", 501), ("crp_value", -0.1), ("crp_value", "1e400"), ("esr_mm_h", 301), ("esr_mm_h", "Infinity"),
            ("asdas_form", "4-decimal"), ("basdai", 1), ("crp_unit", "nmol/L"),
        ],
    )  # fmt: skip
    def test_refuses_values_that_cannot_be(self, rheumatologist, visit, field, value):
        with pytest.raises(DomainError) as caught:
            services.save_assessment(rheumatologist, visit, **{"crp_unit": "mg/L", "crp_value": 5, field: value})
        assert caught.value.field == field
        assert not Assessment.objects.exists()

    def test_crp_limit_follows_the_unit(self, rheumatologist, visit):
        with pytest.raises(DomainError) as caught:
            services.save_assessment(rheumatologist, visit, crp_value=51, crp_unit="mg/dL")
        assert caught.value.field == "crp_value"


class TestHipExaminations:
    def test_score_grade_and_version(self, rheumatologist, visit):
        row = services.save_hip_examination(rheumatologist, visit, "right", **HARRIS_FAIR)
        row.refresh_from_db()
        assert row.harris == pytest.approx(77.735)
        assert (row.grade, row.formula_version) == ("fair", "harris-1")

    def test_missing_item_gives_no_score(self, rheumatologist, visit):
        row = services.save_hip_examination(rheumatologist, visit, "left", **{**HARRIS_FAIR, "stairs": None})
        assert (row.harris, row.grade) == (None, "")

    @pytest.mark.parametrize(
        ("field", "value"),
        [("pain", 43), ("limp", -1), ("flexion_deg", 181), ("adduction_deg", 91), ("stairs", 10**12), ("flexion_deg", "x")],
    )
    def test_refuses_values_that_cannot_be(self, rheumatologist, visit, field, value):
        with pytest.raises(DomainError) as caught:
            services.save_hip_examination(rheumatologist, visit, "left", **{field: value})
        assert caught.value.field == field

    def test_refuses_a_third_hip(self, rheumatologist, visit):
        with pytest.raises(DomainError) as caught:
            services.save_hip_examination(rheumatologist, visit, "middle", pain=44)
        assert caught.value.field == "side"


class TestTreatments:
    def test_is_added_ended_and_deleted(self, rheumatologist, patient):
        row = services.create_treatment(rheumatologist, patient, drug=" adalimumab ", form="sc", started_on=date(2025, 11, 3))
        services.end_treatment(rheumatologist, row, date(2026, 1, 5))
        row.refresh_from_db()
        assert (row.drug, row.ended_on) == ("adalimumab", date(2026, 1, 5))
        with pytest.raises(ConflictError):
            services.end_treatment(rheumatologist, row, date(2026, 1, 6))
        services.delete_treatment(rheumatologist, row)
        assert not patient.treatments.exists()

    def test_refuses_an_end_before_the_start(self, rheumatologist, patient):
        with pytest.raises(DomainError) as caught:
            services.create_treatment(
                rheumatologist, patient, drug="etanercept", started_on=date(2026, 1, 5), ended_on=date(2026, 1, 4)
            )
        assert caught.value.field == "ended_on"

    @pytest.mark.parametrize(("start", "end"), [(date(2026, 2, 1), None), (date(2025, 1, 1), date(2026, 1, 1))])
    def test_refuses_the_same_drug_twice_at_a_time(self, rheumatologist, patient, start, end):
        services.create_treatment(rheumatologist, patient, drug="adalimumab", started_on=date(2026, 1, 1))
        with pytest.raises(ConflictError) as caught:
            services.create_treatment(rheumatologist, patient, drug="Adalimumab", started_on=start, ended_on=end)
        assert caught.value.code == "overlap"

    def test_the_same_drug_after_a_pause(self, rheumatologist, patient):
        for start, end in ((date(2025, 1, 1), date(2025, 6, 1)), (date(2025, 6, 2), None)):
            services.create_treatment(rheumatologist, patient, drug="adalimumab", started_on=start, ended_on=end)
        assert patient.treatments.count() == 2

    @pytest.mark.parametrize("values", [{"drug": "x"}, {"started_on": date(2026, 1, 1)}, {"drug": "x" * 61}])
    def test_refuses_what_is_incomplete_or_too_long(self, rheumatologist, patient, values):
        with pytest.raises(DomainError):
            services.create_treatment(rheumatologist, patient, **values)
        assert not PatientIdentity.objects.exists()
