"""What a person should look at next: patients seen lately, results not yet reviewed, visits with gaps, people without roles."""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from hipapp.accounts.models import User
from hipapp.accounts.selectors import managed_centres, managed_people
from hipapp.clinic.models import Assessment, HipExamination, Side, Visit
from hipapp.clinic.selectors import names_for, visible_visits
from hipapp.clinic.summary import Line, activity_line
from hipapp.imaging.models import Study
from hipapp.imaging.selectors import (
    HipResult,
    held_studies,
    results_of_studies,
    search_studies,
    unassigned_studies,
    visible_studies,
)

N_ROWS = 8
COUNT_LIMIT = 1000
LATELY = timedelta(days=183)


@dataclass(frozen=True)
class SeenVisit:
    """A visit of the list "seen lately"."""

    visit: Visit
    name: str
    activity: Line
    basdai: float | None
    is_esr: bool


@dataclass(frozen=True)
class VisitWithGaps:
    """A past visit and what is missing of it, in words."""

    visit: Visit
    gaps: tuple[str, ...]


@dataclass(frozen=True)
class ScoredStudy:
    """A study with what stands for its two hips."""

    study: Study
    hips: tuple[HipResult | None, HipResult | None]


def seen_lately(user: User) -> list[SeenVisit]:
    """The newest past visits of visible patients."""
    visits = list(_past(user).select_related("assessment").order_by("-visit_on", "-pk")[:N_ROWS])
    names = names_for(user, [visit.patient for visit in visits])
    return [_seen(visit, names.get(visit.patient_id, "")) for visit in visits]


def _seen(visit: Visit, name: str) -> SeenVisit:
    assessment: Assessment | None = getattr(visit, "assessment", None)
    by_crp = assessment.asdas_crp if assessment else None
    by_esr = assessment.asdas_esr if assessment else None
    activity = activity_line(by_esr if by_crp is None else by_crp)
    return SeenVisit(visit, name, activity, assessment.basdai if assessment else None, by_crp is None and by_esr is not None)


def _past(user: User) -> QuerySet[Visit]:
    return visible_visits(user).filter(visit_on__lte=timezone.localdate())


def visits_with_gaps(user: User) -> QuerySet[Visit]:
    """Visits of the last half year without BASDAI, without either ASDAS, or without the Harris score of a hip."""
    harris = HipExamination.objects.filter(visit=OuterRef("pk"), harris__isnull=False)
    visits = _past(user).filter(visit_on__gte=timezone.localdate() - LATELY).select_related("assessment")
    visits = visits.annotate(**{f"has_{side}": Exists(harris.filter(side=side)) for side in Side.values})
    gap = Q(assessment__basdai=None) | Q(assessment__asdas_crp=None, assessment__asdas_esr=None)
    return visits.filter(gap | Q(has_right=False) | Q(has_left=False)).order_by("-visit_on", "-pk")


def list_gaps(visits: QuerySet[Visit]) -> list[VisitWithGaps]:
    """The first of `visits_with_gaps` with what is missing."""
    return [VisitWithGaps(visit, tuple(_gaps(visit))) for visit in visits[:N_ROWS]]


def _gaps(visit: Visit) -> list[str]:
    assessment: Assessment | None = getattr(visit, "assessment", None)
    gaps = []
    if assessment is None or assessment.basdai is None:
        gaps.append("BASDAI")
    if assessment is None or (assessment.asdas_crp is None and assessment.asdas_esr is None):
        gaps.append("ASDAS")
    without = [side[0].upper() for side in ("right", "left") if not getattr(visit, f"has_{side}")]
    if without:
        gaps.append("Harris " + " and ".join(without))
    return gaps


def scored_studies(studies: QuerySet[Study]) -> list[ScoredStudy]:
    """The first studies with the results of their hips, right first."""
    rows = list(studies[:N_ROWS])
    results = results_of_studies(rows)
    return [ScoredStudy(row, (results[row.pk].get(Side.RIGHT), results[row.pk].get(Side.LEFT))) for row in rows]


def unreviewed_studies(user: User) -> QuerySet[Study]:
    """Visible studies with a score that nobody has looked at."""
    return search_studies(visible_studies(user), kind="unreviewed")


@dataclass(frozen=True)
class Waiting:
    """How many things wait for somebody who uploads or reviews."""

    n_unreviewed: int
    n_held: int
    n_unassigned: int


def waiting(user: User) -> Waiting:
    """Counts of studies that wait for a person."""
    return Waiting(unreviewed_studies(user).count(), held_studies(user).count(), unassigned_studies(user).count())


@dataclass(frozen=True)
class Administration:
    """How many people and centres somebody administers."""

    n_people: int
    n_without_role: int
    n_inactive: int
    n_centres: int


def administration(user: User) -> Administration:
    """Counts for an administrator's start page."""
    people = managed_people(user)
    return Administration(
        n_people=people.filter(is_active=True).count(),
        n_without_role=people.filter(is_active=True, memberships=None).count(),
        n_inactive=people.filter(is_active=False).count(),
        n_centres=managed_centres(user).count(),
    )
