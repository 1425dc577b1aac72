"""The page of a study, and what a person does on it."""

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.permissions import Act, can, record_access
from hipapp.clinic.selectors import visible_patients, visible_visits
from hipapp.core.errors import DomainError
from hipapp.imaging.models import Series, Study
from hipapp.imaging.picker import find_patients, preset, read_target
from hipapp.imaging.selectors import contested_pairs, may_see_images, visible_studies
from hipapp.imaging.services import conflicts, quiet, reviews, studies
from hipapp.imaging.study_page import study_page

MAX_PAIRS = 12  # shown of images that contradict each other
VERDICT_WORDS = {
    "accept": "accepted",
    "reject": "rejected",
    "not_assessable": "marked as not assessable",
    "withdrawn": "put back to unreviewed",
}


@require_GET
def study_detail(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Slices, outlines, scores and reviews of one study; for htmx the part that moves while it is scored."""
    study = _study(request, pk)
    page = study_page(study, request.user, request.GET.get("series"))
    if request.htmx:
        answer = render(request, "imaging/_study_job.html", {"page": page, "study": study})
        if not page.is_moving:
            answer["HX-Refresh"] = "true"  # the score is there: the whole page has changed
        return answer
    record_access(request.user, "view", "study", study.pk)
    return render(request, "imaging/study.html", {"page": page, "study": study})


@require_POST
def study_review(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Accept, reject, not assessable or undo, for one hip or (`side=both`) for both."""
    study = _study(request, pk)
    series = _series(request, study)
    verdict, side = request.POST.get("verdict", ""), request.POST.get("side", "")
    comment = request.POST.get("comment", "")
    seen = {one: _number(request, f"score_{one}") or None for one in ("right", "left")}
    sides = [one for one in seen if seen[one]] if side == "both" else [side]
    if not sides:
        raise DomainError("Neither hip has a score that could be judged.", code="no_score")
    with transaction.atomic():
        for one in sides:
            reviews.review_hip(series, one, verdict, request.user, comment=comment, score_id=seen.get(one))
    which = "Both hips" if side == "both" else f"The {side} hip"
    messages.success(request, f"{which}: {VERDICT_WORDS[verdict]}.")
    return redirect("imaging:study", pk=pk)


@require_POST
def study_series(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Have another series scored."""
    study = _study(request, pk)
    series = _series(request, study)
    studies.choose_series(study, request.user, series)
    messages.success(request, "The other series is being scored.")
    return redirect("imaging:study", pk=pk)


@require_POST
def study_score(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Order the score of a study that has none, once more."""
    study = _study(request, pk)
    if not can(request.user, Act.UPLOAD, study.centre):
        raise DomainError("Your role doesn't allow you to order a score.", code="forbidden")
    if quiet.score_at_once(study, request.user) is None:
        study.refresh_from_db()
        nothing = "There is nothing to score: the study is held, has no usable series, or no model is installed."
        raise DomainError(study.refused_message or nothing)
    messages.success(request, "The study is being scored.")
    return redirect("imaging:study", pk=pk)


@require_http_methods(["GET", "POST"])
def study_attach(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Attach a waiting study to a visit, or move an attached one; a mismatch asks for a confirmation with a reason."""
    study = _study(request, pk)
    can_see_names = can(request.user, Act.VIEW_IDENTITY, study.centre)
    context: dict[str, Any] = {"study": study, "can_see_names": can_see_names, "can_confirm": can_see_names}
    context["can_erase"] = can(request.user, Act.ERASE, study.centre)
    if request.method == "POST":
        try:
            return _attach(request, study)
        except DomainError as error:
            context |= {"error": error, "reasons": getattr(error, "reasons", None), "reason": request.POST.get("reason", "")}
    context["chosen"] = _chosen(request, study)
    context["words"] = request.POST.get("patient_words", "")
    context["found"] = find_patients(request.user, context["words"], study.centre_id)
    return render(request, "imaging/attach.html", context, status=context["error"].status if "error" in context else 200)


@require_POST
def study_detach(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    study = _study(request, pk)
    studies.detach_study(study, request.user, reason=request.POST.get("reason", ""))
    messages.success(request, "The study was taken off its visit and waits in the unassigned list.")
    return redirect("imaging:study", pk=pk)


@require_POST
def study_release(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    study = _study(request, pk)
    studies.release_study(study, request.user, reason=request.POST.get("reason", ""))
    messages.success(request, "The study was released; it waits in the unassigned list.")
    return redirect("imaging:study", pk=pk)


@require_http_methods(["GET", "POST"])
def study_conflict(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Images with the UIDs of stored ones but other pixels: keep ours, or take theirs."""
    study = _study(request, pk)
    context: dict[str, Any] = {"study": study, "can_decide": can(request.user, Act.UPLOAD, study.centre)}
    if request.method == "POST":
        decide = {"ours": conflicts.keep_ours, "theirs": conflicts.take_theirs}.get(request.POST.get("decision", ""))
        try:
            if decide is None:
                raise DomainError("Choose whether the images in use stay or the later ones are taken.", field="decision")
            n = decide(study, request.user, reason=request.POST.get("reason", ""))
        except DomainError as error:
            context |= {"error": error, "reason": request.POST.get("reason", "")}
        else:
            what = "set aside" if decide is conflicts.keep_ours else "taken, and the study is scored again"
            messages.success(request, f"{n} later image{' was' if n == 1 else 's were'} {what}.")
            return redirect("imaging:study", pk=pk)
    elif not may_see_images(request.user, study):
        raise Http404
    pairs = contested_pairs(study)
    others = visible_studies(request.user).filter(
        pk__in={pair.ours.study_id for pair in pairs if pair.ours and pair.is_elsewhere}
    )
    context |= {"pairs": pairs[:MAX_PAIRS], "n_pairs": len(pairs), "n_more": max(0, len(pairs) - MAX_PAIRS), "others": others}
    return render(request, "imaging/conflict.html", context, status=context["error"].status if "error" in context else 200)


def _attach(request: SignedInRequest, study: Study) -> HttpResponse:
    target = read_target(request.POST, visible_patients(request.user), visible_visits(request.user))
    reason = request.POST.get("reason", "")
    if study.visit_id is None:
        is_confirmed = request.POST.get("confirm") == "1"
        done = studies.attach_study(
            study, request.user, visit=target.visit, patient=target.patient, is_confirmed=is_confirmed, reason=reason
        )
    else:
        done = studies.move_study(study, request.user, visit=target.visit, patient=target.patient, reason=reason)
    assert done.visit is not None
    messages.success(request, f"The study belongs to {done.visit.patient}, visit {done.visit.visit_on:%Y-%m-%d}.")
    return redirect("imaging:study", pk=study.pk)


def _chosen(request: SignedInRequest, study: Study) -> object:
    if request.method == "POST":
        return read_target(request.POST, visible_patients(request.user), visible_visits(request.user))
    chosen = preset(request)
    if chosen.value or study.visit_id:
        return chosen
    values = {"target": ""}
    if study.intended_visit_id:
        values["target"] = f"visit:{study.intended_visit_id}"
    elif study.intended_patient_id:
        values["target"] = f"patient:{study.intended_patient_id}"
    return read_target(values, visible_patients(request.user), visible_visits(request.user))


def _study(request: SignedInRequest, pk: uuid.UUID) -> Study:
    study: Study = get_object_or_404(visible_studies(request.user), pk=pk)
    return study


def _series(request: SignedInRequest, study: Study) -> Series:
    key = _number(request, "series")
    if not key:
        raise DomainError("Say which series is meant.", field="series")
    return get_object_or_404(Series, pk=key, study=study)


def _number(request: SignedInRequest, key: str) -> int:
    text = request.POST.get(key, "")
    return int(text) if text.isdecimal() and len(text) < 12 else 0
