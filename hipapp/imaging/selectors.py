"""Reads of imaging: which studies a person may see, and the lists of them."""

from dataclasses import dataclass

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery

from hipapp.accounts.models import Centre, User
from hipapp.accounts.permissions import Act, can, centres_for
from hipapp.imaging.models import (
    CrossValidation,
    Erasure,
    Instance,
    ModelVersion,
    Rescoring,
    Review,
    Score,
    Sender,
    Study,
    Upload,
)
from hipapp.imaging.results import HipResult, counting_scores, results_of_studies, scores_by_visit

__all__ = [
    "HipResult",
    "counting_scores",
    "contested_pairs",
    "contested_studies",
    "held_studies",
    "managed_senders",
    "may_see_images",
    "model_in_force",
    "results_of_studies",
    "scores_by_visit",
    "search_studies",
    "unassigned_studies",
    "visible_erasures",
    "visible_rescorings",
    "visible_scores",
    "visible_studies",
    "visible_uploads",
    "waiting_erasures",
]


def visible_studies(user: User) -> QuerySet[Study]:
    """Studies of the centres where the person may see patients, newest acquisition first."""
    return (
        Study.objects.filter(centre__in=centres_for(user, Act.VIEW_PATIENTS))
        .select_related("centre__imaging_policy", "visit__patient", "chosen_series", "intended_patient", "intended_visit")
        .order_by(F("acquired_at").desc(nulls_last=True), "-created_at")
    )


def visible_uploads(user: User) -> QuerySet[Upload]:
    """Uploads of the centres where the person may upload."""
    return Upload.objects.filter(centre__in=centres_for(user, Act.UPLOAD)).select_related("job", "centre", "user")


def visible_scores(user: User) -> QuerySet[Score]:
    """Every score row of visible studies; which one counts for a hip is said by `results_of_studies`."""
    return Score.objects.filter(series__study__in=visible_studies(user).order_by()).select_related(
        "series__study__visit__patient", "model_version"
    )


def visible_erasures(user: User) -> QuerySet[Erasure]:
    """Orders to erase at the centres where the person may erase, or which they administer; newest first."""
    centres = Q(centre__in=centres_for(user, Act.ERASE)) | Q(centre__in=centres_for(user, Act.MANAGE))
    return Erasure.objects.filter(centres).select_related("centre", "asked_by", "confirmed_by")


def waiting_erasures(user: User) -> QuerySet[Erasure]:
    """Orders to erase that wait for their second word, at the centres where the person may give it."""
    return visible_erasures(user).filter(centre__in=centres_for(user, Act.ERASE), state=Erasure.State.ASKED)


def managed_senders(user: User) -> QuerySet[Sender]:
    """DICOM senders of the centres that the person administers, with the time of their last delivery."""
    last = Upload.objects.filter(sender=OuterRef("pk")).order_by("-created_at").values("created_at")[:1]
    return (
        Sender.objects.filter(centre__in=centres_for(user, Act.MANAGE)).select_related("centre").annotate(last_at=Subquery(last))
    )


def contested_studies(user: User) -> QuerySet[Study]:
    """Studies with images that contradict stored ones of the same UID; `n_contested` says how many."""
    waiting = Instance.objects.filter(study=OuterRef("pk"), state=Instance.State.CONFLICT).order_by().values("study")
    n = Subquery(waiting.annotate(n=Count("pk")).values("n"))
    return visible_studies(user).annotate(n_contested=n).filter(n_contested__gt=0)


@dataclass(frozen=True)
class Pair:
    """A stored image and the one of the same UID that contradicts it; `ours` is None where it was erased meanwhile."""

    number: int
    ours: Instance | None
    theirs: Instance

    @property
    def is_elsewhere(self) -> bool:
        """Whether the stored one belongs to another study."""
        return self.ours is not None and self.ours.study_id != self.theirs.study_id


def contested_pairs(study: Study) -> list[Pair]:
    """What a person has to decide about a study, in the order of the images' numbers."""
    theirs = list(study.instances.filter(state=Instance.State.CONFLICT))
    in_use = Instance.objects.filter(
        study__centre=study.centre_id, state=Instance.State.CURRENT, sop_uid__in=[row.sop_uid for row in theirs]
    )
    ours = {row.sop_uid: row for row in sorted(in_use, key=lambda row: row.study_id == study.pk)}
    pairs = [Pair(row.number, ours.get(row.sop_uid), row) for row in theirs]
    return sorted(pairs, key=lambda pair: (pair.number, pair.theirs.pk))


def may_see_images(user: User, study: Study) -> bool:
    """Whether the pictures may be shown: those of a held study, which may show a name, to care roles only."""
    return study.state == Study.State.READY or can(user, Act.VIEW_IDENTITY, study.centre)


def unassigned_studies(user: User) -> QuerySet[Study]:
    """Studies that wait for a person to attach them to a visit."""
    return visible_studies(user).filter(visit=None, state=Study.State.READY)


def held_studies(user: User) -> QuerySet[Study]:
    """Studies that were stopped, with the reasons in `held_reasons`."""
    return visible_studies(user).filter(state=Study.State.HELD)


STUDY_FILTERS = {
    "unreviewed": "Score not reviewed",
    "refused": "Not scored",
    "unassigned": "Unassigned",
    "held": "Held",
}


def search_studies(studies: QuerySet[Study], words: str = "", kind: str = "") -> QuerySet[Study]:
    """Studies whose patient's code or description holds the words, of one kind of `STUDY_FILTERS`."""
    for word in words.split()[:8]:
        studies = studies.filter(Q(visit__patient__study_code__icontains=word) | Q(description__icontains=word))
    if kind == "unassigned":
        return studies.filter(visit=None, state=Study.State.READY)
    if kind == "held":
        return studies.filter(state=Study.State.HELD)
    if kind == "refused":
        return studies.exclude(refused_code="")
    if kind == "unreviewed":
        newest = Review.objects.filter(series=OuterRef("series"), side=OuterRef("side")).order_by("-created_at", "-pk")
        scores = counting_scores().filter(series=OuterRef("chosen_series"), refused_code="")
        scores = scores.annotate(verdict=Subquery(newest.values("verdict")[:1]))
        return studies.filter(Exists(scores.filter(Q(verdict=None) | Q(verdict=Review.Verdict.WITHDRAWN))))
    return studies


def visible_rescorings(user: User) -> QuerySet[Rescoring]:
    """Re-scorings of centres that the person administers, all of them."""
    others = Centre.objects.exclude(pk__in=centres_for(user, Act.MANAGE).values("pk"))
    return (
        Rescoring.objects.exclude(centres__in=others)
        .select_related("model_version", "baseline", "job", "ordered_by")
        .prefetch_related("centres")
    )


def visible_cross_validations(user: User) -> QuerySet[CrossValidation]:
    """Comparisons of networks: of the whole installation, for coordinators and administrators of any centre."""
    rows = CrossValidation.objects.all()
    return rows if can(user, Act.COMPARE_NETWORKS) else rows.none()


def model_in_force() -> ModelVersion | None:
    """The model version whose scores are shown first; None before the first study."""
    return ModelVersion.objects.filter(is_in_force=True).first()
