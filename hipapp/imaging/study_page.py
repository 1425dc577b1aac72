"""Everything that the page of a study shows, gathered in one frozen object."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.urls import reverse

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, can
from hipapp.clinic.models import Side
from hipapp.imaging.export.service import KINDS, Kind
from hipapp.imaging.models import HipBox, Instance, OriginalFile, Review, Segmentation, Series, SliceMeasure, Study
from hipapp.imaging.policy import REFUSED as PROTOCOL
from hipapp.imaging.policy import check_study
from hipapp.imaging.protocol import Check
from hipapp.imaging.results import ACCEPTED, HipResult, results_of_studies
from hipapp.imaging.selectors import may_see_images, model_in_force, visible_studies, waiting_erasures
from hipapp.jobs.models import Job
from scoring.mri.patient import PatientScore, combine_hips


@dataclass(frozen=True)
class HipRow:
    """One line of the table per hip."""

    side: str
    letter: str
    result: HipResult | None
    box: HipBox | None
    reviews: tuple[Review, ...]

    @property
    def can_undo(self) -> bool:
        """Whether there is a verdict to take back."""
        return bool(self.reviews) and self.reviews[0].verdict != Review.Verdict.WITHDRAWN


@dataclass(frozen=True)
class StudyPage:
    """What stands on a study's page; `viewer` goes to the script as JSON."""

    series: Series | None
    all_series: tuple[Series, ...]
    hips: tuple[HipRow, ...]
    patient: PatientScore | None
    job: Job | None
    model: str
    viewer: dict[str, Any]
    previous: Study | None
    following: Study | None
    can_review: bool
    can_place: bool
    may_see_images: bool
    exports: dict[str, Kind]

    protocol: Check | None = None
    can_erase: bool = False
    can_return: bool = False
    has_originals: bool = False
    is_forbidden: bool = False
    is_erasure_asked: bool = False
    n_contested: int = 0  # images that wait for a person: same UID, other pixels

    @property
    def is_moving(self) -> bool:
        """Whether its score is still being made."""
        return self.job is not None and not self.job.is_final

    @property
    def has_score(self) -> bool:
        return any(hip.result is not None and hip.result.has_score for hip in self.hips)


def study_page(study: Study, user: User, series_key: str | None = None) -> StudyPage:
    """The page of a study; `series_key` shows another series than the scored one."""
    all_series = tuple(study.series.filter(is_superseded=False))
    shown = _shown(study, all_series, series_key)
    results = results_of_studies([study])[study.pk]
    is_shown = may_see_images(user, study)
    previous, following = neighbours(study, user)
    return StudyPage(
        series=shown,
        all_series=all_series,
        hips=_hips(study, results),
        patient=both_hips(results),
        job=Job.objects.filter(subject_type="study", subject_id=str(study.pk)).order_by("-created_at").first(),
        model=_model(results),
        viewer=viewer_data(study, shown, results) if shown and is_shown else {},
        previous=previous,
        following=following,
        can_review=can(user, Act.REVIEW, study.centre),
        can_place=can(user, Act.UPLOAD, study.centre),
        may_see_images=is_shown,
        protocol=check_study(study, [result.n_role_slices for result in results.values()]),
        is_forbidden=PROTOCOL in {study.refused_code, *(result.refused_code for result in results.values())},
        is_erasure_asked=waiting_erasures(user).filter(kind="study", subject_id=str(study.pk)).exists(),
        n_contested=study.instances.filter(state=Instance.State.CONFLICT).count(),
        can_erase=can(user, Act.ERASE, study.centre),
        can_return=can(user, Act.RETURN, study.centre),
        has_originals=can(user, Act.VIEW_ORIGINALS, study.centre) and OriginalFile.objects.filter(instance__study=study).exists(),
        exports=KINDS if is_shown and any(result.segmentation_id for result in results.values()) else {},
    )


def both_hips(results: dict[str, HipResult]) -> PatientScore | None:
    """Sum, mean and worst of the two hips as `scoring` defines them; None where neither has a score."""
    if not any(result.has_score for result in results.values()):
        return None
    right, left = (results[side].unet_score if side in results else None for side in ("right", "left"))
    return combine_hips(right, left)


def neighbours(study: Study, user: User) -> tuple[Study | None, Study | None]:
    """The study before and after this one in time, of the same patient; of the waiting ones where it has none."""
    studies = visible_studies(user)
    if study.visit is not None:
        studies = studies.filter(visit__patient=study.visit.patient)
    else:
        studies = studies.filter(visit=None, state=study.state)
    ordered = list(studies.values_list("pk", flat=True)[:500])
    if study.pk not in ordered:
        return None, None
    at = ordered.index(study.pk)
    by_key = studies.in_bulk([key for key in (*ordered[at + 1 : at + 2], *ordered[max(at - 1, 0) : at])])
    older = by_key.get(ordered[at + 1]) if at + 1 < len(ordered) else None
    newer = by_key.get(ordered[at - 1]) if at > 0 else None
    return older, newer


def viewer_data(study: Study, series: Series, results: dict[str, HipResult]) -> dict[str, Any]:
    """Addresses of the pictures and the figures per slice, for the script of the page."""
    is_scored = series.pk == study.chosen_series_id
    mine = {side: result for side, result in results.items() if is_scored and result.segmentation_id}
    keys = "-".join(str(result.segmentation_id) for result in mine.values())
    n_slices = len(series.slices)
    return {
        "n_slices": n_slices,
        "first": _first_slice(mine, n_slices),
        "slices": [reverse("imaging:slice", args=[study.pk, series.pk, index]) for index in range(n_slices)],
        "outlines": _outlines(study, series, keys),
        "drawn": _drawn_by(mine),
        "others": _others(study, series, {result.segmentation_id for result in mine.values()}) if is_scored else [],
        "measures": _measures(mine),
        "spacing_mm": series.spacing_mm,
    }


def _outlines(study: Study, series: Series, keys: str) -> list[str]:
    """Addresses of the outlines `keys` (as in `?of=`), one a slice."""
    if not keys:
        return []
    return [reverse("imaging:outlines", args=[study.pk, series.pk, index]) + f"?of={keys}" for index in range(len(series.slices))]


def _drawn_by(results: dict[str, HipResult]) -> str:
    """Who drew the outlines that stand: `unet 1, accepted`; hips that differ are named by their letter."""
    said = {side: _by(result) for side, result in results.items()}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"{side[0].upper()} {said[side]}" for side in ("right", "left") if side in said)


def _by(result: HipResult) -> str:
    if result.is_corrected:
        return "corrected by hand"
    return f"{result.model}, accepted" if result.review == ACCEPTED else result.model


def _others(study: Study, series: Series, shown: set[int | None]) -> list[dict[str, Any]]:
    """Other outlines of the same series, to be looked at beside those that stand: as models predicted them, or drawn by hand."""
    groups: dict[str, dict[str, int]] = {}
    rows = Segmentation.objects.filter(series=series).defer("mask").select_related("model_version")
    was_in_force = Q(model_version__is_in_force=True) | Q(model_version__promoted_at__isnull=False)
    for row in rows.filter(Q(author__isnull=False) | was_in_force).order_by("-model_version__is_in_force", "-created_at"):
        label = f"{row.model_version}, as predicted" if row.author_id is None else "drawn by hand"
        groups.setdefault(label, {}).setdefault(row.side, row.pk)
    return [
        {"label": label, "outlines": _outlines(study, series, "-".join(str(key) for key in sides.values()))}
        for label, sides in groups.items()
        if not set(sides.values()) <= shown
    ]


def _measures(results: dict[str, HipResult]) -> dict[str, list[dict[str, Any]]]:
    sides = {result.score_id: side for side, result in results.items() if result.score_id}
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in sides.values()}
    for row in SliceMeasure.objects.filter(score_id__in=sides):
        found[sides[row.score_id]].append(
            {"index": row.index, "role": row.role, "ratio": row.ratio, "head_mm2": row.head_mm2, "lesion_mm2": row.lesion_mm2}
        )
    return found


def _first_slice(results: dict[str, HipResult], n_slices: int) -> int:
    """The slice to begin with: the middle of the central block of the right (else left) hip, else of the stack."""
    scores = [result.score_id for result in results.values() if result.score_id]
    central = SliceMeasure.objects.filter(score_id__in=scores, role="central").order_by("score_id", "index")
    indices = list(central.values_list("index", flat=True))[:5]
    return indices[len(indices) // 2] if indices else n_slices // 2


def _shown(study: Study, all_series: tuple[Series, ...], key: str | None) -> Series | None:
    with_slices = [series for series in all_series if series.slices]
    wanted = [series for series in with_slices if str(series.pk) == key]
    chosen = [series for series in with_slices if series.pk == study.chosen_series_id]
    coronal = [series for series in with_slices if series.plane == "coronal"]
    return next(iter([*wanted, *chosen, *coronal, *with_slices]), None)


def _hips(study: Study, results: dict[str, HipResult]) -> tuple[HipRow, ...]:
    boxes: dict[str, HipBox] = {}
    reviews: dict[str, list[Review]] = {side: [] for side in Side.values}
    chosen = Q(series=study.chosen_series_id)
    if study.chosen_series_id:
        for box in HipBox.objects.filter(chosen).order_by("pk"):
            boxes[box.side] = box
        for review in Review.objects.filter(chosen).select_related("reviewer"):
            reviews[review.side].append(review)
    return tuple(
        HipRow(side, side[0].upper(), results.get(side), boxes.get(side), tuple(reviews[side])) for side in ("right", "left")
    )


def _model(results: dict[str, HipResult]) -> str:
    names = sorted({result.model for result in results.values() if result.model})
    if names:
        return ", ".join(names)
    model = model_in_force()
    return str(model) if model else ""
