"""Who may do what, at which centre: the one table, and the questions asked of it."""

from enum import StrEnum

from django.db.models import QuerySet

from hipapp.accounts.models import AccessEvent, Centre, Role, User
from hipapp.core.errors import ForbiddenError


class Act(StrEnum):
    """Something a role allows. Every visible_… selector and every service asks for one of these."""

    VIEW_PATIENTS = "view patients"
    VIEW_IDENTITY = "view names and record numbers"
    EDIT_CLINIC = "enter patients, visits and treatments"
    EDIT_IDENTITY = "enter names and record numbers"
    UPLOAD = "upload studies"
    REVIEW = "review scores"
    READ_HIMRISS = "enter HIMRISS reads"
    VIEW_COHORT = "see cohort tables and export"
    ERASE = "erase studies and patients"
    VIEW_ORIGINALS = "open files as they were received"
    RETURN = "take results out under the scanner's UIDs and the patient's name"
    COMPARE_NETWORKS = "see how networks compare"
    MANAGE = "manage people and centres"


_CARE = {Role.RADIOLOGIST, Role.RHEUMATOLOGIST}
ALLOWED: dict[Act, set[Role]] = {
    Act.VIEW_PATIENTS: _CARE | {Role.COORDINATOR},
    Act.VIEW_IDENTITY: _CARE,
    Act.EDIT_CLINIC: {Role.RHEUMATOLOGIST, Role.COORDINATOR},
    Act.EDIT_IDENTITY: _CARE,
    Act.UPLOAD: _CARE | {Role.COORDINATOR},
    Act.REVIEW: {Role.RADIOLOGIST},
    Act.READ_HIMRISS: {Role.RADIOLOGIST},
    Act.VIEW_COHORT: {Role.RHEUMATOLOGIST, Role.COORDINATOR},
    Act.ERASE: _CARE | {Role.COORDINATOR},
    Act.VIEW_ORIGINALS: {Role.RADIOLOGIST},
    Act.RETURN: _CARE,
    Act.COMPARE_NETWORKS: {Role.COORDINATOR, Role.ADMINISTRATOR},
    Act.MANAGE: {Role.ADMINISTRATOR},
}


def centres_for(user: User, act: Act) -> QuerySet[Centre]:
    """Active centres at which the person's roles allow the act."""
    if not user.is_active:
        return Centre.objects.none()
    return Centre.objects.filter(is_active=True, memberships__user=user, memberships__role__in=ALLOWED[act]).distinct()


def can(user: User, act: Act, centre: Centre | None = None) -> bool:
    """Whether the person may do this at the centre, or at any centre when none is given."""
    centres = centres_for(user, act)
    return centres.filter(pk=centre.pk).exists() if centre else centres.exists()


def require(user: User, act: Act, centre: Centre) -> None:
    """Raise ForbiddenError unless the person may do this at the centre."""
    if not can(user, act, centre):
        raise ForbiddenError(
            f"Your role at {centre} doesn't allow you to {act}. Ask an administrator of the centre if you need it.",
            code="forbidden",
        )


def record_access(user: User, action: str, subject_type: str, subject_id: object) -> None:
    """Note a look at (or act on) patient data, by ids only."""
    AccessEvent.objects.create(user=user, action=action, subject_type=subject_type, subject_id=str(subject_id))
