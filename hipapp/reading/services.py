"""Taking down reads. A read is never changed: a newer one of the same reader and hip takes its place."""

from django.db import transaction

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, record_access, require
from hipapp.clinic.models import Side, Visit
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from hipapp.imaging.models import Study
from hipapp.reading.models import Read
from scoring.errors import ScoringError
from scoring.mri.himriss import hip_totals


@transaction.atomic
def save_totals(
    reader: User,
    visit: Visit,
    side: str,
    *,
    femoral_bme: int | None = None,
    acetabular_bme: int | None = None,
    effusion: int | None = None,
    is_assessable: bool = True,
    study: Study | None = None,
    comment: str = "",
) -> Read:
    """A reader's three sub-scores of one hip, or the note that the hip can't be read.

    Raises
    ------
    DomainError
        When a sub-score is missing or outside 0–65, 0–35, 0–30; when sub-scores are given for a hip that is not assessable.
    """
    require(reader, Act.READ_HIMRISS, visit.patient.centre)
    if side not in Side.values:
        raise DomainError("The side is right or left.", field="side")
    if study is not None and study.visit_id != visit.pk:
        raise DomainError("This study belongs to another visit.", field="study")
    given = {"femoral_bme": femoral_bme, "acetabular_bme": acetabular_bme, "effusion": effusion}
    total = _total(given, is_assessable)
    current = Read.objects.select_for_update().filter(
        visit=visit, side=side, reader=reader, method=Read.Method.TOTALS, is_current=True
    )
    current.update(is_current=False)
    read = Read.objects.create(
        visit=visit,
        study=study,
        side=side,
        reader=reader,
        method=Read.Method.TOTALS,
        is_assessable=is_assessable,
        total=total,
        comment=comment,
        **given,
    )
    record_access(reader, "read HIMRISS", "visit", visit.pk)
    return read


@transaction.atomic
def withdraw_read(reader: User, read: Read) -> None:
    """Take one's own current read back; it stays in the history.

    Raises
    ------
    ForbiddenError
        It is another reader's.
    ConflictError
        It was replaced or withdrawn before.
    """
    read = Read.objects.select_for_update(of=("self",)).get(pk=read.pk)
    if read.reader_id != reader.pk:
        raise ForbiddenError("Only the reader can withdraw a read.", code="not_yours")
    if not read.is_current:
        raise ConflictError("This read has been replaced or withdrawn already.", code="not_current")
    read.is_current = False
    read.save(update_fields=["is_current"])
    record_access(reader, "withdraw HIMRISS", "visit", read.visit_id)


def _total(given: dict[str, int | None], is_assessable: bool) -> int | None:
    if not is_assessable:
        if any(value is not None for value in given.values()):
            raise DomainError("A hip that is not assessable has no sub-scores. Empty them or untick it.", field="is_assessable")
        return None
    for field, value in given.items():
        if value is None:
            raise DomainError("Give all three sub-scores, or tick “not assessable”.", field=field)
    try:
        total = hip_totals(**given).total
    except ScoringError as error:
        raise DomainError(f"This is outside the range: {error.allowed}.", code="out_of_range", field=error.field) from error
    return None if total is None else round(total)
