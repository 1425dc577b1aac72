"""How rows of the clinic look in the API. Serializers check types and hide; the services write."""

from functools import cached_property
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hipapp.accounts.models import Centre, User
from hipapp.accounts.permissions import Act, centres_for
from hipapp.clinic import indices, services
from hipapp.clinic.identity import unseal
from hipapp.clinic.models import Assessment, HipExamination, Patient, TreatmentPeriod, Visit
from hipapp.clinic.selectors import visible_patients, visible_visits
from hipapp.core.errors import ConflictError, DomainError


class ClinicSerializer(serializers.ModelSerializer):
    """Relations reach only what the person may see; a row never moves to another patient, visit or hip."""

    fixed: tuple[str, ...] = ()  # what is said once, when the row is made

    @property
    def user(self) -> User | None:
        """Who asks; None while the schema is drawn."""
        request = self.context.get("request")
        return request.user if request is not None and isinstance(request.user, User) else None

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        if self.user is not None:
            rows = {
                "centre": lambda user: centres_for(user, Act.VIEW_PATIENTS),
                "patient": visible_patients,
                "visit": visible_visits,
            }
            for name, visible in rows.items():
                if isinstance(field := fields.get(name), serializers.PrimaryKeyRelatedField) and not field.read_only:
                    field.queryset = visible(self.user)  # type: ignore[arg-type]  # the stubs take it for a manager
        return fields

    def without_fixed(self, row: Any, values: dict[str, Any]) -> dict[str, Any]:
        """The changed values; refuses a change of what a row belongs to."""
        for name in self.fixed:
            if name in values and values.pop(name) != getattr(row, name):
                raise DomainError("This can't be changed. Delete the row and enter it anew.", code="fixed", field=name)
        return values


class IdentitySerializer(serializers.Serializer):
    """Name, record number and birth date; all empty removes what is known."""

    name = serializers.CharField(max_length=120, allow_blank=True, default="")
    record_number = serializers.CharField(max_length=40, allow_blank=True, default="")
    birth_on = serializers.DateField(allow_null=True, default=None)


class PatientSerializer(ClinicSerializer):
    """A patient under a study code. `identity` is there only for roles that may see it, null where none was entered."""

    fixed = ("centre",)
    centre = serializers.PrimaryKeyRelatedField(queryset=Centre.objects.none())
    study_code = serializers.CharField(max_length=20, required=False, help_text="Empty or absent: the centre's next one")
    identity = serializers.SerializerMethodField()

    class Meta:
        model = Patient
        fields = [
            "id", "centre", "study_code", "sex", "birth_year", "criteria", "hla_b27", "symptom_onset_on", "hip_involvement",
            "is_synthetic", "identity", "created_at",
        ]  # fmt: skip
        read_only_fields = ["is_synthetic"]

    @cached_property
    def named_centres(self) -> set[int]:
        """Centres whose patients' names the person may see."""
        return set(centres_for(self.user, Act.VIEW_IDENTITY).values_list("pk", flat=True)) if self.user else set()

    @extend_schema_field(IdentitySerializer(allow_null=True))
    def get_identity(self, patient: Patient) -> dict[str, Any] | None:
        row = getattr(patient, "identity", None) if patient.centre_id in self.named_centres else None
        found = None if row is None else unseal(row)
        return None if found is None else dict(IdentitySerializer(found).data)

    def to_representation(self, patient: Patient) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(patient)
        if patient.centre_id not in self.named_centres:
            del shown["identity"]
        return shown

    def create(self, values: dict[str, Any]) -> Patient:
        return services.create_patient(self.context["request"].user, **values)

    def update(self, patient: Patient, values: dict[str, Any]) -> Patient:
        return services.update_patient(self.context["request"].user, patient, **self.without_fixed(patient, values))


class VisitSerializer(ClinicSerializer):
    """One day on which a patient was seen; one visit a day."""

    fixed = ("patient",)
    patient = serializers.PrimaryKeyRelatedField(queryset=Patient.objects.none())

    class Meta:
        model = Visit
        fields = ["id", "patient", "visit_on", "label", "note", "created_at"]
        validators: list[Any] = []  # the service says it in words

    def create(self, values: dict[str, Any]) -> Visit:
        return services.create_visit(self.context["request"].user, values.pop("patient"), **values)

    def update(self, visit: Visit, values: dict[str, Any]) -> Visit:
        return services.update_visit(self.context["request"].user, visit, **self.without_fixed(visit, values))


class AssessmentSerializer(ClinicSerializer):
    """What patient and laboratory said at a visit. Indices are computed, with the remarks of the formulas in `warnings`."""

    fixed = ("visit",)
    visit = serializers.PrimaryKeyRelatedField(queryset=Visit.objects.none())
    patient = serializers.IntegerField(source="visit.patient_id", read_only=True)
    asdas_form = serializers.ChoiceField(
        choices=indices.FORMS, required=False, help_text="Coefficients of the ASDAS; 3-decimal when absent"
    )

    class Meta:
        model = Assessment
        fields = [
            "id", "visit", "patient", *services.ASSESSMENT_FIELDS, "crp_mg_l", "basdai", "asdas_crp", "asdas_esr",
            "formula_version", "warnings", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["crp_mg_l", "basdai", "asdas_crp", "asdas_esr", "formula_version", "warnings"]

    def create(self, values: dict[str, Any]) -> Assessment:
        visit = values.pop("visit")
        if Assessment.objects.filter(visit=visit).exists():
            raise ConflictError("This visit has an assessment. Change that one.", code="exists", field="visit")
        return services.save_assessment(self.context["request"].user, visit, **values)

    def update(self, row: Assessment, values: dict[str, Any]) -> Assessment:
        return services.save_assessment(self.context["request"].user, row.visit, **self.without_fixed(row, values))


class HipExaminationSerializer(ClinicSerializer):
    """The Harris items of one hip at a visit, as points and degrees; `harris` and `grade` are computed."""

    fixed = ("visit", "side")
    visit = serializers.PrimaryKeyRelatedField(queryset=Visit.objects.none())
    patient = serializers.IntegerField(source="visit.patient_id", read_only=True)

    class Meta:
        model = HipExamination
        fields = [
            "id", "visit", "patient", "side", *indices.HARRIS_FIELDS, "harris", "grade", "formula_version", "warnings",
        ]  # fmt: skip
        read_only_fields = ["harris", "grade", "formula_version", "warnings"]
        validators: list[Any] = []  # the service says it in words

    def create(self, values: dict[str, Any]) -> HipExamination:
        visit, side = values.pop("visit"), values.pop("side")
        if HipExamination.objects.filter(visit=visit, side=side).exists():
            raise ConflictError(f"The {side} hip has an examination at this visit. Change that one.", code="exists")
        return services.save_hip_examination(self.context["request"].user, visit, side, **values)

    def update(self, row: HipExamination, values: dict[str, Any]) -> HipExamination:
        values = self.without_fixed(row, values)
        return services.save_hip_examination(self.context["request"].user, row.visit, row.side, **values)


class TreatmentSerializer(ClinicSerializer):
    """One drug from its first to its last day; `ended_on` null means that it goes on."""

    fixed = ("patient",)
    patient = serializers.PrimaryKeyRelatedField(queryset=Patient.objects.none())

    class Meta:
        model = TreatmentPeriod
        fields = ["id", "patient", *services.TREATMENT_FIELDS]

    def create(self, values: dict[str, Any]) -> TreatmentPeriod:
        return services.create_treatment(self.context["request"].user, values.pop("patient"), **values)

    def update(self, row: TreatmentPeriod, values: dict[str, Any]) -> TreatmentPeriod:
        return services.update_treatment(self.context["request"].user, row, **self.without_fixed(row, values))
