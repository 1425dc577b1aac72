"""A small cohort with real indices: patients whose scores rise together."""

from datetime import date, timedelta

from hipapp.accounts.models import Centre, User
from hipapp.clinic.models import HipExamination, Patient
from tests.builders import rows
from tests.followup.builders import add_mri, add_read, add_visit


def add_patients(centre: Centre, user: User, reader: User, n: int, n_visits: int = 1, **values) -> list[Patient]:
    """Patients with assessments, Harris, reads and scored MRI at each visit."""
    patients = []
    for number in range(n):
        patient = rows.make_patient(centre, **{"hip_involvement": "both", "criteria": "mny", **values})
        for index in range(n_visits):
            visit = add_visit(
                patient,
                date(2025, 1, 6) + timedelta(weeks=12 * index),
                user,
                level=round(1 + number * 7 / n, 1),
                crp_value=2 + number,
            )
            for side in ("right", "left"):
                HipExamination.objects.create(visit=visit, side=side, harris=95 - number % 40)
                add_read(visit, reader, side, 5 + number % 60, number % 7, number % 5)
            add_mri(visit, 0.1 * (number + 1), 0.05 * (number % 3 + 1), reviewer=reader)
        patients.append(patient)
    return patients
