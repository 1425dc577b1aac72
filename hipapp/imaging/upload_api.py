"""Uploads over REST: begun, filled by tus (which resumes), finished; and what came of every file, by whatever door it came."""

from typing import Any

import pghistory
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, centres_for
from hipapp.clinic.selectors import visible_patients, visible_visits
from hipapp.core.errors import ForbiddenError
from hipapp.imaging.models import Upload
from hipapp.imaging.selectors import visible_uploads
from hipapp.imaging.serializers import OrderedSerializer, target_of
from hipapp.imaging.services import uploads
from hipapp.jobs.api import ReportRowSerializer


class DeliverySerializer(serializers.ModelSerializer[Upload]):
    """One delivery of files. They are sent to `files_url` by tus 1.0 while the state is `receiving`."""

    centre = serializers.SlugRelatedField[Any](slug_field="code", read_only=True)
    sender = serializers.SlugRelatedField[Any](slug_field="ae_title", read_only=True)
    files_url = serializers.SerializerMethodField()
    report = ReportRowSerializer(many=True)

    class Meta:
        model = Upload
        fields = ["id", "centre", "door", "sender", "state", "n_files", "n_bytes", "job", "created_at", "files_url", "report"]

    @extend_schema_field(serializers.URLField())
    def get_files_url(self, upload: Upload) -> str:
        address: str = self.context["request"].build_absolute_uri(reverse("imaging:tus", args=[upload.pk]))
        return address


class BeginSerializer(serializers.Serializer[Any]):
    """Where the files of a delivery belong: a `visit`, else a `patient` (the visit on the day of the study), else unassigned."""

    visit = serializers.IntegerField(required=False, allow_null=True)
    patient = serializers.IntegerField(required=False, allow_null=True)
    centre = serializers.SlugField(required=False, help_text="Code; needed only where you have several")
    complete = serializers.BooleanField(
        default=True, help_text="The studies are whole: scored at once. False: scored when nothing more has come for a while"
    )


@extend_schema(tags=["uploads"])
class UploadViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet[Upload]):
    """Deliveries of files with the outcome of each file."""

    queryset = Upload.objects.none()
    serializer_class = DeliverySerializer
    parser_classes = [JSONParser]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        pghistory.context(user=request.user.pk, door="api")

    def get_queryset(self) -> QuerySet[Upload]:
        if not isinstance(self.request.user, User):  # while the schema is drawn
            return super().get_queryset()
        return visible_uploads(self.request.user).select_related("sender").order_by("-created_at", "pk")

    @extend_schema(request=BeginSerializer, responses={201: DeliverySerializer})
    def create(self, request: Request) -> Response:
        """Begin a delivery."""
        asked = BeginSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values, person = asked.validated_data, self._person
        centre = None
        if code := values.get("centre"):
            centre = get_object_or_404(centres_for(person, Act.UPLOAD), code=code)
        target = target_of(values, visible_patients(person), visible_visits(person))
        upload = uploads.start_upload(
            person, centre=centre, visit=target.visit, patient=target.patient, door=Upload.Door.API, is_whole=values["complete"]
        )
        return Response(self.get_serializer(upload).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses={202: OrderedSerializer})
    @action(detail=True, methods=["post"])
    def finish(self, request: Request, pk: str) -> Response:
        """All files are here: answers with the job that reads them."""
        upload = self._own()
        job = uploads.finish_upload(upload, self._person)
        upload.refresh_from_db()
        body = {"job": str(job.pk), "upload": str(upload.pk), "n_files": upload.n_files}
        return Response(body, status=status.HTTP_202_ACCEPTED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Throw away a delivery that is not finished."""
        uploads.cancel_upload(self._own())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @property
    def _person(self) -> User:
        assert isinstance(self.request.user, User)
        return self.request.user

    def _own(self) -> Upload:
        upload: Upload = self.get_object()
        if upload.user_id != self._person.pk:
            raise ForbiddenError("Only the person who began this upload can go on with it.", code="forbidden")
        return upload
