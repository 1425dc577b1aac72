"""What models and people drew on a series, the scores that follow, and what people said of them."""

import pghistory
from django.conf import settings
from django.db import models

from hipapp.clinic.models import Side
from hipapp.imaging.models.networks import ModelVersion
from hipapp.imaging.models.studies import Series, Study


class HipBox(models.Model):
    """Where a hip was found (or was said to be) in a series."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="hip_boxes")
    model_version = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    side = models.CharField(max_length=5, choices=Side.choices)
    is_found = models.BooleanField()
    confidence = models.FloatField()
    centre_mm = models.JSONField(null=True, blank=True, help_text="Centre of the femoral head, LPS mm")
    box = models.JSONField(null=True, blank=True, help_text="Corners on the original grid")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["series", "model_version", "side"], name="one_box_a_hip_and_model")]

    def __str__(self) -> str:
        return f"{self.side} hip of series {self.series_id}"


class Segmentation(models.Model):
    """The outlines of one hip over one series, by a model version or by a person. Superseded, never overwritten."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="segmentations")
    side = models.CharField(max_length=5, choices=Side.choices)
    model_version = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="segmentations")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="segmentations"
    )
    supersedes = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="superseded_by")
    shape = models.JSONField(help_text="(slice, row, column) of the Volume")
    mask = models.BinaryField(help_text="zlib of the uint8 bit planes in the Volume's order")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["series", "side", "model_version"],
                condition=models.Q(author__isnull=True),
                name="a_model_draws_a_hip_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.side} hip of series {self.series_id}"


class Score(models.Model):
    """The UNet-score of one hip of one series with its parts, or the reason why there is none."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="scores")
    side = models.CharField(max_length=5, choices=Side.choices)
    model_version = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="scores")
    segmentation = models.OneToOneField(Segmentation, null=True, blank=True, on_delete=models.CASCADE, related_name="score")
    unet_score = models.FloatField(null=True, blank=True, help_text="UNet-score: sum over the slices of lesion / head intensity")
    bme_femoral = models.FloatField(null=True, blank=True, help_text="Part of the UNet-score from femoral BME")
    bme_acetabular = models.FloatField(null=True, blank=True, help_text="Part of the UNet-score from acetabular BME")
    synovitis = models.FloatField(null=True, blank=True, help_text="Part of the UNet-score from synovitis / effusion")
    mean_per_slice = models.FloatField(null=True, blank=True, help_text="UNet-score per assessable slice")
    lesion_ml = models.FloatField(null=True, blank=True, help_text="Lesion volume, mL")
    n_role_slices = models.PositiveSmallIntegerField(default=0, help_text="Slices with a role, of 15")
    n_assessable_slices = models.PositiveSmallIntegerField(default=0, help_text="Assessable slices, of 15")
    interval_low = models.FloatField(null=True, blank=True, help_text="Lower end of the interval around the UNet-score")
    interval_high = models.FloatField(null=True, blank=True, help_text="Upper end of the interval around the UNet-score")
    interval_level = models.FloatField(null=True, blank=True, help_text="Probability that the interval holds the true score")
    interval_method = models.CharField(max_length=120, blank=True)
    flags = models.JSONField(
        default=list, help_text="Faults of the pictures: code, side (empty: of the stack), value, limit, stops, message of each"
    )
    warnings = models.JSONField(default=list)
    refused_code = models.CharField(max_length=30, blank=True)
    refused_message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["series", "side", "-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["series", "side", "model_version"],
                condition=models.Q(model_version__isnull=False),
                name="a_model_scores_a_hip_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.side} hip of series {self.series_id}: {self.unet_score}"


class SliceMeasure(models.Model):
    """What one slice adds to a score."""

    score = models.ForeignKey(Score, on_delete=models.CASCADE, related_name="slices")
    index = models.PositiveSmallIntegerField(help_text="Slice of the Volume, 0 is the most anterior")
    sop_uid = models.CharField(max_length=64)
    role = models.CharField(max_length=9, blank=True, help_text="central, anterior, posterior or none")
    head_mm2 = models.FloatField()
    lesion_mm2 = models.FloatField(default=0)
    ratio = models.FloatField(null=True, blank=True)
    bme_femoral = models.FloatField(null=True, blank=True)
    bme_acetabular = models.FloatField(null=True, blank=True)
    synovitis = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["score", "index"]
        constraints = [models.UniqueConstraint(fields=["score", "index"], name="one_measure_a_slice")]

    def __str__(self) -> str:
        return f"slice {self.index} of score {self.score_id}"


@pghistory.track()
class Review(models.Model):
    """A radiologist's word on one hip of one series. The newest counts; withdrawing is a newer one too."""

    class Verdict(models.TextChoices):
        ACCEPT = "accept", "Accepted"
        REJECT = "reject", "Rejected"
        NOT_ASSESSABLE = "not_assessable", "Not assessable: prosthesis"
        WITHDRAWN = "withdrawn", "Review withdrawn"

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="reviews")
    side = models.CharField(max_length=5, choices=Side.choices)
    score = models.ForeignKey(Score, null=True, blank=True, on_delete=models.CASCADE, related_name="reviews")
    verdict = models.CharField(max_length=14, choices=Verdict.choices)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reviews")
    comment = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.verdict} {self.side} hip of series {self.series_id}"


class DerivedObject(models.Model):
    """A DICOM SEG or SR that was made of a study here, so that it is known again when it comes back."""

    class Kind(models.TextChoices):
        SEG = "seg", "segmentation"
        SR = "sr", "measurement report"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="derived_objects")
    kind = models.CharField(max_length=3, choices=Kind.choices)
    sop_uid = models.CharField(max_length=64, help_text="SOP Instance UID, made by keyed hash")
    content_sha256 = models.CharField(max_length=64, help_text="Of the pixel data of a segmentation, the content of a report")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "sop_uid"], name="one_derived_object_once")]

    def __str__(self) -> str:
        return f"{self.kind} of study {self.study_id}"
