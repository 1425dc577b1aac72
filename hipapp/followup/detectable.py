"""The smallest detectable change of HIMRISS at a centre, from its own double reads; none is published for this disease."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date
from itertools import combinations, pairwise

from django.core.cache import cache
from django.db.models import Exists, OuterRef

from hipapp.accounts.models import Centre
from hipapp.reading.models import Read
from scoring.statistics.measurement_error import sdc

MIN_CHANGES = 10  # hips whose change two readers both read; below, the estimate is too wide to judge by
NEWEST_READS = 5000
KEEP_S = 600
Hip = tuple[int, str]


def himriss_sdc(centre: Centre) -> Mapping[int, float]:
    """SDC of the HIMRISS of one hip by the number of readers whose mean it is (1 or 2); empty without enough double reads.

    From totals by hand that two readers gave for the same hip at two visits; kept for ten minutes.
    """
    key = f"himriss-sdc-{centre.pk}"
    found: Mapping[int, float] | None = cache.get(key)
    if found is None:
        found = _from_changes(_changes(centre))
        cache.set(key, found, KEEP_S)
    return found


def _from_changes(changes: list[tuple[float, float]]) -> dict[int, float]:
    if len(changes) < MIN_CHANGES:
        return {}
    return {n_readers: sdc(changes, n_readers).estimate for n_readers in (1, 2)}


def _changes(centre: Centre) -> list[tuple[float, float]]:
    """Changes between successive visits as the two readers with the most hips in common found them."""
    by_hip: dict[Hip, dict[int, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    for patient, visit_on, side, reader, total in _double_reads(centre):
        by_hip[patient, side][visit_on.toordinal()][reader] = total
    pairs: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for visits in by_hip.values():
        for (_, earlier), (_, later) in pairwise(sorted(visits.items())):
            for first, second in combinations(sorted(earlier.keys() & later.keys()), 2):
                pairs[first, second].append((later[first] - earlier[first], later[second] - earlier[second]))
    most = Counter({pair: len(found) for pair, found in pairs.items()}).most_common(1)
    return pairs[most[0][0]] if most else []


def _double_reads(centre: Centre) -> list[tuple[int, date, str, int, int]]:
    reads = Read.objects.filter(is_current=True, is_assessable=True, method=Read.Method.TOTALS)
    others = reads.filter(visit=OuterRef("visit"), side=OuterRef("side")).exclude(reader=OuterRef("reader"))
    found = reads.filter(Exists(others), visit__patient__centre=centre).order_by("-pk")
    columns = ("visit__patient_id", "visit__visit_on", "side", "reader_id", "total")
    return list(found.values_list(*columns)[:NEWEST_READS])
