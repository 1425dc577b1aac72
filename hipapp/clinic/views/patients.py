"""Pages of patients: the list, a new one, changing and deleting one."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.models import Centre, User
from hipapp.accounts.permissions import Act, can, centres_for, record_access, require
from hipapp.clinic import selectors, services
from hipapp.clinic.forms import IdentityForm, PatientForm
from hipapp.clinic.identity import Identity
from hipapp.clinic.models import Patient
from hipapp.clinic.summary import activity_line
from hipapp.clinic.views.common import patient_page
from hipapp.core.errors import DomainError, ForbiddenError

PAGE_SIZE = 50


def patients(request: SignedInRequest) -> HttpResponse:
    """Patients one may see, searched, filtered and sorted."""
    user = request.user
    words = request.GET.get("q", "")
    hips = request.GET.get("hips", "")
    found = selectors.search_patients(user, words)
    rows = selectors.with_last_visit(found.patients)
    if hips in Patient.HipInvolvement.values:
        rows = rows.filter(hip_involvement=hips)
    sort = request.GET.get("sort", "")
    rows = rows.order_by(*selectors.SORTS.get(sort, selectors.SORTS["code"]))
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    names = selectors.names_for(user, list(page.object_list))
    context = {
        "page": page,
        "rows": [_row(patient, names.get(patient.pk, "")) for patient in page.object_list],
        "can_see_names": can(user, Act.VIEW_IDENTITY),
        "can_edit": can(user, Act.EDIT_CLINIC),
        "remark": found.remark,
        "words": words,
        "hips": hips,
        "hip_choices": Patient.HipInvolvement.choices,
        "sort": sort,
        "columns": _columns(sort),
    }
    return render(request, "clinic/patients.html", context)


def _row(patient: Patient, name: str) -> dict[str, object]:
    """A patient of the list with the activity at the last visit: ASDAS-CRP, or ASDAS-ESR where there is no CRP."""
    by_crp, by_esr = getattr(patient, "last_asdas_crp"), getattr(patient, "last_asdas_esr")  # noqa: B009  annotations
    asdas = by_esr if by_crp is None else by_crp
    line = activity_line(asdas)
    return {
        "patient": patient,
        "name": name,
        "url": patient_page(patient),
        "asdas": asdas,
        "is_esr": by_crp is None and by_esr is not None,
        "state": line.state,
        "state_class": line.state_class,
    }


def _columns(sort: str) -> dict[str, dict[str, str]]:
    """For each sortable column: what its link asks for next, and how it is sorted now (for aria-sort)."""
    columns = {}
    for name in ("code", "born", "seen"):
        now = "ascending" if sort == name or (name == "code" and sort not in selectors.SORTS) else ""
        now = "descending" if sort == f"-{name}" else now
        columns[name] = {"next": f"-{name}" if now == "ascending" else name, "now": now}
    return columns


def patient_new(request: SignedInRequest) -> HttpResponse:
    """Add a patient."""
    user = request.user
    centre = _centre_of(request, user)
    initial = {"centre": centre, "study_code": selectors.propose_study_code(centre.code)}
    form = PatientForm(request.POST or None, user=user, initial=initial)
    identity_form = IdentityForm(request.POST or None) if can(user, Act.EDIT_IDENTITY) else None
    forms = [form] if identity_form is None else [form, identity_form]
    if request.method == "POST" and all([part.is_valid() for part in forms]):
        try:
            patient = services.create_patient(user, identity=_identity(identity_form), **form.cleaned_data)
        except DomainError as error:
            _refuse(error, form, identity_form)
        else:
            messages.success(request, f"{patient} is added. Enter the first visit next.")
            return redirect("clinic:visit-new", patient.pk)
    context = {"form": form, "identity_form": identity_form, "centre": centre}
    return render(request, "clinic/patient_form.html", context)


def _centre_of(request: SignedInRequest, user: User) -> Centre:
    """The centre chosen in the address or the form, else the person's first; 403 where there is none."""
    centres = centres_for(user, Act.EDIT_CLINIC)
    wanted = request.POST.get("centre") or request.GET.get("centre") or ""
    chosen = centres.filter(pk=wanted).first() if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 else None
    centre = chosen or centres.first()
    if centre is None:
        raise ForbiddenError("Your role doesn't allow you to add patients. Ask an administrator of your centre.")
    return centre


def patient_edit(request: SignedInRequest, pk: int) -> HttpResponse:
    """Change the description and, for care roles, the identity of a patient."""
    user = request.user
    patient = get_object_or_404(selectors.visible_patients(user), pk=pk)
    may_edit, may_name = can(user, Act.EDIT_CLINIC, patient.centre), can(user, Act.EDIT_IDENTITY, patient.centre)
    if not may_edit and not may_name:
        require(user, Act.EDIT_CLINIC, patient.centre)
    data = request.POST or None
    form = PatientForm(data, user=user, patient=patient, initial=PatientForm.initial_of(patient)) if may_edit else None
    identity_form = IdentityForm(data, initial=_identity_initial(user, patient)) if may_name else None
    forms = [part for part in (form, identity_form) if part is not None]
    if request.method == "POST" and all([part.is_valid() for part in forms]):
        try:
            services.save_patient(user, patient, values=form.cleaned_data if form else {}, identity=_identity(identity_form))
        except DomainError as error:
            patient.refresh_from_db()
            _refuse(error, form, identity_form)
        else:
            messages.success(request, f"{patient} is saved.")
            return redirect(patient_page(patient))
    record_access(user, "view", "patient", patient.pk)
    context = {"form": form, "identity_form": identity_form, "patient": patient, "patient_url": patient_page(patient)}
    return render(request, "clinic/patient_form.html", context)


def _identity(form: IdentityForm | None) -> Identity | None:
    return None if form is None else Identity(**form.cleaned_data)


def _identity_initial(user: User, patient: Patient) -> dict[str, object]:
    known = selectors.identity_for(user, patient)
    return {} if known is None else dict(vars(known))


def _refuse(error: DomainError, form: PatientForm | None, identity_form: IdentityForm | None) -> None:
    for part in (identity_form, form):
        if part is not None and error.field in part.fields:
            part.refuse(error)
            return
    last = form or identity_form
    if last is None:
        raise error
    last.refuse(error)


def patient_delete(request: SignedInRequest, pk: int) -> HttpResponse:
    """Delete a patient entered by mistake; asks for the study code."""
    user = request.user
    patient = get_object_or_404(selectors.visible_patients(user), pk=pk)
    require(user, Act.EDIT_CLINIC, patient.centre)
    wrong = ""
    if request.method == "POST":
        if request.POST.get("name", "").strip() == patient.study_code:
            services.delete_patient(user, patient)
            messages.success(request, f"{patient.study_code} is deleted.")
            return redirect("clinic:patients")
        wrong = f"Type {patient.study_code} to delete this patient."
    context = {"patient": patient, "n_visits": patient.visits.count(), "wrong": wrong, "patient_url": patient_page(patient)}
    return render(request, "clinic/patient_delete.html", context)
