"""Studies, scores and uploads as the API shows them."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hipapp.clinic.models import Patient, Visit
from hipapp.imaging.models import DeidentificationReport, Review, Score, Series, SliceMeasure, Study
from hipapp.imaging.picker import Target
from hipapp.imaging.policy import check_study
from hipapp.imaging.protocol import Check, Deviation
from hipapp.imaging.results import HipResult


class HipResultSerializer(serializers.Serializer[HipResult]):
    """What counts for one hip of a study; numbers are null where `review` says why."""

    review = serializers.ChoiceField(choices=["accepted", "unreviewed", "rejected", "not_assessable", "refused"])
    score = serializers.IntegerField(source="score_id", allow_null=True, help_text="Key of the score row")
    unet_score = serializers.FloatField(allow_null=True)
    bme_femoral = serializers.FloatField(allow_null=True)
    bme_acetabular = serializers.FloatField(allow_null=True)
    synovitis = serializers.FloatField(allow_null=True)
    mean_per_slice = serializers.FloatField(allow_null=True)
    lesion_ml = serializers.FloatField(allow_null=True, help_text="mL")
    interval_low = serializers.FloatField(allow_null=True, help_text="Interval around the UNet-score, where one was asked for")
    interval_high = serializers.FloatField(allow_null=True)
    interval_level = serializers.FloatField(allow_null=True, help_text="Probability that it holds the true score")
    n_role_slices = serializers.IntegerField(help_text="of 15")
    n_assessable_slices = serializers.IntegerField(help_text="of 15")
    model = serializers.CharField(help_text="Name and version")
    is_corrected = serializers.BooleanField()
    warnings = serializers.ListField(child=serializers.CharField())
    flags = serializers.ListField(child=serializers.DictField(), help_text="Faults of the pictures")
    refused_code = serializers.CharField(allow_blank=True)
    refused_message = serializers.CharField(allow_blank=True)


class SeriesSerializer(serializers.ModelSerializer[Series]):
    class Meta:
        model = Series
        fields = [
            "id", "series_uid", "stack", "description", "plane", "is_fat_suppressed", "n_slices", "spacing_mm", "code", "why",
        ]  # fmt: skip


class DeviationSerializer(serializers.Serializer[Deviation]):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    found = serializers.CharField(help_text="With its unit")
    expected = serializers.CharField()
    forbids = serializers.BooleanField(help_text="Whether the centre lets such a series have no score")


class ProtocolSerializer(serializers.Serializer[Check]):
    """Where the scored series is not as its centre expects it."""

    is_met = serializers.BooleanField()
    deviations = DeviationSerializer(many=True)
    unknown = serializers.ListField(child=serializers.CharField(), help_text="What its header doesn't tell")


class DeidentificationSerializer(serializers.ModelSerializer[DeidentificationReport]):
    """What was taken out of its files: by attribute, from how many; never a value."""

    class Meta:
        model = DeidentificationReport
        fields = ["n_files", "method", "removed", "replaced"]


class StudySerializer(serializers.ModelSerializer[Study]):
    """A study without identity. `series_uid` and `study_uid` are the remapped UIDs."""

    centre = serializers.SlugRelatedField[Any](slug_field="code", read_only=True)
    patient = serializers.SerializerMethodField()
    study_code = serializers.SerializerMethodField(help_text="Pseudonym of the patient")
    is_series_chosen_by_person = serializers.SerializerMethodField(help_text="Else by header and pictures")
    series = serializers.SerializerMethodField()
    hips = serializers.SerializerMethodField(help_text="By side; a hip that is still being scored is missing")
    protocol = serializers.SerializerMethodField(help_text="Null where no series is scored")
    deidentification = serializers.SerializerMethodField(help_text="Null for studies stored before it was counted")

    class Meta:
        model = Study
        fields = [
            "id", "centre", "patient", "study_code", "visit", "study_uid", "state", "held_reasons", "acquired_at", "description",
            "chosen_series", "is_series_chosen_by_person", "is_sequence_overridden", "refused_code", "refused_message",
            "created_at", "series", "hips", "protocol", "protocol_decision", "deidentification",
        ]  # fmt: skip

    def get_patient(self, study: Study) -> int | None:
        return study.visit.patient_id if study.visit else None

    def get_study_code(self, study: Study) -> str:
        return study.visit.patient.study_code if study.visit else ""

    def get_is_series_chosen_by_person(self, study: Study) -> bool:
        return study.series_chosen_by_id is not None

    @extend_schema_field(SeriesSerializer(many=True))
    def get_series(self, study: Study) -> Any:
        return SeriesSerializer([one for one in study.series.all() if not one.is_superseded], many=True).data

    @extend_schema_field(serializers.DictField(child=HipResultSerializer()))
    def get_hips(self, study: Study) -> Any:
        results = self.context["results"][study.pk]
        return {side: HipResultSerializer(result).data for side, result in results.items()}

    @extend_schema_field(ProtocolSerializer(allow_null=True))
    def get_protocol(self, study: Study) -> Any:
        check = check_study(study, [result.n_role_slices for result in self.context["results"][study.pk].values()])
        return ProtocolSerializer(check).data if check else None

    @extend_schema_field(DeidentificationSerializer(allow_null=True))
    def get_deidentification(self, study: Study) -> Any:
        report = getattr(study, "deidentification", None)
        return DeidentificationSerializer(report).data if report else None


class SliceMeasureSerializer(serializers.ModelSerializer[SliceMeasure]):
    class Meta:
        model = SliceMeasure
        fields = ["index", "sop_uid", "role", "head_mm2", "lesion_mm2", "ratio", "bme_femoral", "bme_acetabular", "synovitis"]


class ScoreSerializer(serializers.ModelSerializer[Score]):
    """The score of one hip by one model version, or why there is none."""

    study = serializers.UUIDField(source="series.study_id")
    patient = serializers.SerializerMethodField()
    visit = serializers.IntegerField(source="series.study.visit_id", allow_null=True)
    model = serializers.CharField(source="model_version.__str__", default="", help_text="Name and version")
    model_sha256 = serializers.CharField(source="model_version.sha256", default="", help_text="Of the model's bundle")
    is_current = serializers.SerializerMethodField(help_text="Whether this is the score that counts for the hip")
    slices = SliceMeasureSerializer(many=True)

    class Meta:
        model = Score
        fields = [
            "id", "study", "series", "patient", "visit", "side", "unet_score", "bme_femoral", "bme_acetabular", "synovitis",
            "mean_per_slice", "lesion_ml", "interval_low", "interval_high", "interval_level", "interval_method",
            "n_role_slices", "n_assessable_slices", "flags", "warnings", "refused_code", "refused_message",
            "model", "model_sha256", "is_current", "created_at", "slices",
        ]  # fmt: skip

    def get_patient(self, score: Score) -> int | None:
        visit = score.series.study.visit
        return visit.patient_id if visit else None

    def get_is_current(self, score: Score) -> bool:
        result = self.context["results"].get(score.series.study_id, {}).get(score.side)
        return result is not None and result.score_id == score.pk


class UploadSerializer(serializers.Serializer[Any]):
    """Files of one delivery. For a `visit`, else a `patient` (the visit is the one on the day of the study), else unassigned."""

    files = serializers.ListField(child=serializers.FileField(), help_text="DICOM files or archives, the field repeated")
    visit = serializers.IntegerField(required=False, allow_null=True)
    patient = serializers.IntegerField(required=False, allow_null=True)
    centre = serializers.SlugField(required=False, help_text="Code; needed only where you have several")
    complete = serializers.ChoiceField(
        choices=["1", "0"],
        required=False,
        help_text="0: more of the study will come; it is scored when it has been quiet for a while",
    )


class OrderedSerializer(serializers.Serializer[Any]):
    """What was ordered: ask `/api/v1/jobs/{job}/` until its state is final."""

    job = serializers.UUIDField()
    upload = serializers.UUIDField()
    n_files = serializers.IntegerField()


class AttachSerializer(serializers.Serializer[Any]):
    visit = serializers.IntegerField(required=False, allow_null=True)
    patient = serializers.IntegerField(required=False, allow_null=True)
    confirm = serializers.BooleanField(default=False, help_text="A person has checked that it is the same patient")
    reason = serializers.CharField(default="", allow_blank=True, max_length=300)


class ReviewSerializer(serializers.Serializer[Any]):
    side = serializers.ChoiceField(choices=["right", "left"])
    verdict = serializers.ChoiceField(choices=Review.Verdict.choices)
    comment = serializers.CharField(default="", allow_blank=True, max_length=300)
    score = serializers.IntegerField(required=False, allow_null=True, help_text="The score that was seen; checked if given")


def target_of(values: Mapping[str, Any], patients: QuerySet[Patient], visits: QuerySet[Visit]) -> Target:
    """The visit or patient that the keys `visit` and `patient` name among those the person may see; 404 else."""
    if key := values.get("visit"):
        return Target(visit=get_object_or_404(visits, pk=key))
    if key := values.get("patient"):
        return Target(patient=get_object_or_404(patients, pk=key))
    return Target()
