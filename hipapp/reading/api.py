"""REST: HIMRISS reads taken down as totals."""

from typing import Any

from rest_framework import mixins, serializers, viewsets

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

    visit = serializers.PrimaryKeyRelatedField(queryset=Visit.objects.none())
    study = serializers.PrimaryKeyRelatedField(queryset=Study.objects.none(), required=False, allow_null=True)
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
            fields["visit"].queryset = visible_visits(request.user)
            fields["study"].queryset = visible_studies(request.user)
        return fields

    def create(self, validated: dict[str, Any]) -> Read:
        visit, side = validated.pop("visit"), validated.pop("side")
        return services.save_totals(self.context["request"].user, visit, side, **validated)


class ReadViewSet(mixins.CreateModelMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Reads the person may see; `?patient=`, `?visit=` and `?current=1` narrow them. A POST takes down totals of one hip."""

    queryset = Read.objects.none()
    serializer_class = ReadSerializer

    def get_queryset(self) -> Any:
        if not isinstance(self.request.user, User):
            return Read.objects.none()
        reads = visible_reads(self.request.user)
        for name, lookup in (("patient", "visit__patient_id"), ("visit", "visit_id")):
            if (value := self.request.query_params.get(name, "")).isdigit():
                reads = reads.filter(**{lookup: int(value)})
        return reads.filter(is_current=True) if self.request.query_params.get("current") == "1" else reads
