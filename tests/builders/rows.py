"""Rows with plausible values, made directly, for tests whose subject is something else."""

import itertools
from datetime import date

from hipapp.accounts.models import Centre, Membership, Role, User
from hipapp.clinic.models import Patient, Visit
from hipapp.jobs.models import Job

_count = itertools.count(1)
PASSWORD = "correct horse battery"


def make_centre(**values) -> Centre:
    n = next(_count)
    return Centre.objects.create(**{"name": f"Centre {n}", "code": f"C{n}", **values})


def make_user(role: str, centre: Centre, **values) -> User:
    """A person with one role at one centre; signs in with PASSWORD."""
    user = User(username=f"{role}{next(_count)}", **values)
    user.set_password(PASSWORD)
    user.save()
    Membership.objects.create(user=user, centre=centre, role=Role(role))
    return user


def make_patient(centre: Centre, **values) -> Patient:
    n = next(_count)
    return Patient.objects.create(
        **{"centre": centre, "study_code": f"{centre.code}-{n:04d}", "sex": "M", "birth_year": 1995, **values}
    )


def make_visit(patient: Patient, visit_on: date = date(2026, 3, 2), **values) -> Visit:
    return Visit.objects.create(patient=patient, visit_on=visit_on, **values)


def make_job(**values) -> Job:
    return Job.objects.create(**{"task": "tests.nothing", **values})
