"""REST: HIMRISS reads taken down as totals."""

from typing import Any, cast

import pghistory
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.relations import PrimaryKeyRelatedField
from rest_framework.request import Request
from rest_framework.response import Response

from hipapp.accounts.models import User
from hipapp.clinic.models import Visit
from hipapp.clinic.selectors import visible_visits
from hipapp.imaging.models import Study
from hipapp.imaging.selectors import visible_studies
from hipapp.reading import services
from hipapp.reading.models import Read
from hipapp.reading.selectors import visible_reads


class ReadSerializer(serializers.ModelSerializer):
    """One reader's HIMRISS of one hip at one visit."""

    visit = PrimaryKeyRelatedField(queryset=Visit.objects.none())
    study = PrimaryKeyRelatedField(queryset=Study.objects.none(), required=False, allow_null=True)
    patient = serializers.IntegerField(source="visit.patient_id", read_only=True)

    class Meta:
        model = Read
        fields = [
            "id", "patient", "visit", "study", "side", "method", "is_assessable", "femoral_bme", "acetabular_bme", "effusion",
            "total", "comment", "is_current", "reader", "created_at",
        ]  # fmt: skip
        read_only_fields = ["method", "total", "is_current", "reader"]
        validators: list[Any] = []  # a newer read replaces the older one; it is no clash

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        request = self.context.get("request")
        if request is not None and isinstance(request.user, User):
            fields["visit"].queryset = visible_visits(request.user)  # type: ignore[attr-defined]
            fields["study"].queryset = visible_studies(request.user)  # type: ignore[attr-defined]
        return fields

    def create(self, validated: dict[str, Any]) -> Read:
        visit, side = validated.pop("visit"), validated.pop("side")
        return services.save_totals(self.context["request"].user, visit, side, **validated)


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("patient", int, description="Only reads of this patient"),
            OpenApiParameter("visit", int, description="Only reads of this visit"),
            OpenApiParameter("current", int, description="1: only reads that were not replaced or withdrawn"),
        ]
    )
)
class ReadViewSet(mixins.CreateModelMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Reads the person may see; `?patient=`, `?visit=` and `?current=1` narrow them. A POST takes down totals of one hip."""

    queryset = Read.objects.none()
    serializer_class = ReadSerializer

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Once the token is known, the history knows the actor; the middleware saw only the session."""
        super().initial(request, *args, **kwargs)
        pghistory.context(user=request.user.pk, door="api")

    def get_queryset(self) -> QuerySet[Read]:
        if not isinstance(self.request.user, User):  # while the schema is drawn
            return Read.objects.none()
        reads = visible_reads(self.request.user)
        for name, lookup in (("patient", "visit__patient_id"), ("visit", "visit_id")):
            if text := self.request.query_params.get(name):
                reads = reads.filter(**{lookup: _key(name, text)})
        return reads.filter(is_current=True) if self.request.query_params.get("current") == "1" else reads

    @extend_schema(request=None, responses=ReadSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Take one's own read back."""
        read = self.get_object()
        services.withdraw_read(cast(User, request.user), read)
        read.refresh_from_db()
        return Response(self.get_serializer(read).data)


def _key(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise serializers.ValidationError({name: "This has to be a primary key, a whole number."})
    return int(text)
