"""What the pages of models show: the models with how much they are used, and what was measured of one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Max, QuerySet

from hipapp.imaging import registry
from hipapp.imaging.bundles import BundleFiles, BundleRefusedError, read_bundle
from hipapp.imaging.models import ModelVersion

LABELS = {"femur": "Femur", "femoral_head": "Femoral head", "bme": "BME", "synovitis": "Synovitis", "lesion": "Lesion"}
Described = dict[str, Any]
MEASURED_ON = {
    "first_generator": "First generator",
    "second_generator": "Second generator",
    "validation": "Validation patients while training",
    "cross_validation": "Test patients of fold {fold}",
}


@dataclass(frozen=True)
class Figure:
    """Mean Dice per hip volume of one label, over `n` hips where that is said."""

    dice: float
    n: int | None


@dataclass(frozen=True)
class Measured:
    """What was measured of a network on one set of patients: a figure, or None, for each of `LABELS`."""

    where: str
    figures: dict[str, Figure | None]


@dataclass(frozen=True)
class BundledNetwork:
    """A network that answers in a bundle, or a member of an ensemble; `sha256` is of a member's weights."""

    title: str
    kind: str
    settings: str
    sha256: str
    measured: tuple[Measured, ...]


def model_rows() -> QuerySet[ModelVersion]:
    """All models, the one in force first, with `n_scores` and `last_promoted_at`."""
    rows = ModelVersion.objects.annotate(
        n_scores=Count("scores", distinct=True), last_promoted_at=Max("promotions__at")
    ).select_related("imported_by")
    return rows.order_by("-is_in_force", F("last_promoted_at").desc(nulls_last=True), "-created_at")


def networks_of(model: ModelVersion) -> list[BundledNetwork]:
    """The network that the bundle describes, then the members where it is an ensemble; what is of no known shape is left out."""
    own = _mapping(model.description.get("unet"))
    members = _mapping(own.get("metrics")).get("members")
    described = [_mapping(member) for member in members] if isinstance(members, list) else []
    return [_network(str(model), own, "", _doubt(own))] + [
        _network(
            " ".join(_word(member.get(key)) for key in ("name", "version")).strip() or "a member",
            _mapping(member.get("unet")),
            _word(_mapping(member.get("files")).get("unet.safetensors")),
        )
        for member in described
    ]


def _network(title: str, about: Described, sha256: str, doubt: str = "") -> BundledNetwork:
    settings = [
        f"{key} {len(value) if isinstance(value, list) else value}" for key, value in _mapping(about.get("settings")).items()
    ]
    return BundledNetwork(
        title=title,
        kind=_word(about.get("network", "unet")),
        settings=", ".join([*settings, *filter(None, [doubt])]),
        sha256=sha256,
        measured=tuple(_measured(_mapping(about.get("metrics")))),
    )


def _doubt(about: Described) -> str:
    """What is drawn smaller where the network is not sure of it (`ml.doubt`); the members of an ensemble doubt nothing."""
    sure = _mapping(_mapping(about.get("metrics")).get("sure")).get("synovitis")
    is_logit = type(sure) in (int, float) and sure > 0  # type: ignore[operator]
    return f"synovitis that nowhere reaches a logit of {sure:g} is drawn smaller" if is_logit else ""


def _measured(metrics: Described) -> Iterator[Measured]:
    for key, words in MEASURED_ON.items():
        values = _mapping(metrics.get(key))
        figures = {name: _figure(_mapping(values.get("test_dice", values)).get(label)) for label, name in LABELS.items()}
        if any(figures.values()):
            yield Measured(words.format(fold=_word(values.get("fold"))), figures)


def _figure(value: object) -> Figure | None:
    """Of `{"dice": …, "n": …}`, or of the Dice alone."""
    dice, n = (value.get("dice"), value.get("n")) if isinstance(value, dict) else (value, None)
    if type(dice) not in (int, float) or not 0 <= dice <= 1:  # type: ignore[operator]
        return None
    return Figure(float(dice), n if type(n) is int else None)  # type: ignore[arg-type]


def _mapping(value: object) -> Described:
    return value if isinstance(value, dict) else {}


def _word(value: object) -> str:
    return str(value) if isinstance(value, str | int) else ""


def shipped(is_read: bool = False) -> BundleFiles | None:
    """The bundle that the release ships, where the models lack it or its calibration (or, with `is_read`, in any case)."""
    try:
        bundle = read_bundle(registry.bundle_folder())
    except BundleRefusedError:
        return None
    known = ModelVersion.objects.filter(sha256=bundle.sha256).first()
    return bundle if is_read or known is None or registry.brings_calibration(bundle, known) else None
