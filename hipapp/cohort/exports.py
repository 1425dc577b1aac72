"""What leaves the house: the correlation table, and the raw values in long form without identities or true dates."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import models

from hipapp.clinic.models import Assessment, HipExamination, Patient
from hipapp.cohort.correlations import Table
from hipapp.cohort.selection import Selection
from hipapp.core.crypto import keyed_digest
from hipapp.followup.rows import VisitRow
from hipapp.imaging.models import Score
from hipapp.imaging.results import HipResult
from hipapp.reading.models import Read
from hipapp.reading.selectors import HipHimriss

RESEARCH = "research use only"
MAX_SHIFT_DAYS = 365
Values = Sequence[object]


@dataclass(frozen=True)
class Exported:
    """One variable of the long file: its name there, and the field it comes from."""

    name: str
    model: type[models.Model]
    field: str
    unit: str = ""
    about: str = ""

    @property
    def meaning(self) -> str:
        """What it means: the field's help text, unless the file has something else than the field."""
        return self.about or str(getattr(self.model._meta.get_field(self.field), "help_text", ""))


def _same(model: type[models.Model], **units: str) -> tuple[Exported, ...]:
    return tuple(Exported(field, model, field, unit) for field, unit in units.items())


OF_PATIENT = _same(Patient, sex="", criteria="", hla_b27="", hip_involvement="")
AGE = Exported("age_y", Patient, "birth_year", "years", "Age that the patient reaches in the year of the visit")
OF_VISIT = _same(
    Assessment,
    **{f"basdai_q{number}": "0-10" for number in range(1, 7)},
    patient_global="0-10", vas_pain="0-10", crp_mg_l="mg/L", esr_mm_h="mm/h", basdai="0-10", asdas_crp="", asdas_esr="",
)  # fmt: skip
OF_EXAMINATION = _same(HipExamination, harris="0-100")
OF_SCORE = _same(
    Score,
    unet_score="", bme_femoral="", bme_acetabular="", synovitis="", mean_per_slice="", lesion_ml="mL", n_role_slices="slices",
    n_assessable_slices="slices",
)  # fmt: skip
OF_INTERVAL = tuple(Exported(f"unet_score_{end}", Score, f"interval_{end}") for end in ("low", "high", "level"))
OF_READ = tuple(
    Exported(f"himriss_{field}", Read, field, unit)
    for field, unit in (("femoral_bme", "0-65"), ("acetabular_bme", "0-35"), ("effusion", "0-30"), ("total", "0-130"))
)

LONG_COLUMNS = {
    "patient": "Pseudonym of the patient, made for exports from a secret of this installation; the same in every export",
    "visit": "Pseudonym of the visit, made in the same way",
    "is_synthetic": "1: a made-up patient of the demo",
    "week": "Weeks since the patient's first visit; true intervals",
    "shifted_date": "Date of the visit moved by a number of days that is secret and the same for all visits of the patient",
    "variable": "Name of the variable, as listed below",
    "side": "right or left where the variable belongs to a hip",
    "value": "The value; empty where a hip has no number, then review_state says why. Missing values have no row",
    "unit": "Unit or range of the value",
    "source": "entered, computed, UNet-score or HIMRISS",
    "version": "Version of the formula, or name and version of the model, or the number of readers",
    "review_state": "UNet-score: accepted, unreviewed, rejected, not_assessable or refused",
    "note": "research use only, where a model made the value",
}
COMPUTED = {"basdai", "asdas_crp", "asdas_esr", "harris"}


def long_rows(rows: Iterable[VisitRow]) -> Iterator[Values]:
    """Rows of the long file, in the order of `LONG_COLUMNS`."""
    for row in rows:
        start = _start(row)
        for values in _values(row):
            yield [*start, *values]


def pseudonym(kind: str, key: object) -> str:
    """A stable name for a row of the database that tells nothing about it."""
    return keyed_digest(f"export {kind}", str(key)).hex()[:16]


def shifted(patient: Patient, day: date) -> date:
    """The day moved by the patient's secret number of days, from 1 to `MAX_SHIFT_DAYS` back or ahead."""
    number = int.from_bytes(keyed_digest("export date shift", str(patient.pk))[:8])
    days = number % (2 * MAX_SHIFT_DAYS) - MAX_SHIFT_DAYS
    return day + timedelta(days=days if days < 0 else days + 1)


def _start(row: VisitRow) -> list[object]:
    return [
        pseudonym("patient", row.patient.pk),
        pseudonym("visit", row.visit.pk),
        int(row.patient.is_synthetic),
        round(row.week, 2),
        shifted(row.patient, row.visit_on).isoformat(),
    ]


def _values(row: VisitRow) -> Iterator[Values]:
    for item in OF_PATIENT:
        yield from _plain(item, row.patient, "", "entered")
    if row.patient.birth_year is not None:
        yield [AGE.name, "", row.visit_on.year - row.patient.birth_year, AGE.unit, "entered", "", "", ""]
    if row.assessment is not None:
        for item in OF_VISIT:
            yield from _plain(item, row.assessment, "", "computed" if item.name in COMPUTED else "entered")
    for side in ("right", "left"):
        if side in row.harris:
            yield from _plain(OF_EXAMINATION[0], row.harris[side], side, "computed")
        if side in row.mri:
            yield from _score(row.mri[side], side)
        if side in row.himriss:
            yield from _read(row.himriss[side], side)


def _plain(item: Exported, source: Any, side: str, kind: str) -> Iterator[Values]:
    value = getattr(source, item.field)
    if value is None or value == "":
        return
    version = source.formula_version if kind == "computed" else ""
    yield [item.name, side, plain(value), item.unit, kind, version, "", ""]


def _score(result: HipResult, side: str) -> Iterator[Values]:
    model = "corrected by hand" if result.is_corrected else result.model
    told = OF_SCORE if result.has_score else OF_SCORE[:1]
    for item in told if result.interval_level is None else (*told, *OF_INTERVAL):
        value = getattr(result, item.field)
        yield [item.name, side, plain(value), item.unit, "UNet-score", model, result.review, RESEARCH]


def _read(read: HipHimriss, side: str) -> Iterator[Values]:
    state = "" if read.is_assessable else "not_assessable"
    for item in OF_READ if read.is_assessable else OF_READ[-1:]:
        value = getattr(read, item.field)
        yield [item.name, side, plain(value), item.unit, f"HIMRISS {read.method}", f"{read.n_readers} reader(s)", state, ""]


def plain(value: object) -> object:
    """A value as the file has it: truth as 1 and 0, numbers with six digits, NaN as nothing."""
    if isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, str | int):
        return value
    number = float(value)  # type: ignore[arg-type]
    return None if math.isnan(number) else float(f"{number:.6g}")


DICTIONARY_COLUMNS = ("kind", "name", "unit", "meaning", "table", "field")


def dictionary_rows() -> Iterator[Values]:
    """The data dictionary of the long file: its columns, then its variables with the help texts of the fields."""
    for name, meaning in LONG_COLUMNS.items():
        yield ["column", name, "", meaning, "", ""]
    for item in (*OF_PATIENT, AGE, *OF_VISIT, *OF_EXAMINATION, *OF_SCORE, *OF_INTERVAL, *OF_READ):
        yield ["variable", item.name, item.unit, item.meaning, str(item.model._meta.label), item.field]


CORRELATION_COLUMNS = (
    "first", "second", "method", "r", "low_95", "high_95", "p", "q_holm", "q_benjamini_hochberg", "stars", "n", "n_dropped",
    "is_part_whole", "shared", "remark", "deletion", "both_hips", "models", "selection", "note",
)  # fmt: skip


def correlation_rows(table: Table, selection: Selection, model_names: Sequence[str]) -> Iterator[Values]:
    """One row a pair of the correlation table, in the order of `CORRELATION_COLUMNS`."""
    for cell in table.cells:
        pair, estimate = cell.pair, cell.pair.estimate
        yield [
            pair.first, pair.second, table.matrix.method, plain(estimate.estimate), plain(estimate.low), plain(estimate.high),
            plain(estimate.p), plain(pair.holm), plain(pair.benjamini_hochberg), cell.stars or "ns" if cell.is_known else "",
            estimate.n_used, estimate.n_dropped, int(pair.is_part_whole), ", ".join(pair.shared), "; ".join(estimate.warnings),
            table.matrix.deletion, selection.hips, ", ".join(model_names), selection.words, RESEARCH,
        ]  # fmt: skip
