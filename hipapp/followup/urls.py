"""Addresses of followup."""

from django.urls import path

from hipapp.followup import views

app_name = "followup"
urlpatterns = [
    path("patients/<int:pk>/", views.patient, name="patient"),
]
