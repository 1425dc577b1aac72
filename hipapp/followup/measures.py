"""The scores of a visit as the patient page shows them: label, unit, decimals, value, and the reason where there is none."""

from dataclasses import dataclass

from hipapp.followup.rows import VisitRow

SIDES = ("right", "left")  # right first, as radiologists see a patient
LETTERS = {"right": "R", "left": "L"}
NO_ASSESSMENT = "No assessment entered at this visit"


@dataclass(frozen=True)
class Measure:
    """One score. `per_hip` scores have a value for each side."""

    key: str
    label: str
    unit: str = ""
    decimals: int = 1
    per_hip: bool = False

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides it is given for; one empty side where it is of the patient."""
        return SIDES if self.per_hip else ("",)

    def name(self, side: str = "") -> str:
        """Label with the letter of the side, e.g. `Harris R`."""
        return f"{self.label} {LETTERS[side]}" if side else self.label


ASDAS_CRP = Measure("asdas_crp", "ASDAS-CRP", decimals=2)
ASDAS_ESR = Measure("asdas_esr", "ASDAS-ESR", decimals=2)
BASDAI = Measure("basdai", "BASDAI")
CRP = Measure("crp_mg_l", "CRP", "mg/L")
ESR = Measure("esr_mm_h", "ESR", "mm/h", decimals=0)
HARRIS = Measure("harris", "Harris", decimals=0, per_hip=True)
UNET = Measure("unet_score", "UNet-score", decimals=2, per_hip=True)
HIMRISS = Measure("himriss", "HIMRISS", decimals=0, per_hip=True)
TABLE = (ASDAS_CRP, ASDAS_ESR, BASDAI, CRP, ESR, HARRIS, UNET, HIMRISS)


def value_of(row: VisitRow, measure: Measure, side: str = "") -> float | None:
    """The value at a visit, in the measure's unit; None where there is none."""
    if measure is HARRIS:
        return row.harris_score(side)
    if measure is UNET:
        return row.unet_score(side)
    if measure is HIMRISS:
        return row.himriss_total(side)
    value = getattr(row.assessment, measure.key, None)
    return None if value is None else float(value)


def reason_of(row: VisitRow, measure: Measure, side: str = "", is_blinded: bool = False) -> str:
    """Why there is no value, in words for the person who reads the page.

    Parameters
    ----------
    is_blinded : the person is a reader and sees no other reader's reads
    """
    if measure is HARRIS:
        return "Harris items are missing" if side in row.harris else "This hip was not examined"
    if measure is UNET:
        return _unet_reason(row, side)
    if measure is HIMRISS:
        return _himriss_reason(row, side, is_blinded)
    if row.assessment is None:
        return NO_ASSESSMENT
    if measure in (CRP, ESR):
        return f"{measure.label} was not measured"
    return "Items are missing" if measure is BASDAI else f"Items or {measure.label[-3:]} are missing"


def _unet_reason(row: VisitRow, side: str) -> str:
    result = row.mri.get(side)
    if result is None:
        return "The MRI is not scored yet" if row.has_study else "No MRI at this visit"
    return result.refused_message or "Not scored"


def _himriss_reason(row: VisitRow, side: str, is_blinded: bool) -> str:
    if side in row.himriss:
        return "Not assessable, said the reader"
    return "You have not read this hip; other readers’ reads are hidden from readers" if is_blinded else "Not read yet"
