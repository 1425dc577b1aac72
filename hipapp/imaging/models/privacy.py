"""What a centre has decided about its studies, and the orders to erase some."""

import uuid

import pghistory
from django.conf import settings
from django.db import models


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
