"""From a Volume or from files to the score of both hips: outlines by `ml.predict`, faults of the pictures by `ml.quality`,
figures by `scoring.mri`, nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from ml.bundle import Bundle
from ml.crops import Point
from ml.dicom import Choice, Study, UnscorableError, Volume, best_coronal, choose_series, read_study
from ml.interval import Interval, calibration_of, spread_of
from ml.predict import HipOutline, Prediction, Refusal, locate, segment
from ml.quality import Flag, Thresholds, check, read_thresholds
from scoring.errors import ScoringError
from scoring.mri.patient import PatientScore
from scoring.mri.slices import TooFewSlicesError
from scoring.mri.unet_score import HipScore, score_hip, score_patient

STOPPED = "quality_"  # how the code of a refusal for poor pictures begins


@dataclass(frozen=True)
class ScoredHip:
    """One hip: its outline, and its score or the reason why there is none."""

    outline: HipOutline
    score: HipScore | None
    refused: Refusal | None
    interval: Interval | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether it has an outline, but pictures too poor for a score."""
        return self.refused is not None and self.refused.code.startswith(STOPPED)

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
    flags: tuple[Flag, ...] = ()

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
    volume: Volume,
    bundle: Bundle,
    boxes: Mapping[str, Point] | None = None,
    device: str | None = None,
    any_sequence: bool = False,
    with_interval: bool = False,
) -> VolumeScore:
    """Outlines and UNet-scores of both hips of a coronal Volume.

    Parameters
    ----------
    boxes : side to LPS centre in mm, optional
        Where a person put the boxes.
    any_sequence : a person asked for a sequence that is not fat-suppressed: its contrast stops no score
    with_interval : give each score its interval too; takes several times as long

    Raises
    ------
    NoIntervalError
        An interval is asked for and the bundle has no calibration for it.

    Notes
    -----
    A hip that is not found, has no plausible head, fewer than five hip slices or pictures too poor to be scored has a reason
    instead of a score.
    """
    if with_interval:
        calibration_of(bundle)
    prediction = segment(volume, bundle, boxes, device)
    flags = faults(volume, prediction, any_sequence)
    right, left = (_score(outline, volume, stopped(outline.side, flags)) for outline in prediction.hips)
    if with_interval:
        right, left = (replace(hip, interval=interval_of(volume, bundle, hip, device)) for hip in (right, left))
    return VolumeScore(volume, prediction, (right, left), score_patient(right.score, left.score), flags)


def faults(volume: Volume, prediction: Prediction, any_sequence: bool = False) -> tuple[Flag, ...]:
    """What is wrong with the pictures of the hips that were found."""
    hips = [(hip.side, hip.centre_mm, hip.mask) for hip in prediction.hips if hip.centre_mm is not None]
    return check(volume, hips, _thresholds(), any_sequence)


def stopped(side: str, flags: tuple[Flag, ...]) -> Refusal | None:
    """Why the pictures of a hip are too poor for a score; None where they are not."""
    flag = next((flag for flag in flags if flag.stops and flag.side in ("", side)), None)
    return None if flag is None else Refusal(f"{STOPPED}{flag.code}", flag.message)


def interval_of(volume: Volume, bundle: Bundle, hip: ScoredHip, device: str | None = None) -> Interval | None:
    """The interval of a hip's score; None where there is no score, or too few of its variants have one."""
    if hip.score is None or hip.score.unet_score is None:
        return None
    spread = spread_of(volume, bundle, hip.outline, hip.score.unet_score, device)
    return None if spread is None else calibration_of(bundle).interval(spread)


@cache
def _thresholds() -> Thresholds:
    return read_thresholds()


def score_path(path: Path | str, bundle: Bundle, any_sequence: bool = False, with_interval: bool = False) -> StudyScore:
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
    scored = score_volume(choice.volume, bundle, any_sequence=any_sequence, with_interval=with_interval)
    return StudyScore(choice, scored, scored.refused, _unique(choice.warnings, _remarks(study)))


def _looked_at(study: Study, bundle: Bundle, refused: Refusal) -> StudyScore:
    choice = best_coronal(study)
    if choice is None:
        return StudyScore(None, None, refused, _unique(study.warnings, _remarks(study)))
    prediction = locate(choice.volume, bundle, refused)
    right, left = (ScoredHip(outline, None, outline.refused) for outline in prediction.hips)
    scored = VolumeScore(choice.volume, prediction, (right, left), score_patient(None, None))
    return StudyScore(choice, scored, refused, _unique(choice.warnings, _remarks(study)))


def _score(outline: HipOutline, volume: Volume, too_poor: Refusal | None) -> ScoredHip:
    refused = outline.refused or too_poor
    if refused is not None:
        return ScoredHip(outline, None, refused)
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
