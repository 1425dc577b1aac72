"""Where a study belongs: attached, moved, detached, released after it was held; and which of its series is scored."""

from django.db import transaction

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, record_access, require
from hipapp.clinic.models import Patient, Visit
from hipapp.core.errors import ConflictError, DomainError
from hipapp.imaging.matching import forget_identity, kept_identity, mismatches
from hipapp.imaging.models import Score, Segmentation, Series, Study
from hipapp.imaging.policy import REFUSED as PROTOCOL
from hipapp.imaging.receiving.rows import visit_of_day
from hipapp.imaging.services.scores import order_scoring


class IdentityMismatchError(ConflictError):
    """The files name another person than the chosen patient; `reasons` name the fields, never values."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        super().__init__(
            f"The study was not attached: {', '.join(reasons)} between the files and the chosen patient. Choose the right "
            "patient, or confirm with a reason that it is the same person.",
            code="identity_mismatch",
            field="visit",
        )


def attach_study(
    study: Study,
    user: User,
    *,
    visit: Visit | None = None,
    patient: Patient | None = None,
    is_confirmed: bool = False,
    reason: str = "",
) -> Study:
    """Attach an unassigned or held study to a visit, or to the patient's visit on the day of the study; scoring is ordered.

    Raises
    ------
    IdentityMismatchError
        The files name another person, and nobody has confirmed (with a reason) that it is the right one.
    ConflictError
        The study is attached already, or belongs to another centre than the patient.
    """
    with transaction.atomic():
        study = _lock(study, user)
        if study.visit_id is not None:
            raise ConflictError("The study is attached already. Move it instead.", code="attached")
        target = _target(study, visit, patient)
        _check_identity(study, target.patient, user, is_confirmed, reason)
        _place(study, target)
        forget_identity(study)
        record_access(user, "attach", "study", study.pk)
        order_scoring(study, user)
    return study


def move_study(
    study: Study, user: User, *, visit: Visit | None = None, patient: Patient | None = None, reason: str = ""
) -> Study:
    """Move an attached study to another visit or patient of the same centre; to another patient only with a reason."""
    with transaction.atomic():
        study = _lock(study, user)
        if study.visit is None:
            raise ConflictError("The study has no visit yet. Attach it instead.", code="not_attached")
        target = _target(study, visit, patient)
        if target.patient_id != study.visit.patient_id:
            note_decision(study, user, required_reason(reason, "moved to another patient"))
        _place(study, target)
        record_access(user, "move", "study", study.pk)
    return study


def detach_study(study: Study, user: User, *, reason: str) -> Study:
    """Take a study off its visit; it waits in the unassigned list, without the identity of its files."""
    with transaction.atomic():
        study = _lock(study, user)
        if study.visit_id is None:
            raise ConflictError("The study has no visit already.", code="not_attached")
        note_decision(study, user, required_reason(reason, "detached"))
        study.visit = None
        study.save()
        record_access(user, "detach", "study", study.pk)
    return study


def release_study(study: Study, user: User, *, reason: str) -> Study:
    """Let a held study go on without a patient: scored, and left in the unassigned list to be attached later."""
    with transaction.atomic():
        study = _lock(study, user)
        if study.state != Study.State.HELD:
            raise ConflictError("The study is not held.", code="not_held")
        note_decision(study, user, required_reason(reason, "released"))
        study.state, study.held_reasons = Study.State.READY, []
        study.save()
        record_access(user, "release", "study", study.pk)
        order_scoring(study, user)
    return study


def override_protocol(study: Study, user: User, *, reason: str) -> Study:
    """Have a study scored in spite of its centre's protocol; radiologists only, kept with the reason.

    Hips that were refused for it are outlined and scored anew.
    """
    require(user, Act.REVIEW, study.centre)
    with transaction.atomic():
        study = Study.objects.select_for_update(of=("self",)).select_related("centre", "chosen_series").get(pk=study.pk)
        refused = Score.objects.filter(series__study=study, refused_code=PROTOCOL)
        if study.refused_code != PROTOCOL and not refused.exists():
            raise ConflictError("The protocol of the centre doesn't forbid a score of this study.", code="not_forbidden")
        study.protocol_decision, study.protocol_decided_by = required_reason(reason, "scored in spite of the protocol"), user
        study.save()
        outlines = list(refused.values_list("segmentation_id", flat=True))
        refused.delete()
        Segmentation.objects.filter(pk__in=outlines).delete()
        record_access(user, "override-protocol", "study", study.pk)
        order_scoring(study, user)
    return study


def choose_series(study: Study, user: User, series: Series) -> Study:
    """Have another series of the study scored, whatever its sequence; radiologists only, and each score of it says so."""
    require(user, Act.REVIEW, study.centre)
    with transaction.atomic():
        study = Study.objects.select_for_update(of=("self",)).select_related("centre").get(pk=study.pk)
        if series.study_id != study.pk or series.is_superseded:
            raise ConflictError("That series doesn't belong to this study any more.", code="other_study", field="series")
        if series.plane != "coronal" or not series.slices:
            raise DomainError(
                f"Only a coronal series with readable slices can be scored; this one is {series.plane}.",
                code="wrong_plane",
                field="series",
            )
        study.chosen_series, study.series_chosen_by = series, user
        study.is_sequence_overridden = bool(series.code)
        study.refused_code = study.refused_message = ""
        study.protocol_decision, study.protocol_decided_by = "", None  # was about the other series
        study.save()
        record_access(user, "choose-series", "study", study.pk)
        order_scoring(study, user)
    return study


def _lock(study: Study, user: User) -> Study:
    locked = Study.objects.select_for_update(of=("self",)).select_related("centre", "visit", "chosen_series").get(pk=study.pk)
    require(user, Act.UPLOAD, locked.centre)
    return locked


def _target(study: Study, visit: Visit | None, patient: Patient | None) -> Visit:
    patient = visit.patient if visit else patient
    if patient is None:
        raise DomainError("Choose a patient, or a visit of one.", code="visit_needed", field="visit")
    if patient.centre_id != study.centre_id:
        raise ConflictError("The patient belongs to another centre than the study.", code="other_centre", field="visit")
    target = visit or visit_of_day(study, patient)
    if target is None:
        raise DomainError("The files name no day of the study: choose the visit.", code="visit_needed", field="visit")
    return target


def _check_identity(study: Study, patient: Patient, user: User, is_confirmed: bool, reason: str) -> None:
    identity = kept_identity(study)
    found = mismatches(identity, patient) if identity else []
    reasons = list(dict.fromkeys([*found, *(why for why in study.held_reasons if not why.endswith(" differs"))]))
    if not reasons:
        return
    if not is_confirmed:
        raise IdentityMismatchError(reasons)
    require(user, Act.VIEW_IDENTITY, study.centre)
    note_decision(study, user, required_reason(reason, "attached in spite of the difference"))
    record_access(user, "confirm-identity", "study", study.pk)


def _place(study: Study, visit: Visit) -> None:
    study.visit = visit
    study.state, study.held_reasons = Study.State.READY, []
    study.intended_visit = study.intended_patient = None
    study.save()


def note_decision(study: Study, user: User, reason: str) -> None:
    """Write down who decided about the study, and why; the caller saves it."""
    study.decision, study.decided_by = reason, user


def required_reason(reason: str, act: str) -> str:
    """The reason on one line; DomainError where there is none."""
    reason = " ".join(reason.split())
    if len(reason) < 3:
        raise DomainError(f"Say in a few words why the study is {act}.", code="reason_needed", field="reason")
    return reason[:300]
