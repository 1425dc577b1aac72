"""The `Job` row: the truth about long work. The broker only carries messages."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse

from hipapp.jobs.titles import PAGES, TITLES


class Job(models.Model):
    """A piece of long work, from its order to its end.

    Lives: queued → running (claimed with a lease, renewed by a heartbeat) → succeeded | failed | cancelled. A row whose lease
    has run out, or that stays queued too long, is re-sent by the sweeper and failed after three attempts.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    centre = models.ForeignKey("accounts.Centre", null=True, blank=True, on_delete=models.CASCADE, related_name="jobs")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    task = models.CharField(max_length=100, help_text="Dotted name of the registered Celery task")
    queue = models.CharField(max_length=20, default="default", help_text="default or gpu")
    arguments = models.JSONField(default=dict, help_text="Keyword arguments: primary keys only")
    subject_type = models.CharField(max_length=40, blank=True)
    subject_id = models.CharField(max_length=40, blank=True)
    unique_key = models.CharField(
        max_length=200, null=True, blank=True, unique=True, help_text="Makes 'once' true: (series, model version, purpose)"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When a message was last handed to the broker")
    progress = models.PositiveSmallIntegerField(default=0, help_text="Percent")
    message = models.CharField(max_length=300, blank=True, help_text="What it is doing, or how it ended, in words")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["state", "lease_expires_at"]),
            models.Index(fields=["subject_type", "subject_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.state}"

    @property
    def title(self) -> str:
        """What it does, in words."""
        return TITLES.get(self.task, self.task)

    @property
    def subject_url(self) -> str:
        """The page of what it works on; empty where there is none."""
        page = PAGES.get(self.subject_type)
        return reverse(page, args=[self.subject_id]) if page and self.subject_id else ""

    @property
    def is_final(self) -> bool:
        return self.state in (self.State.SUCCEEDED, self.State.FAILED, self.State.CANCELLED)
