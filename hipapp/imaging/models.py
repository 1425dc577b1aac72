"""Studies as they came in, what the model and people drew on them, and the scores that follow."""

import uuid

import pghistory
from django.conf import settings
from django.db import models
from django.utils import timezone

from hipapp.clinic.models import Side
from hipapp.core.fields import StoredPathField, StoredPathsField


class Upload(models.Model):
    """One delivery of files by one door. The files wait in the spool until its job has read them, then the spool is emptied."""

    class State(models.TextChoices):
        RECEIVING = "receiving", "Receiving files"
        PROCESSING = "processing", "Reading files"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    class Door(models.TextChoices):
        BROWSER = "browser", "Browser"
        API = "api", "REST"
        DICOMWEB = "dicomweb", "DICOMweb"
        DICOM = "dicom", "C-STORE"
        COMMAND = "command", "Command line"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    centre = models.ForeignKey("accounts.Centre", on_delete=models.PROTECT, related_name="uploads")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="uploads",
        help_text="Empty for what a scanner or the command line sent",
    )
    door = models.CharField(max_length=8, choices=Door.choices, default=Door.BROWSER)
    sender = models.ForeignKey("Sender", null=True, blank=True, on_delete=models.PROTECT, related_name="uploads")
    is_whole = models.BooleanField(
        default=True, help_text="The sender says that its studies are complete; else scoring waits until they have been quiet"
    )
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
    n_bytes = models.PositiveBigIntegerField(default=0, help_text="Of all its files")
    report = models.JSONField(default=list, help_text="One row a file: label (never a path with names), outcome, reason")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"upload {self.id}"


@pghistory.track()
class Sender(models.Model):
    """A DICOM application entity that may send by C-STORE, and the centre that its studies belong to."""

    ae_title = models.CharField(max_length=16, unique=True, help_text="Calling AE title, as the scanner or PACS gives it")
    centre = models.ForeignKey("accounts.Centre", on_delete=models.PROTECT, related_name="senders")
    host = models.GenericIPAddressField(null=True, blank=True, help_text="Only from this address; empty: from any")
    description = models.CharField(max_length=120, blank=True, help_text="Which machine this is")
    is_active = models.BooleanField(default=True, help_text="An inactive sender is rejected; what it sent stays")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["ae_title"]

    def __str__(self) -> str:
        return self.ae_title


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

    A file with the SOP Instance UID of a stored one but other pixels is kept as `conflict` until a person has decided:
    ours stays (theirs is deleted) or theirs is taken (ours becomes `replaced` and is kept for the scores that came of it).
    """

    class State(models.TextChoices):
        CURRENT = "current", "In use"
        CONFLICT = "conflict", "Waits for a person: same UID, other pixels"
        REPLACED = "replaced", "Another file was taken instead"
        DERIVED = "derived", "Made here from the outlines: a segmentation or report"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="instances")
    series = models.ManyToManyField(Series, related_name="instances")
    series_uid = models.CharField(max_length=64, blank=True, db_index=True, help_text="Series Instance UID after the remapping")
    sop_uid = models.CharField(max_length=64, help_text="SOP Instance UID after the keyed remapping")
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


@pghistory.track()
class ImagingPolicy(models.Model):
    """What a centre has decided about its studies; without a row the defaults hold."""

    centre = models.OneToOneField("accounts.Centre", on_delete=models.CASCADE, related_name="imaging_policy")
    protocol = models.JSONField(
        default=dict, help_text="The acquisition it expects, by item of `imaging.protocol`; items not named are the article's"
    )
    keeps_originals = models.BooleanField(
        default=False, help_text="Files are also kept as they were received, encrypted; else nothing of them is"
    )
    needs_second_person = models.BooleanField(
        default=False, help_text="An erasure is confirmed by another person than the one who asked for it"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "imaging policies"

    def __str__(self) -> str:
        return f"imaging policy of centre {self.centre_id}"


@pghistory.track()
class Erasure(models.Model):
    """An order to erase a study, or a patient with everything known of them: who asked, who confirmed, what went. Ids only.

    Lives: asked → (withdrawn) or confirmed, which orders its job → done. The row stays for ever.
    """

    class Kind(models.TextChoices):
        STUDY = "study", "Study"
        PATIENT = "patient", "Patient"

    class State(models.TextChoices):
        ASKED = "asked", "Waits for its confirmation"
        WITHDRAWN = "withdrawn", "Withdrawn"
        CONFIRMED = "confirmed", "Being erased"
        DONE = "done", "Erased"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    centre = models.ForeignKey("accounts.Centre", on_delete=models.PROTECT, related_name="erasures")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    subject_id = models.CharField(max_length=40, help_text="Key of the study or patient")
    state = models.CharField(max_length=9, choices=State.choices, default=State.ASKED)
    reason = models.CharField(max_length=300, help_text="Why; no names")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="asked_erasures")
    asked_at = models.DateTimeField(auto_now_add=True)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="confirmed_erasures"
    )
    confirmed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="erasures")
    paths = models.JSONField(default=list, help_text="Contents that are still to be deleted, so that a killed worker goes on")
    counts = models.JSONField(default=dict, help_text="How much of what was erased")

    class Meta:
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject_id"],
                condition=models.Q(state__in=("asked", "confirmed")),
                name="one_open_erasure_a_subject",
            )
        ]

    def __str__(self) -> str:
        return f"erasure of {self.kind} {self.subject_id}"


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
    imported_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-imported_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.data_set}, {self.n_folds} folds"


class Promotion(models.Model):
    """A model was put in force, by whom and why. Written, never changed; the newest one says what a rollback goes back to."""

    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotions")
    replaced = models.ForeignKey(ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="promotions")
    reason = models.CharField(max_length=300, blank=True)
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
