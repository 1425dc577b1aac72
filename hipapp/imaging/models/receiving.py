"""Deliveries of files, and the machines that send them."""

import uuid

import pghistory
from django.conf import settings
from django.db import models


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
