"""Writes of the clinic: patients, identities, visits with what was found at them, treatments.

One function is one transaction. All take the acting person and plain keyword data; pages, API and demo call the same ones.
They raise ForbiddenError where the role doesn't allow the act and DomainError, with the field, for values that can't be.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Model

from hipapp.accounts.models import Centre, User
from hipapp.accounts.permissions import Act, require
from hipapp.clinic import identity as identities
from hipapp.clinic import indices
from hipapp.clinic.identity import Identity
from hipapp.clinic.models import Assessment, HipExamination, Patient, PatientIdentity, Side, TreatmentPeriod, Visit
from hipapp.clinic.selectors import propose_study_code
from hipapp.clinic.validation import check_birth_year, check_past, check_study_code, check_visit_date, fill
from hipapp.core.errors import ConflictError, DomainError

PATIENT_FIELDS = (
    "study_code", "sex", "birth_year", "criteria", "hla_b27", "symptom_onset_on", "hip_involvement", "is_synthetic",
)  # fmt: skip
VISIT_FIELDS = ("visit_on", "label", "note")
ASSESSMENT_FIELDS = (
    *indices.BASDAI_FIELDS, "patient_global", "vas_pain", "crp_value", "crp_unit", "esr_mm_h", "asdas_form",
)  # fmt: skip
TREATMENT_FIELDS = ("drug", "form", "dose", "started_on", "ended_on")


@transaction.atomic
def create_patient(
    user: User, *, centre: Centre, study_code: str = "", identity: Identity | None = None, **values: Any
) -> Patient:
    """Add a patient to a centre; without a study code the centre's next one is taken.

    Parameters
    ----------
    values : fields of `PATIENT_FIELDS`
    identity : needs EDIT_IDENTITY as well
    """
    require(user, Act.EDIT_CLINIC, centre)
    _wait_turn(centre)
    patient = Patient(centre=centre)
    _fill_patient(patient, {**values, "study_code": study_code or propose_study_code(centre.code)})
    patient.save()
    if identity is not None:
        set_identity(user, patient, identity)
    return patient


@transaction.atomic
def update_patient(user: User, patient: Patient, **values: Any) -> Patient:
    """Change fields of `PATIENT_FIELDS`; those not named stay."""
    require(user, Act.EDIT_CLINIC, patient.centre)
    _wait_turn(patient.centre)
    _fill_patient(patient, values)
    patient.save()
    return patient


@transaction.atomic
def save_patient(user: User, patient: Patient, *, values: Mapping[str, Any], identity: Identity | None) -> Patient:
    """Change description and identity together, or nothing; `values` may be empty and `identity` None (stays)."""
    if values:
        update_patient(user, patient, **values)
    if identity is not None:
        set_identity(user, patient, identity)
    return patient


@transaction.atomic
def delete_patient(user: User, patient: Patient) -> None:
    """Delete a patient entered by mistake, with identity and treatments; refused while there are visits."""
    require(user, Act.EDIT_CLINIC, patient.centre)
    if n := patient.visits.count():
        raise ConflictError(f"The patient has {n} visit(s). Delete them first, one by one.", code="has_visits")
    patient.delete()


def _wait_turn(row: Model) -> None:
    """Until the transaction ends nobody else writes below this row: two people at once can't both pass a check."""
    type(row)._default_manager.select_for_update().get(pk=row.pk)


def _fill_patient(patient: Patient, values: Mapping[str, Any]) -> None:
    fill(patient, values, PATIENT_FIELDS)
    patient.study_code = check_study_code(patient.study_code, patient.centre.code)
    if Patient.objects.filter(study_code=patient.study_code).exclude(pk=patient.pk).exists():
        raise ConflictError(f"There is a patient {patient.study_code} already.", code="study_code_taken", field="study_code")
    check_birth_year(patient.birth_year)
    check_past(patient.symptom_onset_on, "symptom_onset_on", "The onset", patient.birth_year)


@transaction.atomic
def set_identity(user: User, patient: Patient, identity: Identity) -> None:
    """Enter or replace name, record number and birth date; all empty removes what was known."""
    require(user, Act.EDIT_IDENTITY, patient.centre)
    name = " ".join(identity.name.split())
    record_number = " ".join(identity.record_number.split())
    _check_identity(patient, name, record_number, identity.birth_on)
    if not (name or record_number or identity.birth_on):
        PatientIdentity.objects.filter(patient=patient).delete()
        return
    try:
        with transaction.atomic():
            identities.store(patient, Identity(name, record_number, identity.birth_on))
    except IntegrityError as error:
        raise ConflictError(
            "Another patient of this centre has this record number.", code="record_number_taken", field="record_number"
        ) from error


def _check_identity(patient: Patient, name: str, record_number: str, birth_on: date | None) -> None:
    for field, text, limit in (("name", name, 120), ("record_number", record_number, 40)):
        if len(text) > limit or not text.isprintable():
            raise DomainError(f"At most {limit} printable characters.", code="invalid", field=field)
    check_past(birth_on, "birth_on", "The birth date")
    if birth_on and patient.birth_year and birth_on.year != patient.birth_year:
        raise DomainError(
            f"The birth date is not in the year of birth {patient.birth_year}. Correct one of them.",
            code="birth_year_differs",
            field="birth_on",
        )


@transaction.atomic
def create_visit(user: User, patient: Patient, *, visit_on: date, **values: Any) -> Visit:
    """Add a visit (`label`, `note`); one a day."""
    return _save_visit(user, Visit(patient=patient), {"visit_on": visit_on, **values})


@transaction.atomic
def update_visit(user: User, visit: Visit, **values: Any) -> Visit:
    """Change fields of `VISIT_FIELDS`; those not named stay."""
    return _save_visit(user, visit, values)


def _save_visit(user: User, visit: Visit, values: Mapping[str, Any]) -> Visit:
    require(user, Act.EDIT_CLINIC, visit.patient.centre)
    _wait_turn(visit.patient)
    fill(visit, values, VISIT_FIELDS)
    check_visit_date(visit.visit_on, visit.patient.birth_year)
    if Visit.objects.filter(patient=visit.patient, visit_on=visit.visit_on).exclude(pk=visit.pk).exists():
        raise ConflictError(
            f"{visit.patient} has a visit on {visit.visit_on} already. Open that one instead.",
            code="visit_exists",
            field="visit_on",
        )
    visit.save()
    return visit


@transaction.atomic
def delete_visit(user: User, visit: Visit) -> None:
    """Delete a visit with its assessment, hip examinations and reads; its studies go to the unassigned list."""
    require(user, Act.EDIT_CLINIC, visit.patient.centre)
    visit.delete()


@transaction.atomic
def save_assessment(user: User, visit: Visit, **values: Any) -> Assessment:
    """Enter or change the assessment of a visit (fields of `ASSESSMENT_FIELDS`; those not named stay), and its indices.

    Notes
    -----
    BASDAI and ASDAS come from `scoring`, with the form of the coefficients, the version of the formulas and their remarks.
    """
    require(user, Act.EDIT_CLINIC, visit.patient.centre)
    _wait_turn(visit)
    row = Assessment.objects.filter(visit=visit).first() or Assessment(visit=visit)
    fill(row, values, ASSESSMENT_FIELDS)
    if row.crp_value is None:
        row.crp_unit = ""
    row.asdas_form = row.asdas_form or indices.LONG_FORM
    if row.asdas_form not in indices.FORMS:
        raise DomainError(f"The form is one of {', '.join(indices.FORMS)}.", code="invalid", field="asdas_form")
    found = indices.assess({name: getattr(row, name) for name in ASSESSMENT_FIELDS}, row.asdas_form)
    row.crp_mg_l = found.crp_mg_l
    row.basdai, row.asdas_crp, row.asdas_esr = found.basdai.value, found.asdas_crp.value, found.asdas_esr.value
    row.formula_version, row.warnings = found.version, list(found.warnings)
    row.save()
    return row


@transaction.atomic
def save_hip_examination(user: User, visit: Visit, side: str, **values: Any) -> HipExamination:
    """Enter or change the Harris items of one hip (fields of `indices.HARRIS_FIELDS`; those not named stay), and its score."""
    require(user, Act.EDIT_CLINIC, visit.patient.centre)
    if side not in Side.values:
        raise DomainError("The side is right or left.", code="invalid", field="side")
    _wait_turn(visit)
    row = HipExamination.objects.filter(visit=visit, side=side).first() or HipExamination(visit=visit, side=side)
    fill(row, values, indices.HARRIS_FIELDS)
    found = indices.examine({name: getattr(row, name) for name in indices.HARRIS_FIELDS})
    row.harris, row.grade, row.warnings = found.value, found.state or "", list(found.warnings)
    row.formula_version = f"harris-{found.version}"
    row.save()
    return row


@transaction.atomic
def delete_assessment(user: User, assessment: Assessment) -> None:
    """Delete what was entered at a visit; the visit stays."""
    require(user, Act.EDIT_CLINIC, assessment.visit.patient.centre)
    assessment.delete()


@transaction.atomic
def delete_hip_examination(user: User, examination: HipExamination) -> None:
    """Delete the examination of one hip; the visit stays."""
    require(user, Act.EDIT_CLINIC, examination.visit.patient.centre)
    examination.delete()


@transaction.atomic
def save_visit(
    user: User,
    visit: Visit,
    *,
    assessment: Mapping[str, Any] | None = None,
    hips: Mapping[str, Mapping[str, Any]] | None = None,
    **values: Any,
) -> Visit:
    """A new or changed visit with everything found at it, or nothing of it.

    Parameters
    ----------
    visit : saved, or `Visit(patient=patient)` for a new one
    assessment : fields of `save_assessment`; the row is removed when all are empty
    hips : by side, fields of `save_hip_examination`; a row is removed when all are empty
    """
    _save_visit(user, visit, values)
    if assessment is not None:
        if _is_empty({name: value for name, value in assessment.items() if name != "crp_unit"}):
            Assessment.objects.filter(visit=visit).delete()
        else:
            save_assessment(user, visit, **assessment)
    for side, items in (hips or {}).items():
        if _is_empty(items):
            HipExamination.objects.filter(visit=visit, side=side).delete()
        else:
            save_hip_examination(user, visit, side, **items)
    return visit


def _is_empty(items: Mapping[str, Any]) -> bool:
    return all(value is None or value == "" for value in items.values())


@transaction.atomic
def create_treatment(user: User, patient: Patient, **values: Any) -> TreatmentPeriod:
    """Add a treatment (fields of `TREATMENT_FIELDS`)."""
    return _save_treatment(user, TreatmentPeriod(patient=patient), values)


@transaction.atomic
def update_treatment(user: User, treatment: TreatmentPeriod, **values: Any) -> TreatmentPeriod:
    """Change fields of `TREATMENT_FIELDS`; those not named stay."""
    return _save_treatment(user, treatment, values)


@transaction.atomic
def end_treatment(user: User, treatment: TreatmentPeriod, ended_on: date) -> TreatmentPeriod:
    """Note the last day of a treatment that went on."""
    if treatment.ended_on is not None:
        raise ConflictError(f"The treatment ended on {treatment.ended_on} already.", code="ended", field="ended_on")
    return _save_treatment(user, treatment, {"ended_on": ended_on})


def _save_treatment(user: User, treatment: TreatmentPeriod, values: Mapping[str, Any]) -> TreatmentPeriod:
    require(user, Act.EDIT_CLINIC, treatment.patient.centre)
    _wait_turn(treatment.patient)
    fill(treatment, values, TREATMENT_FIELDS)
    if not treatment.drug or treatment.started_on is None:
        raise DomainError("Enter this.", code="required", field="started_on" if treatment.drug else "drug")
    if treatment.ended_on is not None and treatment.ended_on < treatment.started_on:
        raise DomainError("The last day is before the first day.", code="ends_before_start", field="ended_on")
    if treatment.started_on < date(1950, 1, 1):
        raise DomainError("The first day is too long ago.", code="too_early", field="started_on")
    _refuse_overlap(treatment)
    treatment.save()
    return treatment


def _refuse_overlap(treatment: TreatmentPeriod) -> None:
    others = TreatmentPeriod.objects.filter(patient=treatment.patient, drug__iexact=treatment.drug)
    for other in others.exclude(pk=treatment.pk):
        starts_after = treatment.ended_on is not None and other.started_on > treatment.ended_on
        ends_before = other.ended_on is not None and other.ended_on < treatment.started_on
        if not (starts_after or ends_before):
            end = f"to {other.ended_on}" if other.ended_on else "and goes on"
            raise ConflictError(
                f"{other.drug} is entered from {other.started_on} {end} already. End that period, or change it.",
                code="overlap",
                field="started_on",
            )


@transaction.atomic
def delete_treatment(user: User, treatment: TreatmentPeriod) -> None:
    """Delete a treatment entered by mistake."""
    require(user, Act.EDIT_CLINIC, treatment.patient.centre)
    treatment.delete()
