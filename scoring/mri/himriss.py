"""HIMRISS totals of one hip and of one patient, from three sub-scores."""

from dataclasses import dataclass

from scoring import checks
from scoring.errors import ScoringError
from scoring.mri.patient import PatientScore, combine_hips

# Maxima per hip: Maksymowych WP et al. ACR 2012, abstract 1033.
MAXIMA = {"femoral_bme": 65, "acetabular_bme": 35, "effusion": 30}
TOTAL_MAX = sum(MAXIMA.values())


@dataclass(frozen=True)
class HipTotals:
    """HIMRISS of one hip: femoral BME 0–65, acetabular BME 0–35, effusion 0–30; BME 0–100, total 0–130.

    All are None for a hip that is not assessable (prosthesis, not imaged), which is not 0.
    """

    femoral_bme: float | None
    acetabular_bme: float | None
    effusion: float | None
    bme: float | None
    total: float | None
    warnings: tuple[str, ...] = ()


NOT_ASSESSABLE = HipTotals(None, None, None, None, None)


def hip_totals(femoral_bme: float | None, acetabular_bme: float | None, effusion: float | None) -> HipTotals:
    """Totals of one hip from a reader's three sub-scores (a read taken down as totals).

    Parameters
    ----------
    femoral_bme, acetabular_bme, effusion : float 0–65, 0–35, 0–30, or all three None (not assessable)
        Halves are accepted, as means of two readers have them.

    Raises
    ------
    ScoringError
        When a sub-score is outside its range, or only some of the three are given.

    References
    ----------
    Maksymowych WP et al. ACR 2012, abstract 1033 (ranges). J Rheumatol 2014;41:370.
    """
    values = {"femoral_bme": femoral_bme, "acetabular_bme": acetabular_bme, "effusion": effusion}
    given = {name: checks.optional_number(name, value, 0.0, MAXIMA[name]) for name, value in values.items()}
    known = {name: value for name, value in given.items() if value is not None}
    if not known:
        return NOT_ASSESSABLE
    for name, value in given.items():
        if value is None:
            raise ScoringError(name, value, "a sub-score, or none of the three for a hip that is not assessable")
    bme = known["femoral_bme"] + known["acetabular_bme"]
    return HipTotals(known["femoral_bme"], known["acetabular_bme"], known["effusion"], bme, bme + known["effusion"])


def patient_totals(right: float | None, left: float | None) -> PatientScore:
    """Sum, mean and worst of the two hips' totals (0–130 each); None for a hip that is not assessable.

    References
    ----------
    Zheng Y et al. Int J Rheum Dis 2019 (the bilateral sum goes with clinical activity better than the worse hip).
    """
    return combine_hips(
        checks.optional_number("right", right, 0.0, TOTAL_MAX), checks.optional_number("left", left, 0.0, TOTAL_MAX)
    )
