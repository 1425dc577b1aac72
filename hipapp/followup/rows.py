"""`visit_rows()`: the one row of all scores per visit, used by the timeline, the cohort tables and the exports."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db.models import Min, QuerySet

from hipapp.clinic.models import Assessment, HipExamination, Patient, Visit
from hipapp.imaging.results import HipResult, scores_by_visit
from hipapp.reading.models import Read
from hipapp.reading.selectors import HipHimriss, himriss_by_visit
from scoring.mri.himriss import patient_totals
from scoring.mri.patient import combine_hips


@dataclass(frozen=True)
class VisitRow:
    """Everything that is known of one visit. A missing part is None, never 0; hips are keyed by "right" and "left"."""

    patient: Patient
    visit: Visit
    week: float
    assessment: Assessment | None
    harris: dict[str, HipExamination]
    mri: dict[str, HipResult]
    himriss: dict[str, HipHimriss]
    has_study: bool = False

    @property
    def visit_on(self) -> date:
        return self.visit.visit_on

    @property
    def asdas(self) -> float | None:
        """ASDAS-CRP, or ASDAS-ESR where the CRP is missing; `asdas_kind` says which."""
        if self.assessment is None:
            return None
        return self.assessment.asdas_crp if self.assessment.asdas_crp is not None else self.assessment.asdas_esr

    @property
    def asdas_kind(self) -> str:
        """ASDAS-CRP or ASDAS-ESR; empty where there is neither."""
        if self.assessment is None or self.asdas is None:
            return ""
        return "ASDAS-CRP" if self.assessment.asdas_crp is not None else "ASDAS-ESR"

    def unet_score(self, side: str) -> float | None:
        """UNet-score of one hip, if a score stands there."""
        result = self.mri.get(side)
        return result.unet_score if result else None

    @property
    def unet_sum(self) -> float | None:
        """Sum of both hips' UNet-scores; None unless both hips have one."""
        return combine_hips(self.unet_score("right"), self.unet_score("left")).sum

    def harris_score(self, side: str) -> float | None:
        """Harris hip score of one hip, 0–100."""
        examination = self.harris.get(side)
        return examination.harris if examination else None

    def himriss_total(self, side: str) -> float | None:
        """HIMRISS of one hip, 0–130."""
        read = self.himriss.get(side)
        return read.total if read else None

    @property
    def himriss_sum(self) -> float | None:
        """Sum of both hips' HIMRISS, 0–260; None unless both hips were read."""
        return patient_totals(self.himriss_total("right"), self.himriss_total("left")).sum


def visit_rows(visits: QuerySet[Visit], reads: QuerySet[Read] | None = None) -> list[VisitRow]:
    """One row a visit, in order of patient and date; a fixed number of queries, however many visits.

    Parameters
    ----------
    visits : visits the person may see (`clinic.selectors.visible_visits`)
    reads : reads the person may see (`reading.selectors.visible_reads`); all when None

    Notes
    -----
    Weeks count from the patient's first visit of all, also where `visits` does not hold it.
    """
    found = list(visits.select_related("patient", "assessment").order_by("patient__study_code", "visit_on"))
    ids = [visit.pk for visit in found]
    baselines = _baselines({visit.patient_id for visit in found})
    harris = _harris(ids)
    mri = scores_by_visit(ids)
    himriss = himriss_by_visit(ids, reads)
    return [
        VisitRow(
            patient=visit.patient,
            visit=visit,
            week=(visit.visit_on - baselines[visit.patient_id]).days / 7,
            assessment=getattr(visit, "assessment", None),
            harris=harris.get(visit.pk, {}),
            mri=mri.get(visit.pk, {}),
            himriss=himriss.get(visit.pk, {}),
            has_study=visit.pk in mri,
        )
        for visit in found
    ]


def _baselines(patient_ids: Iterable[int]) -> dict[int, date]:
    rows = Visit.objects.filter(patient_id__in=patient_ids).values("patient_id").annotate(first_on=Min("visit_on"))
    return {row["patient_id"]: row["first_on"] for row in rows.order_by()}


def _harris(visit_ids: list[int]) -> dict[int, dict[str, HipExamination]]:
    found: dict[int, dict[str, HipExamination]] = {}
    for examination in HipExamination.objects.filter(visit_id__in=visit_ids):
        found.setdefault(examination.visit_id, {})[examination.side] = examination
    return found
