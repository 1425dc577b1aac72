"""Which patients and visits a cohort table is about, read from the address, and the flow that led there."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from django import forms
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, centres_for
from hipapp.clinic.models import Patient, Visit
from hipapp.clinic.selectors import visible_patients, visible_visits
from hipapp.imaging.models import Study
from hipapp.imaging.selectors import counting_scores

VISITS = [("first", "First of each patient"), ("last", "Last of each patient"), ("each", "Every visit")]
MRI = [("", "With or without"), ("yes", "Only with a score")]
SYNTHETIC = [("", "Real and synthetic"), ("no", "Real only"), ("yes", "Synthetic only")]
REVIEWED = [("", "Unreviewed too"), ("yes", "Accepted only")]
HIPS = [("sum", "Sum of both hips"), ("mean", "Mean of both hips"), ("worst", "Worse hip")]
METHODS = [("spearman", "Spearman"), ("pearson", "Pearson")]
ADJUSTMENTS = [("bh", "Benjamini–Hochberg"), ("holm", "Holm")]
DELETIONS = [("pairwise", "Pair by pair"), ("listwise", "Complete visits only")]


@dataclass(frozen=True)
class Selection:
    """What was chosen on the cohort page; the defaults give one visit a patient, so that rows are independent."""

    centre: str = ""
    criteria: str = ""
    involvement: str = ""
    synthetic: str = ""
    mri: str = ""
    visit: str = "first"
    reviewed: str = ""
    hips: str = "sum"
    method: str = "spearman"
    deletion: str = "pairwise"
    adjustment: str = "bh"

    @property
    def query(self) -> dict[str, str]:
        """Only what differs from the defaults, for addresses."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}

    @property
    def words(self) -> str:
        """The selection in words, for exports."""
        chosen = {**dict.fromkeys(("visit", "hips", "method", "deletion", "adjustment"), ""), **self.query}
        return "; ".join(f"{name}: {getattr(self, name)}" for name in chosen)


class SelectionForm(forms.Form):
    """The form above the cohort table; whatever is left out stays at its default."""

    centre = forms.ChoiceField(label="Centre", required=False)
    criteria = forms.ChoiceField(label="Criteria", required=False, choices=[("", "All"), *Patient.Criteria.choices])
    involvement = forms.ChoiceField(label="Hips involved", required=False, choices=[("", "All"), *Patient.HipInvolvement.choices])
    synthetic = forms.ChoiceField(label="Patients", required=False, choices=SYNTHETIC)
    mri = forms.ChoiceField(label="MRI", required=False, choices=MRI)
    visit = forms.ChoiceField(label="Visits", required=False, choices=VISITS)
    reviewed = forms.ChoiceField(label="UNet-scores", required=False, choices=REVIEWED)
    hips = forms.ChoiceField(label="Both hips", required=False, choices=HIPS)
    method = forms.ChoiceField(label="Correlation", required=False, choices=METHODS)
    deletion = forms.ChoiceField(label="Missing values", required=False, choices=DELETIONS)
    adjustment = forms.ChoiceField(label="q by", required=False, choices=ADJUSTMENTS)

    def __init__(self, data: Mapping[str, Any], user: User) -> None:
        known = {field.name: data.get(field.name) or field.default for field in fields(Selection)}
        super().__init__(known)
        centres = centres_for(user, Act.VIEW_COHORT)
        self.fields["centre"].choices = [("", "All"), *((centre.code, centre.name) for centre in centres)]  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.widget.attrs |= {"class": "form-select", "data-submit-on-change": ""}

    def selection(self) -> Selection:
        """What was chosen; a part that is no choice counts as not chosen."""
        self.is_valid()
        return Selection(**{name: value for name, value in self.cleaned_data.items() if value})


@dataclass(frozen=True)
class FlowStep:
    """How many patients and visits are left after one step, and how many it left out."""

    label: str
    n_patients: int
    n_visits: int
    n_patients_out: int = 0
    n_visits_out: int = 0


def cohort_visits(user: User) -> QuerySet[Visit]:
    """Every visit whose numbers the person may see in a cohort."""
    return visible_visits(user).filter(patient__centre__in=centres_for(user, Act.VIEW_COHORT)).order_by()


def select_visits(user: User, selection: Selection) -> tuple[QuerySet[Visit], list[FlowStep]]:
    """The chosen visits, and the flow: what each choice left over of patients and visits."""
    visits = cohort_visits(user)
    flow = [_step("with a visit", visits, None)]
    n_patients = cohort_patients(user).count()
    first = FlowStep("Patients at your centres", n_patients, flow[0].n_visits)
    flow = [first, replace(flow[0], n_patients_out=n_patients - flow[0].n_patients)]
    for label, condition in _conditions(selection):
        visits = visits.filter(condition)
        flow.append(_step(label, visits, flow[-1]))
    if selection.visit != "each":
        visits = _one_a_patient(visits, selection.visit)
        flow.append(_step(f"{selection.visit} visit of each", visits, flow[-1]))
    return visits, flow


def cohort_patients(user: User) -> QuerySet[Patient]:
    """Patients who may enter a cohort of this person."""
    return visible_patients(user).filter(centre__in=centres_for(user, Act.VIEW_COHORT))


def _conditions(selection: Selection) -> list[tuple[str, Q]]:
    found: list[tuple[str, Q]] = []
    if selection.centre:
        found.append((f"of centre {selection.centre}", Q(patient__centre__code=selection.centre)))
    if selection.synthetic:
        label = "synthetic" if selection.synthetic == "yes" else "not synthetic"
        found.append((label, Q(patient__is_synthetic=selection.synthetic == "yes")))
    if selection.criteria:
        found.append((f"who fulfil {Patient.Criteria(selection.criteria).label}", Q(patient__criteria=selection.criteria)))
    if selection.involvement:
        label = Patient.HipInvolvement(selection.involvement).label.lower()
        found.append((f"with {label}", Q(patient__hip_involvement=selection.involvement)))
    if selection.mri:
        found.append(("visits with a scored MRI", has_scored_mri()))
    return found


def has_scored_mri() -> Q:
    """Whether a visit has a study with a UNet-score of at least one hip."""
    studies = Study.objects.filter(visit=OuterRef(OuterRef("pk")), state=Study.State.READY)
    scores = counting_scores().filter(series__in=studies.values("chosen_series"), unet_score__isnull=False)
    return Q(Exists(scores))


def _one_a_patient(visits: QuerySet[Visit], which: str) -> QuerySet[Visit]:
    order = "visit_on" if which == "first" else "-visit_on"
    chosen = visits.order_by("patient_id", order).distinct("patient_id")
    return Visit.objects.filter(pk__in=chosen.values("pk"))


def _step(label: str, visits: QuerySet[Visit], before: FlowStep | None) -> FlowStep:
    n = visits.aggregate(n_patients=Count("patient_id", distinct=True), n_visits=Count("pk"))
    if before is None:
        return FlowStep(label, **n)
    return FlowStep(label, **n, n_patients_out=before.n_patients - n["n_patients"], n_visits_out=before.n_visits - n["n_visits"])
