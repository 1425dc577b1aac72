"""Visits with assessments, reads and scored MRI, made directly."""

import itertools
from datetime import UTC, date, datetime, time

from django.utils import timezone

from hipapp.clinic import services as clinic
from hipapp.clinic.models import Patient, Visit
from hipapp.imaging.models import ModelVersion, Review, Score, Series, Study
from hipapp.reading.models import Read
from tests.builders import rows

_count = itertools.count(1)


def model_version(version: str = "1", **values) -> ModelVersion:
    found, _ = ModelVersion.objects.get_or_create(
        name="unet", version=version, defaults={"sha256": version.rjust(64, "0"), "promoted_at": timezone.now(), **values}
    )
    return found


def add_visit(patient: Patient, visit_on: date, user=None, *, level: float | None = None, **items) -> Visit:
    """A visit; with `level`, an assessment whose six BASDAI items and patient global have that value."""
    visit = rows.make_visit(patient, visit_on)
    if level is not None:
        values = {f"basdai_q{number}": level for number in range(1, 7)}
        values |= {"patient_global": level, "crp_value": 5, "crp_unit": "mg/L", "esr_mm_h": 20, **items}
        clinic.save_assessment(user, visit, **{name: value for name, value in values.items() if value is not None})
    return visit


def add_mri(visit: Visit, right: float | None, left: float | None, *, version: str = "1", reviewer=None) -> Study:
    """A scored study of the visit; accepted where a reviewer is given. None leaves a hip without a score row."""
    number = next(_count)
    study = Study.objects.create(
        centre=visit.patient.centre,
        visit=visit,
        study_uid=f"1.2.{number}",
        acquired_at=datetime.combine(visit.visit_on, time(9), UTC),
    )
    series = Series.objects.create(study=study, series_uid=f"1.2.{number}.1", plane="coronal", n_slices=22)
    study.chosen_series = series
    study.save()
    for side, value in (("right", right), ("left", left)):
        if value is not None:
            add_score(series, side, value, version, reviewer)
    return study


def add_score(series: Series, side: str, value: float, version: str, reviewer) -> None:
    score = Score.objects.create(
        series=series,
        side=side,
        model_version=model_version(version),
        unet_score=value,
        bme_femoral=0.5 * value,
        bme_acetabular=0.2 * value,
        synovitis=0.3 * value,
        mean_per_slice=value / 15,
        lesion_ml=5 * value,
        n_role_slices=15,
        n_assessable_slices=14,
    )
    if reviewer is not None:
        Review.objects.create(series=series, side=side, score=score, verdict=Review.Verdict.ACCEPT, reviewer=reviewer)


def add_read(visit: Visit, reader, side: str, femoral: int, acetabular: int = 0, effusion: int = 0) -> Read:
    return Read.objects.create(
        visit=visit,
        side=side,
        reader=reader,
        femoral_bme=femoral,
        acetabular_bme=acetabular,
        effusion=effusion,
        total=femoral + acetabular + effusion,
    )
