"""Two files with one UID and different pixels: a person says which is right. Both are kept until their study is erased.

They may belong to one study, or to two: the later one's is then a study of its own, and nothing of the other study changes.
"""

from django.db import transaction

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, record_access, require
from hipapp.core.errors import ConflictError
from hipapp.imaging.models import Instance, Series, Study
from hipapp.imaging.receiving.rows import sort_series
from hipapp.imaging.services.scores import order_scoring
from hipapp.imaging.services.studies import note_decision, required_reason
from hipapp.imaging.stacks import retire_series

State = Instance.State


def keep_ours(study: Study, user: User, *, reason: str) -> int:
    """Leave the stored images in use and set the contradicting ones aside; gives how many were."""
    with transaction.atomic():
        study, waiting = _lock(study, user, reason, "left as it is")
        n = Instance.objects.filter(pk__in=[row.pk for row in waiting]).update(state=State.REPLACED)
        record_access(user, "conflict-keep-ours", "study", study.pk)
    return n


def take_theirs(study: Study, user: User, *, reason: str) -> int:
    """Use the contradicting images from now on; the study is sorted and scored anew. Gives how many were taken.

    The series that held the former images stay, with their scores, marked superseded. Of several contradicting files with the
    same UID the latest is taken. Images of another study stay in use there: they are not this study's.
    """
    with transaction.atomic():
        study, waiting = _lock(study, user, reason, "changed")
        latest = {row.sop_uid: row for row in waiting}
        former = Instance.objects.filter(study=study, sop_uid__in=latest, state=State.CURRENT)
        retire_series(Series.objects.filter(study=study, instances__in=former, is_superseded=False).distinct())
        former.update(state=State.REPLACED)
        Instance.objects.filter(pk__in=[row.pk for row in waiting]).update(state=State.REPLACED)
        Instance.objects.filter(pk__in=[row.pk for row in latest.values()]).update(state=State.CURRENT)
        study.refresh_from_db()
        sort_series(study)
        record_access(user, "conflict-take-theirs", "study", study.pk)
        order_scoring(study, user)
    return len(latest)


def _lock(study: Study, user: User, reason: str, act: str) -> tuple[Study, list[Instance]]:
    locked = Study.objects.select_for_update(of=("self",)).select_related("centre").get(pk=study.pk)
    require(user, Act.UPLOAD, locked.centre)
    waiting = list(locked.instances.filter(state=State.CONFLICT).order_by("created_at", "pk"))
    if not waiting:
        raise ConflictError("No image of this study waits for a decision any more.", code="no_conflict")
    note_decision(locked, user, required_reason(reason, act))
    locked.save(update_fields=["decision", "decided_by"])
    return locked, waiting
