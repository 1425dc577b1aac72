"""People, the centres they work at, the role they have there, and every look they take at patient data."""

import pghistory
from django.contrib.auth.models import AbstractUser
from django.db import models


class Role(models.TextChoices):
    RADIOLOGIST = "radiologist", "Radiologist"
    RHEUMATOLOGIST = "rheumatologist", "Rheumatologist"
    COORDINATOR = "coordinator", "Study coordinator"
    ADMINISTRATOR = "administrator", "Administrator"


@pghistory.track()
class Centre(models.Model):
    """A clinic or hospital. Patients belong to one centre; people see the patients of the centres they have a role at."""

    name = models.CharField(max_length=120, unique=True, help_text="Full name of the centre")
    code = models.SlugField(max_length=12, unique=True, help_text="Short code that begins the study codes of its patients")
    is_active = models.BooleanField(default=True, help_text="Inactive centres keep their data but take no new patients")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


@pghistory.track(exclude=["password", "last_login"])
class User(AbstractUser):
    """A person who signs in. Never deleted once they have acted: deactivated."""

    must_change_password = models.BooleanField(
        default=False, help_text="Set when an administrator gave a temporary password; cleared when the person changes it"
    )

    class Meta:
        ordering = ["username"]

    def __str__(self) -> str:
        return self.get_full_name() or self.username


@pghistory.track()
class Membership(models.Model):
    """The role one person has at one centre. A person may have several roles."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    centre = models.ForeignKey(Centre, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "centre", "role"], name="one_role_once_per_centre")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role} at {self.centre_id}"


class AccessEvent(models.Model):
    """One look at (or act on) patient data: who, when, what, by ids only. Written, never changed."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="access_events")
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    action = models.CharField(max_length=40, help_text="view, export, upload, review …")
    subject_type = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=40)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["subject_type", "subject_id"])]

    def __str__(self) -> str:
        return f"{self.user_id} {self.action} {self.subject_type} {self.subject_id}"
