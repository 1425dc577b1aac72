"""The patient page."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.permissions import record_access
from hipapp.clinic.selectors import visible_patients
from hipapp.followup.page import build_page


def patient(request: SignedInRequest, pk: int) -> HttpResponse:
    """One patient: better or worse, the scores over time, visits, studies, history."""
    found = get_object_or_404(visible_patients(request.user), pk=pk)
    record_access(request.user, "view", "patient", found.pk)
    return render(request, "followup/patient.html", build_page(request.user, found))
