"""Who changed what of a patient, from the events that the database writes itself; ids and times, never values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import F, Q, QuerySet, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from hipapp.accounts.models import User
from hipapp.clinic.models import Patient

# event model → (what it is called, the field that leads to the patient)
TRACKED = {
    "clinic.PatientEvent": ("patient", "pgh_obj_id"),
    "clinic.PatientIdentityEvent": ("identity", "patient_id"),
    "clinic.TreatmentPeriodEvent": ("treatment", "patient_id"),
    "clinic.VisitEvent": ("visit", "patient_id"),
    "clinic.AssessmentEvent": ("assessment", "visit_id"),
    "clinic.HipExaminationEvent": ("hip examination", "visit_id"),
    "imaging.StudyEvent": ("study", "visit_id"),
    "reading.ReadEvent": ("HIMRISS read", "visit_id"),
}
ACTS = {"insert": "added", "update": "changed", "delete": "deleted"}


@dataclass(frozen=True)
class Event:
    """One change: when, by whom (None: the program itself), what, to which row."""

    at: datetime
    user_id: int | None
    act: str
    thing: str
    row_id: str


def history(patient: Patient, reader: User | None = None, limit: int = 12) -> list[Event]:
    """The newest changes of the patient and of everything that hangs on its visits; one query.

    Parameters
    ----------
    reader : a reader who must not learn who else read: only this person's reads are listed
    """
    visits = _model("clinic.VisitEvent").objects.filter(patient_id=patient.pk).values("id")
    parts = []
    for label, (thing, field) in TRACKED.items():
        events = _model(label).objects.filter(Q(**{f"{field}__in": visits} if field == "visit_id" else {field: patient.pk}))
        if reader is not None and label == "reading.ReadEvent":
            events = events.filter(reader_id=reader.pk)
        parts.append(_columns(events, thing))
    rows = parts[0].union(*parts[1:], all=True).order_by("-at", "-number")[:limit]
    return [
        Event(row["at"], int(row["who"]) if row["who"] else None, ACTS.get(row["act"], row["act"]), row["thing"], row["row"])
        for row in rows
    ]


def _model(label: str) -> Any:
    return apps.get_model(label)


def _columns(events: QuerySet, thing: str) -> QuerySet:
    return events.annotate(
        at=F("pgh_created_at"),
        number=F("pgh_id"),
        act=F("pgh_label"),
        row=Cast("id", TextField()),
        thing=Value(thing, output_field=TextField()),
        who=KeyTextTransform("user", "pgh_context__metadata"),
    ).values("at", "number", "act", "row", "thing", "who")
