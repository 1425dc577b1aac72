"""Everything that the patient page shows, read through the doors of the apps below, in a fixed number of queries."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Q
from django.utils import timezone

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, can
from hipapp.clinic.identity import Identity
from hipapp.clinic.models import Patient, TreatmentPeriod
from hipapp.clinic.selectors import identity_for, visible_visits
from hipapp.followup.detectable import himriss_sdc
from hipapp.followup.history import history
from hipapp.followup.measures import TABLE, reason_of, value_of
from hipapp.followup.panels import mixed_models
from hipapp.followup.rows import VisitRow, visit_rows
from hipapp.followup.summary import Summary, Tile, summarise, tiles
from hipapp.followup.timeline import timeline
from hipapp.imaging.models import Study
from hipapp.imaging.results import HipResult, results_of_studies
from hipapp.imaging.selectors import visible_studies
from hipapp.reading.selectors import visible_reads

N_STUDIES = 50


@dataclass(frozen=True)
class Cell:
    """One value of the table of visits, or the reason why there is none."""

    value: float | None
    decimals: int
    reason: str
    is_unreviewed: bool = False


@dataclass(frozen=True)
class TableRow:
    """One visit of the table."""

    row: VisitRow
    cells: tuple[Cell, ...]
    study_id: object


@dataclass(frozen=True)
class StudyRow:
    """One study with what stands for its hips."""

    study: Study
    right: HipResult | None
    left: HipResult | None


def build_page(user: User, patient: Patient) -> dict[str, Any]:
    """Context of the template `followup/patient.html`."""
    acts = {act: can(user, act, patient.centre) for act in (Act.EDIT_CLINIC, Act.EDIT_IDENTITY, Act.UPLOAD, Act.READ_HIMRISS)}
    is_reader = acts[Act.READ_HIMRISS]
    rows = visit_rows(visible_visits(user).filter(patient=patient), visible_reads(user))
    treatments = list(patient.treatments.all())
    identity = identity_for(user, patient)
    context: dict[str, Any] = {
        "patient": patient,
        "identity": identity,
        "facts": _facts(patient, identity, treatments),
        "rows": rows,
        "newest": rows[-1] if rows else None,
        "treatments": treatments,
        "studies": _studies(user, patient),
        "waiting": _waiting(user, patient),
        "events": history(patient, user if is_reader else None),
        "can_edit": acts[Act.EDIT_CLINIC],
        "can_edit_patient": acts[Act.EDIT_CLINIC] or acts[Act.EDIT_IDENTITY],
        "can_upload": acts[Act.UPLOAD],
        "is_reader": is_reader,
    }
    return context | (_of_visits(rows, treatments, is_reader) if rows else {})


def _of_visits(rows: list[VisitRow], treatments: list[TreatmentPeriod], is_reader: bool) -> dict[str, Any]:
    sdc = himriss_sdc(rows[-1].patient.centre)
    summary: Summary | None = summarise(rows, sdc)
    shown: list[Tile] = tiles(rows, sdc, is_blinded=is_reader)
    return {
        "summary": summary,
        "tiles": shown,
        "figure": timeline(rows, treatments),
        "table": [_table_row(row, is_reader) for row in reversed(rows)],
        "columns": [(measure.name(side), measure.unit) for measure in TABLE for side in measure.sides],
        "models": _models(rows),
        "mixed_models": mixed_models(rows),
        "to_read": next((row for row in reversed(rows) if row.has_study), rows[-1]),
    }


def _facts(patient: Patient, identity: Identity | None, treatments: list[TreatmentPeriod]) -> dict[str, Any]:
    today: date = timezone.localdate()
    current = [item for item in treatments if item.started_on <= today and (item.ended_on is None or item.ended_on >= today)]
    return {"age": _age(patient, identity, today), "current": current}


def _age(patient: Patient, identity: Identity | None, today: date) -> int | None:
    """Age in years: exact for those who may see the birth date, else the age reached this year."""
    if identity is not None and identity.birth_on is not None:
        born = identity.birth_on
        return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return None if patient.birth_year is None else today.year - patient.birth_year


def _models(rows: list[VisitRow]) -> list[str]:
    """Name and version of every model whose score is on the page."""
    return sorted({result.model for row in rows for result in row.mri.values() if result.has_score and result.model})


def _table_row(row: VisitRow, is_reader: bool) -> TableRow:
    cells = []
    for measure in TABLE:
        for side in measure.sides:
            result = row.mri.get(side) if measure.key == "unet_score" else None
            value = value_of(row, measure, side)
            reason = "" if value is not None else reason_of(row, measure, side, is_reader)
            cells.append(Cell(value, measure.decimals, reason, result is not None and result.is_unreviewed))
    study_id = next((result.study_id for result in row.mri.values()), None)
    return TableRow(row, tuple(cells), study_id)


def _studies(user: User, patient: Patient) -> list[StudyRow]:
    studies = list(visible_studies(user).filter(visit__patient=patient)[:N_STUDIES])
    results = results_of_studies(studies)
    return [StudyRow(study, results[study.pk].get("right"), results[study.pk].get("left")) for study in studies]


def _waiting(user: User, patient: Patient) -> list[Study]:
    """Studies that were sent for this patient and belong to no visit yet: held for a person, or released and not attached."""
    meant = Q(intended_patient=patient) | Q(intended_visit__patient=patient)
    return list(visible_studies(user).filter(meant, visit=None)[:N_STUDIES])
