"""HIMRISS of one hip from region marks, by a scheme: observed, possible, coverage. Marks are stored, totals computed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from scoring import checks
from scoring.errors import ScoringError
from scoring.mri.himriss_scheme import PARTS, ROLES, Scheme
from scoring.mri.patient import PatientScore, combine_hips


@dataclass(frozen=True)
class SliceMarks:
    """What a reader (or the automatic scoring) marked on one slice.

    Attributes
    ----------
    index : int ≥ 0
        Position in the stack, anterior first; no two slices of a read share one.
    role : "central", "anterior" or "posterior"
    regions : region name → 0, 1 or None
        Every region of the scheme for that role; None means not assessable.
    effusion : 0, 1, 2 or None
    """

    index: int
    role: str
    regions: Mapping[str, int | None] = field(default_factory=dict)
    effusion: int | None = None


@dataclass(frozen=True)
class HimrissScore:
    """HIMRISS of one hip by a scheme; all sub-scores are None for a hip that is not assessable.

    Attributes
    ----------
    femoral_bme, acetabular_bme, effusion, bme, total : int or None
        Observed sums: 0–65, 0–35, 0–30, 0–100, 0–130 for a complete read of the family "himriss".
    possible : name → int
        The largest each sum could have been on what was scored.
    percent_of_possible : float or None
        total ÷ possible total × 100.
    n_slices_scored : int
    coverage : float
        Slices scored ÷ slices of a complete read.
    scheme_id, scheme_version, method : str, int, "regions" or "automatic"
    """

    femoral_bme: int | None
    acetabular_bme: int | None
    effusion: int | None
    bme: int | None
    total: int | None
    possible: Mapping[str, int]
    percent_of_possible: float | None
    n_slices_scored: int
    coverage: float
    scheme_id: str
    scheme_version: int
    method: str
    warnings: tuple[str, ...] = ()


def mark_slice(scheme: Scheme, index: int, role: str, positive: Collection[str] = (), effusion: int | None = 0) -> SliceMarks:
    """Marks of one slice with 1 for the regions named in `positive` and 0 for all others.

    Raises
    ------
    ScoringError
        For an unknown role or region.
    """
    checks.choice("role", role, ROLES)
    names = [region.name for region in scheme.regions_of(role)]
    for name in positive:
        checks.choice("positive", name, names)
    return SliceMarks(index, role, {name: int(name in positive) for name in names}, effusion)


def score_marks(scheme: Scheme, slices: Sequence[SliceMarks], method: str = "regions") -> HimrissScore:
    """HIMRISS of one hip from the marks on its slices.

    Parameters
    ----------
    scheme : Scheme
    slices : sequence of SliceMarks
        The slices that were scored, in any order; none means that the hip is not assessable.
    method : "regions" or "automatic"

    Returns
    -------
    HimrissScore

    Raises
    ------
    ScoringError
        For a region value other than 0 or 1, an effusion other than the scheme's grades, a region that the scheme
        does not have or that is left out, a repeated slice index, or more slices of a role than the scheme has.

    Notes
    -----
    A slice or region that was not scored lowers what was possible; it is never taken as 0. Zero is not the normal
    value: hips without involvement score about 14 (Man 2021).

    References
    ----------
    Maksymowych WP et al. J Rheumatol 2014;41:370. Ranges: ACR 2012, abstract 1033.
    """
    checks.choice("method", method, ("regions", "automatic"))
    _refuse_wrong_slices(scheme, slices)
    observed = dict.fromkeys(scheme.maxima, 0)
    possible = dict.fromkeys(scheme.maxima, 0)
    n_scored = 0
    for marks in slices:
        counted = _count_slice(scheme, marks, observed, possible)
        n_scored += counted
    warnings = (
        ()
        if n_scored == scheme.n_slices or not n_scored
        else (f"{n_scored} of {scheme.n_slices} slices scored: the sums are of what was seen, nothing was filled in",)
    )
    return _score(scheme, observed, possible, n_scored, method, warnings)


def score_patient(right: HimrissScore | None, left: HimrissScore | None) -> PatientScore:
    """Sum, mean and worst of two hips' totals; None for a hip that is not assessable.

    Raises
    ------
    ScoringError
        When the hips were scored by different schemes or methods.
    """
    if right is not None and left is not None and _key(right) != _key(left):
        raise ScoringError("left", _key(left), f"scheme and method of the right hip, {_key(right)}")
    return combine_hips(*(None if hip is None or hip.total is None else float(hip.total) for hip in (right, left)))


def _key(score: HimrissScore) -> tuple[str, int, str]:
    return score.scheme_id, score.scheme_version, score.method


def _refuse_wrong_slices(scheme: Scheme, slices: Sequence[SliceMarks]) -> None:
    if len(slices) > scheme.n_slices:
        raise ScoringError("slices", f"{len(slices)} slices", f"at most {scheme.n_slices}")
    seen: set[int] = set()
    for marks in slices:
        checks.choice("role", marks.role, ROLES)
        index = checks.number("index", marks.index, 0)
        if index != int(index) or int(index) in seen:
            raise ScoringError("index", marks.index, "whole numbers from 0, each slice once")
        seen.add(int(index))
    for role in ROLES:
        n = sum(marks.role == role for marks in slices)
        if n > scheme.slices[role]:
            raise ScoringError(f"slices.{role}", f"{n} slices", f"at most {scheme.slices[role]}")


def _count_slice(scheme: Scheme, marks: SliceMarks, observed: dict[str, int], possible: dict[str, int]) -> bool:
    """Add one slice to the sums; True when anything on it was scored."""
    regions = {region.name: region for region in scheme.regions_of(marks.role)}
    for name in marks.regions:
        checks.choice(f"slice {marks.index} regions", name, tuple(regions))
    is_scored = False
    for name, region in regions.items():
        if name not in marks.regions:
            raise ScoringError(f"slice {marks.index} {name}", "left out", "0, 1, or None for not assessable")
        value = _mark(f"slice {marks.index} {name}", marks.regions[name], (0, 1))
        if value is not None:
            observed[f"{region.part}_bme"] += value
            possible[f"{region.part}_bme"] += 1
            is_scored = True
    grade = _mark(f"slice {marks.index} effusion", marks.effusion, scheme.effusion_grades)
    if grade is not None:
        observed["effusion"] += grade
        possible["effusion"] += scheme.effusion_grades[-1]
        is_scored = True
    return is_scored


def _mark(name: str, value: int | None, allowed: Collection[int]) -> int | None:
    if value is None:
        return None
    checks.choice(name, checks.number(name, value), allowed)
    return int(value)


def _score(
    scheme: Scheme,
    observed: dict[str, int],
    possible: dict[str, int],
    n_scored: int,
    method: str,
    warnings: tuple[str, ...],
) -> HimrissScore:
    bme = sum(observed[f"{part}_bme"] for part in PARTS)
    possible_bme = sum(possible[f"{part}_bme"] for part in PARTS)
    total, possible_total = bme + observed["effusion"], possible_bme + possible["effusion"]
    is_assessable = n_scored > 0
    return HimrissScore(
        femoral_bme=observed["femoral_bme"] if is_assessable else None,
        acetabular_bme=observed["acetabular_bme"] if is_assessable else None,
        effusion=observed["effusion"] if is_assessable else None,
        bme=bme if is_assessable else None,
        total=total if is_assessable else None,
        possible={**possible, "bme": possible_bme, "total": possible_total},
        percent_of_possible=100.0 * total / possible_total if is_assessable else None,
        n_slices_scored=n_scored,
        coverage=n_scored / scheme.n_slices,
        scheme_id=scheme.id,
        scheme_version=scheme.version,
        method=method,
        warnings=warnings,
    )
