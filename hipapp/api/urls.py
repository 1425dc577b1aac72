"""The REST API: one line a resource, and its schema."""

from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import DefaultRouter

from hipapp.clinic.api import (
    AssessmentViewSet,
    HipExaminationViewSet,
    PatientViewSet,
    TreatmentViewSet,
    VisitViewSet,
)
from hipapp.imaging.api import ScoreViewSet, StudyViewSet
from hipapp.imaging.privacy_api import ErasureViewSet, PolicyViewSet
from hipapp.imaging.upload_api import UploadViewSet
from hipapp.jobs.api import JobViewSet
from hipapp.reading.api import ReadViewSet

app_name = "api"

router = DefaultRouter()
router.register("assessments", AssessmentViewSet)
router.register("erasures", ErasureViewSet)
router.register("hip-examinations", HipExaminationViewSet)
router.register("jobs", JobViewSet)
router.register("patients", PatientViewSet)
router.register("policies", PolicyViewSet, basename="policy")
router.register("reads", ReadViewSet)
router.register("scores", ScoreViewSet)
router.register("studies", StudyViewSet)
router.register("treatments", TreatmentViewSet)
router.register("uploads", UploadViewSet)
router.register("visits", VisitViewSet)

urlpatterns = [
    path("v1/", include(router.urls)),
    path("schema/", login_not_required(SpectacularAPIView.as_view()), name="schema"),
]
