from django.apps import AppConfig


class CohortConfig(AppConfig):
    name = "hipapp.cohort"
