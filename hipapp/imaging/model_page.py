"""What the pages of models show: the models with how much they are used, and what was measured of one."""

from dataclasses import dataclass

from django.db.models import Count, F, Max, QuerySet

from hipapp.imaging import registry
from hipapp.imaging.bundles import BundleFiles, BundleRefusedError, read_bundle
from hipapp.imaging.models import ModelVersion

LABELS = {"femur": "Femur", "femoral_head": "Femoral head", "bme": "BME", "synovitis": "Synovitis", "lesion": "Lesion"}
SETS = {"first_generator": "First generator", "second_generator": "Second generator", "validation": "Validation"}


@dataclass(frozen=True)
class Figure:
    """One measured figure: Dice per hip volume of a label on a set of phantoms."""

    where: str
    label: str
    dice: float
    n: int | None


def model_rows() -> QuerySet[ModelVersion]:
    """All models, the one in force first, with `n_scores` and `last_promoted_at`."""
    rows = ModelVersion.objects.annotate(
        n_scores=Count("scores", distinct=True), last_promoted_at=Max("promotions__at")
    ).select_related("imported_by")
    return rows.order_by("-is_in_force", F("last_promoted_at").desc(nulls_last=True), "-created_at")


def figures_of(model: ModelVersion) -> list[Figure]:
    """The Dice figures that the bundle brought along, in whatever part of its metrics they stand."""
    found = []
    for part in model.metrics.values():
        for key, measured in part.items() if isinstance(part, dict) else ():
            for label, values in measured.items() if isinstance(measured, dict) else ():
                dice = values.get("dice") if isinstance(values, dict) else None
                if label in LABELS and isinstance(dice, int | float):
                    n = values.get("n")
                    found.append(Figure(str(SETS.get(key, key)), LABELS[label], float(dice), n if isinstance(n, int) else None))
    return found


def shipped(is_read: bool = False) -> BundleFiles | None:
    """The bundle that the release ships, where it is not among the models yet (or, with `is_read`, in any case)."""
    try:
        bundle = read_bundle(registry.bundle_folder())
    except BundleRefusedError:
        return None
    is_known = ModelVersion.objects.filter(sha256=bundle.sha256).exists()
    return bundle if is_read or not is_known else None
