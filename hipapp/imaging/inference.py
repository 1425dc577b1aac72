"""The one door to the torch half of `ml`: a stored series goes in, the outlines of its hips come out."""

import functools
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from hipapp.core.errors import DomainError
from hipapp.imaging.models import ModelVersion, Series
from hipapp.imaging.outcome import HipOutcome, StackOutcome
from hipapp.imaging.registry import bundle_folder
from hipapp.imaging.stacks import load_volume

if TYPE_CHECKING:
    from ml.bundle import Bundle
    from ml.predict import HipOutline

log = logging.getLogger(__name__)
Say = Callable[[float, str], None]


class BrokenModelError(DomainError):
    """The bundle on this worker can't be loaded."""

    status = 503


class OtherModelError(DomainError):
    """The bundle on this worker is not the one that was ordered."""

    status = 409


def segment(series: Series, model: ModelVersion, say: Say) -> StackOutcome:
    """Outlines of both hips of a stored series on its original grid; torch is imported here and nowhere else.

    Parameters
    ----------
    series : a coronal stack with its files in the storage
    model : the version that was ordered; it has to be the bundle that this worker has
    say : told how far it is, percent and words

    Raises
    ------
    UnscorableError
        The stack is no even one, or can't be decoded.
    BrokenModelError
        This worker's bundle is damaged, or made for another version of the code.
    OtherModelError
        This worker has another bundle: it needs the same release as the rest.
    """
    say(5, "Loading the model")
    bundle = _bundle()
    if bundle.sha256 != model.sha256:
        _bundle.cache_clear()
        raise OtherModelError(
            f"This worker has model {bundle.name} {bundle.version}, another than the one ordered "
            f"({model.name} {model.version}). Restart the workers, then try again.",
            code="other_model",
        )
    say(15, f"Reading {series.n_slices} slices")
    volume, warnings = load_volume(series)
    say(30, "Finding both hips and outlining them")
    prediction = _predict(volume, bundle)
    return StackOutcome(
        hips=tuple(_hip(outline) for outline in prediction.hips),
        pixels=volume.pixels,
        spacing_mm=volume.spacing_mm,
        uids=volume.uids,
        warnings=tuple([*warnings, *_remarks(series)]),
    )


@functools.cache
def _bundle() -> "Bundle":
    """The bundle of this worker process, loaded once."""
    import torch

    from ml.bundle import load

    try:
        return load(bundle_folder(), device="cuda" if torch.cuda.is_available() else "cpu")
    except (OSError, ValueError) as error:  # BundleError is a ValueError
        log.exception("the model can't be loaded")
        raise BrokenModelError(
            "The model installed on this worker can't be loaded. Tell the administrator; the study can be scored again later.",
            code="broken_model",
        ) from error


def _predict(volume, bundle):  # type: ignore[no-untyped-def]
    from ml.predict import segment as predict

    return predict(volume, bundle)


def _hip(outline: "HipOutline") -> HipOutcome:
    refused = outline.refused
    return HipOutcome(
        side=outline.side,
        found=outline.found.found,
        confidence=outline.found.confidence,
        centre_mm=outline.centre_mm,
        box={key: round(float(value), 2) for key, value in asdict(outline.box).items()} if outline.box else None,
        mask=None if refused else outline.mask,
        refused=(refused.code, refused.message) if refused else None,
    )


def _remarks(series: Series) -> list[str]:
    if not series.code:
        return []
    return [f"Scored on a sequence that is not meant for it, as a radiologist asked: {series.why}"]
