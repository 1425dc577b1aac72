"""Reads of the clinic: whose patients and visits a person may see, and the lists made of them."""

import re
from dataclasses import dataclass

from django.db.models import Count, F, IntegerField, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Cast, Substr

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, can, centres_for
from hipapp.clinic import identity
from hipapp.clinic.identity import Identity
from hipapp.clinic.models import Assessment, HipExamination, Patient, PatientIdentity, TreatmentPeriod, Visit

NAME_SEARCH_LIMIT = 2000
SORTS = {
    "code": ("study_code",),
    "-code": ("-study_code",),
    "seen": (F("last_seen_on").asc(nulls_last=True), "study_code"),
    "-seen": (F("last_seen_on").desc(nulls_last=True), "study_code"),
    "born": (F("birth_year").asc(nulls_last=True), "study_code"),
    "-born": (F("birth_year").desc(nulls_last=True), "study_code"),
}


def visible_patients(user: User) -> QuerySet[Patient]:
    """Patients of the centres where the person may see patients."""
    return Patient.objects.filter(centre__in=centres_for(user, Act.VIEW_PATIENTS)).select_related("centre")


def visible_visits(user: User) -> QuerySet[Visit]:
    """Visits of visible patients."""
    centres = centres_for(user, Act.VIEW_PATIENTS)
    return Visit.objects.filter(patient__centre__in=centres).select_related("patient__centre")


def visible_assessments(user: User) -> QuerySet[Assessment]:
    """Assessments of visible visits."""
    centres = centres_for(user, Act.VIEW_PATIENTS)
    return Assessment.objects.filter(visit__patient__centre__in=centres).select_related("visit__patient__centre")


def visible_hip_examinations(user: User) -> QuerySet[HipExamination]:
    """Hip examinations of visible visits."""
    centres = centres_for(user, Act.VIEW_PATIENTS)
    return HipExamination.objects.filter(visit__patient__centre__in=centres).select_related("visit__patient__centre")


def visible_treatments(user: User) -> QuerySet[TreatmentPeriod]:
    """Treatments of visible patients."""
    centres = centres_for(user, Act.VIEW_PATIENTS)
    return TreatmentPeriod.objects.filter(patient__centre__in=centres).select_related("patient__centre")


def identity_for(user: User, patient: Patient) -> Identity | None:
    """The patient's identity, if one was entered and the person's role at the centre may see it."""
    return identity.open_identity(patient) if can(user, Act.VIEW_IDENTITY, patient.centre) else None


def names_for(user: User, patients: list[Patient]) -> dict[int, str]:
    """Names of those of the patients whose names the person may see, by primary key."""
    return {row.patient_id: opened.name for row, opened in _opened(user, patients) if opened.name}


def _opened(user: User, patients: list[Patient] | QuerySet[Patient]) -> list[tuple[PatientIdentity, Identity]]:
    rows = PatientIdentity.objects.filter(
        patient__in=patients, patient__centre__in=centres_for(user, Act.VIEW_IDENTITY)
    ).select_related("patient__data_key")
    opened = [(row, identity.unseal(row)) for row in rows]
    return [(row, found) for row, found in opened if found is not None]


def with_last_visit(patients: QuerySet[Patient]) -> QuerySet[Patient]:
    """Patients with `n_visits`, `last_seen_on` and the indices of that last visit."""
    newest = Visit.objects.filter(patient=OuterRef("pk")).order_by("-visit_on")
    return patients.annotate(
        last_seen_on=Subquery(newest.values("visit_on")[:1]),
        last_asdas_crp=Subquery(newest.values("assessment__asdas_crp")[:1]),
        last_asdas_esr=Subquery(newest.values("assessment__asdas_esr")[:1]),
        last_basdai=Subquery(newest.values("assessment__basdai")[:1]),
        n_visits=Subquery(
            Visit.objects.filter(patient=OuterRef("pk")).order_by().values("patient").annotate(n=Count("pk")).values("n")
        ),
    )


@dataclass(frozen=True)
class Found:
    """Patients that a search found, and what it could not look through."""

    patients: QuerySet[Patient]
    remark: str = ""


def search_patients(user: User, words: str) -> Found:
    """Visible patients by part of the study code and, where the role may see them, by record number or name.

    A record number has to be exact. Names are looked through only while a person's centres have at most
    `NAME_SEARCH_LIMIT` identities, because each has to be decrypted.
    """
    words = " ".join(words.replace("\x00", "").split())[:100]
    patients = visible_patients(user)
    if not words:
        return Found(patients)
    by_code = patients.filter(study_code__icontains=words)
    centres = list(centres_for(user, Act.VIEW_IDENTITY))
    if not centres:
        return Found(by_code)
    digests = [identity.record_digest(centre.pk, words) for centre in centres]
    keys = set(
        PatientIdentity.objects.filter(record_digest__in=digests, patient__centre__in=centres).values_list(
            "patient_id", flat=True
        )
    )
    named = patients.filter(centre__in=centres, identity__isnull=False)
    remark = ""
    if named.count() > NAME_SEARCH_LIMIT:
        remark = "Names aren't searched here: there are too many patients. Use the study code or the exact record number."
    else:
        parts = words.casefold().split()
        keys |= {row.patient_id for row, found in _opened(user, named) if all(p in found.name.casefold() for p in parts)}
    return Found(patients.filter(pk__in=keys) | by_code, remark)


def propose_study_code(centre_code: str) -> str:
    """The next free study code of a centre: its code and a number of four digits, one above the highest in use."""
    prefix = f"{centre_code.upper()}-"
    numbered = Patient.objects.filter(study_code__regex=rf"^{re.escape(prefix)}[0-9]{{1,8}}$")
    tail = Cast(Substr("study_code", len(prefix) + 1), IntegerField())
    highest = numbered.aggregate(highest=Max(tail))["highest"] or 0
    return f"{prefix}{highest + 1:04d}"


def last_crp_unit(patient: Patient) -> str:
    """The unit in which this patient's CRP was last entered, else the centre's last; empty when there was none."""
    units = Assessment.objects.exclude(crp_unit="").order_by("-visit__visit_on", "-pk").values_list("crp_unit", flat=True)
    own = units.filter(visit__patient=patient).first()
    return own or units.filter(visit__patient__centre=patient.centre_id).first() or ""


def what_a_visit_holds(visit: Visit) -> list[str]:
    """What is deleted with a visit, in words."""
    held = []
    if Assessment.objects.filter(visit=visit).exists():
        held.append("the assessment: BASDAI, patient global, VAS, CRP and ESR")
    held += [f"the {row.side} hip's Harris examination" for row in visit.hip_examinations.order_by("-side")]
    if n := visit.reads.count():
        held.append(f"{n} HIMRISS read{'s' if n > 1 else ''}")
    return held
