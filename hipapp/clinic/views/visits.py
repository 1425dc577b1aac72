"""Pages of visits: seeing one, entering or changing one with its indices computed as one types, deleting one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.permissions import Act, can, record_access, require
from hipapp.clinic import indices, selectors, services
from hipapp.clinic.answers import BASDAI_QUESTIONS, HARRIS_LABELS, answer_of
from hipapp.clinic.forms import AssessmentForm, HipForm, StyledForm, VisitForm
from hipapp.clinic.models import Assessment, HipExamination, Patient, Side, Visit
from hipapp.clinic.summary import lines_of_results, lines_of_rows
from hipapp.clinic.views.common import patient_page
from hipapp.core.errors import DomainError

_CHANGED = (
    "Somebody else saved this visit after you opened it. Nothing of yours is lost: open the visit in another tab to compare, "
    "then save again to put your values in place of theirs."
)
SIDES = (Side.RIGHT.value, Side.LEFT.value)  # right first, as on the screen of a radiologist


@dataclass
class VisitForms:
    """The four forms of the visit page."""

    visit: VisitForm
    assessment: AssessmentForm
    hips: dict[str, HipForm]

    @property
    def all(self) -> list[StyledForm]:
        return [self.visit, self.assessment, *self.hips.values()]

    def are_valid(self) -> bool:
        return all([form.is_valid() for form in self.all])

    def refuse(self, error: DomainError) -> None:
        next((form for form in self.all if error.field in form.fields), self.visit).refuse(error)

    @property
    def fingerprint(self) -> str:
        """Of what was stored when the forms were made; differs when somebody else has saved the visit since."""
        stored = [sorted((name, str(value)) for name, value in form.initial.items()) for form in self.all]
        return hashlib.sha256(repr(stored).encode()).hexdigest()

    @property
    def harris_rows(self) -> list[dict[str, Any]]:
        """One row an item: its label and its field for each side."""
        return [
            {"label": label, "fields": [(side, form[name]) for side, form in self.hips.items()]}
            for name, label in HARRIS_LABELS.items()
        ]


def _assessment_of(visit: Visit | None) -> Assessment | None:
    return None if visit is None else Assessment.objects.filter(visit=visit).first()


def _examinations_of(visit: Visit | None) -> dict[str, HipExamination | None]:
    rows = {} if visit is None else {row.side: row for row in visit.hip_examinations.all()}
    return {side: rows.get(side) for side in SIDES}


def _forms(data: Mapping[str, Any] | None, patient: Patient, visit: Visit | None) -> VisitForms:
    unit = selectors.last_crp_unit(patient)
    return VisitForms(
        VisitForm(data, initial=VisitForm.initial_of(visit)),
        AssessmentForm(data, initial=AssessmentForm.initial_of(_assessment_of(visit), unit)),
        {side: HipForm(data, prefix=side, initial=HipForm.initial_of(row)) for side, row in _examinations_of(visit).items()},
    )


def visit_new(request: SignedInRequest, pk: int) -> HttpResponse:
    """Enter a visit of a patient."""
    patient = get_object_or_404(selectors.visible_patients(request.user), pk=pk)
    return _visit_form(request, patient, None)


def visit_edit(request: SignedInRequest, pk: int) -> HttpResponse:
    """Change a visit."""
    visit = get_object_or_404(selectors.visible_visits(request.user), pk=pk)
    return _visit_form(request, visit.patient, visit)


def _visit_form(request: SignedInRequest, patient: Patient, visit: Visit | None) -> HttpResponse:
    user = request.user
    require(user, Act.EDIT_CLINIC, patient.centre)
    forms = _forms(request.POST or None, patient, visit)
    if visit and request.POST.get("seen", forms.fingerprint) != forms.fingerprint:
        forms.visit.add_error(None, _CHANGED)
    if request.method == "POST" and forms.are_valid():
        try:
            saved = services.save_visit(
                user,
                visit or Visit(patient=patient),
                assessment=forms.assessment.cleaned_data,
                hips={side: form.cleaned_data for side, form in forms.hips.items()},
                **forms.visit.cleaned_data,
            )
        except DomainError as error:
            forms.refuse(error)
        else:
            messages.success(request, f"The visit of {saved.visit_on} is saved.")
            return redirect(patient_page(patient))
    record_access(user, "view", "patient", patient.pk)
    context = {
        "patient": patient,
        "name": selectors.names_for(user, [patient]).get(patient.pk, ""),
        "visit": visit,
        "forms": forms,
        "sides": SIDES,
        "patient_url": patient_page(patient),
        **_preview(forms.assessment, forms.hips),
    }
    return render(request, "clinic/visit_form.html", context)


@require_POST
def preview(request: SignedInRequest) -> HttpResponse:
    """The indices of what is typed so far; nothing is stored."""
    hips = {side: HipForm(request.POST, prefix=side) for side in SIDES}
    return render(request, "clinic/_indices.html", _preview(AssessmentForm(request.POST), hips))


def _preview(assessment: AssessmentForm, hips: Mapping[str, HipForm]) -> dict[str, Any]:
    found = indices.assess(_typed(assessment))
    results = {side: indices.examine(_typed(form)) for side, form in hips.items()}
    wrong = [field.label for form in (assessment, *hips.values()) for field in form if field.errors]
    return {"lines": lines_of_results(found, results), "warnings": found.warnings, "wrong": wrong}


def _typed(form: StyledForm) -> Mapping[str, Any]:
    """What can be read of the form so far; of a fresh form its initial values."""
    if not form.is_bound:
        return {name: field.clean(form.initial.get(name)) for name, field in form.fields.items()}
    form.is_valid()
    return form.cleaned_data


def visit(request: SignedInRequest, pk: int) -> HttpResponse:
    """What was found at one visit."""
    user = request.user
    found = get_object_or_404(selectors.visible_visits(user), pk=pk)
    record_access(user, "view", "patient", found.patient_id)
    assessment, hips = _assessment_of(found), _examinations_of(found)
    context = {
        "visit": found,
        "patient": found.patient,
        "name": selectors.names_for(user, [found.patient]).get(found.patient_id, ""),
        "patient_url": patient_page(found.patient),
        "can_edit": can(user, Act.EDIT_CLINIC, found.patient.centre),
        "assessment": assessment,
        "questions": [(words, getattr(assessment, name, None)) for name, words in BASDAI_QUESTIONS.items()],
        "hips": hips,
        "has_hips": any(hips.values()),
        "harris_rows": [(label, [_answer(row, name) for row in hips.values()]) for name, label in HARRIS_LABELS.items()],
        "lines": lines_of_rows(assessment, hips),
        "warnings": [text for row in (assessment, *hips.values()) if row for text in row.warnings],
    }
    return render(request, "clinic/visit.html", context)


def _answer(row: HipExamination | None, name: str) -> str:
    value = None if row is None else getattr(row, name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_deg"):
        return f"{value}°"
    return f"{answer_of(name, value)} · {value}"


def visit_delete(request: SignedInRequest, pk: int) -> HttpResponse:
    """Delete a visit; says what goes with it and asks for patient and day."""
    user = request.user
    found = get_object_or_404(selectors.visible_visits(user), pk=pk)
    require(user, Act.EDIT_CLINIC, found.patient.centre)
    name = f"{found.patient} {found.visit_on}"
    wrong = ""
    if request.method == "POST":
        if request.POST.get("name", "").strip() == name:
            address = patient_page(found.patient)
            services.delete_visit(user, found)
            messages.success(request, f"The visit of {name} is deleted.")
            return redirect(address)
        wrong = f"Type {name} to delete this visit."
    context = {
        "visit": found,
        "patient": found.patient,
        "name": name,
        "wrong": wrong,
        "patient_url": patient_page(found.patient),
        "losses": selectors.what_a_visit_holds(found),
        "n_studies": found.studies.count(),
    }
    return render(request, "clinic/visit_delete.html", context)
