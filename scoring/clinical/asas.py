"""ASAS classification criteria for axial spondyloarthritis, with the reasons spelled out."""

from dataclasses import dataclass

from scoring import checks
from scoring.result import IndexResult

MIN_BACK_PAIN_MONTHS = 3.0
ONSET_BELOW_YEARS = 45.0
INFLAMMATORY_FROM = 4
RULE = "an unknown finding counts neither as present nor as absent: undetermined where it could change the result"

FEATURE_TITLES = {
    "inflammatory_back_pain": "inflammatory back pain",
    "arthritis": "arthritis",
    "heel_enthesitis": "heel enthesitis",
    "uveitis": "anterior uveitis",
    "dactylitis": "dactylitis",
    "psoriasis": "psoriasis",
    "crohn_colitis": "Crohn's disease or colitis",
    "nsaid_response": "good response to NSAIDs",
    "family_history": "family history of SpA",
    "hla_b27": "HLA-B27",
    "elevated_crp": "elevated CRP",
}
PAIN_ITEMS = ("onset_under_40", "insidious_onset", "improves_with_exercise", "no_improvement_with_rest", "night_pain")

Finding = bool | None


@dataclass(frozen=True)
class _Verdict:
    entry: bool
    imaging: bool
    clinical: bool

    @property
    def is_met(self) -> bool:
        return self.imaging or self.clinical


def inflammatory_back_pain(
    onset_under_40: Finding,
    insidious_onset: Finding,
    improves_with_exercise: Finding,
    no_improvement_with_rest: Finding,
    night_pain: Finding,
) -> IndexResult:
    """Inflammatory back pain by the ASAS experts: at least four of five parameters.

    Parameters
    ----------
    onset_under_40, insidious_onset, improves_with_exercise, no_improvement_with_rest, night_pain : bool or None
        None means unknown.

    Returns
    -------
    IndexResult
        Value 1 or 0, None (undetermined) where unknown parameters could change it; `parts["n_met"]` counts.

    Raises
    ------
    ScoringError
        When a parameter is not true, false or None.

    References
    ----------
    Sieper J et al. Ann Rheum Dis 2009;68:784.
    """
    answers = (onset_under_40, insidious_onset, improves_with_exercise, no_improvement_with_rest, night_pain)
    given = {name: _finding(name, answer) for name, answer in zip(PAIN_ITEMS, answers, strict=True)}
    missing = tuple(name for name, answer in given.items() if answer is None)
    n_met = sum(answer is True for answer in given.values())
    parts = {"n_met": float(n_met)}
    is_possible = n_met + len(missing) >= INFLAMMATORY_FROM
    if n_met < INFLAMMATORY_FROM and is_possible:
        return IndexResult("inflammatory_back_pain", None, state="undetermined", missing=missing, missing_rule=RULE, parts=parts)
    is_met = n_met >= INFLAMMATORY_FROM
    return IndexResult(
        "inflammatory_back_pain",
        float(is_met),
        state="met" if is_met else "not met",
        missing=missing,
        missing_rule=RULE if missing else "",
        parts=parts,
    )


def asas_axial(
    back_pain_months: float | None,
    age_at_onset_years: float | None,
    sacroiliitis_mri: Finding = None,
    sacroiliitis_radiograph: Finding = None,
    hla_b27: Finding = None,
    inflammatory_back_pain: Finding = None,
    arthritis: Finding = None,
    heel_enthesitis: Finding = None,
    uveitis: Finding = None,
    dactylitis: Finding = None,
    psoriasis: Finding = None,
    crohn_colitis: Finding = None,
    nsaid_response: Finding = None,
    family_history: Finding = None,
    elevated_crp: Finding = None,
) -> IndexResult:
    """ASAS criteria for axial spondyloarthritis: entry, then imaging arm or clinical arm.

    Parameters
    ----------
    back_pain_months : float ≥ 0 or None
        Duration of back pain; entry needs 3 months.
    age_at_onset_years : float 0–120 or None
        Entry needs onset strictly before 45.
    sacroiliitis_mri, sacroiliitis_radiograph : bool or None
        Active inflammation of the sacroiliac joints on MRI, highly suggestive of SpA; definite radiographic
        sacroiliitis by the modified New York criteria. Oedema of the hip is no part of this.
    hla_b27, inflammatory_back_pain, arthritis, heel_enthesitis, uveitis, dactylitis, psoriasis, crohn_colitis,
    nsaid_response, family_history, elevated_crp : bool or None
        The SpA features; None means unknown.

    Returns
    -------
    IndexResult
        Value 1, 0 or None (undetermined); state "imaging arm", "clinical arm", "imaging and clinical arm", "not met" or
        "undetermined"; `reasons` says why.

    Raises
    ------
    ScoringError
        For a finding that is not true, false or None, or a number out of range.

    Notes
    -----
    Imaging arm: sacroiliitis and at least one feature (HLA-B27 counts). Clinical arm: HLA-B27 and at least two *other*
    features. Unknown findings are tried both ways; where that changes the result, it is undetermined.

    References
    ----------
    Rudwaleit M et al. Ann Rheum Dis 2009;68:777.
    """
    features = dict(
        zip(
            FEATURE_TITLES,
            (
                inflammatory_back_pain,
                arthritis,
                heel_enthesitis,
                uveitis,
                dactylitis,
                psoriasis,
                crohn_colitis,
                nsaid_response,
                family_history,
                hla_b27,
                elevated_crp,
            ),
            strict=True,
        )
    )
    months = checks.optional_number("back_pain_months", back_pain_months, 0.0, unit="months")
    age = checks.optional_number("age_at_onset_years", age_at_onset_years, 0.0, 120.0, "years")
    findings = {
        "chronic_back_pain": None if months is None else months >= MIN_BACK_PAIN_MONTHS,
        "early_onset": None if age is None else age < ONSET_BELOW_YEARS,
        "sacroiliitis_mri": _finding("sacroiliitis_mri", sacroiliitis_mri),
        "sacroiliitis_radiograph": _finding("sacroiliitis_radiograph", sacroiliitis_radiograph),
        **{name: _finding(name, value) for name, value in features.items()},
    }
    sure, possible = _verdict(findings, unknown=False), _verdict(findings, unknown=True)
    is_determined = sure.is_met == possible.is_met
    missing = tuple(name for name, value in findings.items() if value is None)
    return IndexResult(
        "asas_axial",
        float(sure.is_met) if is_determined else None,
        state=_state(sure) if is_determined else "undetermined",
        missing=missing,
        missing_rule=RULE if missing else "",
        parts={"entry": sure.entry, "imaging_arm": sure.imaging, "clinical_arm": sure.clinical},
        reasons=_reasons(months, age, findings),
    )


def _finding(name: str, value: Finding) -> Finding:
    return None if value is None else checks.boolean(name, value)


def _verdict(findings: dict[str, Finding], unknown: bool) -> _Verdict:
    known = {name: unknown if value is None else value for name, value in findings.items()}
    entry = known["chronic_back_pain"] and known["early_onset"]
    imaging = known["sacroiliitis_mri"] or known["sacroiliitis_radiograph"]
    n_features = sum(known[name] for name in FEATURE_TITLES)
    b27 = known["hla_b27"]
    return _Verdict(
        entry=entry,
        imaging=entry and imaging and n_features >= 1,
        clinical=entry and b27 and n_features - b27 >= 2,
    )


def _state(verdict: _Verdict) -> str:
    if verdict.imaging and verdict.clinical:
        return "imaging and clinical arm"
    if verdict.imaging:
        return "imaging arm"
    return "clinical arm" if verdict.clinical else "not met"


def _reasons(months: float | None, age: float | None, findings: dict[str, Finding]) -> tuple[str, ...]:
    present = [title for name, title in FEATURE_TITLES.items() if findings[name]]
    unknown = [title for name, title in FEATURE_TITLES.items() if findings[name] is None]
    others = [title for title in present if title != FEATURE_TITLES["hla_b27"]]
    lines = [
        _entry_reason("back pain for", months, "months", "at least 3", findings["chronic_back_pain"]),
        _entry_reason("onset at", age, "years", "below 45", findings["early_onset"]),
        f"sacroiliitis on MRI: {_word(findings['sacroiliitis_mri'])}",
        f"sacroiliitis on radiographs: {_word(findings['sacroiliitis_radiograph'])}",
        f"imaging arm: {len(present)} SpA feature(s), 1 needed: {', '.join(present) or 'none'}",
        f"clinical arm: HLA-B27 {_word(findings['hla_b27'])}, {len(others)} other feature(s), 2 needed",
    ]
    if unknown:
        lines.append("not known: " + ", ".join(unknown))
    return tuple(lines)


def _entry_reason(text: str, value: float | None, unit: str, needed: str, is_met: Finding) -> str:
    given = "not known" if value is None else f"{value:g} {unit}"
    return f"entry: {text} {given}, {needed} needed: {_word(is_met, 'met', 'not met')}"


def _word(value: Finding, yes: str = "yes", no: str = "no") -> str:
    return "not known" if value is None else yes if value else no
