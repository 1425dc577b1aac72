"""Studies as they came in, what the model and people drew on them, and the scores that follow."""

import uuid

import pghistory
from django.conf import settings
from django.db import models

from hipapp.clinic.models import Side


class Upload(models.Model):
    """One delivery of files by one door. The files wait in the spool until its job has read them, then the spool is emptied."""

    class State(models.TextChoices):
        RECEIVING = "receiving", "Receiving files"
        PROCESSING = "processing", "Reading files"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    centre = models.ForeignKey("accounts.Centre", on_delete=models.PROTECT, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="uploads")
    visit = models.ForeignKey("clinic.Visit", null=True, blank=True, on_delete=models.SET_NULL, related_name="uploads")
    patient = models.ForeignKey(
        "clinic.Patient",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="uploads",
        help_text="Set where the visit is to be the one on the day of the study",
    )
    job = models.OneToOneField("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="upload")
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVING)
    n_files = models.PositiveIntegerField(default=0)
    report = models.JSONField(default=list, help_text="One row a file: label (never a path with names), outcome, reason")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"upload {self.id}"


@pghistory.track()
class Study(models.Model):
    """One DICOM study, stored without identity. It may wait without a visit until a person attaches it."""

    class State(models.TextChoices):
        READY = "ready", "Ready"
        HELD = "held", "Held for a person"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    centre = models.ForeignKey("accounts.Centre", on_delete=models.PROTECT, related_name="studies")
    visit = models.ForeignKey("clinic.Visit", null=True, blank=True, on_delete=models.SET_NULL, related_name="studies")
    upload = models.ForeignKey(Upload, null=True, blank=True, on_delete=models.SET_NULL, related_name="studies")
    study_uid = models.CharField(max_length=64, help_text="Study Instance UID after the keyed remapping")
    state = models.CharField(max_length=5, choices=State.choices, default=State.READY)
    intended_visit = models.ForeignKey(
        "clinic.Visit",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="held_studies",
        help_text="The visit chosen at upload while the study is held",
    )
    intended_patient = models.ForeignKey(
        "clinic.Patient",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="held_studies",
        help_text="The patient chosen at upload while the study is held",
    )
    held_reasons = models.JSONField(default=list, help_text="Why it is held, in words without values: 'birth date differs'")
    decision = models.CharField(max_length=300, blank=True, help_text="Why a person attached it in spite of that; no names")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="decided_studies"
    )
    acquired_at = models.DateTimeField(null=True, blank=True, help_text="Date and time of acquisition")
    description = models.CharField(max_length=120, blank=True, help_text="Cleaned study description")
    chosen_series = models.ForeignKey(
        "Series",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="chosen_for",
        help_text="The series that is scored",
    )
    is_sequence_overridden = models.BooleanField(
        default=False, help_text="A radiologist had a series scored although it is not fluid-sensitive and fat-suppressed"
    )
    refused_code = models.CharField(max_length=30, blank=True, help_text="Why no series could be chosen")
    refused_message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "studies"
        constraints = [models.UniqueConstraint(fields=["centre", "study_uid"], name="one_study_once_per_centre")]

    def __str__(self) -> str:
        return f"study {self.id}"


class StudyIdentity(models.Model):
    """Who the files said the study is of, encrypted, kept only until a person has attached the study to a patient."""

    study = models.OneToOneField(Study, on_delete=models.CASCADE, related_name="identity")
    data_key = models.BinaryField()
    ciphertext = models.BinaryField()

    def __str__(self) -> str:
        return f"identity of study {self.study_id}"


class UidLink(models.Model):
    """The way back from a remapped UID to the scanner's, encrypted, for what returns to the same centre."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="uid_links")
    uid = models.CharField(max_length=64, help_text="Remapped UID")
    data_key = models.BinaryField()
    ciphertext = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "uid"], name="one_link_per_uid")]

    def __str__(self) -> str:
        return self.uid


class Series(models.Model):
    """One stack of slices: a DICOM series, or the part of one that has a single orientation, echo and size."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="series")
    series_uid = models.CharField(max_length=64, help_text="Series Instance UID after the keyed remapping")
    stack = models.PositiveSmallIntegerField(default=0, help_text="Number of the stack within the series")
    description = models.CharField(max_length=120, blank=True, help_text="Cleaned series description")
    plane = models.CharField(max_length=10, help_text="coronal, axial, sagittal or oblique")
    is_fat_suppressed = models.BooleanField(null=True, blank=True)
    n_slices = models.PositiveSmallIntegerField()
    spacing_mm = models.JSONField(default=list, help_text="(slice, row, column) in mm")
    tags = models.JSONField(default=dict, help_text="Identity-free acquisition parameters")
    slices = models.JSONField(
        default=list, help_text="In Volume order: SOP Instance UID, frame, transpose, flip_rows, flip_columns of each slice"
    )
    window = models.JSONField(default=list, help_text="(lowest, highest) intensity shown, after Modality LUT")
    code = models.CharField(max_length=30, blank=True, help_text="Why it can't be scored; empty where it can")
    why = models.CharField(max_length=500, blank=True, help_text="Why it is, or isn't, the one to score, in words")
    is_superseded = models.BooleanField(default=False, help_text="Later files changed the stack; kept for its scores")

    class Meta:
        ordering = ["study", "series_uid", "stack"]
        verbose_name_plural = "series"
        constraints = [models.UniqueConstraint(fields=["study", "series_uid", "stack"], name="one_stack_once")]

    def __str__(self) -> str:
        return self.description or self.plane


class Instance(models.Model):
    """One stored DICOM file of a study. A multi-frame file may serve several stacks."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="instances")
    series = models.ManyToManyField(Series, related_name="instances")
    sop_uid = models.CharField(max_length=64, help_text="SOP Instance UID after the keyed remapping")
    pixel_sha256 = models.CharField(max_length=64, help_text="Of the pixel data as received")
    path = models.CharField(max_length=200, help_text="Within the private storage, by content")
    n_bytes = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "sop_uid"], name="one_instance_once")]

    def __str__(self) -> str:
        return self.sop_uid


class ModelVersion(models.Model):
    """A bundle of networks that has drawn, or may draw, outlines."""

    name = models.CharField(max_length=40)
    version = models.CharField(max_length=40)
    sha256 = models.CharField(max_length=64, unique=True)
    settings = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict)
    is_in_force = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["is_in_force"], condition=models.Q(is_in_force=True), name="one_model_in_force")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


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
