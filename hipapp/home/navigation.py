"""What stands in the top bar: the pages that a person's roles lead to."""

from dataclasses import dataclass

from django.urls import reverse

from hipapp.accounts.models import Membership, User
from hipapp.accounts.permissions import ALLOWED, Act


@dataclass(frozen=True)
class Entry:
    """One link of the top bar. `key` is the letter that goes there after `g`."""

    label: str
    url_name: str
    act: Act
    key: str


ENTRIES = (
    Entry("Patients", "clinic:patients", Act.VIEW_PATIENTS, "p"),
    Entry("Studies", "imaging:studies", Act.VIEW_PATIENTS, "s"),
    Entry("Unassigned", "imaging:unassigned", Act.UPLOAD, "u"),
    Entry("Reads", "reading:list", Act.READ_HIMRISS, "r"),
    Entry("Cohort", "cohort:cohort", Act.VIEW_COHORT, "c"),
    Entry("Jobs", "jobs:list", Act.UPLOAD, "j"),
    Entry("People", "accounts:people", Act.MANAGE, "e"),
    Entry("Centres", "accounts:centres", Act.MANAGE, "n"),
    Entry("Models", "imaging:models", Act.MANAGE, "m"),
    Entry("Networks", "imaging:cross-validations", Act.COMPARE_NETWORKS, "w"),
    Entry("Senders", "imaging:senders", Act.MANAGE, "d"),
)


@dataclass(frozen=True)
class Link:
    """An entry with its address."""

    label: str
    url: str
    key: str
    is_here: bool


def acts_of(user: User) -> set[Act]:
    """Everything the person may do at one active centre at least; one query."""
    if not user.is_authenticated or not user.is_active:
        return set()
    roles = set(Membership.objects.filter(user=user, centre__is_active=True).values_list("role", flat=True))
    return {act for act, allowed in ALLOWED.items() if roles & {str(role) for role in allowed}}


def links(acts: set[Act], path: str) -> list[Link]:
    """The links of the top bar for these acts; the one that `path` lies under is marked."""
    shown = [(entry, reverse(entry.url_name)) for entry in ENTRIES if entry.act in acts]
    here = max((url for _, url in shown if path.startswith(url)), key=len, default="")
    return [Link(entry.label, url, entry.key, url == here) for entry, url in shown]
