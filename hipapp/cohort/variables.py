"""The variables of the correlation table: one number a visit, from both hips put together as chosen."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hipapp.followup.rows import VisitRow
from scoring.mri.patient import PatientScore, combine_hips

SIDES = ("right", "left")


@dataclass(frozen=True)
class Variable:
    """One column of the table. `key` is also its name in `scoring.statistics.matrix.INGREDIENTS`.

    `of_hip` gives the value of one hip, `of_visit` that of the visit; one of them is set.
    """

    key: str
    label: str
    unit: str = ""
    decimals: int = 2
    of_hip: Callable[[VisitRow, str], float | None] | None = None
    of_visit: Callable[[VisitRow], float | None] | None = None
    higher_is_worse: bool = True

    def value(self, row: VisitRow, hips: str) -> float | None:
        """The value at a visit; None where it is missing. `hips` is sum, mean or worst (the Harris score has no sum: mean)."""
        if self.of_visit is not None:
            return self.of_visit(row)
        right, left = (self._hip(row, side) for side in SIDES)
        if not self.higher_is_worse:
            return _worse_of_low(right, left) if hips == "worst" else combine_hips(right, left).mean
        return _chosen(combine_hips(right, left), hips)

    def _hip(self, row: VisitRow, side: str) -> float | None:
        return None if self.of_hip is None else self.of_hip(row, side)

    def title(self, hips: str) -> str:
        """Label with how the hips were put together."""
        if self.of_hip is None:
            return self.label
        words = {"sum": "sum", "mean": "mean", "worst": "worse hip"}[hips]
        return f"{self.label}, {'mean' if hips == 'sum' and not self.higher_is_worse else words}"


def _chosen(both: PatientScore, hips: str) -> float | None:
    return {"sum": both.sum, "mean": both.mean, "worst": both.worst_score}[hips]


def _worse_of_low(right: float | None, left: float | None) -> float | None:
    return min((value for value in (right, left) if value is not None), default=None)


def _of_assessment(field: str) -> Callable[[VisitRow], float | None]:
    def value(row: VisitRow) -> float | None:
        found = getattr(row.assessment, field, None)
        return None if found is None else float(found)

    return value


def _unet(row: VisitRow, side: str) -> float | None:
    return row.unet_score(side)


def _unet_bme(row: VisitRow, side: str) -> float | None:
    result = row.mri.get(side)
    if result is None or result.bme_femoral is None or result.bme_acetabular is None:
        return None
    return result.bme_femoral + result.bme_acetabular


def _unet_synovitis(row: VisitRow, side: str) -> float | None:
    result = row.mri.get(side)
    return result.synovitis if result else None


def _himriss(row: VisitRow, side: str) -> float | None:
    return row.himriss_total(side)


def _himriss_bme(row: VisitRow, side: str) -> float | None:
    read = row.himriss.get(side)
    if read is None or read.femoral_bme is None or read.acetabular_bme is None:
        return None
    return read.femoral_bme + read.acetabular_bme


def _himriss_effusion(row: VisitRow, side: str) -> float | None:
    read = row.himriss.get(side)
    return read.effusion if read else None


def _harris(row: VisitRow, side: str) -> float | None:
    return row.harris_score(side)


VARIABLES = (
    Variable("unet_score", "UNet-score", of_hip=_unet),
    Variable("unet_bme", "UNet BME part", of_hip=_unet_bme),
    Variable("unet_synovitis", "UNet synovitis part", of_hip=_unet_synovitis),
    Variable("himriss_total", "HIMRISS", decimals=0, of_hip=_himriss),
    Variable("himriss_bme", "HIMRISS BML", decimals=0, of_hip=_himriss_bme),
    Variable("himriss_synovitis", "HIMRISS synovitis", decimals=0, of_hip=_himriss_effusion),
    Variable("crp_mg_l", "CRP", "mg/L", 1, of_visit=_of_assessment("crp_mg_l")),
    Variable("esr_mm_h", "ESR", "mm/h", 0, of_visit=_of_assessment("esr_mm_h")),
    Variable("harris", "Harris", decimals=0, of_hip=_harris, higher_is_worse=False),
    Variable("basdai", "BASDAI", decimals=1, of_visit=_of_assessment("basdai")),
    Variable("asdas_crp", "ASDAS-CRP", of_visit=_of_assessment("asdas_crp")),
    Variable("asdas_esr", "ASDAS-ESR", of_visit=_of_assessment("asdas_esr")),
)
BY_KEY = {variable.key: variable for variable in VARIABLES}


def columns(rows: Sequence[VisitRow], hips: str) -> dict[str, npt.NDArray[np.float64]]:
    """One array a variable, over the visits in their order; NaN where a value is missing."""
    return {
        variable.key: np.array([_number(variable.value(row, hips)) for row in rows], dtype=np.float64) for variable in VARIABLES
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else value
