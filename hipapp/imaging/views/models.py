"""The administrator's pages of models: imported, compared with the one in force, promoted, rolled back."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_POST

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.permissions import Act, centres_for
from hipapp.clinic.models import Patient
from hipapp.imaging import bundles
from hipapp.imaging.agreement_plot import agreement_plot
from hipapp.imaging.comparison import compare
from hipapp.imaging.model_page import LABELS, model_rows, networks_of, shipped
from hipapp.imaging.models import ModelVersion, Rescoring
from hipapp.imaging.selectors import model_in_force, visible_rescorings
from hipapp.imaging.services import models, rescoring
from hipapp.jobs.selectors import visible_jobs

ROOM_FOR_FORM = 1 << 20
PAGE_SIZE = 50
SYNTHETIC = [("", "Real and synthetic"), ("no", "Real only"), ("yes", "Synthetic only")]


class RescoreForm(forms.Form):
    """Whose studies are scored with another model."""

    centres: Any = forms.ModelMultipleChoiceField(queryset=None, label="Centres", widget=forms.CheckboxSelectMultiple)
    criteria = forms.ChoiceField(label="Criteria", required=False, choices=[("", "All"), *Patient.Criteria.choices])
    hip_involvement = forms.ChoiceField(
        label="Hips involved", required=False, choices=[("", "All"), *Patient.HipInvolvement.choices]
    )
    synthetic = forms.ChoiceField(label="Patients", required=False, choices=SYNTHETIC)

    def __init__(self, *args: Any, request: SignedInRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        centres = centres_for(request.user, Act.MANAGE)
        self.fields["centres"].queryset = centres  # type: ignore[attr-defined]
        self.fields["centres"].initial = list(centres)
        for name in ("criteria", "hip_involvement", "synthetic"):
            self.fields[name].widget.attrs["class"] = "form-select"

    @property
    def patients(self) -> dict[str, object]:
        """As `services.rescoring` takes them."""
        data = self.cleaned_data
        chosen: dict[str, object] = {key: data[key] for key in ("criteria", "hip_involvement") if data[key]}
        return chosen | ({"is_synthetic": data["synthetic"] == "yes"} if data["synthetic"] else {})


@require_GET
def model_list(request: SignedInRequest) -> HttpResponse:
    """Every model, the one in force first, and how to bring another."""
    _require_administrator(request)
    current = model_in_force()
    context = {
        "rows": model_rows(),
        "current": current,
        "before": models.model_before(),
        "shipped": shipped(),
        "max_mb": bundles.MAX_BYTES >> 20,
    }
    return render(request, "imaging/models.html", context)


@csrf_exempt  # the token is looked for in `_import`, once the size of what comes is known
@require_POST
def model_import(request: SignedInRequest) -> HttpResponse:
    """A bundle as a zip (`bundle`), or (`shipped=1`) the one that the release ships."""
    _require_administrator(request)
    if int(request.META.get("CONTENT_LENGTH") or 0) > bundles.MAX_BYTES + ROOM_FOR_FORM:
        raise bundles.BundleRefusedError(f"The file is larger than {bundles.MAX_BYTES >> 20} MB.")
    answer: HttpResponse = _import(request)
    return answer


@csrf_protect
def _import(request: SignedInRequest) -> HttpResponse:
    file = request.FILES.get("bundle")
    if request.POST.get("shipped") == "1":
        bundle = shipped(is_read=True)
        if bundle is None:
            raise bundles.BundleRefusedError("The bundle that the release ships is missing or damaged.")
    elif file is None:
        raise bundles.BundleRefusedError("Choose the zip of a bundle first.")
    else:
        bundle = bundles.read_bundle(file)  # type: ignore[arg-type]
    with transaction.atomic():
        model = models.import_bundle(bundle, request.user)
        if model.state == ModelVersion.State.CHECKING:
            models.order_check(model, request.user)
            said = f"{model} is imported, and is being checked."
        else:
            said = f"{model} was here already; its calibration and figures are renewed."
    messages.success(request, said)
    return redirect("imaging:model", pk=model.pk)


@require_GET
def model_detail(request: SignedInRequest, pk: int) -> HttpResponse:
    """One model: what it is, what was measured of it, its comparisons, and the way into force."""
    model = _model(request, pk)
    return _model_page(request, model, RescoreForm(request=request))


@require_POST
def model_rescore(request: SignedInRequest, pk: int) -> HttpResponse:
    """Order the studies of a cohort to be scored with this model."""
    model = _model(request, pk)
    form = RescoreForm(request.POST, request=request)
    if not form.is_valid():
        return _model_page(request, model, form, status=400)
    row = rescoring.order_rescoring(model, request.user, list(form.cleaned_data["centres"]), form.patients)
    return redirect("imaging:rescoring", pk=row.pk)


@require_POST
def model_promote(request: SignedInRequest, pk: int) -> HttpResponse:
    model = _model(request, pk)
    is_accepted = request.POST.get("uncompared") == "1"
    models.promote_model(model, request.user, reason=request.POST.get("reason", ""), is_uncompared_accepted=is_accepted)
    messages.success(request, f"{model} is in force: studies that come from now on are scored with it.")
    return redirect("imaging:models")


@require_POST
def model_rollback(request: SignedInRequest) -> HttpResponse:
    _require_administrator(request)
    promotion = models.rollback_model(request.user, reason=request.POST.get("reason", ""))
    messages.success(request, f"{promotion.model_version} is in force again.")
    return redirect("imaging:models")


@require_GET
def rescoring_detail(request: SignedInRequest, pk: int) -> HttpResponse:
    """How far a re-scoring is, and what of it can be compared; asked by htmx, only the part that moves."""
    row = get_object_or_404(visible_rescorings(request.user), pk=pk)
    context: dict[str, Any] = {"rescoring": row, "job": row.job}
    if request.htmx:
        answer = render(request, "imaging/_rescoring_job.html", context)
        if row.job is None or row.job.is_final:
            answer["HX-Refresh"] = "true"  # the comparison has changed
        return answer
    context["can_steer"] = row.job is not None and visible_jobs(request.user).filter(pk=row.job.pk).exists()
    if row.baseline is not None:
        context |= _comparison(request, row)
    return render(request, "imaging/rescoring.html", context)


def _comparison(request: SignedInRequest, row: Rescoring) -> dict[str, Any]:
    assert row.baseline is not None
    keys = rescoring.series_of(row).filter(pk__lte=row.last_series).values_list("pk", flat=True)
    found = compare(row.baseline, row.model_version, keys)
    seen = set(centres_for(request.user, Act.VIEW_PATIENTS).values_list("pk", flat=True))
    return {
        "comparison": found,
        "seen": seen,
        "figure": agreement_plot(found, seen) if found.pairs else None,
        "page": Paginator(found.widest, PAGE_SIZE).get_page(request.GET.get("page")),
    }


def _model_page(request: SignedInRequest, model: ModelVersion, form: RescoreForm, status: int = 200) -> HttpResponse:
    current = model_in_force()
    n_compared = models.n_compared(model, current) if current is not None and current != model else 0
    context = {
        "model": model,
        "current": current,
        "n_compared": n_compared,
        "networks": networks_of(model),
        "calibration": bundles.calibration_of(model.description),
        "has_intervals": settings.SCORE_INTERVALS,
        "labels": LABELS.values(),
        "rescorings": visible_rescorings(request.user).filter(model_version=model)[:20],
        "promotions": model.promotions.select_related("by", "replaced")[:20],
        "form": form,
        "n_scores": model.scores.count(),
    }
    return render(request, "imaging/model.html", context, status=status)


def _model(request: SignedInRequest, pk: int) -> ModelVersion:
    _require_administrator(request)
    return get_object_or_404(ModelVersion, pk=pk)


def _require_administrator(request: SignedInRequest) -> None:
    if not models.may_manage_models(request.user):
        raise Http404
