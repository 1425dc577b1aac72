"""Which stack of a study is scored, and in words why that one and why not the others."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from ml.dicom.assemble import build_volume
from ml.dicom.content import look_into
from ml.dicom.errors import UnscorableError
from ml.dicom.sequence import Sequence, describe_sequence
from ml.dicom.series import PLANE_TOLERANCE_DEG, Series
from ml.dicom.study import Study
from ml.dicom.volume import Volume

MIN_SLICES = 5  # the article leaves out hips with fewer than 5 slices; design.md §4
BOTH_HIPS_WIDTH_MM = 260.0  # hip joints lie some 180 mm apart and a head is 50 mm wide
HEAD_EXTENT_MM = 46.0  # of a femoral head of 48 mm across, where a slice cuts at least 100 mm²

Built = TypeVar("Built")


@dataclass(frozen=True)
class Candidate:
    """One stack as it was weighed.

    `code` is empty for one that may be scored, else the code that it would be refused with; `why` says it in words.
    `is_open`: neither header nor name tells whether fat is suppressed. `by_content`: nothing but its pictures say that it is.
    `is_doubted`: its header or name says that fat is suppressed, its pictures that it is not.
    """

    series: Series
    plane: str
    n_slices: int
    fat_suppressed: bool
    code: str
    why: str
    is_open: bool = False
    by_content: bool = False
    is_doubted: bool = False

    @property
    def is_scorable(self) -> bool:
        return not self.code


@dataclass(frozen=True)
class Choice:
    """The stack to be scored, its Volume, and the reasons."""

    series: Series
    volume: Volume
    plane: str
    fat_suppressed: bool
    why: str
    candidates: tuple[Candidate, ...] = ()
    warnings: tuple[str, ...] = ()


def weigh(study: Study) -> tuple[Candidate, ...]:
    """Every stack of a study with the reason why it may or may not be scored, the best first."""
    candidates = [_weigh(series) for series in study.series]
    return tuple(sorted(candidates, key=_rank))


def choose_series(study: Study, any_sequence: bool = False) -> Choice:
    """The coronal, fluid-sensitive, fat-suppressed stack with the most hip slices.

    Parameters
    ----------
    any_sequence : bool
        True: a person has said that a coronal stack of any sequence is to be scored; `why` and `warnings` say so.

    Raises
    ------
    UnscorableError
        With one of the codes of its docstring. `best_coronal` still gives what can be looked at.

    Notes
    -----
    Hip slices are not known before hips are found: slices count once for each hip that the width of the image can hold
    (two from 260 mm). Ties go to acquired before derived, header evidence before a name, finer pixels, lower series
    number. The pictures (`content.look_into`) are asked where neither header nor name tells whether fat is suppressed, where
    a name alone does, and where several stacks could be scored: one that its pictures contradict goes behind the others.
    """
    candidate, volume, warnings, candidates = choose_candidate(study, build_volume, any_sequence)
    return _choice(candidate, volume, warnings, candidates)


def choose_candidate(
    study: Study, build: Callable[[Series], tuple[Built, list[str]]], any_sequence: bool = False
) -> tuple[Candidate, Built, tuple[str, ...], tuple[Candidate, ...]]:
    """As `choose_series`, with whatever `build` makes of a stack instead of a Volume: (chosen, built, warnings, candidates).

    `build` raises UnscorableError where nothing can be made of a stack; the next best one is then tried.
    """
    candidates = _with_content(weigh(study))
    if not candidates:
        raise _nothing(study)
    if any_sequence:
        candidates = tuple(_with_any_sequence(candidate) for candidate in candidates)
    usable = [c for c in candidates if c.is_scorable or (any_sequence and c.code in _SEQUENCE_CODES)]
    first_failure: UnscorableError | None = None
    for candidate in usable:
        try:
            built, warnings = build(candidate.series)
        except UnscorableError as error:
            first_failure = first_failure or UnscorableError(error.code, error.message, candidates)
            candidates = _marked(candidates, candidate, error)
            continue
        if not candidate.is_scorable:
            warnings.append(f"scored on a sequence that is not meant for it, because a person asked: {candidate.why}")
        if candidate.by_content or candidate.is_doubted:
            warnings.append(f"look at the sequence before you use the score: {candidate.why}")
        return candidate, built, (*study.warnings, *warnings), candidates
    if first_failure is not None:
        raise UnscorableError(first_failure.code, first_failure.message, candidates)
    raise _refusal(candidates)


def best_coronal(study: Study) -> Choice | None:
    """The best coronal stack whatever its sequence and evenness, to look for hips in; None where none can be read.

    One that may be scored goes first, then the one with the most slices. `choose_series` decides about scoring.
    """
    candidates = weigh(study)
    for candidate in sorted(candidates, key=lambda c: (not c.is_scorable, _coverage(c.series))):
        if candidate.plane != "coronal":
            continue
        try:
            volume, warnings = build_volume(candidate.series, strict=False)
        except UnscorableError as error:
            candidates = _marked(candidates, candidate, error)
            continue
        return _choice(candidate, volume, (*study.warnings, *warnings), candidates)
    return None


_NAME_ONLY = "by its name only"
_SEQUENCE_CODES = ("not_fat_suppressed", "not_fluid_sensitive")


def _weigh(series: Series) -> Candidate:
    sequence = describe_sequence(series.frames[0])
    code, why = _verdict(series, sequence)
    return Candidate(series, series.plane, series.n_slices, sequence.fat_suppressed, code, why, is_open=sequence.is_open)


def _with_content(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """The candidates, in their order, with what the pictures say of those for which that matters."""
    n_scorable = sum(candidate.is_scorable for candidate in candidates)
    return tuple(sorted((_seen(candidate, n_scorable) for candidate in candidates), key=_rank))


def _seen(candidate: Candidate, n_scorable: int) -> Candidate:
    is_open = candidate.is_open and candidate.code == "not_fat_suppressed"
    is_in_question = candidate.is_scorable and (n_scorable > 1 or _NAME_ONLY in candidate.why)
    content = look_into(candidate.series) if is_open or is_in_question else None
    if content is None:
        return candidate
    if is_in_question:
        if content.fat_suppressed is False:
            return replace(candidate, why=f"{candidate.why}; but {content.words}", is_doubted=True)
        return candidate
    if not content.fat_suppressed:
        return replace(candidate, why=f"{candidate.why}; {content.words}")
    few = _too_few(candidate.series) if candidate.n_slices < MIN_SLICES else ""
    count = f"{candidate.n_slices} slices {candidate.series.slice_spacing_mm:.1f} mm apart"
    why = "; ".join(part for part in (f"coronal, {count}; neither header nor name tells, but {content.words}", few) if part)
    return replace(candidate, fat_suppressed=True, by_content=True, code="too_few_slices" if few else "", why=why)


def _verdict(series: Series, sequence: Sequence) -> tuple[str, str]:
    count = f"{series.n_slices} slice{'s' if series.n_slices != 1 else ''} {series.slice_spacing_mm:.1f} mm apart"
    if series.plane != "coronal":
        tilt = f", {series.tilt_deg:.0f}° off the nearest body plane" if series.plane == "oblique" else ""
        not_coronal = f"{series.plane}{tilt}, not coronal (within {PLANE_TOLERANCE_DEG:.0f}°)"
        return "wrong_plane", f"{not_coronal}; {count}; {sequence.words}"
    few = _too_few(series)
    if not sequence.fat_suppressed:
        return "not_fat_suppressed", "; ".join(p for p in (f"coronal, {count}, but {sequence.problem}", few) if p)
    if not sequence.fluid_sensitive:
        return "not_fluid_sensitive", f"coronal, {count}, {sequence.words}, but {sequence.problem}"
    if series.n_slices < MIN_SLICES:
        return "too_few_slices", f"coronal, {sequence.words}, but {few}"
    return "", f"coronal, {sequence.words}, {count}"


def _with_any_sequence(candidate: Candidate) -> Candidate:
    """A candidate whose sequence is passed over, but not its number of slices."""
    if candidate.code in _SEQUENCE_CODES and candidate.n_slices < MIN_SLICES:
        return replace(candidate, code="too_few_slices")
    return candidate


def _too_few(series: Series) -> str:
    """Words where the stack can't be expected to cross a femoral head often enough."""
    n_expected = min(series.n_slices, int(HEAD_EXTENT_MM // series.slice_spacing_mm))
    if n_expected >= MIN_SLICES:
        return ""
    return f"too few slices: {series.n_slices}, of which about {n_expected} can cross a femoral head ({MIN_SLICES} are needed)"


def _rank(candidate: Candidate) -> tuple[object, ...]:
    series, frame = candidate.series, candidate.series.frames[0]
    is_derived = "DERIVED" in frame.words.get("ImageType", ())
    is_named_only = _NAME_ONLY in candidate.why
    order = ("", "too_few_slices", "not_fluid_sensitive", "not_fat_suppressed", "wrong_plane")
    return (
        order.index(candidate.code),
        candidate.is_doubted,
        candidate.by_content,
        _coverage(series),
        is_derived,
        is_named_only,
        max(frame.pixel_spacing_mm),
        frame.numbers.get("SeriesNumber", 0.0),
        series.uid,
        series.part,
    )


def _coverage(series: Series) -> int:
    """Minus the number of slices, counted for each hip that the image is wide enough for: the smallest is the best."""
    return -series.n_slices * (2 if series.width_mm >= BOTH_HIPS_WIDTH_MM else 1)


def _choice(candidate: Candidate, volume: Volume, warnings: tuple[str, ...], candidates: tuple[Candidate, ...]) -> Choice:
    why = why_chosen(candidate, candidates)
    return Choice(candidate.series, volume, candidate.plane, candidate.fat_suppressed, why, candidates, tuple(warnings))


def why_chosen(candidate: Candidate, candidates: tuple[Candidate, ...]) -> str:
    """Why this one is scored, in words, with how many others could have been."""
    n_others = sum(c.is_scorable for c in candidates if c.series is not candidate.series)
    if not candidate.is_scorable or not n_others:
        return candidate.why
    usable = [c for c in candidates if c.is_scorable and c.series is not candidate.series]
    if not candidate.is_doubted and not candidate.by_content and all(c.is_doubted or c.by_content for c in usable):
        return f"{candidate.why}; preferred to {n_others} other usable series (nothing contradicts its header)"
    return f"{candidate.why}; preferred to {n_others} other usable series (most hip slices)"


def _marked(candidates: tuple[Candidate, ...], failed: Candidate, error: UnscorableError) -> tuple[Candidate, ...]:
    why = f"{failed.why}; {error.message}"
    return tuple(replace(c, code=error.code, why=why) if c is failed else c for c in candidates)


def _nothing(study: Study) -> UnscorableError:
    if study.unplaced:
        name, reason = study.unplaced[0]
        return UnscorableError("no_geometry", f"none of the MR images can be laid in space: {name} {reason}")
    if not study.refused:
        return UnscorableError("no_images", "there are no files here; give a folder, a file or a zip of DICOM")
    reasons = "; ".join(f"{name} {reason}" for name, reason in study.refused[:3])
    more = f"; and {len(study.refused) - 3} more" if len(study.refused) > 3 else ""
    if any("is no MR image" in reason for _, reason in study.refused):
        return UnscorableError("no_mr", f"there are no MR images here: {reasons}{more}")
    return UnscorableError("no_images", f"there are no readable images here: {reasons}{more}")


def _refusal(candidates: tuple[Candidate, ...]) -> UnscorableError:
    best = candidates[0]
    if best.code == "wrong_plane":
        planes = ", ".join(sorted({c.plane for c in candidates}))
        message = f"there is no coronal series (found: {planes}); the score needs a coronal STIR or T2 with fat suppression"
    else:
        name = f"“{best.series.description[:64]}”" if best.series.description else "the coronal series"
        message = f"no series can be scored; the best, {name}: {best.why}"
    return UnscorableError(best.code, message, candidates)
