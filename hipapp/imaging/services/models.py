"""Bundles imported, checked, put in force and taken back. Only an administrator does; without a person it is the command line."""

import logging

from django.db import transaction

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, can
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from hipapp.imaging.bundles import BundleFiles, BundleRefusedError
from hipapp.imaging.models import ModelVersion, Promotion, Score
from hipapp.imaging.registry import brings_calibration, ensure_model_in_force, put_in_force, renew_figures, store_bundle
from hipapp.jobs.services import order_job

log = logging.getLogger(__name__)
State = ModelVersion.State


def import_bundle(bundle: BundleFiles, user: User | None) -> ModelVersion:
    """The row of a new bundle, still to be checked by a worker (`order_check`) or here (`check_model`).

    The same weights again, with another calibration of intervals, need no check: only what was measured of them is renewed.

    Raises
    ------
    ConflictError
        The bundle is here already, or another one has its name and version.
    """
    _require_administrator(user)
    with transaction.atomic():
        if known := ModelVersion.objects.select_for_update().filter(sha256=bundle.sha256).exclude(state=State.REFUSED).first():
            if not brings_calibration(bundle, known):
                raise ConflictError(f"This bundle is here already, as {known}.", code="model_known", field="bundle")
            renew_figures(known, bundle)
            return known
        if ModelVersion.objects.filter(name=bundle.name, version=bundle.version).exclude(sha256=bundle.sha256).exists():
            raise ConflictError(
                f"Another model is called {bundle.name} {bundle.version} already, and scores are told apart by that. Give the "
                "new one another version in its bundle.json.",
                code="version_taken",
                field="bundle",
            )
        return store_bundle(bundle, state=State.CHECKING, refused_message="", imported_by=user)


def order_check(model: ModelVersion, user: User | None) -> None:
    """Have a worker load the model and try it."""
    order_job(
        "imaging.check_model",
        arguments={"model_sha256": model.sha256},
        user=user,
        subject=("model", model.pk),
        unique_key=f"check:{model.sha256}",
        queue="gpu",
    )


def check_model(model: ModelVersion) -> None:
    """Load the model and try it; from then on it is ready, or refused with the reason. Needs torch: never in a web process.

    Raises
    ------
    BundleRefusedError
        It can't be loaded, or what it gives is no probability.
    """
    from hipapp.imaging import inference

    try:
        inference.try_model(model)
    except inference.UnfitModelError as error:
        ModelVersion.objects.filter(pk=model.pk).update(state=State.REFUSED, refused_message=error.message[:500])
        raise BundleRefusedError(error.message) from error
    ModelVersion.objects.filter(pk=model.pk).update(state=State.READY, refused_message="")


def n_compared(model: ModelVersion, baseline: ModelVersion) -> int:
    """How many hips both models have said their word on."""
    theirs = Score.objects.filter(model_version=baseline)
    return Score.objects.filter(model_version=model, series__in=theirs.values("series")).count()


def promote_model(model: ModelVersion, user: User | None, *, reason: str, is_uncompared_accepted: bool = False) -> Promotion:
    """Put a checked model in force; studies that are ordered from now on are scored with it, without a restart.

    Raises
    ------
    ConflictError
        It is in force already, not checked, or was not compared with the model in force on the studies that this has scored.
    """
    _require_administrator(user)
    reason = _required(reason)
    with transaction.atomic():
        current = ModelVersion.objects.select_for_update().filter(is_in_force=True).first()
        model = ModelVersion.objects.select_for_update().get(pk=model.pk)
        if model.is_in_force:
            raise ConflictError(f"{model} is in force already.", code="in_force")
        if model.state != State.READY:
            raise ConflictError(f"{model} can't be put in force: {model.get_state_display().lower()}.", code="not_ready")
        has_scored = current is not None and Score.objects.filter(model_version=current).exists()
        if has_scored and not is_uncompared_accepted and not n_compared(model, current):  # type: ignore[arg-type]
            raise ConflictError(
                f"{model} was not compared with {current}, which is in force. Score the studies again with {model} first, and "
                "look at the differences.",
                code="not_compared",
            )
        promotion = put_in_force(model, by=user, reason=reason)
    log.info("model %s in force instead of %s", model, current)
    return promotion


def rollback_model(user: User | None, *, reason: str) -> Promotion:
    """Put the model in force again that was before the one that is; done again, it goes one further back.

    Raises
    ------
    ConflictError
        There was none before, or its files are gone.
    """
    _require_administrator(user)
    reason = _required(reason)
    with transaction.atomic():
        current = ModelVersion.objects.select_for_update().filter(is_in_force=True).first()
        before = model_before()
        if before is None:
            raise ConflictError("No model was in force before this one.", code="no_model_before")
        if not before.files:
            raise ConflictError(f"The files of {before} were never kept. Import its bundle again.", code="no_files")
        promotion = put_in_force(before, by=user, reason=reason, is_rollback=True)
    log.info("model %s in force again instead of %s", before, current)
    return promotion


def model_before() -> ModelVersion | None:
    """The model that a rollback leads to: what the newest promotion replaced that no rollback has taken back."""
    n_taken_back = 0
    for row in Promotion.objects.select_related("replaced"):
        if not row.is_rollback and not n_taken_back:
            return row.replaced
        n_taken_back += 1 if row.is_rollback else -1
    return None


def may_manage_models(user: User) -> bool:
    """Whether the person administers a centre: models are the whole installation's."""
    return can(user, Act.MANAGE)


def install_shipped() -> ModelVersion | None:
    """The model in force, the shipped one where there is none; None where nothing can be installed."""
    try:
        return ensure_model_in_force()
    except DomainError:
        log.exception("no model could be installed")
        return None


def _require_administrator(user: User | None) -> None:
    if user is not None and not may_manage_models(user):
        raise ForbiddenError("Only an administrator may change the models. Ask one of your centre.", code="forbidden")


def _required(reason: str) -> str:
    reason = " ".join(reason.split())
    if len(reason) < 3:
        raise DomainError("Say in a few words why.", code="reason_needed", field="reason")
    return reason[:300]
