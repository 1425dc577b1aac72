"""Which jobs a person may see: the ones they ordered, and the ones of centres where they may upload."""

from django.db.models import Q, QuerySet

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, centres_for
from hipapp.jobs.models import Job


def visible_jobs(user: User) -> QuerySet[Job]:
    """Jobs of the person's own and of the centres where they may see patients."""
    return Job.objects.filter(Q(created_by=user) | Q(centre__in=centres_for(user, Act.VIEW_PATIENTS)))
