"""Pages of reads: the list of one's reads, the form of a visit."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, centres_for, record_access, require
from hipapp.clinic.models import Side, Visit
from hipapp.clinic.selectors import visible_visits
from hipapp.core.errors import DomainError
from hipapp.imaging.models import Study
from hipapp.imaging.selectors import visible_studies
from hipapp.reading import services
from hipapp.reading.forms import TotalsForm
from hipapp.reading.models import Read
from hipapp.reading.selectors import visible_reads

PAGE_SIZE = 50
N_WAITING = 20


def read_list(request: SignedInRequest) -> HttpResponse:
    """Reads the person may see, newest first, and the visits with an MRI that they have not read yet."""
    page = Paginator(visible_reads(request.user).filter(is_current=True), PAGE_SIZE).get_page(request.GET.get("page"))
    waiting, n_waiting = _waiting(request.user)
    context = {"page": page, "waiting": waiting, "n_waiting": n_waiting, "is_reader": _is_reader(request.user)}
    return render(request, "reading/list.html", context)


def _is_reader(user: User) -> bool:
    return centres_for(user, Act.READ_HIMRISS).exists()


def _waiting(user: User) -> tuple[list[Visit], int]:
    """The first visits with an MRI that the reader has not read, oldest first, and how many there are."""
    centres = centres_for(user, Act.READ_HIMRISS)
    mine = Read.objects.filter(reader=user, is_current=True).values("visit")
    studies = visible_studies(user).filter(centre__in=centres, state=Study.State.READY).exclude(visit=None)
    visits = visible_visits(user).filter(pk__in=studies.order_by().values("visit")).exclude(pk__in=mine)
    visits = visits.select_related("patient").order_by("visit_on", "pk")
    return list(visits[:N_WAITING]), visits.count()


def read_visit(request: SignedInRequest, visit_pk: int) -> HttpResponse:
    """The sub-scores of both hips at a visit, as one reader gives them. Shows no other reader's read and no automatic score."""
    visit = get_object_or_404(visible_visits(request.user).select_related("patient__centre"), pk=visit_pk)
    require(request.user, Act.READ_HIMRISS, visit.patient.centre)
    mine = {read.side: read for read in visible_reads(request.user).filter(visit=visit, reader=request.user, is_current=True)}
    forms = [(side, TotalsForm(request.POST or None, prefix=side, initial=_initial(mine.get(side)))) for side in Side.values]
    if request.method == "POST" and all([form.is_valid() for _, form in forms]) and _save(request, visit, forms):
        return redirect("followup:patient", pk=visit.patient_id)
    record_access(request.user, "view", "visit", visit.pk)
    studies = visible_studies(request.user).filter(visit=visit)
    context = {"visit": visit, "forms": forms, "mine": mine, "studies": studies, "is_bound": request.method == "POST"}
    return render(request, "reading/visit.html", context)


def _initial(read: Read | None) -> dict[str, object]:
    if read is None:
        return {}
    values: dict[str, object] = {name: getattr(read, name) for name in ("femoral_bme", "acetabular_bme", "effusion", "comment")}
    return {**values, "not_assessable": not read.is_assessable}


def _save(request: SignedInRequest, visit: Visit, forms: list[tuple[str, TotalsForm]]) -> bool:
    given = [(side, form) for side, form in forms if not form.is_empty]
    if not given:
        forms[0][1].add_error(None, "Nothing is filled in. Give the sub-scores of at least one hip.")
        return False
    with transaction.atomic():
        for side, form in given:
            try:
                services.save_totals(request.user, visit, side, **form.values())
            except DomainError as error:
                name = "not_assessable" if error.field == "is_assessable" else error.field
                form.add_error(name, error.message)
        if any(form.errors for _, form in given):
            transaction.set_rollback(True)
            return False
    messages.success(request, f"HIMRISS of {visit.patient} on {visit.visit_on} is saved.")
    return True


@require_POST
def read_withdraw(request: SignedInRequest, pk: int) -> HttpResponse:
    """Take one's own read back."""
    read = get_object_or_404(visible_reads(request.user), pk=pk)
    services.withdraw_read(request.user, read)
    messages.success(request, "The read is withdrawn; it stays in the history.")
    return redirect("reading:list")
