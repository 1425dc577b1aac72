"""What is missing at which visit, so that somebody can enter it."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from hipapp.accounts.models import User
from hipapp.clinic.models import HipExamination, Visit
from hipapp.cohort.selection import has_scored_mri
from hipapp.reading.selectors import visible_reads


@dataclass(frozen=True)
class Kind:
    """One thing that can be missing, and where it is entered (`visit`, `upload` or `read`)."""

    label: str
    door: str


KINDS = {
    "crp": Kind("CRP", "visit"),
    "esr": Kind("ESR", "visit"),
    "basdai": Kind("BASDAI", "visit"),
    "asdas": Kind("ASDAS (neither)", "visit"),
    "harris_right": Kind("Harris R", "visit"),
    "harris_left": Kind("Harris L", "visit"),
    "mri": Kind("scored MRI", "upload"),
    "read_right": Kind("HIMRISS R", "read"),
    "read_left": Kind("HIMRISS L", "read"),
}


@dataclass(frozen=True)
class Gap:
    """A visit with what is missing there."""

    visit: Visit
    kinds: tuple[Kind, ...]

    @property
    def doors(self) -> set[str]:
        return {kind.door for kind in self.kinds}


def with_gaps(user: User, visits: QuerySet[Visit]) -> QuerySet[Visit]:
    """The visits with a flag `no_<kind>` for each kind."""
    return visits.annotate(**{f"no_{key}": condition for key, condition in _conditions(user).items()})


def count_gaps(visits: QuerySet[Visit]) -> Mapping[str, int]:
    """How many of the visits (from `with_gaps`) lack each kind; one query."""
    counts: Mapping[str, int] = visits.aggregate(**{key: Count("pk", filter=Q(**{f"no_{key}": True})) for key in KINDS})
    return counts


def only_gaps(visits: QuerySet[Visit], kind: str) -> QuerySet[Visit]:
    """Those of the visits (from `with_gaps`) that lack this kind, or anything but the MRI (not due at each visit)."""
    wanted = [kind] if kind in KINDS else [key for key in KINDS if key != "mri"]
    condition = Q()
    for key in wanted:
        condition |= Q(**{f"no_{key}": True})
    return visits.filter(condition).select_related("patient").order_by("patient__study_code", "visit_on")


def gaps_of(visit: Visit) -> Gap:
    """What a visit of `only_gaps` lacks."""
    return Gap(visit, tuple(kind for key, kind in KINDS.items() if getattr(visit, f"no_{key}")))


def _conditions(user: User) -> dict[str, Q]:
    harris = HipExamination.objects.filter(visit=OuterRef("pk"), harris__isnull=False)
    reads = visible_reads(user).filter(visit=OuterRef("pk"), is_current=True).order_by()
    return {
        "crp": Q(assessment__crp_mg_l=None),
        "esr": Q(assessment__esr_mm_h=None),
        "basdai": Q(assessment__basdai=None),
        "asdas": Q(assessment__asdas_crp=None, assessment__asdas_esr=None),
        "harris_right": ~Exists(harris.filter(side="right")) & Q(),
        "harris_left": ~Exists(harris.filter(side="left")) & Q(),
        "mri": ~has_scored_mri(),
        "read_right": ~Exists(reads.filter(side="right")) & Q(),
        "read_left": ~Exists(reads.filter(side="left")) & Q(),
    }
