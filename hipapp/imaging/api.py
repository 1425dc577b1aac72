"""Studies and scores over REST: upload, read, attach, review. The same services as the pages."""

from typing import Any

import pghistory
from django.core.exceptions import TooManyFilesSent
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, centres_for, record_access
from hipapp.clinic.selectors import visible_patients, visible_visits
from hipapp.core.errors import DomainError
from hipapp.imaging.export.service import export_study
from hipapp.imaging.models import Score, Study
from hipapp.imaging.receiving.handler import SpoolHandler
from hipapp.imaging.results import results_of_studies
from hipapp.imaging.selectors import visible_scores, visible_studies
from hipapp.imaging.serializers import (
    AttachSerializer,
    OrderedSerializer,
    ReviewSerializer,
    ScoreSerializer,
    StudySerializer,
    UploadSerializer,
    target_of,
)
from hipapp.imaging.services import reviews, studies, uploads
from hipapp.imaging.views.export import attachment

NO_FILES = "There are no files. Send them as multipart, in fields named `files`."


class FileRenderer(JSONRenderer):
    """Lets a client ask for `application/dicom` or `application/zip`; errors are JSON all the same."""

    media_type = "*/*"


EXPORT_RENDERERS = [JSONRenderer, FileRenderer]


class ActingMixin(ListModelMixin, RetrieveModelMixin):
    """What studies and scores share: lists, single rows, and writes that know who acts."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Once the token is known, the history knows the actor; the middleware saw only the session."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        pghistory.context(user=request.user.pk, door="api")


def _person(request: Request) -> User:
    assert isinstance(request.user, User)
    return request.user


def _whole(text: str, field: str) -> int:
    if not text.isdecimal() or len(text) > 12:
        raise DomainError(f"`{field}` has to be a key, a whole number.", field=field)
    return int(text)


@extend_schema(tags=["studies"])
class StudyViewSet(ActingMixin, GenericViewSet[Study]):
    """DICOM studies, stored without identity, with what counts for each hip."""

    queryset = Study.objects.none()
    serializer_class = StudySerializer
    parser_classes = [MultiPartParser, JSONParser]
    handler: SpoolHandler | None = None

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        wrapped = super().initialize_request(request, *args, **kwargs)
        if self.action == "create":  # before anything reads the body: files go straight into the spool
            self.handler = SpoolHandler(request)
            request.upload_handlers = [self.handler]
        return wrapped

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            answer = super().dispatch(request, *args, **kwargs)
        finally:
            if self.handler is not None:
                self.handler.clear()
        return answer

    def get_queryset(self) -> QuerySet[Study]:
        if not isinstance(self.request.user, User):  # while the schema is drawn
            return super().get_queryset()
        found = visible_studies(self.request.user).select_related("deidentification").prefetch_related("series")
        asked = self.request.query_params
        if key := asked.get("patient"):
            found = found.filter(visit__patient=_whole(key, "patient"))
        if key := asked.get("visit"):
            found = found.filter(visit=_whole(key, "visit"))
        if state := asked.get("state"):
            found = found.filter(state=state)
        return found

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        if args and self.action in ("list", "retrieve", "attach", "review"):
            rows = args[0] if kwargs.get("many") else [args[0]]
            kwargs["context"] = {**self.get_serializer_context(), "results": results_of_studies(rows)}
            return StudySerializer(*args, **kwargs)
        return super().get_serializer(*args, **kwargs)

    @extend_schema(
        parameters=[
            OpenApiParameter("patient", int, description="Key of a patient"),
            OpenApiParameter("visit", int, description="Key of a visit"),
            OpenApiParameter("state", str, enum=["ready", "held"]),
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        study = self.get_object()
        record_access(_person(request), "view", "study", study.pk)
        return Response(self.get_serializer(study).data)

    @extend_schema(request={"multipart/form-data": UploadSerializer}, responses={202: OrderedSerializer})
    def create(self, request: Request) -> Response:
        """Take files; answers with the job that reads them. Rows of its report have `n`, the place of the file in the request."""
        try:
            files = request.FILES.getlist("files")
        except TooManyFilesSent as error:
            raise DomainError("That are too many files for one request. Send a zip.", code="too_many", field="files") from error
        if not files or self.handler is None:
            raise DomainError(NO_FILES, code="no_files", field="files")
        person, fields = _person(request), request.POST
        centre = None
        if code := fields.get("centre"):
            centre = get_object_or_404(centres_for(person, Act.UPLOAD), code=code)
        keys = {name: _whole(fields[name], name) for name in ("visit", "patient") if fields.get(name)}
        target = target_of(keys, visible_patients(person), visible_visits(person))
        upload = uploads.take_upload(
            person,
            self.handler.folder,
            centre=centre,
            visit=target.visit,
            patient=target.patient,
            is_whole=fields.get("complete") != "0",
        )
        body = {"job": str(upload.job_id), "upload": str(upload.pk), "n_files": upload.n_files}
        return Response(body, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=AttachSerializer, responses=StudySerializer)
    @action(detail=True, methods=["post"])
    def attach(self, request: Request, pk: str) -> Response:
        """Attach a waiting study to a visit (or to the patient's visit on its day); an attached one is moved."""
        study = self.get_object()
        asked = AttachSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        person, reason = _person(request), values["reason"]
        target = target_of(values, visible_patients(person), visible_visits(person))
        if study.visit_id is None:
            studies.attach_study(
                study, person, visit=target.visit, patient=target.patient, is_confirmed=values["confirm"], reason=reason
            )
        else:
            studies.move_study(study, person, visit=target.visit, patient=target.patient, reason=reason)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=ReviewSerializer, responses=StudySerializer)
    @action(detail=True, methods=["post"])
    def review(self, request: Request, pk: str) -> Response:
        """A radiologist's verdict on one hip of the scored series."""
        study = self.get_object()
        asked = ReviewSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        if study.chosen_series is None:
            raise DomainError("No series of this study is scored.", code="no_score")
        reviews.review_hip(
            study.chosen_series,
            values["side"],
            values["verdict"],
            _person(request),
            comment=values["comment"],
            score_id=values.get("score"),
        )
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(responses={(200, "application/dicom"): OpenApiTypes.BINARY})
    @action(detail=True, renderer_classes=EXPORT_RENDERERS)
    def seg(self, request: Request, pk: str) -> HttpResponse:
        """The outlines that count as a DICOM segmentation: a segment for each label of each hip; 409 without outlines."""
        return self._export(request, "seg")

    @extend_schema(responses={(200, "application/dicom"): OpenApiTypes.BINARY})
    @action(detail=True, renderer_classes=EXPORT_RENDERERS)
    def sr(self, request: Request, pk: str) -> HttpResponse:
        """UNet-score, parts, automatic HIMRISS and volumes as a DICOM structured report (TID 1500)."""
        return self._export(request, "sr")

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    @action(detail=True, renderer_classes=EXPORT_RENDERERS)
    def nifti(self, request: Request, pk: str) -> HttpResponse:
        """The scored series and a mask for each label as NIfTI, zipped."""
        return self._export(request, "nifti")

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    @action(detail=True, renderer_classes=EXPORT_RENDERERS)
    def panels(self, request: Request, pk: str) -> HttpResponse:
        """Image, what a person accepted or corrected, and prediction as JPG a slice and a contact sheet a hip, zipped."""
        return self._export(request, "panels")

    def _export(self, request: Request, kind: str) -> HttpResponse:
        return attachment(export_study(self.get_object(), _person(request), kind))


@extend_schema(tags=["scores"])
class ScoreViewSet(ActingMixin, GenericViewSet[Score]):
    """Every score row with its slices; `is_current` marks the one that counts for its hip."""

    queryset = Score.objects.none()
    serializer_class = ScoreSerializer

    def get_queryset(self) -> QuerySet[Score]:
        if not isinstance(self.request.user, User):  # while the schema is drawn
            return super().get_queryset()
        found = visible_scores(self.request.user).prefetch_related("slices").order_by("-created_at", "-pk")
        asked = self.request.query_params
        if key := asked.get("patient"):
            found = found.filter(series__study__visit__patient=_whole(key, "patient"))
        if key := asked.get("study"):
            found = found.filter(series__study__in=visible_studies(self.request.user).filter(pk=key).order_by())
        if side := asked.get("side"):
            found = found.filter(side=side)
        return found

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        if args:
            rows = args[0] if kwargs.get("many") else [args[0]]
            results = results_of_studies({row.series.study_id: row.series.study for row in rows}.values())
            kwargs["context"] = {**self.get_serializer_context(), "results": results}
        return super().get_serializer(*args, **kwargs)

    @extend_schema(
        parameters=[
            OpenApiParameter("patient", int, description="Key of a patient"),
            OpenApiParameter("study", str, description="Key of a study"),
            OpenApiParameter("side", str, enum=["right", "left"]),
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)
