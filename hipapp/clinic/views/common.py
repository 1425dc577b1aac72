"""What the pages of the clinic share."""

from django.urls import reverse

from hipapp.clinic.models import Patient


def patient_page(patient: Patient) -> str:
    """Address of the patient page (the timeline)."""
    return reverse("followup:patient", args=[patient.pk])
