"""People and centres as an administrator may see them."""

from django.db.models import Q, QuerySet

from hipapp.accounts.models import Centre, User


def managed_centres(user: User) -> QuerySet[Centre]:
    """All centres where the person is administrator, the inactive ones too."""
    return Centre.objects.filter(memberships__user=user, memberships__role="administrator").distinct()


def managed_people(user: User) -> QuerySet[User]:
    """People who have a role at a centre the person administers, and people without any role."""
    centres = managed_centres(user)
    return (
        User.objects.filter(Q(memberships__centre__in=centres) | Q(memberships=None))
        .prefetch_related("memberships__centre")
        .distinct()
    )
