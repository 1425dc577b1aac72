"""Jobs over REST: how far long work is, and what came of an upload."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.viewsets import GenericViewSet

from hipapp.accounts.models import User
from hipapp.jobs.models import Job
from hipapp.jobs.selectors import visible_jobs


class ReportRowSerializer(serializers.Serializer[Any]):
    """One file of an upload: `n` is its place in the request, `member` counts within an archive (0: no archive)."""

    n = serializers.IntegerField()
    member = serializers.IntegerField()
    outcome = serializers.ChoiceField(choices=["accepted", "duplicate", "conflict", "held", "refused", "note"])
    reason = serializers.CharField(allow_blank=True)
    study = serializers.CharField(allow_blank=True)


class UploadReportSerializer(serializers.Serializer[Any]):
    """The upload that the job reads; no file names are kept."""

    id = serializers.UUIDField()
    state = serializers.CharField()
    n_files = serializers.IntegerField()
    report = ReportRowSerializer(many=True)


class ChildSerializer(serializers.ModelSerializer[Job]):
    class Meta:
        model = Job
        fields = ["id", "task", "subject_type", "subject_id", "state", "progress", "message"]


class JobSerializer(serializers.ModelSerializer[Job]):
    """Long work from its order to its end; final states are succeeded, failed and cancelled."""

    children = ChildSerializer(many=True)
    upload = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields = [
            "id", "task", "subject_type", "subject_id", "state", "is_final", "progress", "message", "attempt", "created_at",
            "started_at", "finished_at", "children", "upload",
        ]  # fmt: skip

    @extend_schema_field(UploadReportSerializer(allow_null=True))
    def get_upload(self, job: Job) -> Any:
        upload = getattr(job, "upload", None)
        return UploadReportSerializer(upload).data if upload is not None else None


@extend_schema(tags=["jobs"])
class JobViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet[Job]):
    """Jobs of your own and of your centres, newest first."""

    queryset = Job.objects.none()
    serializer_class = JobSerializer

    def get_queryset(self) -> QuerySet[Job]:
        if not isinstance(self.request.user, User):  # while the schema is drawn
            return super().get_queryset()
        return visible_jobs(self.request.user).select_related("upload").prefetch_related("children")
