"""Forms of the clinic: read what a person typed, keep it on error, hand plain values to the services."""

from decimal import Decimal
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils import timezone

from hipapp.accounts.models import Centre, User
from hipapp.accounts.permissions import Act, centres_for
from hipapp.clinic import indices
from hipapp.clinic.answers import BASDAI_QUESTIONS, HARRIS_ANSWERS, HARRIS_LABELS
from hipapp.clinic.models import Assessment, HipExamination, Patient, TreatmentPeriod, Visit
from hipapp.core.errors import DomainError
from scoring.clinical.harris import MOTION_MAX_DEG

DRUGS = (
    "adalimumab", "bimekizumab", "celecoxib", "certolizumab pegol", "diclofenac", "etanercept", "etoricoxib", "golimumab",
    "ibuprofen", "infliximab", "ixekizumab", "meloxicam", "methotrexate", "naproxen", "secukinumab", "sulfasalazine",
    "tofacitinib", "triamcinolone", "upadacitinib",
)  # fmt: skip


class StyledForm(forms.Form):
    """Bootstrap's classes on every widget; the first sentence of an error says what to write."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.update(self.more_fields())
        for field in self.fields.values():
            is_select = isinstance(field.widget, forms.Select)
            field.widget.attrs.setdefault("class", "form-select" if is_select else "form-control")

    def more_fields(self) -> dict[str, forms.Field]:
        """Fields made in a loop."""
        return {}

    def refuse(self, error: DomainError) -> None:
        """Show a service's refusal beside its field, or above the form."""
        self.add_error(error.field if error.field in self.fields else None, error.message)


class DayField(forms.DateField):
    """A day, written 2026-03-02; the browser's calendar where it has one."""

    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})

    def __init__(self, **kwargs: Any) -> None:
        messages = {"required": "Enter a day, like 2026-03-02.", "invalid": "Write the day like 2026-03-02."}
        super().__init__(input_formats=["%Y-%m-%d"], error_messages=messages, **kwargs)


class MeasureField(forms.DecimalField):
    """A number with an optional comma or point, kept as typed when it can't be read."""

    def __init__(self, *, low: str, high: str, unit: str = "", **kwargs: Any) -> None:
        tail = f" {unit}" if unit else ""
        wrong = f"Enter a number from {low} to {high}{tail}."
        widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "maxlength": "12"})
        super().__init__(
            min_value=Decimal(low),
            max_value=Decimal(high),
            required=False,
            widget=widget,
            error_messages=dict.fromkeys(("invalid", "min_value", "max_value", "max_digits", "max_whole_digits"), wrong),
            **kwargs,
        )

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.replace(",", ".") if isinstance(value, str) else value)


def scale_field(label: str, help_text: str = "") -> MeasureField:
    """A rating 0–10 with one decimal."""
    return MeasureField(low="0", high="10", max_digits=3, decimal_places=1, label=label, help_text=help_text)


class PatientForm(StyledForm):
    """The clinical description of a patient."""

    centre = forms.ModelChoiceField(Centre.objects.none(), label="Centre", empty_label=None)
    study_code = forms.CharField(
        max_length=20, required=False, label="Study code", help_text="The name under which the patient is shown everywhere."
    )
    sex = forms.ChoiceField(choices=[("", "Not known"), *Patient.Sex.choices], required=False, label="Sex")
    birth_year = forms.IntegerField(
        min_value=1900, max_value=2100, required=False, label="Year of birth",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "maxlength": "4", "autocomplete": "off"}),
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), "Enter a year with four digits, like 1994."),
    )  # fmt: skip
    criteria = forms.ChoiceField(
        choices=[("", "Not known"), *Patient.Criteria.choices], required=False, label="Classification criteria"
    )
    hla_b27 = forms.TypedChoiceField(
        choices=[("", "Not known"), ("yes", "Positive"), ("no", "Negative")], required=False, label="HLA-B27",
        coerce=lambda answer: answer == "yes", empty_value=None,
    )  # fmt: skip
    symptom_onset_on = DayField(required=False, label="First symptoms", help_text="The day may be approximate.")
    hip_involvement = forms.ChoiceField(
        choices=[("", "Not known"), *Patient.HipInvolvement.choices], required=False, label="Hips involved"
    )

    def __init__(self, *args: Any, user: User, patient: Patient | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if patient is not None:
            del self.fields["centre"]
            return
        centre = self.fields["centre"]
        assert isinstance(centre, forms.ModelChoiceField)
        centre.queryset = centres_for(user, Act.EDIT_CLINIC)

    @staticmethod
    def initial_of(patient: Patient) -> dict[str, Any]:
        names = ("study_code", "sex", "birth_year", "criteria", "symptom_onset_on", "hip_involvement")
        answer = {True: "yes", False: "no", None: ""}[patient.hla_b27]
        return {**{name: getattr(patient, name) for name in names}, "hla_b27": answer}


class IdentityForm(StyledForm):
    """Who the patient is; shown to care roles of the centre only."""

    prefix = "identity"
    name = forms.CharField(max_length=120, required=False, label="Name", widget=forms.TextInput({"autocomplete": "off"}))
    record_number = forms.CharField(
        max_length=40, required=False, label="Record number", widget=forms.TextInput({"autocomplete": "off"}),
        help_text="The hospital's number; search finds it when it is typed exactly.",
    )  # fmt: skip
    birth_on = DayField(required=False, label="Birth date")


class VisitForm(StyledForm):
    """When the patient was seen."""

    visit_on = DayField(label="Date of the visit")
    label = forms.CharField(max_length=40, required=False, label="Name", help_text="E.g. week 12")
    note = forms.CharField(
        max_length=2000, required=False, label="Note", help_text="No names.", widget=forms.Textarea({"rows": 2})
    )

    @staticmethod
    def initial_of(visit: Visit | None) -> dict[str, Any]:
        if visit is None:
            return {"visit_on": timezone.localdate()}
        return {"visit_on": visit.visit_on, "label": visit.label, "note": visit.note}


class AssessmentForm(StyledForm):
    """What patient and laboratory said."""

    prefix = "assessment"
    patient_global = scale_field("Patient global", "Disease activity, past week")
    vas_pain = scale_field("Hip pain (VAS)", "Not part of an index")
    crp_value = MeasureField(low="0", high="500", max_digits=7, decimal_places=3, label="CRP")
    crp_unit = forms.ChoiceField(choices=[("", "Unit?"), *Assessment.CrpUnit.choices], required=False, label="Unit of the CRP")
    esr_mm_h = MeasureField(low="0", high="300", unit="mm/h", max_digits=5, decimal_places=1, label="ESR, mm/h")

    def more_fields(self) -> dict[str, forms.Field]:
        return {name: scale_field(words) for name, words in BASDAI_QUESTIONS.items()}

    @property
    def questions(self) -> list[BoundField]:
        return [self[name] for name in BASDAI_QUESTIONS]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        try:
            indices.assess(cleaned)
        except DomainError as error:  # a CRP that is impossible in its unit
            self.refuse(error)
        return cleaned

    @staticmethod
    def initial_of(assessment: Assessment | None, crp_unit: str) -> dict[str, Any]:
        if assessment is None:
            return {"crp_unit": crp_unit}
        names = (*BASDAI_QUESTIONS, "patient_global", "vas_pain", "crp_value", "crp_unit", "esr_mm_h")
        return {name: _short(getattr(assessment, name)) for name in names}


class HipForm(StyledForm):
    """The Harris items of one hip; `side` is the form's prefix."""

    def more_fields(self) -> dict[str, forms.Field]:
        return {name: _harris_field(name, f"{label}, {self.prefix} hip") for name, label in HARRIS_LABELS.items()}

    @staticmethod
    def initial_of(examination: HipExamination | None) -> dict[str, Any]:
        if examination is None:
            return {}
        answer = {True: "yes", False: "no", None: ""}
        given = {name: getattr(examination, name) for name in HARRIS_LABELS}
        return {name: answer[value] if isinstance(value, bool) else value for name, value in given.items()}


def _harris_field(name: str, label: str) -> forms.Field:
    if name in HARRIS_ANSWERS:
        answers = [(points, f"{words} · {points}") for points, words in HARRIS_ANSWERS[name]]
        return forms.TypedChoiceField(choices=[("", "—"), *answers], required=False, coerce=int, empty_value=None, label=label)
    if name in MOTION_MAX_DEG:
        highest = int(MOTION_MAX_DEG[name])
        wrong = f"Whole degrees from 0 to {highest}."
        return forms.IntegerField(
            min_value=0, max_value=highest, required=False, label=label,
            widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off", "maxlength": "6"}),
            error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), wrong),
        )  # fmt: skip
    return forms.TypedChoiceField(
        choices=[("", "—"), ("yes", "Yes"), ("no", "No")], required=False, empty_value=None, label=label,
        coerce=lambda answer: answer == "yes",
    )  # fmt: skip


def _short(value: Any) -> Any:
    """A stored decimal without its padding zeros: 5.0 as 5, 11.800 as 11.8."""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value


class TreatmentForm(StyledForm):
    """One drug from its first to its last day."""

    drug = forms.CharField(
        max_length=60, label="Drug", widget=forms.TextInput({"list": "drugs", "autocomplete": "off"}),
        help_text="International name, for example adalimumab", error_messages={"required": "Enter the drug."},
    )  # fmt: skip
    form = forms.ChoiceField(choices=[("", "Not known"), *TreatmentPeriod.Form.choices], required=False, label="How it is given")
    dose = forms.CharField(
        max_length=60, required=False, label="Dose", help_text="For example: 40 mg every 2 weeks",
        widget=forms.TextInput({"autocomplete": "off"}),
    )  # fmt: skip
    started_on = DayField(label="First day")
    ended_on = DayField(required=False, label="Last day", help_text="Empty while it goes on")

    @staticmethod
    def initial_of(treatment: TreatmentPeriod) -> dict[str, Any]:
        return {name: getattr(treatment, name) for name in ("drug", "form", "dose", "started_on", "ended_on")}
