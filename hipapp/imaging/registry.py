"""Which model is in force, and its files on this machine; needs no torch."""

import shutil
import tempfile
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from hipapp.accounts.models import User
from hipapp.core.errors import DomainError
from hipapp.core.storage import DamagedFileError, MissingFileError, put_content, read_content
from hipapp.imaging.bundles import DESCRIPTION, BundleFiles, BundleRefusedError, calibration_of, read_bundle, written
from hipapp.imaging.models import ModelVersion, Promotion


class NoModelError(DomainError):
    """No usable bundle is installed."""

    status = 503


def bundle_folder() -> Path:
    """Folder of the bundle that this release ships."""
    return Path(settings.BASE_DIR) / "ml" / "weights" / "default"


def ensure_model_in_force() -> ModelVersion:
    """The model in force. Where there is none yet, the one that this release ships is stored and put in force.

    Once a model is in force only a promotion replaces it, whatever later releases ship.

    Raises
    ------
    NoModelError
        There is none, and the shipped bundle is missing or damaged.
    """
    known = ModelVersion.objects.filter(is_in_force=True).first()
    if known is not None and known.files:
        return known
    try:
        bundle = read_bundle(bundle_folder())
    except BundleRefusedError as error:
        raise NoModelError(
            f"No model is installed: {bundle_folder()} is missing or damaged. {error.message} Studies are stored and can be "
            "scored later; tell the administrator.",
            code="no_model",
        ) from error
    with transaction.atomic():
        list(ModelVersion.objects.select_for_update().filter(is_in_force=True))
        model = store_bundle(bundle, state=ModelVersion.State.READY)
        if not model.is_in_force:
            put_in_force(model, reason="Shipped with the release")
    return model


def store_bundle(bundle: BundleFiles, **values: object) -> ModelVersion:
    """The row of a bundle, with its files in the private storage."""
    files = {name: put_content(content, "models", Path(name).suffix) for name, content in bundle.files.items()}
    model, _ = ModelVersion.objects.update_or_create(
        sha256=bundle.sha256,
        defaults={
            "name": bundle.name,
            "version": bundle.version,
            "settings": _section(bundle.description, "settings"),
            "metrics": _section(bundle.description, "metrics"),
            "description": bundle.description,
            "files": files,
            "n_bytes": bundle.n_bytes,
            **values,
        },
    )
    return model


def brings_calibration(bundle: BundleFiles, model: ModelVersion) -> bool:
    """Whether the same weights come with a calibration of intervals that the model does not have."""
    return calibration_of(bundle.description) not in (None, calibration_of(model.description))


def renew_figures(model: ModelVersion, bundle: BundleFiles) -> None:
    """Keep what was measured of a model's weights since they came: the calibration of its intervals and its figures."""
    metrics = _section(bundle.description, "metrics")
    parts = {part: model.description[part] | {"metrics": metrics[part]} for part in metrics if part in model.settings}
    model.description |= parts | {"interval": bundle.description["interval"]}
    model.metrics = metrics
    model.save(update_fields=["description", "metrics"])


def put_in_force(model: ModelVersion, *, by: User | None = None, reason: str, is_rollback: bool = False) -> Promotion:
    """Put a model in force instead of the one that is, and note it; inside a transaction that locked the latter."""
    replaced = ModelVersion.objects.filter(is_in_force=True).first()
    ModelVersion.objects.filter(is_in_force=True).update(is_in_force=False)
    model.is_in_force = True
    model.promoted_at = model.promoted_at or timezone.now()
    model.save(update_fields=["is_in_force", "promoted_at"])
    return Promotion.objects.create(model_version=model, replaced=replaced, by=by, reason=reason, is_rollback=is_rollback)


def model_folder_root() -> Path:
    """Where this machine keeps its copies of models."""
    return Path(settings.VAR_DIR) / "models"


def model_folder(model: ModelVersion) -> Path:
    """The bundle of a model as a folder of this machine, fetched from the storage on first use.

    Raises
    ------
    NoModelError
        The storage has its files no more.
    """
    folder = model_folder_root() / model.sha256
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    incoming = Path(tempfile.mkdtemp(dir=folder.parent, prefix="incoming-"))
    try:
        for name, path in model.files.items():
            (incoming / name).write_bytes(read_content(path))
        (incoming / DESCRIPTION).write_bytes(written(model.description))
        incoming.rename(folder)
    except (MissingFileError, DamagedFileError) as error:
        raise NoModelError(
            f"The files of model {model} are missing or damaged in the file storage. Tell the administrator: the model can be "
            "imported again, and studies be scored then.",
            code="model_files_missing",
        ) from error
    except OSError:
        if not folder.is_dir():  # else another process of this machine was faster
            raise
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return folder


def forget_folder(model: ModelVersion) -> None:
    """Throw this machine's copy of a model away, so that it is fetched anew."""
    shutil.rmtree(model_folder_root() / model.sha256, ignore_errors=True)


def _section(description: dict, key: str) -> dict:
    return {part: value[key] for part, value in description.items() if isinstance(value, dict) and key in value}
