"""Studies as they came in: what they hold, without identity, and the way back to it."""

import uuid

import pghistory
from django.conf import settings
from django.db import models
from django.utils import timezone

from hipapp.core.fields import StoredPathField
from hipapp.imaging.models.receiving import Upload


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
    series_chosen_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="chosen_series_studies",
        help_text="The radiologist who chose it, which later images don't change; empty: chosen by header and pictures",
    )
    is_sequence_overridden = models.BooleanField(
        default=False, help_text="A radiologist had a series scored although it is not fluid-sensitive and fat-suppressed"
    )
    protocol_decision = models.CharField(
        max_length=300, blank=True, help_text="Why a radiologist had it scored in spite of the centre's protocol; no names"
    )
    protocol_decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="protocol_decided_studies"
    )
    refused_code = models.CharField(max_length=30, blank=True, help_text="Why no series could be chosen")
    refused_message = models.CharField(max_length=500, blank=True)
    scoring_due_at = models.DateTimeField(
        null=True,
        blank=True,
        db_index=True,
        help_text="When it will be scored unless more images come before; empty: nothing waits",
    )
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


class DeidentificationReport(models.Model):
    """What was taken out of the files of a study at the door: in how many files each attribute was; never a value."""

    study = models.OneToOneField(Study, on_delete=models.CASCADE, related_name="deidentification")
    n_files = models.PositiveIntegerField(default=0)
    method = models.CharField(max_length=100, help_text="Name and version of the rules")
    removed = models.JSONField(default=dict, help_text="By attribute, the number of files from which it was removed")
    replaced = models.JSONField(default=dict, help_text="By attribute, the number of files in which its value was replaced")

    def __str__(self) -> str:
        return f"de-identification of study {self.study_id}"


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
    """One stored DICOM file of a study. A multi-frame file may serve several stacks.

    An image is stored once in a centre. A file with the SOP Instance UID of a stored one but other pixels is kept as `conflict`
    until a person has decided: ours stays (theirs becomes `replaced`, set aside until the study is erased), or theirs is taken
    (ours becomes `replaced` and is kept for the scores that came of it). Where the stored one belongs to another study, taking
    theirs leaves it in use there.
    """

    class State(models.TextChoices):
        CURRENT = "current", "In use"
        CONFLICT = "conflict", "Waits for a person: same UID, other pixels"
        REPLACED = "replaced", "Another file was taken instead"
        DERIVED = "derived", "Made here from the outlines: a segmentation or report"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="instances")
    series = models.ManyToManyField(Series, related_name="instances")
    series_uid = models.CharField(max_length=64, blank=True, db_index=True, help_text="Series Instance UID after the remapping")
    sop_uid = models.CharField(max_length=64, db_index=True, help_text="SOP Instance UID after the keyed remapping")
    state = models.CharField(max_length=8, choices=State.choices, default=State.CURRENT)
    attributes = models.JSONField(default=dict, help_text="Identity-free attributes that DICOMweb is searched by, DICOM JSON")
    pixel_sha256 = models.CharField(max_length=64, help_text="Of the pixel data as received")
    path = StoredPathField(db_index=True, help_text="Within the private storage, by content")
    n_bytes = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "sop_uid"], condition=models.Q(state="current"), name="one_instance_once")
        ]

    def __str__(self) -> str:
        return self.sop_uid

    @property
    def number(self) -> int:
        """Instance Number; 0 where the file has none."""
        return int((self.attributes.get("00200013", {}).get("Value") or [0])[0])


class OriginalFile(models.Model):
    """A file as it was received, encrypted; there are such rows only at centres that have asked for them."""

    instance = models.OneToOneField(Instance, on_delete=models.CASCADE, related_name="original")
    data_key = models.BinaryField()
    path = StoredPathField(db_index=True, help_text="Of the ciphertext, within the private storage")
    n_bytes = models.PositiveBigIntegerField(help_text="Of the file as it was received")

    def __str__(self) -> str:
        return f"original of instance {self.instance_id}"
