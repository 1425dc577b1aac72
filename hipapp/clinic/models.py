"""Patients and what is known of them at each visit: raw items first, indices computed by `scoring` beside them."""

import pghistory
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q


class Side(models.TextChoices):
    RIGHT = "right", "Right"
    LEFT = "left", "Left"


def nrs_field(help_text: str) -> models.DecimalField:
    """A numerical rating scale 0–10 with one decimal."""
    return models.DecimalField(
        max_digits=3,
        decimal_places=1,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(10)],
        help_text=help_text,
    )


def computed_field(help_text: str) -> models.FloatField:
    return models.FloatField(null=True, blank=True, editable=False, help_text=help_text)


@pghistory.track()
class Patient(models.Model):
    """A person with spondyloarthritis, under a study code. Who that is stands in PatientIdentity alone."""

    class Sex(models.TextChoices):
        FEMALE = "F", "Female"
        MALE = "M", "Male"
        OTHER = "O", "Other"

    class Criteria(models.TextChoices):
        ASAS_AXSPA = "asas_axspa", "ASAS axial SpA"
        MODIFIED_NEW_YORK = "mny", "Modified New York"
        OTHER = "other", "Other / clinical diagnosis"

    class HipInvolvement(models.TextChoices):
        NONE = "none", "No hip involved"
        RIGHT = "right", "Right hip"
        LEFT = "left", "Left hip"
        BOTH = "both", "Both hips"

    centre = models.ForeignKey("accounts.Centre", on_delete=models.PROTECT, related_name="patients")
    study_code = models.CharField(
        max_length=20, unique=True, help_text="Pseudonym under which the patient is shown, e.g. XJ-0142"
    )
    sex = models.CharField(max_length=1, choices=Sex.choices, blank=True, help_text="Sex")
    birth_year = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1900), MaxValueValidator(2100)], help_text="Year of birth"
    )
    criteria = models.CharField(
        max_length=12, choices=Criteria.choices, blank=True, help_text="Classification criteria the patient fulfils"
    )
    hla_b27 = models.BooleanField(null=True, blank=True, help_text="HLA-B27 positive (yes), negative (no) or not known")
    symptom_onset_on = models.DateField(null=True, blank=True, help_text="First symptoms; the day may be approximate")
    hip_involvement = models.CharField(
        max_length=5, choices=HipInvolvement.choices, blank=True, help_text="Hips clinically involved"
    )
    is_synthetic = models.BooleanField(default=False, help_text="Made by the demo; shown as synthetic everywhere")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["study_code"]
        indexes = [models.Index(fields=["centre", "study_code"])]

    def __str__(self) -> str:
        return self.study_code


@pghistory.track()
class PatientIdentity(models.Model):
    """Name, record number and birth date, encrypted with a key of this patient's own. Erasing the patient destroys the key."""

    patient = models.OneToOneField(Patient, on_delete=models.CASCADE, related_name="identity")
    ciphertext = models.BinaryField(help_text="name, record_number, birth_on; see clinic.identity")
    record_digest = models.BinaryField(
        null=True, blank=True, help_text="Keyed digest of centre and record number, so that the same number is found again"
    )

    class Meta:
        verbose_name_plural = "patient identities"
        constraints = [models.UniqueConstraint(fields=["record_digest"], name="record_number_once_per_centre")]

    def __str__(self) -> str:
        return f"identity of patient {self.patient_id}"


class PatientKey(models.Model):
    """The wrapped data key of one patient's identity; not tracked by history, so that deleting it is the end of it."""

    patient = models.OneToOneField(Patient, on_delete=models.CASCADE, related_name="data_key")
    wrapped = models.BinaryField()

    def __str__(self) -> str:
        return f"key of patient {self.patient_id}"


@pghistory.track()
class Visit(models.Model):
    """One day on which the patient was seen (or was due)."""

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="visits")
    visit_on = models.DateField(help_text="Date of the visit")
    label = models.CharField(max_length=40, blank=True, help_text="Name of the visit in the protocol, e.g. week 12")
    note = models.TextField(blank=True, max_length=2000, help_text="Free text; no names")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["patient_id", "visit_on"]
        constraints = [models.UniqueConstraint(fields=["patient", "visit_on"], name="one_visit_a_day")]
        indexes = [models.Index(fields=["visit_on"])]

    def __str__(self) -> str:
        return f"{self.visit_on}"


@pghistory.track()
class Assessment(models.Model):
    """What patient and laboratory said at one visit, and the indices computed from it."""

    class CrpUnit(models.TextChoices):
        MG_L = "mg/L", "mg/L"
        MG_DL = "mg/dL", "mg/dL"

    visit = models.OneToOneField(Visit, on_delete=models.CASCADE, related_name="assessment")
    basdai_q1 = nrs_field("BASDAI 1: fatigue / tiredness, past week (0–10)")
    basdai_q2 = nrs_field("BASDAI 2: neck, back or hip pain, past week (0–10)")
    basdai_q3 = nrs_field("BASDAI 3: pain or swelling in other joints, past week (0–10)")
    basdai_q4 = nrs_field("BASDAI 4: discomfort from tender areas, past week (0–10)")
    basdai_q5 = nrs_field("BASDAI 5: level of morning stiffness, past week (0–10)")
    basdai_q6 = nrs_field("BASDAI 6: duration of morning stiffness (0 = 0 h, 10 = 2 h or more)")
    patient_global = nrs_field("Patient global assessment of disease activity, past week (0–10)")
    vas_pain = nrs_field("Hip pain on a visual analogue scale (0–10)")
    crp_value = models.DecimalField(
        max_digits=7, decimal_places=3, null=True, blank=True, validators=[MinValueValidator(0)], help_text="CRP as entered"
    )
    crp_unit = models.CharField(max_length=5, choices=CrpUnit.choices, blank=True, help_text="Unit of the CRP as entered")
    crp_mg_l = computed_field("CRP in mg/L")
    esr_mm_h = models.DecimalField(
        max_digits=5,
        decimal_places=1,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(300)],
        help_text="ESR (Westergren), mm/h",
    )
    basdai = computed_field("BASDAI, 0–10 (Garrett 1994)")
    asdas_crp = computed_field("ASDAS-CRP (Lukas 2009; CRP floor 2 mg/L)")
    asdas_esr = computed_field("ASDAS-ESR (Lukas 2009)")
    asdas_form = models.CharField(
        max_length=12, blank=True, editable=False, help_text="Coefficients of the ASDAS: 3-decimal or 2-decimal"
    )
    formula_version = models.CharField(
        max_length=20, blank=True, editable=False, help_text="Version of the formulas that computed the indices"
    )
    warnings = models.JSONField(
        default=list, blank=True, editable=False, help_text="Remarks of the formulas: floor used, missing item, suspect value"
    )
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"assessment of visit {self.visit_id}"


@pghistory.track()
class HipExamination(models.Model):
    """The Harris hip score of one hip at one visit: items as points, range of motion in degrees, total computed."""

    visit = models.ForeignKey(Visit, on_delete=models.CASCADE, related_name="hip_examinations")
    side = models.CharField(max_length=5, choices=Side.choices)
    pain = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Pain, points of 44")
    limp = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Limp, points of 11")
    support = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Support, points of 11")
    distance = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Distance walked, points of 11")
    stairs = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Stairs, points of 4")
    shoes = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Shoes and socks, points of 4")
    sitting = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Sitting, points of 5")
    transport = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Public transport, points of 1")
    fixed_flexion_under_30 = models.BooleanField(null=True, blank=True, help_text="Fixed flexion below 30°")
    fixed_adduction_under_10 = models.BooleanField(null=True, blank=True, help_text="Fixed adduction below 10°")
    fixed_internal_rotation_under_10 = models.BooleanField(
        null=True, blank=True, help_text="Fixed internal rotation in extension below 10°"
    )
    leg_difference_under_3_2_cm = models.BooleanField(null=True, blank=True, help_text="Leg length difference below 3.2 cm")
    flexion_deg = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Flexion, degrees")
    abduction_deg = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Abduction, degrees")
    external_rotation_deg = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="External rotation in extension, degrees"
    )
    adduction_deg = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Adduction, degrees")
    harris = computed_field("Harris hip score, 0–100, higher is better (Harris 1969)")
    grade = models.CharField(max_length=10, blank=True, editable=False, help_text="poor, fair, good or excellent")
    formula_version = models.CharField(
        max_length=20, blank=True, editable=False, help_text="Version of the formula that computed the score"
    )
    warnings = models.JSONField(default=list, blank=True, editable=False, help_text="Remarks of the formula")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["visit", "side"], name="one_examination_a_hip_and_visit")]

    def __str__(self) -> str:
        return f"{self.side} hip of visit {self.visit_id}"


@pghistory.track()
class TreatmentPeriod(models.Model):
    """One drug from its first to its last day; no end means that it goes on."""

    class Form(models.TextChoices):
        ORAL = "oral", "Oral"
        SUBCUTANEOUS = "sc", "Subcutaneous"
        INTRAVENOUS = "iv", "Intravenous"
        INTRA_ARTICULAR = "ia", "Intra-articular"

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="treatments")
    drug = models.CharField(max_length=60, help_text="International non-proprietary name, e.g. adalimumab")
    form = models.CharField(max_length=4, choices=Form.choices, blank=True, help_text="How it is given")
    dose = models.CharField(max_length=60, blank=True, help_text="Dose and interval in words, e.g. 40 mg every 2 weeks")
    started_on = models.DateField(help_text="First day")
    ended_on = models.DateField(null=True, blank=True, help_text="Last day; empty while it goes on")

    class Meta:
        ordering = ["started_on", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ended_on__isnull=True) | Q(ended_on__gte=F("started_on")), name="treatment_ends_after_it_starts"
            )
        ]

    def __str__(self) -> str:
        return f"{self.drug} from {self.started_on}"
