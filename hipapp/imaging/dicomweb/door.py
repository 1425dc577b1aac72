"""The door of DICOMweb: who is asking (token or session), which studies that person may have, under which UIDs."""

from datetime import timedelta

from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils import timezone

from hipapp.accounts.models import AccessEvent, User
from hipapp.accounts.permissions import Act, centres_for, record_access
from hipapp.core.crypto import keyed_digest
from hipapp.core.storage import read_content
from hipapp.imaging.dicom.deidentify import remap_uid
from hipapp.imaging.dicom.dicomjson import searched_attributes
from hipapp.imaging.export.derived import keep_derived
from hipapp.imaging.models import Instance, Study
from hipapp.imaging.selectors import visible_studies
from hipapp.imaging.views.door import DoorView
from ml.dicom.parse import parse

LOOK_S = 600  # a viewer fetches hundreds of frames: one line in the access log for ten minutes of looking at a study


class DicomWebView(DoorView):
    """What all resources of DICOMweb share."""

    door = tag = "dicomweb"


def served_studies(user: User) -> QuerySet[Study]:
    """Visible studies whose pictures the person may see: held ones, which may show a name, only for care roles."""
    may_see = Q(state=Study.State.READY) | Q(centre__in=centres_for(user, Act.VIEW_IDENTITY))
    return visible_studies(user).filter(may_see)


def served_instances(user: User) -> QuerySet[Instance]:
    """Images in use of the studies that are served."""
    studies = served_studies(user).order_by()
    given = (Instance.State.CURRENT, Instance.State.DERIVED)
    return Instance.objects.filter(study__in=studies, state__in=given).exclude(series_uid="")


def known_as(user: User, uids: list[str]) -> list[str]:
    """The UIDs as stored: as given, and as those that a scanner of one of the person's centres gave are remapped."""
    keys = [uid_key(pk) for pk in centres_for(user, Act.VIEW_PATIENTS).values_list("pk", flat=True)]
    return [*uids, *(remap_uid(key, uid) for uid in uids for key in keys)]


def uid_key(centre_id: int) -> bytes:
    """The secret of a centre's UID map."""
    return keyed_digest("uid", str(centre_id))


def find_instances(user: User, study: str, series: str | None = None, instance: str | None = None) -> list[Instance]:
    """The images behind an address, in the order of their numbers; 404 where there are none."""
    if series is None:
        keep_study_derived(user, study)
    found = served_instances(user).filter(study__study_uid__in=known_as(user, [study]))
    if series is not None:
        found = found.filter(series_uid__in=known_as(user, [series]))
    if instance is not None:
        found = found.filter(sop_uid__in=known_as(user, [instance]))
    rows = list(found.select_related("study__centre", "study__visit__patient"))
    if not rows:
        raise Http404
    note_look(user, rows[0].study)
    learn_attributes(rows)
    return sorted(rows, key=lambda row: (row.series_uid, row.number, row.sop_uid))


def keep_study_derived(user: User, uid: str) -> None:
    """Have the segmentation and report of a study at hand, if it may be seen and has outlines."""
    for study in served_studies(user).filter(study_uid__in=known_as(user, [uid])):
        keep_derived(study)


def learn_attributes(rows: list[Instance]) -> None:
    """Read what files are searched by that were stored before that was kept."""
    for row in rows:
        if not row.attributes:
            row.attributes = searched_attributes(parse(read_content(row.path)))
            row.save(update_fields=["attributes"])


def note_look(user: User, study: Study) -> None:
    """Note that the person retrieves a study, once for a while of looking."""
    since = timezone.now() - timedelta(seconds=LOOK_S)
    seen = AccessEvent.objects.filter(user=user, action="retrieve", subject_type="study", subject_id=str(study.pk), at__gte=since)
    if not seen.exists():
        record_access(user, "retrieve", "study", study.pk)
