"""Modified New York criteria of 1984 for ankylosing spondylitis, with the reasons spelled out."""

from scoring import checks
from scoring.result import IndexResult

GRADES = ("normal", "suspicious", "minimal", "moderate", "ankylosis")
BILATERAL_FROM = 2
UNILATERAL_FROM = 3
CLINICAL = ("inflammatory_back_pain", "limited_lumbar_motion", "limited_chest_expansion")
TITLES = {
    "inflammatory_back_pain": "low back pain for 3 months or more, better with exercise, not with rest",
    "limited_lumbar_motion": "lumbar motion limited in the sagittal and the frontal plane",
    "limited_chest_expansion": "chest expansion limited for age and sex",
}
RULE = "an unknown finding counts neither as present nor as absent: undetermined where it could change the result"


def modified_new_york(
    grade_right: int | None,
    grade_left: int | None,
    inflammatory_back_pain: bool | None = None,
    limited_lumbar_motion: bool | None = None,
    limited_chest_expansion: bool | None = None,
) -> IndexResult:
    """Modified New York criteria: definite, probable or not met.

    Parameters
    ----------
    grade_right, grade_left : 0, 1, 2, 3, 4 or None
        Radiographic sacroiliitis: normal, suspicious, minimal, moderate, ankylosis.
    inflammatory_back_pain, limited_lumbar_motion, limited_chest_expansion : bool or None
        The three clinical criteria; None means unknown.

    Returns
    -------
    IndexResult
        Value 1 for "definite", 0 for "probable" and "not met", None for "undetermined"; `reasons` says why.

    Raises
    ------
    ScoringError
        For a grade other than 0 to 4, or a finding that is not true, false or None.

    Notes
    -----
    Radiological criterion: grade 2 or more on both sides, or grade 3 or 4 on one. Definite: radiological and at least
    one clinical criterion. Probable: all three clinical criteria without it, or it without any clinical one. Unknown
    findings are tried both ways.

    References
    ----------
    van der Linden S et al. Arthritis Rheum 1984;27:361.
    """
    grades = {"grade_right": _grade("grade_right", grade_right), "grade_left": _grade("grade_left", grade_left)}
    answers = (inflammatory_back_pain, limited_lumbar_motion, limited_chest_expansion)
    clinical = {
        name: None if answer is None else checks.boolean(name, answer) for name, answer in zip(CLINICAL, answers, strict=True)
    }
    missing = tuple(name for name, value in {**grades, **clinical}.items() if value is None)
    states = {
        _state(is_radiological, n_clinical)
        for is_radiological in _radiological(grades)
        for n_clinical in _clinical_counts(clinical)
    }
    state = states.pop() if len(states) == 1 else "undetermined"
    return IndexResult(
        "modified_new_york",
        None if state == "undetermined" else float(state == "definite"),
        state=state,
        missing=missing,
        missing_rule=RULE if missing else "",
        reasons=_reasons(grades, clinical),
    )


def _grade(name: str, value: int | None) -> int | None:
    if value is None:
        return None
    entered = checks.number(name, value)
    checks.choice(name, entered, range(len(GRADES)))
    return int(entered)


def _radiological(grades: dict[str, int | None]) -> set[bool]:
    """Every answer that the radiological criterion could still have."""
    options = [range(len(GRADES)) if grade is None else (grade,) for grade in grades.values()]
    return {min(a, b) >= BILATERAL_FROM or max(a, b) >= UNILATERAL_FROM for a in options[0] for b in options[1]}


def _clinical_counts(clinical: dict[str, bool | None]) -> range:
    """Every number of clinical criteria that could still be met."""
    n_met = sum(value is True for value in clinical.values())
    n_unknown = sum(value is None for value in clinical.values())
    return range(n_met, n_met + n_unknown + 1)


def _state(is_radiological: bool, n_clinical: int) -> str:
    if is_radiological:
        return "definite" if n_clinical else "probable"
    return "probable" if n_clinical == len(CLINICAL) else "not met"


def _reasons(grades: dict[str, int | None], clinical: dict[str, bool | None]) -> tuple[str, ...]:
    sides = [
        f"{name.removeprefix('grade_')} not known" if grade is None else f"{name.removeprefix('grade_')} {grade}"
        for name, grade in grades.items()
    ]
    words = {True: "met", False: "not met"}
    verdicts = _radiological(grades)
    verdict = words[verdicts.pop()] if len(verdicts) == 1 else "not known"
    lines = [f"sacroiliitis grade {', '.join(sides)}; 2 on both sides or 3 on one needed: {verdict}"]
    lines += [f"{TITLES[name]}: {'not known' if value is None else words[value]}" for name, value in clinical.items()]
    return tuple(lines)
