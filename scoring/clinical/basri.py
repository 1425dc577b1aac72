"""BASRI-hip, the hip part of the Bath Ankylosing Spondylitis Radiology Index."""

from scoring import checks
from scoring.result import IndexResult

STATES = ("normal", "suspicious", "mild", "moderate", "severe")
DEFINITE_FROM = 2
FEATURES_FOR_A_GRADE = 2


def basri_hip(
    grade: int | None,
    erosions: bool | None = None,
    osteophytes: bool | None = None,
    protrusio: bool | None = None,
) -> IndexResult:
    """BASRI-hip of one hip, 0 (normal) to 4 (severe).

    Parameters
    ----------
    grade : 0, 1, 2, 3, 4 or None
        By joint space: 0 normal; 1 possible focal narrowing; 2 definite narrowing, more than 2 mm left all round; 3 2
        mm or less left, or bone on bone over less than 2 cm; 4 deformity, bone on bone over 2 cm or more, or
        replacement.
    erosions, osteophytes, protrusio : bool or None
        Two of the three raise the grade by one, to at most 4. Leave None when the grade already includes them.

    Returns
    -------
    IndexResult
        State "normal", "suspicious", "mild", "moderate" or "severe"; `parts` says whether involvement is definite
        (from 2).

    Raises
    ------
    ScoringError
        When the grade is not 0 to 4, or a feature is not true or false.

    Notes
    -----
    A missing grade stays missing. A feature left None counts as not seen.

    References
    ----------
    MacKay K et al. J Rheumatol 2000;27:2866. Definite from 2: Konsta M et al. 2022.
    """
    features = {"erosions": erosions, "osteophytes": osteophytes, "protrusio": protrusio}
    seen = {name: None if value is None else checks.boolean(name, value) for name, value in features.items()}
    if grade is None:
        return IndexResult("basri_hip", None, missing=("grade",), missing_rule="grade missing: no value")
    entered = checks.number("grade", grade)
    checks.choice("grade", entered, range(len(STATES)))
    raised = sum(value is True for value in seen.values()) >= FEATURES_FOR_A_GRADE
    value = min(int(entered) + raised, len(STATES) - 1)
    return IndexResult(
        "basri_hip",
        float(value),
        state=STATES[value],
        parts={"grade": entered, **seen, "is_raised": raised, "is_definite": value >= DEFINITE_FROM},
    )
