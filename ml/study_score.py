"""From a Volume or from files to the score of both hips: outlines by `ml.predict`, figures by `scoring.mri`, nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ml.bundle import Bundle
from ml.crops import Point
from ml.dicom import Choice, Study, UnscorableError, Volume, best_coronal, choose_series, read_study
from ml.predict import HipOutline, Prediction, Refusal, locate, segment
from scoring.errors import ScoringError
from scoring.mri.patient import PatientScore
from scoring.mri.slices import TooFewSlicesError
from scoring.mri.unet_score import HipScore, score_hip, score_patient


@dataclass(frozen=True)
class ScoredHip:
    """One hip: its outline, and its score or the reason why there is none."""

    outline: HipOutline
    score: HipScore | None
    refused: Refusal | None

    @property
    def side(self) -> str:
        """The patient's side."""
        return self.outline.side


@dataclass(frozen=True)
class VolumeScore:
    """Both hips of one Volume."""

    volume: Volume
    prediction: Prediction
    hips: tuple[ScoredHip, ScoredHip]
    patient: PatientScore

    @property
    def refused(self) -> Refusal | None:
        """Why neither hip has a score; None where one has."""
        if any(hip.score is not None for hip in self.hips):
            return None
        reasons = [hip.refused for hip in self.hips if hip.refused is not None]
        if all(reason.code == "hip_not_found" for reason in reasons):
            return Refusal("no_hips", "no hip was found: " + "; ".join(reason.message for reason in reasons))
        worst = next(reason for reason in reasons if reason.code != "hip_not_found")
        return Refusal(worst.code, "; ".join(dict.fromkeys(reason.message for reason in reasons)))


@dataclass(frozen=True)
class StudyScore:
    """What came of a path: the series that was looked at, its score, and why there is none where there is none."""

    choice: Choice | None
    scored: VolumeScore | None
    refused: Refusal | None
    warnings: tuple[str, ...] = field(default=())


def score_volume(
    volume: Volume, bundle: Bundle, boxes: Mapping[str, Point] | None = None, device: str | None = None
) -> VolumeScore:
    """Outlines and UNet-scores of both hips of a coronal Volume.

    Parameters
    ----------
    boxes : side to LPS centre in mm, optional
        Where a person put the boxes.

    Notes
    -----
    A hip that is not found, has no plausible head or fewer than five hip slices has a reason instead of a score.
    """
    prediction = segment(volume, bundle, boxes, device)
    right, left = (_score(outline, volume) for outline in prediction.hips)
    return VolumeScore(volume, prediction, (right, left), score_patient(right.score, left.score))


def score_path(path: Path | str, bundle: Bundle, any_sequence: bool = False) -> StudyScore:
    """The score of a folder, a file or an archive of DICOM.

    Where the study can't be scored, the hips of its best coronal stack are still looked for, so that `scored` says where
    they are; `refused` says why there is no score.

    Raises
    ------
    OSError
        Nothing can be read at `path`.
    """
    study = read_study(path)
    try:
        choice = choose_series(study, any_sequence)
    except UnscorableError as error:
        return _looked_at(study, bundle, Refusal(error.code, error.message))
    scored = score_volume(choice.volume, bundle)
    return StudyScore(choice, scored, scored.refused, _unique(choice.warnings, _remarks(study)))


def _looked_at(study: Study, bundle: Bundle, refused: Refusal) -> StudyScore:
    choice = best_coronal(study)
    if choice is None:
        return StudyScore(None, None, refused, _unique(study.warnings, _remarks(study)))
    prediction = locate(choice.volume, bundle, refused)
    right, left = (ScoredHip(outline, None, outline.refused) for outline in prediction.hips)
    scored = VolumeScore(choice.volume, prediction, (right, left), score_patient(None, None))
    return StudyScore(choice, scored, refused, _unique(choice.warnings, _remarks(study)))


def _score(outline: HipOutline, volume: Volume) -> ScoredHip:
    if outline.refused is not None:
        return ScoredHip(outline, None, outline.refused)
    try:
        score = score_hip(outline.mask, volume.pixels, volume.spacing_mm, outline.side)
    except TooFewSlicesError as error:
        message = f"the {outline.side} femoral head is on {error.n_hip_slices} slices; the score needs at least 5"
        return ScoredHip(outline, None, Refusal("too_few_slices", message))
    except ScoringError as error:
        return ScoredHip(outline, None, Refusal("not_scorable", str(error)))
    return ScoredHip(outline, score, None)


def _remarks(study: Study) -> tuple[str, ...]:
    """One line about files that were passed over."""
    n_refused = len(study.refused)
    if not n_refused:
        return ()
    name, reason = study.refused[0]
    more = f" (and {n_refused - 1} more)" if n_refused > 1 else ""
    return (f"not used: {name} {reason}{more}",)


def _unique(*groups: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for group in groups for text in group))
