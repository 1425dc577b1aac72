"""The one door to the torch half of `ml`: a stored series goes in, the outlines of its hips come out."""

import functools
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from django.conf import settings

from hipapp.core.errors import DomainError
from hipapp.imaging.bundles import calibration_of
from hipapp.imaging.models import ModelVersion, Series
from hipapp.imaging.outcome import HipOutcome, StackOutcome
from hipapp.imaging.registry import forget_folder, model_folder, model_folder_root
from hipapp.imaging.stacks import load_volume

if TYPE_CHECKING:
    from ml.bundle import Bundle
    from ml.quality import Flag
    from ml.study_score import ScoredHip

log = logging.getLogger(__name__)
Say = Callable[[float, str], None]
N_LOADED = 2


class BrokenModelError(DomainError):
    """The bundle can't be loaded on this worker."""

    status = 503


class UnfitModelError(DomainError):
    """The bundle does not make networks that work with this version of the code."""


def segment(series: Series, model: ModelVersion, say: Say) -> StackOutcome:
    """Outlines of both hips of a stored series on its original grid; torch is imported here and nowhere else.

    Parameters
    ----------
    series : a coronal stack with its files in the storage
    model : the version that was ordered
    say : told how far it is, percent and words

    Raises
    ------
    UnscorableError
        The stack is no even one, or can't be decoded.
    BrokenModelError
        The bundle is damaged, or made for another version of the code.
    NoModelError
        The storage has its files no more.
    """
    from ml.study_score import score_volume

    say(5, "Loading the model")
    bundle = replace(_bundle(model.sha256), description=model.description)  # a calibration may have come since it was loaded
    say(15, f"Reading {series.n_slices} slices")
    volume, warnings = load_volume(series)
    say(30, "Finding both hips and outlining them")
    with_interval = settings.SCORE_INTERVALS and calibration_of(model.description) is not None
    scored = score_volume(volume, bundle, any_sequence=bool(series.code), with_interval=with_interval)
    return StackOutcome(
        hips=tuple(_hip(hip, scored.flags) for hip in scored.hips),
        pixels=volume.pixels,
        spacing_mm=volume.spacing_mm,
        uids=volume.uids,
        warnings=tuple([*warnings, *_remarks(series, model)]),
    )


def try_model(model: ModelVersion) -> None:
    """Load a model and have it look at noise.

    Raises
    ------
    UnfitModelError
        Its weights do not fit, or what comes out are no probabilities; says which.
    """
    from ml.trial import try_bundle

    try:
        try_bundle(_load(model.sha256))
    except (OSError, ValueError) as error:  # BundleError and TrialError are ValueErrors
        log.warning("model %s is refused", model, exc_info=True)
        said = " ".join(str(error).replace(f"{model_folder_root() / model.sha256}", "the bundle").split())
        raise UnfitModelError(f"The model can't be used: {said[:400]}", code="unfit_model") from error


@functools.lru_cache(maxsize=N_LOADED)
def _bundle(sha256: str) -> "Bundle":
    """A model in this worker's memory, loaded once: the one in force, and the one that it is compared with."""
    try:
        return _load(sha256)
    except (OSError, ValueError) as error:  # BundleError is a ValueError
        log.exception("the model can't be loaded")
        raise BrokenModelError(
            "The model can't be loaded on this worker. Tell the administrator; the study can be scored again later.",
            code="broken_model",
        ) from error


def _load(sha256: str) -> "Bundle":
    from ml.bundle import load

    model = ModelVersion.objects.get(sha256=sha256)
    try:
        return load(model_folder(model))
    except (OSError, ValueError):
        forget_folder(model)  # this machine's copy may be what is damaged
        raise


def _hip(hip: "ScoredHip", flags: "tuple[Flag, ...]") -> HipOutcome:
    outline, interval = hip.outline, hip.interval
    refused = hip.refused if outline.refused or hip.is_stopped else None  # the others are found where the score is stored
    return HipOutcome(
        side=outline.side,
        found=outline.found.found,
        confidence=outline.found.confidence,
        centre_mm=outline.centre_mm,
        box={key: round(float(value), 2) for key, value in asdict(outline.box).items()} if outline.box else None,
        mask=None if outline.refused else outline.mask,
        refused=(refused.code, refused.message) if refused else None,
        interval=(interval.low, interval.high, interval.level, interval.method) if interval else None,
        flags=tuple(asdict(flag) for flag in flags if flag.side in ("", outline.side)),
    )


def _remarks(series: Series, model: ModelVersion) -> Iterator[str]:
    if series.code:
        yield f"Scored on a sequence that is not meant for it, as a radiologist asked: {series.why}"
    if settings.SCORE_INTERVALS and calibration_of(model.description) is None:
        yield f"No interval: {model} holds no calibration for it. The page of the model says how to make one."
