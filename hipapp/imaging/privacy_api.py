"""Policies of centres and erasures over REST: the same services as the pages, each act in the access log."""

from typing import Any

import pghistory
from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from hipapp.accounts.models import Centre, User
from hipapp.accounts.selectors import managed_centres
from hipapp.clinic.models import Patient
from hipapp.clinic.selectors import visible_patients
from hipapp.core.errors import DomainError
from hipapp.imaging.models import Erasure, Study
from hipapp.imaging.policy import policy_of
from hipapp.imaging.protocol import rows_of
from hipapp.imaging.selectors import visible_erasures, visible_studies
from hipapp.imaging.services import erasure as erasures
from hipapp.imaging.services.policies import save_policy


class ProtocolItemSerializer(serializers.Serializer[Any]):
    """One item of a centre's protocol. Both bounds are within it; null is no bound."""

    low = serializers.FloatField(allow_null=True, required=False, default=None)
    high = serializers.FloatField(allow_null=True, required=False, default=None)
    forbids = serializers.BooleanField(required=False, default=False, help_text="Whether a deviation lets a series have no score")
    label = serializers.CharField(read_only=True)  # type: ignore[assignment]
    unit = serializers.CharField(read_only=True)
    article = serializers.CharField(read_only=True, help_text="What the article gives")


class PolicySerializer(serializers.Serializer[Centre]):
    """What a centre has decided about its studies. Items of `protocol` that are not named when it is set are the article's."""

    centre = serializers.CharField(source="code", read_only=True)
    protocol = serializers.DictField(child=ProtocolItemSerializer(), help_text="By item, e.g. `tr_ms`")
    keeps_originals = serializers.BooleanField(help_text="Files are also kept as they were received, encrypted")
    needs_second_person = serializers.BooleanField(help_text="An erasure is confirmed by another person than the one who asked")
    is_default = serializers.BooleanField(read_only=True, help_text="Whether the centre has decided nothing yet")

    def to_representation(self, centre: Centre) -> dict[str, Any]:
        policy = policy_of(centre)
        items = [row for row in rows_of(policy.protocol) if row.item.is_number]
        return {
            "centre": centre.code,
            "protocol": {
                row.item.key: {
                    "low": row.low,
                    "high": row.high,
                    "forbids": row.forbids,
                    "label": row.item.label,
                    "unit": row.item.unit,
                    "article": row.item.article,
                }
                for row in items
            },
            "keeps_originals": policy.keeps_originals,
            "needs_second_person": policy.needs_second_person,
            "is_default": policy.pk is None,
        }


class ErasureSerializer(serializers.ModelSerializer[Erasure]):
    """An order to erase a study or patient, which stays for ever. Ids only."""

    centre = serializers.SlugRelatedField[Any](slug_field="code", read_only=True)
    asked_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)
    confirmed_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)
    name = serializers.SerializerMethodField(help_text="What `confirm` wants to hear; empty once it is erased or withdrawn")

    class Meta:
        model = Erasure
        fields = [
            "id", "centre", "kind", "subject_id", "state", "reason", "name", "asked_by", "asked_at", "confirmed_by",
            "confirmed_at", "finished_at", "job", "counts",
        ]  # fmt: skip

    @extend_schema_field(serializers.CharField())
    def get_name(self, erasure: Erasure) -> str:
        return erasures.name_of(erasure) if erasure.state == Erasure.State.ASKED else ""


class AskErasureSerializer(serializers.Serializer[Any]):
    """What is to be erased: a `study` or a `patient` with everything known of them."""

    study = serializers.UUIDField(required=False)
    patient = serializers.IntegerField(required=False, min_value=1)
    reason = serializers.CharField(max_length=300, help_text="Kept for ever; no names")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if ("study" in values) == ("patient" in values):
            raise DomainError("Name a `study` or a `patient`, one of them.", code="invalid", field="study")
        return values


class ConfirmErasureSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, help_text="The order's `name`: the second word of who confirms")


class PrivacyViewSet(GenericViewSet[Any]):
    """What both share: a person, who is the actor of the history."""

    parser_classes = [JSONParser]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        pghistory.context(user=request.user.pk, door="api")

    @property
    def person(self) -> User:
        assert isinstance(self.request.user, User)
        return self.request.user


@extend_schema(tags=["policies"])
class PolicyViewSet(ListModelMixin, RetrieveModelMixin, PrivacyViewSet):
    """What centres have decided about their studies; for their administrators."""

    queryset = Centre.objects.none()
    serializer_class = PolicySerializer
    lookup_field = "code"

    def get_queryset(self) -> QuerySet[Centre]:
        if not isinstance(self.request.user, User):  # while the schema is drawn
            return super().get_queryset()
        return managed_centres(self.request.user).order_by("code")

    @extend_schema(request=PolicySerializer, responses=PolicySerializer)
    def update(self, request: Request, code: str) -> Response:
        """Set the whole policy of a centre."""
        centre = self.get_object()
        asked = PolicySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        save_policy(self.person, centre, **asked.validated_data)
        return Response(self.get_serializer(centre).data)


@extend_schema(tags=["erasures"])
class ErasureViewSet(ListModelMixin, RetrieveModelMixin, PrivacyViewSet):
    """Orders to erase: asked for, confirmed with a second word (at some centres by a second person), done by a job."""

    queryset = Erasure.objects.none()
    serializer_class = ErasureSerializer

    def get_queryset(self) -> QuerySet[Erasure]:
        if not isinstance(self.request.user, User):  # while the schema is drawn
            return super().get_queryset()
        return visible_erasures(self.request.user)

    @extend_schema(request=AskErasureSerializer, responses={201: ErasureSerializer})
    def create(self, request: Request) -> Response:
        """Ask for an erasure; nothing is erased before it is confirmed."""
        asked = AskErasureSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        subject: Study | Patient
        if "study" in values:
            subject = get_object_or_404(visible_studies(self.person), pk=values["study"])
        else:
            subject = get_object_or_404(visible_patients(self.person), pk=values["patient"])
        erasure = erasures.ask_erasure(self.person, subject, reason=values["reason"])
        return Response(self.get_serializer(erasure).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ConfirmErasureSerializer, responses={202: ErasureSerializer})
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, pk: str) -> Response:
        """The second word: orders the job that erases."""
        erasure: Erasure = self.get_object()
        asked = ConfirmErasureSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        erasures.confirm_erasure(erasure, self.person, typed=asked.validated_data["name"])
        return Response(self.get_serializer(self._again(erasure)).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses=ErasureSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Take back an erasure that nobody has confirmed."""
        erasure: Erasure = self.get_object()
        erasures.withdraw_erasure(erasure, self.person)
        return Response(self.get_serializer(self._again(erasure)).data)

    def _again(self, erasure: Erasure) -> Erasure:
        found = self.get_queryset().filter(pk=erasure.pk).first()
        if found is None:
            raise Http404
        return found
