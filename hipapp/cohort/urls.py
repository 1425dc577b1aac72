"""Addresses of cohort."""

from django.urls import path

from hipapp.cohort import views

app_name = "cohort"
urlpatterns = [
    path("", views.cohort, name="cohort"),
    path("missing/", views.missing_list, name="missing"),
    path("correlations.csv", views.correlations_csv, name="correlations-csv"),
    path("visits-long.csv", views.long_csv, name="long-csv"),
    path("dictionary.csv", views.dictionary_csv, name="dictionary-csv"),
]
