"""Models that draw outlines: imported, compared, put in force, and run again over a cohort."""

import pghistory
from django.conf import settings
from django.db import models

from hipapp.core.fields import StoredPathField, StoredPathsField


@pghistory.track(exclude=["settings", "metrics", "files"], model_name="ModelVersionEvent")
class ModelVersion(models.Model):
    """A bundle of networks that has drawn, or may draw, outlines. Imported, checked by a worker, compared, then put in force."""

    class State(models.TextChoices):
        CHECKING = "checking", "Being checked"
        READY = "ready", "Ready"
        REFUSED = "refused", "Refused"

    name = models.CharField(max_length=40)
    version = models.CharField(max_length=40)
    sha256 = models.CharField(max_length=64, unique=True)
    settings = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict)
    description = models.JSONField(default=dict, help_text="The bundle's `bundle.json`")
    files = StoredPathsField(default=dict, help_text="Where each file lies in the private storage, by its name in the bundle")
    n_bytes = models.PositiveBigIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State.choices, default=State.READY)
    refused_message = models.CharField(max_length=500, blank=True)
    is_in_force = models.BooleanField(default=False)
    promoted_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was first put in force; the scores of one that never was do not count"
    )
    imported_by = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="imported_models"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["is_in_force"], condition=models.Q(is_in_force=True), name="one_model_in_force")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def megabytes(self) -> float:
        return self.n_bytes / 1e6


class CrossValidation(models.Model):
    """Tables of networks compared on one data set by `python -m ml crossval`. Imported by command, never changed."""

    data_set = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64, help_text="Of the data set")
    splits_sha256 = models.CharField(max_length=64, help_text="Of the folds")
    sha256 = models.CharField(max_length=64, unique=True, help_text="Of the result, as it was imported")
    n_patients = models.PositiveIntegerField()
    n_hips = models.PositiveIntegerField()
    n_folds = models.PositiveIntegerField()
    is_complete = models.BooleanField(default=True, help_text="Whether every fold of every network was done")
    result = models.JSONField(help_text="The tables, as `result.json` holds them")
    cases = StoredPathField(
        blank=True, help_text="Of `cases.csv`, every measure of every hip, within the private storage; earlier imports have none"
    )
    imported_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-imported_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.data_set}, {self.n_folds} folds"


class Promotion(models.Model):
    """A model was put in force, by whom and why. Written, never changed; together they are the stack that rollbacks go down."""

    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotions")
    replaced = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="promotions")
    reason = models.CharField(max_length=300, blank=True)
    is_rollback = models.BooleanField(default=False, help_text="Takes back the newest promotion that was not taken back yet")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.model_version_id} in force since {self.at}"


class Rescoring(models.Model):
    """The studies of a cohort scored with another model, series after series; goes on where it stopped."""

    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="rescorings")
    baseline = models.ForeignKey(
        ModelVersion,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The model that it is compared with: the one in force when this was ordered",
    )
    centres = models.ManyToManyField("accounts.Centre", related_name="rescorings")
    patients = models.JSONField(default=dict, help_text="Which patients: criteria, hip_involvement, is_synthetic; all if empty")
    job = models.OneToOneField("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="rescoring")
    ordered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="rescorings"
    )
    n_series = models.PositiveIntegerField(default=0)
    n_done = models.PositiveIntegerField(default=0)
    last_series = models.BigIntegerField(default=0, help_text="Key of the last series that was dealt with")
    failures = models.JSONField(default=list, help_text="[study, sentence] of each series that could not be scored")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"re-scoring {self.pk} with model {self.model_version_id}"
