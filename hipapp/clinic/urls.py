"""Addresses of clinic."""

from django.urls import path

from hipapp.clinic.views import patients, treatments, visits

app_name = "clinic"
urlpatterns = [
    path("patients/", patients.patients, name="patients"),
    path("patients/new/", patients.patient_new, name="patient-new"),
    path("patients/<int:pk>/edit/", patients.patient_edit, name="patient-edit"),
    path("patients/<int:pk>/delete/", patients.patient_delete, name="patient-delete"),
    path("patients/<int:pk>/treatments/", treatments.treatments, name="treatments"),
    path("patients/<int:pk>/visits/new/", visits.visit_new, name="visit-new"),
    path("visits/preview/", visits.preview, name="preview"),
    path("visits/<int:pk>/", visits.visit, name="visit"),
    path("visits/<int:pk>/edit/", visits.visit_edit, name="visit-edit"),
    path("visits/<int:pk>/delete/", visits.visit_delete, name="visit-delete"),
    path("treatments/<int:pk>/edit/", treatments.treatment_edit, name="treatment-edit"),
    path("treatments/<int:pk>/end/", treatments.treatment_end, name="treatment-end"),
    path("treatments/<int:pk>/delete/", treatments.treatment_delete, name="treatment-delete"),
]
