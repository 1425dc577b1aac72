"""Builds the synthetic cohort through the same services as real data; a second run adds only what is missing."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.db import transaction

from hipapp.accounts.models import Centre, Role, User
from hipapp.clinic import services as clinic
from hipapp.clinic.identity import Identity
from hipapp.clinic.models import Patient, Side, Visit
from hipapp.demo.cohort import PatientPlan, VisitPlan
from hipapp.demo.people import person
from hipapp.demo.phantoms import MriOrder, make_files
from hipapp.imaging.models import Score, Study, Upload
from hipapp.imaging.receiving import spool
from hipapp.imaging.services.uploads import add_files, finish_upload, start_upload
from hipapp.jobs.models import Job
from hipapp.reading.services import save_totals
from ml.phantom import Identity as PhantomIdentity
from ml.phantom import Severity
from ml.pool import pool

FIRST_SEED = 30_000  # phantoms of the demo: patients that training never saw


def build_patients(plans: list[PatientPlan], centre: Centre) -> Iterator[Patient]:
    """Enter each planned patient with visits, treatments and reads, unless they are there already."""
    rheumatologist, radiologist = person(Role.RHEUMATOLOGIST), person(Role.RADIOLOGIST)
    for plan in plans:
        code = study_code(centre, plan)
        patient = Patient.objects.filter(study_code=code).first()
        yield patient or _enter(plan, code, centre, rheumatologist, radiologist)


def study_code(centre: Centre, plan: PatientPlan) -> str:
    """The pseudonym of a planned patient."""
    return f"{centre.code}-{plan.number + 1:04d}"


@transaction.atomic
def _enter(plan: PatientPlan, code: str, centre: Centre, rheumatologist: User, radiologist: User) -> Patient:
    patient = clinic.create_patient(
        rheumatologist,
        centre=centre,
        study_code=code,
        identity=Identity(plan.name.replace("^", ", "), plan.record_number, plan.birth_on),
        sex=plan.sex,
        birth_year=plan.birth_on.year,
        criteria=plan.criteria,
        hla_b27=plan.hla_b27,
        symptom_onset_on=plan.onset_on,
        hip_involvement=plan.involvement,
        is_synthetic=True,
    )
    for planned in plan.visits:
        _enter_visit(planned, patient, rheumatologist, radiologist)
    drug, form, dose = plan.treatment
    clinic.create_treatment(
        rheumatologist, patient, drug=drug, form=form, dose=dose, started_on=plan.treatment_from, ended_on=plan.treatment_until
    )
    return patient


def _enter_visit(planned: VisitPlan, patient: Patient, rheumatologist: User, radiologist: User) -> None:
    visit = clinic.create_visit(rheumatologist, patient, visit_on=planned.visit_on, label=planned.label)
    clinic.save_assessment(rheumatologist, visit, **planned.items)
    for side, hip in planned.hips.items():
        clinic.save_hip_examination(rheumatologist, visit, side, **hip.harris)
        save_totals(radiologist, visit, side, **hip.read, comment="synthetic")


def mri_orders(plans: list[PatientPlan], centre: Centre) -> list[MriOrder]:
    """The MRIs of the plans that were not delivered yet."""
    visits = {
        (visit.patient.study_code, visit.visit_on): visit
        for visit in Visit.objects.filter(patient__centre=centre, patient__is_synthetic=True).select_related("patient")
    }
    delivered = set(Upload.objects.exclude(state=Upload.State.FAILED).exclude(visit=None).values_list("visit_id", flat=True))
    return [
        MriOrder(
            visit_pk=visit.pk,
            seed=FIRST_SEED + plan.number,
            index=index,
            severity={side: Severity(bme=hip.bme, synovitis=hip.synovitis) for side, hip in planned.hips.items()},
            identity=PhantomIdentity(
                name=plan.name,
                patient_id=plan.record_number,
                birth_date=f"{plan.birth_on:%Y%m%d}",
                sex=plan.sex,
                study_date=f"{planned.visit_on:%Y%m%d}",
            ),
        )
        for plan in plans
        for index, planned in enumerate(plan.visits)
        if planned.has_mri
        and (visit := visits.get((study_code(centre, plan), planned.visit_on))) is not None
        and visit.pk not in delivered
    ]


def deliver_mris(orders: list[MriOrder], n_processes: int = 2) -> Iterator[Job]:
    """Make each phantom as DICOM files and upload them as the radiologist would; yields the receiving jobs."""
    if not orders:
        return
    radiologist = person(Role.RADIOLOGIST)
    with (
        tempfile.TemporaryDirectory(prefix="hipapp-demo-") as folder,
        pool(n_processes) as processes,
    ):
        tasks = [(order, Path(folder) / str(order.visit_pk)) for order in orders]
        for (order, files), _ in zip(tasks, processes.map(make_files, *zip(*tasks, strict=True)), strict=True):
            yield deliver(radiologist, Visit.objects.select_related("patient__centre").get(pk=order.visit_pk), files)
            shutil.rmtree(files)


def deliver(user: User, visit: Visit, folder: Path) -> Job:
    """Upload all DICOM files of a folder to a visit by the one receiving service; gives the job that reads them."""
    upload = start_upload(user, visit=visit)
    incoming = spool.new_incoming()
    for number, path in enumerate(sorted(folder.rglob("*.dcm")), start=1):
        with spool.open_new(incoming, number) as target, path.open("rb") as source:
            shutil.copyfileobj(source, target)
    add_files(upload, incoming)
    return finish_upload(upload, user)


def count_scored(centre: Centre) -> tuple[int, int]:
    """(studies with a UNet-score, studies and uploads without one) of the synthetic cohort."""
    uploads = Upload.objects.filter(centre=centre, visit__patient__is_synthetic=True).exclude(state=Upload.State.FAILED)
    studies = Study.objects.filter(upload__in=uploads)
    scored = studies.filter(
        pk__in=Score.objects.filter(unet_score__isnull=False, side__in=Side.values).values("series__study")
    ).count()
    n_failed_uploads = Upload.objects.filter(centre=centre, visit__patient__is_synthetic=True, state=Upload.State.FAILED).count()
    return scored, max(uploads.count(), studies.count()) - scored + n_failed_uploads


def open_jobs(centre: Centre) -> int:
    """Jobs of the centre that have not ended."""
    return Job.objects.filter(centre=centre, state__in=(Job.State.QUEUED, Job.State.RUNNING)).count()
