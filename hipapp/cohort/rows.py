"""The rows of a cohort: `followup.visit_rows` of the chosen visits, with unreviewed scores left out where that was chosen."""

from collections.abc import Iterator
from dataclasses import replace

from django.db.models import QuerySet

from hipapp.accounts.models import User
from hipapp.clinic.models import Visit
from hipapp.cohort.selection import Selection
from hipapp.followup.rows import VisitRow, visit_rows
from hipapp.imaging.results import ACCEPTED
from hipapp.reading.selectors import visible_reads

CHUNK = 500


def cohort_rows(user: User, visits: QuerySet[Visit], selection: Selection) -> list[VisitRow]:
    """One row a chosen visit; a fixed number of queries."""
    return [_reviewed(row, selection) for row in visit_rows(visits, visible_reads(user))]


def stream_rows(user: User, visits: QuerySet[Visit], selection: Selection) -> Iterator[VisitRow]:
    """The same, by and by, for exports: patient after patient, never all in memory."""
    keys = list(visits.order_by("patient_id", "visit_on").values_list("pk", flat=True))
    for start in range(0, len(keys), CHUNK):
        yield from cohort_rows(user, Visit.objects.filter(pk__in=keys[start : start + CHUNK]), selection)


def models_of(rows: list[VisitRow]) -> list[str]:
    """Name and version of every model behind a UNet-score of the rows."""
    return sorted({result.model for row in rows for result in row.mri.values() if result.has_score and result.model})


def _reviewed(row: VisitRow, selection: Selection) -> VisitRow:
    if not selection.reviewed:
        return row
    return replace(row, mri={side: result for side, result in row.mri.items() if result.review == ACCEPTED})
