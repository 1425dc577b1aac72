"""Pages of privacy: a centre's policy, what was removed from a study, the way back to the scanner, erasure."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.permissions import Act, can, require
from hipapp.accounts.selectors import managed_centres
from hipapp.clinic.models import Patient
from hipapp.clinic.selectors import visible_patients
from hipapp.core.errors import DomainError
from hipapp.imaging import returning
from hipapp.imaging.models import DeidentificationReport, Erasure, Study
from hipapp.imaging.policy import policy_of
from hipapp.imaging.protocol import ITEMS, rows_of
from hipapp.imaging.selectors import visible_studies
from hipapp.imaging.services import erasure as erasures
from hipapp.imaging.services.policies import save_policy
from hipapp.imaging.services.studies import override_protocol


@require_http_methods(["GET", "POST"])
def policy(request: SignedInRequest, pk: int) -> HttpResponse:
    """What a centre has decided about its studies, and what was erased there; for its administrators."""
    centre = get_object_or_404(managed_centres(request.user), pk=pk)
    found = policy_of(centre)
    context: dict[str, Any] = {"centre": centre, "policy": found, "rows": _rows(found.protocol, {})}
    if request.method == "POST":
        typed = _typed(request)
        try:
            save_policy(request.user, centre, **typed)
        except DomainError as error:
            context |= {"error": error, "policy": typed, "rows": _rows(found.protocol, typed["protocol"], error)}
        else:
            messages.success(request, f"The imaging policy of {centre} is saved.")
            return redirect("imaging:policy", pk=pk)
    context["erasures"] = Erasure.objects.filter(centre=centre).select_related("asked_by", "confirmed_by")[:50]
    return render(request, "imaging/policy.html", context, status=400 if "error" in context else 200)


def _typed(request: SignedInRequest) -> dict[str, Any]:
    post = request.POST
    protocol = {
        item.key: {
            "low": post.get(f"{item.key}-low", "")[:20],
            "high": post.get(f"{item.key}-high", "")[:20],
            "forbids": post.get(f"{item.key}-forbids") == "1",
        }
        for item in ITEMS
        if item.is_number
    }
    return {
        "protocol": protocol,
        "keeps_originals": post.get("keeps_originals") == "1",
        "needs_second_person": post.get("needs_second_person") == "1",
    }


def _rows(template: dict[str, Any], typed: dict[str, Any], error: DomainError | None = None) -> list[dict[str, Any]]:
    """The rows of the form: as stored, or as typed with the error beside its field."""
    rows = []
    for row in rows_of(template):
        said = typed.get(row.item.key, {"low": row.low, "high": row.high, "forbids": row.forbids})
        wrong = {side: error.message for side in ("low", "high") if error and error.field == f"{row.item.key}-{side}"}
        rows.append({"item": row.item, "wrong": wrong, **said})
    return rows


@require_POST
def protocol_override(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Have a study scored in spite of its centre's protocol."""
    override_protocol(_study(request, pk), request.user, reason=request.POST.get("reason", ""))
    messages.success(request, "The study is being scored in spite of the protocol; the reason is kept with it.")
    return redirect("imaging:study", pk=pk)


@require_GET
def deidentification(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """What was taken out of the files of a study, by attribute."""
    study = _study(request, pk)
    report = DeidentificationReport.objects.filter(study=study).first()
    parts = (
        [
            ("Removed", sorted(report.removed.items()), "gone from the stored files"),
            ("Replaced", sorted(report.replaced.items()), "by a pseudonym, a new UID, or the known words of a text"),
        ]
        if report
        else []
    )
    return render(request, "imaging/deidentification.html", {"study": study, "report": report, "parts": parts})


@require_GET
def originals(request: SignedInRequest, pk: uuid.UUID) -> StreamingHttpResponse:
    """The files of a study as they were received."""
    parts = returning.originals_zip(_study(request, pk), request.user)
    disposition = {"Content-Disposition": f'attachment; filename="originals-{str(pk)[:8]}.zip"'}
    return StreamingHttpResponse(parts, content_type="application/zip", headers=disposition)


@require_GET
def returned(request: SignedInRequest, pk: uuid.UUID, kind: str) -> HttpResponse:
    """SEG or SR under the scanner's UIDs, for the archive that the study came from."""
    content = returning.result_to_return(_study(request, pk), request.user, kind)
    disposition = {"Content-Disposition": f'attachment; filename="{kind}-{str(pk)[:8]}.dcm"'}
    return HttpResponse(content, content_type="application/dicom", headers=disposition)


@require_http_methods(["GET", "POST"])
def study_erase(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """Ask for the erasure of a study, or confirm it."""
    study = _study(request, pk)
    return _erase(request, study, reverse("imaging:study", args=[pk]), reverse("imaging:study-erase", args=[pk]))


@require_http_methods(["GET", "POST"])
def patient_erase(request: SignedInRequest, pk: int) -> HttpResponse:
    """Ask for the erasure of a patient with everything known of them, or confirm it."""
    patient = get_object_or_404(visible_patients(request.user), pk=pk)
    return _erase(request, patient, reverse("followup:patient", args=[pk]), reverse("imaging:patient-erase", args=[pk]))


def _erase(request: SignedInRequest, subject: Study | Patient, back: str, here: str) -> HttpResponse:
    require(request.user, Act.ERASE, subject.centre)
    error = None
    if request.method == "POST":
        try:
            return _act(request, subject, back, here)
        except DomainError as raised:
            error = raised
    erasure = erasures.open_erasure(subject)
    is_patient = isinstance(subject, Patient)
    sought = erasure or Erasure(kind="patient" if is_patient else "study", subject_id=str(subject.pk))
    context = {
        "subject": subject,
        "is_patient": is_patient,
        "erasure": erasure,
        "error": error,
        "reason": request.POST.get("reason", ""),
        "name": erasures.name_of(sought),
        "studies": erasures.studies_of(sought),
        "n_visits": subject.visits.count() if isinstance(subject, Patient) else 0,
        "back": back,
        "is_own": bool(erasure and erasure.asked_by_id == request.user.pk),
        "needs_second_person": policy_of(subject.centre).needs_second_person,
    }
    return render(request, "imaging/erase.html", context, status=error.status if error else 200)


def _act(request: SignedInRequest, subject: Study | Patient, back: str, here: str) -> HttpResponse:
    act, erasure = request.POST.get("act", "ask"), erasures.open_erasure(subject)
    if act == "ask" or erasure is None:
        erasures.ask_erasure(request.user, subject, reason=request.POST.get("reason", ""))
        return redirect(here)
    if act == "withdraw":
        erasures.withdraw_erasure(erasure, request.user)
        messages.success(request, "Nothing is erased; the order is withdrawn.")
        return redirect(back)
    job = erasures.confirm_erasure(erasure, request.user, typed=request.POST.get("name", ""))
    messages.success(request, "It is being erased.")
    return redirect("jobs:detail", pk=job.pk) if can(request.user, Act.UPLOAD, subject.centre) else redirect("home:start")


def _study(request: SignedInRequest, pk: uuid.UUID) -> Study:
    study: Study = get_object_or_404(visible_studies(request.user), pk=pk)
    return study
