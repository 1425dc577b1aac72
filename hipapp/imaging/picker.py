"""Choosing where a study goes: a visit, a patient (with the visit on the day of the study), or nothing yet."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.models import User
from hipapp.clinic.models import Patient, Visit
from hipapp.clinic.selectors import names_for, search_patients, visible_patients, visible_visits

MAX_FOUND = 8


@dataclass(frozen=True)
class Target:
    """The chosen visit, or the chosen patient whose visit is the day of the study; neither means unassigned."""

    visit: Visit | None = None
    patient: Patient | None = None

    @property
    def value(self) -> str:
        """As the form field has it."""
        if self.visit:
            return f"visit:{self.visit.pk}"
        return f"patient:{self.patient.pk}" if self.patient else ""


@dataclass(frozen=True)
class Found:
    """A patient in the list of the picker, with the name where the person may see it."""

    patient: Patient
    name: str


def read_target(data: Mapping[str, str], patients: QuerySet[Patient], visits: QuerySet[Visit]) -> Target:
    """The target of a form whose field `target` is `visit:PK`, `patient:PK` or empty; 404 for what the person can't see."""
    kind, _, key = str(data.get("target") or "").partition(":")
    if not kind:
        return Target()
    if not key.isdecimal() or len(key) > 12:
        raise Http404
    if kind == "visit":
        return Target(visit=get_object_or_404(visits, pk=int(key)))
    if kind == "patient":
        return Target(patient=get_object_or_404(patients, pk=int(key)))
    raise Http404


def preset(request: SignedInRequest) -> Target:
    """The target that the address of the page names, `?visit=` or `?patient=`."""
    for kind in ("visit", "patient"):
        if key := request.GET.get(kind):
            values = {"target": f"{kind}:{key}"}
            return read_target(values, visible_patients(request.user), visible_visits(request.user))
    return Target()


def find_patients(user: User, words: str, centre_id: int | None = None) -> list[Found]:
    """The first patients that match, with their visits newest first; nothing for no words."""
    if not words.strip():
        return []
    newest = Prefetch("visits", Visit.objects.order_by("-visit_on"))
    patients = search_patients(user, words).patients.prefetch_related(newest).order_by("study_code")
    if centre_id is not None:
        patients = patients.filter(centre_id=centre_id)
    found = list(patients[:MAX_FOUND])
    names = names_for(user, found)
    return [Found(patient, names.get(patient.pk, "")) for patient in found]
