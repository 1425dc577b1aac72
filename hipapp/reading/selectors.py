"""Reads as people may see them, and the HIMRISS that stands for a hip at a visit."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, centres_for
from hipapp.reading.models import Read


def visible_reads(user: User) -> QuerySet[Read]:
    """Reads of the centres where the person may see patients; where they are a reader, only their own (blinding)."""
    reads = Read.objects.filter(visit__patient__centre__in=centres_for(user, Act.VIEW_PATIENTS))
    reads = reads.select_related("visit__patient", "reader")
    readers_centres = centres_for(user, Act.READ_HIMRISS)
    others = reads.filter(visit__patient__centre__in=readers_centres).exclude(reader=user)
    return reads.exclude(pk__in=others.values("pk")) if readers_centres.exists() else reads


@dataclass(frozen=True)
class HipHimriss:
    """HIMRISS of one hip at one visit, 0–130: the mean over its readers' current reads."""

    side: str
    femoral_bme: float | None
    acetabular_bme: float | None
    effusion: float | None
    total: float | None
    n_readers: int
    method: str

    @property
    def is_assessable(self) -> bool:
        return self.total is not None


def himriss_by_visit(visit_ids: Sequence[int], reads: QuerySet[Read] | None = None) -> dict[int, dict[str, HipHimriss]]:
    """By visit and side, the mean of the readers' current reads; one query.

    Where there are reads by region, totals by hand are left out: the two are never mixed.

    Parameters
    ----------
    visit_ids : primary keys
    reads : the reads to start from (a person's visible ones); all when None
    """
    rows: dict[tuple[int, str], list[Read]] = defaultdict(list)
    start = Read.objects.all() if reads is None else reads
    for read in start.filter(visit_id__in=visit_ids, is_current=True):
        rows[read.visit_id, read.side].append(read)
    found: dict[int, dict[str, HipHimriss]] = defaultdict(dict)
    for (visit_id, side), group in rows.items():
        found[visit_id][side] = _mean(side, group)
    return dict(found)


def _mean(side: str, group: list[Read]) -> HipHimriss:
    regions = [read for read in group if read.method == Read.Method.REGIONS]
    reads = regions or group
    assessable = [read for read in reads if read.is_assessable]

    def mean(field: str) -> float | None:
        return sum(getattr(read, field) for read in assessable) / len(assessable) if assessable else None

    return HipHimriss(
        side=side,
        femoral_bme=mean("femoral_bme"),
        acetabular_bme=mean("acetabular_bme"),
        effusion=mean("effusion"),
        total=mean("total"),
        n_readers=len(assessable),
        method=reads[0].method,
    )
