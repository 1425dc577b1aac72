"""REST: patients, visits, assessments, hip examinations, treatments. Reads by `visible_…`, writes by the services."""

from typing import Any

import pghistory
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, can, record_access
from hipapp.clinic import selectors, services
from hipapp.clinic.identity import Identity
from hipapp.clinic.models import Assessment, HipExamination, Patient, TreatmentPeriod, Visit
from hipapp.clinic.serializers import (
    AssessmentSerializer,
    HipExaminationSerializer,
    IdentitySerializer,
    PatientSerializer,
    TreatmentSerializer,
    VisitSerializer,
)

_MAX_KEY = 2**63 - 1


def key_filter(name: str) -> OpenApiParameter:
    """A query parameter that narrows a list to one primary key."""
    return OpenApiParameter(name, int, description=f"Only rows of this {name}")


class ClinicViewSet(viewsets.ModelViewSet):
    """A list narrowed by primary keys; each look at a row is noted under its patient."""

    key_filters: dict[str, str] = {}
    ordering: tuple[str, ...] = ("pk",)

    def visible(self, user: User) -> QuerySet[Any]:
        """The rows that the person may see."""
        raise NotImplementedError

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Once the token is known, the history knows the actor; the middleware saw only the session."""
        super().initial(request, *args, **kwargs)
        pghistory.context(user=request.user.pk, door="api")

    def get_queryset(self) -> QuerySet[Any]:
        if not isinstance(self.request.user, User):  # while the schema is drawn
            return super().get_queryset()
        rows = self.visible(self.request.user)
        for name, lookup in self.key_filters.items():
            if (text := self.request.query_params.get(name)) is not None:
                rows = rows.filter(**{lookup: _key(name, text)})
        return rows.order_by(*self.ordering)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.get_object()
        record_access(_user(request), "view", "patient", self.patient_of(row).pk)
        return Response(self.get_serializer(row).data)

    def patient_of(self, row: Any) -> Patient:
        """Whose row it is."""
        patient: Patient = row.patient
        return patient


def _user(request: Request) -> User:
    assert isinstance(request.user, User)
    return request.user


def _key(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > _MAX_KEY:
        raise ValidationError({name: ["A whole number: the id of a row."]})
    return int(text)


@extend_schema(tags=["patients"])
class PatientViewSet(ClinicViewSet):
    """Patients of one's centres. `?search=` looks as the page does: study code, and for care roles name and record number."""

    queryset = Patient.objects.none()
    serializer_class = PatientSerializer
    key_filters = {"centre": "centre_id"}
    ordering = ("study_code",)

    def visible(self, user: User) -> QuerySet[Any]:
        return selectors.visible_patients(user)

    def perform_destroy(self, row: Any) -> None:
        services.delete_patient(_user(self.request), row)

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        user = self.request.user
        if not isinstance(user, User):
            return rows
        if words := self.request.query_params.get("search", ""):
            rows = rows.filter(pk__in=selectors.search_patients(user, words).patients.values("pk"))
        return rows.select_related("identity", "data_key") if can(user, Act.VIEW_IDENTITY) else rows

    def patient_of(self, row: Any) -> Patient:
        patient: Patient = row
        return patient

    @extend_schema(parameters=[key_filter("centre"), OpenApiParameter("search", str)])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Patients, by study code."""
        return super().list(request, *args, **kwargs)

    @extend_schema(request=IdentitySerializer, responses=PatientSerializer)
    @action(detail=True, methods=["put"])
    def identity(self, request: Request, pk: str | None = None) -> Response:
        """Enter or replace who the patient is (care roles of the centre)."""
        patient = self.get_object()
        given = IdentitySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        services.set_identity(_user(request), patient, Identity(**given.validated_data))
        return Response(self.get_serializer(self.get_object()).data)


@extend_schema(tags=["visits"])
class VisitViewSet(ClinicViewSet):
    """Visits. Deleting one deletes its assessment, hip examinations and reads; its studies become unassigned."""

    queryset = Visit.objects.none()
    serializer_class = VisitSerializer
    key_filters = {"patient": "patient_id"}
    ordering = ("patient_id", "visit_on")

    def visible(self, user: User) -> QuerySet[Any]:
        return selectors.visible_visits(user)

    def perform_destroy(self, row: Any) -> None:
        services.delete_visit(_user(self.request), row)

    @extend_schema(parameters=[key_filter("patient")])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Visits, by patient and day."""
        return super().list(request, *args, **kwargs)


class AtVisitViewSet(ClinicViewSet):
    """Rows that hang on a visit."""

    key_filters = {"patient": "visit__patient_id", "visit": "visit_id"}
    ordering = ("visit__patient_id", "visit__visit_on", "pk")

    def patient_of(self, row: Any) -> Patient:
        patient: Patient = row.visit.patient
        return patient

    @extend_schema(parameters=[key_filter("patient"), key_filter("visit")])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Rows, by patient and day of the visit."""
        return super().list(request, *args, **kwargs)


@extend_schema(tags=["assessments"])
class AssessmentViewSet(AtVisitViewSet):
    """What patient and laboratory said at a visit, with BASDAI and ASDAS computed."""

    queryset = Assessment.objects.none()
    serializer_class = AssessmentSerializer

    def visible(self, user: User) -> QuerySet[Any]:
        return selectors.visible_assessments(user)

    def perform_destroy(self, row: Any) -> None:
        services.delete_assessment(_user(self.request), row)


@extend_schema(tags=["hip-examinations"])
class HipExaminationViewSet(AtVisitViewSet):
    """Harris items of one hip at a visit, with the score computed."""

    queryset = HipExamination.objects.none()
    serializer_class = HipExaminationSerializer

    def visible(self, user: User) -> QuerySet[Any]:
        return selectors.visible_hip_examinations(user)

    def perform_destroy(self, row: Any) -> None:
        services.delete_hip_examination(_user(self.request), row)


@extend_schema(tags=["treatments"])
class TreatmentViewSet(ClinicViewSet):
    """Drugs from their first to their last day."""

    queryset = TreatmentPeriod.objects.none()
    serializer_class = TreatmentSerializer
    key_filters = {"patient": "patient_id"}
    ordering = ("patient_id", "started_on", "pk")

    def visible(self, user: User) -> QuerySet[Any]:
        return selectors.visible_treatments(user)

    def perform_destroy(self, row: Any) -> None:
        services.delete_treatment(_user(self.request), row)

    @extend_schema(parameters=[key_filter("patient")])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Treatments, by patient and first day."""
        return super().list(request, *args, **kwargs)
