"""Stored files as stacks: which series a study has, how their slices lie, which one is scored; and back to a Volume."""

from collections.abc import Iterable
from dataclasses import dataclass

from hipapp.imaging.models import Instance, Series, Study
from hipapp.imaging.policy import acquisition_values
from hipapp.imaging.receiving.files import read_stored_frames
from ml.dicom.assemble import build_volume, describe, lay_out
from ml.dicom.choose import Candidate, choose_candidate, weigh, why_chosen
from ml.dicom.errors import UnscorableError
from ml.dicom.header import Frame
from ml.dicom.look import window_of
from ml.dicom.series import Series as Stack
from ml.dicom.series import stack
from ml.dicom.study import Study as DicomStudy
from ml.dicom.volume import Volume

Slices = list[list[object]]
WINDOW_PERCENTILES = (1.0, 99.0)
WITHOUT_PLACE = "does not say where in the body it lies (Image Position or Orientation is missing)"


@dataclass(frozen=True)
class Sorted:
    """The stacks of a study with the one to score, or why there is none."""

    candidates: tuple[Candidate, ...]
    chosen: Stack | None
    why: str
    refused_code: str = ""
    refused_message: str = ""


def sort_study(frames: Iterable[Frame]) -> Sorted:
    """Frames in any order → stacks, weighed, and the choice among them."""
    stacks = tuple(stack(frames))
    study = DicomStudy(stacks, [], [] if stacks else [("each of them", WITHOUT_PLACE)])
    try:
        candidate, _, _, candidates = choose_candidate(study, lay_out)
    except UnscorableError as error:
        weighed = error.candidates or weigh(study)
        return Sorted(tuple(weighed), None, "", error.code, error.message[:500])  # type: ignore[arg-type]
    return Sorted(candidates, candidate.series, why_chosen(candidate, candidates))


def series_values(candidate: Candidate) -> dict[str, object]:
    """The columns of a Series row for a stack."""
    found = candidate.series
    values: dict[str, object] = {
        "description": found.description[:120],
        "plane": candidate.plane,
        "is_fat_suppressed": candidate.fat_suppressed,
        "n_slices": candidate.n_slices,
        "code": candidate.code,
        "why": candidate.why[:500],
    }
    try:
        grid, _ = lay_out(found, strict=False)
    except UnscorableError as error:
        return {**values, "code": candidate.code or error.code, "why": f"{candidate.why}; {error.message}"[:500]}
    return {
        **values,
        "spacing_mm": [round(value, 4) for value in grid.spacing_mm],
        "tags": {
            **{key: value for key, value in describe(found).items() if key != "series_uid"},
            **acquisition_values(found, grid.spacing_mm),
        },
        "slices": [[s.uid, s.frame, s.transpose, s.flip_rows, s.flip_columns] for s in grid.sources],
        "window": window_of([frame.look for frame in found.frames if frame.look], WINDOW_PERCENTILES),
    }


def load_volume(series: Series) -> tuple[Volume, list[str]]:
    """The Volume of a stored stack and what is to be said about it.

    Raises
    ------
    UnscorableError
        The stack is no even one or can't be decoded any more.
    """
    return build_volume(load_stack(series))


def load_stack(series: Series) -> Stack:
    """The stack of a Series row, from its stored files."""
    frames = [frame for instance in series.instances.all() for frame in read_stored_frames(instance.path)]
    wanted = frame_keys(series)
    mine = [frame for frame in frames if (frame.uid, frame.number) in wanted]
    stacks = stack(mine)
    for found in stacks:
        if len(found.frames) == len(wanted):
            return found
    raise UnscorableError(
        "inconsistent", f"the stored files of the series make {len(stacks)} stacks; one of {len(wanted)} slices is expected"
    )


def frame_keys(series: Series) -> set[tuple[str, int | None]]:
    """(SOP Instance UID, frame number) of each slice of a Series row."""
    return {(str(row[0]), row[1]) for row in series.slices}


def stack_keys(found: Stack) -> set[tuple[str, int | None]]:
    """(SOP Instance UID, frame number) of each slice of a stack."""
    return {(frame.uid, frame.number) for frame in found.frames}


def write_series(study: Study, result: Sorted) -> None:
    """Make the Series rows of a study agree with its stacks, and choose the one to score.

    A stack that later files changed keeps its row, marked superseded, where scores hang on it; else the row goes. A person's
    choice stays; where its stack changed, it is the largest coronal one of the same series.
    """
    is_picked = study.series_chosen_by_id is not None or study.is_sequence_overridden
    picked = study.chosen_series.series_uid if is_picked and study.chosen_series else ""
    current = {frozenset(frame_keys(row)): row for row in study.series.filter(is_superseded=False) if row.slices}
    next_part: dict[str, int] = {}
    for row in study.series.all():
        next_part[row.series_uid] = max(next_part.get(row.series_uid, 0), row.stack + 1)
    instances = {instance.sop_uid: instance for instance in study.instances.filter(state=Instance.State.CURRENT)}
    kept: set[int] = set()
    chosen: Series | None = None
    for candidate in result.candidates:
        uid = candidate.series.uid
        known = current.get(frozenset(stack_keys(candidate.series)))
        row = known or _create(study, candidate, next_part.get(uid, 0), instances)
        next_part[uid] = max(next_part.get(uid, 0), row.stack + 1)
        kept.add(row.pk)
        if candidate.series is result.chosen:
            chosen = row
            Series.objects.filter(pk=row.pk).update(why=result.why[:500], code="")
    retire_series([row for row in study.series.filter(is_superseded=False) if row.pk not in kept])
    _choose(study, chosen, result, picked)


def _create(study: Study, candidate: Candidate, part: int, instances: dict[str, Instance]) -> Series:
    row = Series.objects.create(study=study, series_uid=candidate.series.uid, stack=part, **series_values(candidate))
    row.instances.set({instances[frame.uid] for frame in candidate.series.frames})
    return row


def retire_series(rows: Iterable[Series]) -> None:
    """Take stacks out of use: kept, marked superseded, where scores hang on them; else deleted."""
    for row in rows:
        if row.scores.exists() or row.segmentations.exists() or row.reviews.exists():
            Series.objects.filter(pk=row.pk).update(is_superseded=True)
        else:
            row.delete()


def _choose(study: Study, chosen: Series | None, result: Sorted, picked: str) -> None:
    """Note which series is scored; `picked` is the UID of the series that a person chose, empty where nobody did."""
    mine = (
        [row for row in study.series.filter(series_uid=picked, is_superseded=False, plane="coronal") if row.slices]
        if picked
        else []
    )
    if mine:
        former = [row for row in mine if row.pk == study.chosen_series_id]
        stays = former[0] if former else max(mine, key=lambda row: row.n_slices)
        study.chosen_series, study.is_sequence_overridden = stays, bool(stays.code)
        study.refused_code = study.refused_message = ""
    else:
        study.chosen_series, study.series_chosen_by, study.is_sequence_overridden = chosen, None, False
        study.refused_code, study.refused_message = result.refused_code, result.refused_message
    study.save(update_fields=["chosen_series", "series_chosen_by", "is_sequence_overridden", "refused_code", "refused_message"])
