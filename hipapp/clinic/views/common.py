"""What the pages of the clinic share."""

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from hipapp.accounts.models import User
from hipapp.clinic.models import Patient


def acting(request: HttpRequest) -> User:
    """The signed-in person; views here are reached only after sign-in."""
    user = request.user
    assert isinstance(user, User)
    return user


def patient_page(patient: Patient) -> str:
    """Address of the patient page (the timeline)."""
    try:
        return reverse("followup:patient", args=[patient.pk])
    except NoReverseMatch:
        return reverse("clinic:treatments", args=[patient.pk])
