"""When a study is scored: at once where its sender says that it is whole, else when nothing more has come for a while."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from hipapp.accounts.models import User
from hipapp.imaging.models import Study
from hipapp.imaging.receiving.rows import sort_series
from hipapp.imaging.services.scores import order_scoring
from hipapp.jobs.models import Job
from hipapp.jobs.services import order_job

log = logging.getLogger(__name__)


def score_now(study: Study, user: User | None, parent: Job | None = None) -> Job | None:
    """Order the score of a sorted study, whatever it had been waiting for."""
    if study.scoring_due_at is not None:
        study.scoring_due_at = None
        study.save(update_fields=["scoring_due_at"])
    return order_scoring(study, user, parent=parent)


def score_at_once(study: Study, user: User) -> Job | None:
    """Order the score because a person says so: what has come of the study so far is all that is waited for."""
    with transaction.atomic():
        locked = Study.objects.select_for_update(of=("self",)).select_related("centre").get(pk=study.pk)
        if locked.scoring_due_at is not None:
            sort_series(locked)
        return score_now(locked, user)


def score_when_quiet(study: Study) -> None:
    """Put off sorting and scoring until nothing more has come for STUDY_QUIET_S seconds."""
    study.scoring_due_at = timezone.now() + timedelta(seconds=settings.STUDY_QUIET_S)
    study.save(update_fields=["scoring_due_at"])


def order_due() -> int:
    """Order the settling of every study that has been quiet long enough; gives how many. Safe in several processes at once."""
    with transaction.atomic():
        due = Study.objects.select_for_update(skip_locked=True, of=("self",)).filter(scoring_due_at__lte=timezone.now())
        studies = list(due.select_related("centre")[:100])
        for study in studies:
            order_job(
                "imaging.settle_study",
                arguments={"study_id": str(study.pk)},
                centre=study.centre,
                subject=("study", study.pk),
                unique_key=f"settle:{study.pk}:{study.scoring_due_at:%Y%m%d%H%M%S%f}",
            )
        Study.objects.filter(pk__in=[study.pk for study in studies]).update(scoring_due_at=None)
    return len(studies)


def settle_study(study_id: str) -> Study:
    """Sort the images of a study that has become quiet into series, and order its score.

    What comes while this runs waits for its turn, and is settled in its own time.
    """
    with transaction.atomic():
        study = Study.objects.select_for_update(of=("self",)).select_related("centre").get(pk=study_id)
        sort_series(study)
        order_scoring(study, study.upload.user if study.upload else None)
    return study
