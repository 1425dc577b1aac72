"""Lists of studies: all of them, those that wait for a person, and the patients to choose from."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from hipapp.accounts.http import SignedInRequest
from hipapp.imaging.picker import find_patients
from hipapp.imaging.results import results_of_studies
from hipapp.imaging.selectors import (
    STUDY_FILTERS,
    contested_studies,
    held_studies,
    search_studies,
    unassigned_studies,
    visible_studies,
    waiting_erasures,
)


@require_GET
def study_list(request: SignedInRequest) -> HttpResponse:
    """Every visible study, newest acquisition first."""
    words, kind = request.GET.get("q", "").replace("\x00", "")[:100], request.GET.get("kind", "")
    studies = search_studies(visible_studies(request.user), words, kind)
    page = Paginator(studies, 50).get_page(request.GET.get("page"))
    results = results_of_studies(page.object_list)
    rows = [{"study": study, "results": results[study.pk]} for study in page.object_list]
    context = {"page": page, "rows": rows, "q": words, "kind": kind, "kinds": STUDY_FILTERS}
    return render(request, "imaging/studies.html", context)


@require_GET
def waiting_list(request: SignedInRequest) -> HttpResponse:
    """Studies that wait for a person: held ones first, then the unassigned."""
    held = held_studies(request.user)[:100]
    page = Paginator(unassigned_studies(request.user), 50).get_page(request.GET.get("page"))
    contested = contested_studies(request.user)[:100]
    context = {"held": held, "contested": contested, "page": page, "erasures": waiting_erasures(request.user)[:100]}
    return render(request, "imaging/waiting.html", context)


@require_GET
def pick_patient(request: SignedInRequest) -> HttpResponse:
    """Patients that match the words, each with its visits, as choices of a form."""
    words = request.GET.get("patient_words", "")
    centre = request.GET.get("centre_id", "")
    found = find_patients(request.user, words, int(centre) if centre.isdecimal() and len(centre) < 12 else None)
    return render(request, "imaging/_patients.html", {"found": found, "words": words.strip()})
