"""Pages of treatments: the list of a patient with a form for a new one, changing, ending and deleting one."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.permissions import Act, can, record_access, require
from hipapp.clinic import selectors, services
from hipapp.clinic.forms import DRUGS, TreatmentForm
from hipapp.clinic.models import TreatmentPeriod
from hipapp.clinic.views.common import patient_page
from hipapp.core.errors import DomainError


def treatments(request: SignedInRequest, pk: int) -> HttpResponse:
    """Treatments of a patient, and the form for a new one."""
    user = request.user
    patient = get_object_or_404(selectors.visible_patients(user), pk=pk)
    can_edit = can(user, Act.EDIT_CLINIC, patient.centre)
    form = TreatmentForm(request.POST or None, initial={"started_on": timezone.localdate()})
    if request.method == "POST":
        require(user, Act.EDIT_CLINIC, patient.centre)
        if form.is_valid():
            try:
                treatment = services.create_treatment(user, patient, **form.cleaned_data)
            except DomainError as error:
                form.refuse(error)
            else:
                messages.success(request, f"{treatment.drug} is added.")
                return redirect("clinic:treatments", patient.pk)
    record_access(user, "view", "patient", patient.pk)
    context = {
        "patient": patient,
        "name": selectors.names_for(user, [patient]).get(patient.pk, ""),
        "patient_url": patient_page(patient),
        "treatments": patient.treatments.order_by("-started_on", "-pk"),
        "form": form,
        "drugs": DRUGS,
        "can_edit": can_edit,
    }
    return render(request, "clinic/treatments.html", context)


def treatment_edit(request: SignedInRequest, pk: int) -> HttpResponse:
    """Change a treatment."""
    user = request.user
    treatment = get_object_or_404(selectors.visible_treatments(user), pk=pk)
    require(user, Act.EDIT_CLINIC, treatment.patient.centre)
    form = TreatmentForm(request.POST or None, initial=TreatmentForm.initial_of(treatment))
    if request.method == "POST" and form.is_valid():
        try:
            services.update_treatment(user, treatment, **form.cleaned_data)
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{treatment.drug} is saved.")
            return redirect("clinic:treatments", treatment.patient_id)
    context = {**_context(treatment), "form": form, "drugs": DRUGS}
    return render(request, "clinic/treatment_form.html", context)


@require_POST
def treatment_end(request: SignedInRequest, pk: int) -> HttpResponse:
    """Note today as the last day of a treatment."""
    user = request.user
    treatment = get_object_or_404(selectors.visible_treatments(user), pk=pk)
    services.end_treatment(user, treatment, timezone.localdate())
    messages.success(request, f"{treatment.drug} ends today. Change the day under Edit if it ended earlier.")
    return redirect("clinic:treatments", treatment.patient_id)


def treatment_delete(request: SignedInRequest, pk: int) -> HttpResponse:
    """Delete a treatment entered by mistake; asks for the drug by name."""
    user = request.user
    treatment = get_object_or_404(selectors.visible_treatments(user), pk=pk)
    require(user, Act.EDIT_CLINIC, treatment.patient.centre)
    wrong = ""
    if request.method == "POST":
        if request.POST.get("name", "").strip() == treatment.drug:
            services.delete_treatment(user, treatment)
            messages.success(request, f"{treatment.drug} is deleted.")
            return redirect("clinic:treatments", treatment.patient_id)
        wrong = f"Type {treatment.drug} to delete this treatment."
    return render(request, "clinic/treatment_delete.html", {**_context(treatment), "wrong": wrong})


def _context(treatment: TreatmentPeriod) -> dict[str, Any]:
    patient = treatment.patient
    return {
        "treatment": treatment,
        "patient": patient,
        "patient_url": patient_page(patient),
        "cancel_url": reverse("clinic:treatments", args=[patient.pk]),
    }
