"""Which model is in force, read from the bundle's description; needs no torch."""

import hashlib
import json
from pathlib import Path

from django.conf import settings
from django.db import transaction

from hipapp.core.errors import DomainError
from hipapp.imaging.models import ModelVersion


class NoModelError(DomainError):
    """No usable bundle is installed."""

    status = 503


def bundle_folder() -> Path:
    """Folder of the bundle in force."""
    return Path(settings.BASE_DIR) / "ml" / "weights" / "default"


def register_model() -> ModelVersion:
    """The row of the installed bundle, made on first sight and put in force.

    Raises
    ------
    NoModelError
        The bundle or its description is missing or damaged.
    """
    description = _describe(bundle_folder())
    sha256 = description_hash(description)
    known = ModelVersion.objects.filter(sha256=sha256, is_in_force=True).first()
    if known is not None:
        return known
    with transaction.atomic():
        list(ModelVersion.objects.select_for_update().filter(is_in_force=True))
        ModelVersion.objects.filter(is_in_force=True).exclude(sha256=sha256).update(is_in_force=False)
        model, _ = ModelVersion.objects.update_or_create(
            sha256=sha256,
            defaults={"is_in_force": True},
            create_defaults={
                "name": str(description["name"]),
                "version": str(description["version"]),
                "settings": _section(description, "settings"),
                "metrics": _section(description, "metrics"),
                "is_in_force": True,
            },
        )
    return model


def description_hash(description: dict) -> str:
    """The bundle's SHA-256 as `ml.bundle.bundle_hash` makes it, which can't be called here because it needs torch."""
    files = description["files"]
    return hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()


def _section(description: dict, key: str) -> dict:
    return {part: value[key] for part, value in description.items() if isinstance(value, dict) and key in value}


def _describe(folder: Path) -> dict:
    path = folder / "bundle.json"
    try:
        description = json.loads(path.read_text())
        description_hash(description)
        str(description["name"]), str(description["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoModelError(
            f"No model is installed: {path} is missing or damaged. Studies are stored and can be scored later; "
            "tell the administrator.",
            code="no_model",
        ) from error
    return description
