"""Uploading: the page, the requests that its script sends, and the page of what came of it."""

import uuid
from collections import Counter

from django.core.paginator import Paginator
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.permissions import Act, can, centres_for, record_access
from hipapp.clinic.selectors import visible_patients, visible_visits
from hipapp.core.errors import ForbiddenError
from hipapp.imaging.models import Upload
from hipapp.imaging.picker import preset, read_target
from hipapp.imaging.results import results_of_studies
from hipapp.imaging.selectors import visible_studies, visible_uploads
from hipapp.imaging.services import uploads

ROWS_A_PAGE = 200
OUTCOMES = {
    "refused": "Refused",
    "conflict": "In conflict",
    "held": "Held",
    "duplicate": "Here already",
    "accepted": "Stored",
    "note": "Note",
}


@require_GET
def upload_page(request: SignedInRequest) -> HttpResponse:
    """Where files are dropped and patient and visit are chosen."""
    if not can(request.user, Act.UPLOAD):
        raise ForbiddenError("Your role doesn't allow you to upload studies. Ask an administrator of your centre.")
    chosen = preset(request)
    centres = list(centres_for(request.user, Act.UPLOAD))
    recent = visible_uploads(request.user).filter(user=request.user)[:5]
    context = {
        "chosen": chosen,
        "centres": centres,
        "recent": recent,
        "can_see_names": can(request.user, Act.VIEW_IDENTITY),
    }
    return render(request, "imaging/upload.html", context)


@require_POST
def upload_start(request: SignedInRequest) -> JsonResponse:
    """An empty upload; answers with the addresses for its files."""
    target = read_target(request.POST, visible_patients(request.user), visible_visits(request.user))
    centre = None
    if code := request.POST.get("centre"):
        centre = get_object_or_404(centres_for(request.user, Act.UPLOAD), code=code)
    upload = uploads.start_upload(request.user, centre=centre, visit=target.visit, patient=target.patient)
    return JsonResponse(
        {
            "upload": str(upload.pk),
            "files_url": reverse("imaging:tus", args=[upload.pk]),
            "finish_url": reverse("imaging:upload-finish", args=[upload.pk]),
            "cancel_url": reverse("imaging:upload-cancel", args=[upload.pk]),
        },
        status=201,
    )


@require_POST
def upload_finish(request: SignedInRequest, pk: uuid.UUID) -> JsonResponse:
    """All files are here: orders the job, answers with the page to go to."""
    upload = _own_upload(request, pk)
    uploads.finish_upload(upload, request.user)
    return JsonResponse({"page_url": reverse("imaging:upload-result", args=[pk])}, status=202)


@require_POST
def upload_cancel(request: SignedInRequest, pk: uuid.UUID) -> JsonResponse:
    upload = _own_upload(request, pk)
    uploads.cancel_upload(upload)
    return JsonResponse({"page_url": reverse("imaging:upload")})


@require_GET
def upload_result(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """What was found in an upload; the whole page, or for htmx the part that moves."""
    upload = get_object_or_404(visible_uploads(request.user), pk=pk)
    if upload.state == Upload.State.RECEIVING:
        return redirect("imaging:upload")
    if not request.htmx:
        record_access(request.user, "view", "upload", upload.pk)
    template = "imaging/_upload_state.html" if request.htmx else "imaging/upload_result.html"
    return render(request, template, {**_found(request, upload), **_report(request, upload)})


def _own_upload(request: SignedInRequest, pk: uuid.UUID) -> Upload:
    upload: Upload = get_object_or_404(visible_uploads(request.user), pk=pk)
    if upload.user_id != request.user.pk:
        raise ForbiddenError("Only the person who began this upload can go on with it.", code="forbidden")
    return upload


def _found(request: SignedInRequest, upload: Upload) -> dict[str, object]:
    ids = {row["study"] for row in upload.report if row["study"]}
    studies = list(visible_studies(request.user).filter(pk__in=ids).prefetch_related("series"))
    results = results_of_studies(studies)
    jobs = list(upload.job.children.all()) if upload.job else []
    by_study = {job.subject_id: job for job in jobs}
    found = [{"study": study, "results": results[study.pk], "job": by_study.get(str(study.pk))} for study in studies]
    is_moving = upload.job is not None and not (upload.job.is_final and all(job.is_final for job in jobs))
    return {"upload": upload, "found": found, "is_moving": is_moving, "summary": uploads.summary(upload)}


def _report(request: SignedInRequest, upload: Upload) -> dict[str, object]:
    counts = Counter(row["outcome"] for row in upload.report)
    outcome = request.GET.get("outcome", "")
    rows = [row for row in upload.report if row["outcome"] == outcome] if outcome in OUTCOMES else upload.report
    if not outcome:
        rows = sorted(rows, key=lambda row: list(OUTCOMES).index(row["outcome"]))
    page = Paginator(rows, ROWS_A_PAGE).get_page(request.GET.get("page"))
    filters = [(key, label, counts[key]) for key, label in OUTCOMES.items() if counts[key]]
    return {"page": page, "filters": filters, "outcome": outcome, "labels": OUTCOMES, "n_rows": len(upload.report)}
