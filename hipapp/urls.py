"""All addresses, by app."""

from django.urls import include, path

from hipapp.core.health import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("", include("hipapp.home.urls")),
    path("accounts/", include("hipapp.accounts.urls")),
    path("jobs/", include("hipapp.jobs.urls")),
    path("", include("hipapp.clinic.urls")),
    path("", include("hipapp.imaging.urls")),
    path("dicomweb/", include("hipapp.imaging.dicomweb.urls")),
    path("", include("hipapp.reading.urls")),
    path("", include("hipapp.followup.urls")),
    path("cohort/", include("hipapp.cohort.urls")),
    path("api/", include("hipapp.api.urls")),
]
