"""Pages of the cohort: correlations with their scatter, what is missing, and the files that leave."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.permissions import Act, can, record_access
from hipapp.cohort import exports, missing
from hipapp.cohort.correlations import correlation_table
from hipapp.cohort.rows import cohort_rows, models_of, stream_rows
from hipapp.cohort.scatter import scatter
from hipapp.cohort.selection import Selection, SelectionForm, cohort_visits, select_visits
from hipapp.cohort.tables import csv_response
from hipapp.core.errors import ForbiddenError

PAGE_SIZE = 50


@require_GET
def cohort(request: SignedInRequest) -> HttpResponse:
    """Selection, flow, correlation table, and the scatter of the chosen pair."""
    form, selection = _selection(request)
    visits, flow = select_visits(request.user, selection)
    rows = cohort_rows(request.user, visits, selection)
    record_access(request.user, "view", "cohort", "correlations")
    context: dict[str, Any] = {
        "form": form,
        "selection": selection,
        "query": urlencode(selection.query),
        "flow": flow,
        "rows": rows,
        "n_patients": flow[-1].n_patients,
        "n_synthetic": len({row.patient.pk for row in rows if row.patient.is_synthetic}),
        "models": models_of(rows),
        "n_unreviewed": sum(any(result.is_unreviewed for result in row.mri.values()) for row in rows),
        "can_add": can(request.user, Act.EDIT_CLINIC),
        "is_blinded": can(request.user, Act.READ_HIMRISS),
    }
    if rows:
        table = correlation_table(rows, selection)
        cell = table.cell(request.GET.get("x", ""), request.GET.get("y", ""))
        context |= {"table": table, "cell": cell, "scatter": scatter(rows, cell, selection.hips) if cell else None}
    return render(request, "cohort/cohort.html", context)


@require_GET
def missing_list(request: SignedInRequest) -> HttpResponse:
    """Visits at which something is missing, of the chosen patients, all visits."""
    _, selection = _selection(request)
    visits, _ = select_visits(request.user, replace(selection, visit="each", mri=""))
    visits = missing.with_gaps(request.user, visits)
    kind = request.GET.get("kind", "")
    page = Paginator(missing.only_gaps(visits, kind), PAGE_SIZE).get_page(request.GET.get("page"))
    counts = missing.count_gaps(visits)
    record_access(request.user, "view", "cohort", "missing")
    context = {
        "page": page,
        "gaps": [missing.gaps_of(visit) for visit in page.object_list],
        "kinds": [(key, item.label, counts[key]) for key, item in missing.KINDS.items()],
        "kind": kind if kind in missing.KINDS else "",
        "query": urlencode(selection.query),
        "has_visits": cohort_visits(request.user).exists(),
        "can_edit": can(request.user, Act.EDIT_CLINIC),
        "can_upload": can(request.user, Act.UPLOAD),
        "can_read": can(request.user, Act.READ_HIMRISS),
    }
    return render(request, "cohort/missing.html", context)


@require_GET
def correlations_csv(request: SignedInRequest) -> StreamingHttpResponse:
    """The correlation table, one row a pair."""
    _, selection = _selection(request)
    visits, _ = select_visits(request.user, selection)
    rows = cohort_rows(request.user, visits, selection)
    record_access(request.user, "export", "cohort", "correlations")
    pairs = exports.correlation_rows(correlation_table(rows, selection), selection, models_of(rows))
    return csv_response("correlations", exports.CORRELATION_COLUMNS, pairs)


@require_GET
def long_csv(request: SignedInRequest) -> StreamingHttpResponse:
    """The raw values, one row a patient, visit, side and variable, without identities and true dates."""
    _, selection = _selection(request)
    visits, _ = select_visits(request.user, selection)
    record_access(request.user, "export", "cohort", "long")
    rows = exports.long_rows(stream_rows(request.user, visits, selection))
    return csv_response("visits-long", tuple(exports.LONG_COLUMNS), rows)


@require_GET
def dictionary_csv(request: SignedInRequest) -> StreamingHttpResponse:
    """What the columns and variables of the long file mean."""
    _selection(request)
    record_access(request.user, "export", "cohort", "dictionary")
    return csv_response("dictionary", exports.DICTIONARY_COLUMNS, exports.dictionary_rows())


def _selection(request: SignedInRequest) -> tuple[SelectionForm, Selection]:
    if not can(request.user, Act.VIEW_COHORT):
        raise ForbiddenError(
            "Your role doesn't allow you to see cohort tables. Ask an administrator of your centre if you need them."
        )
    form = SelectionForm(request.GET, request.user)
    return form, form.selection()
