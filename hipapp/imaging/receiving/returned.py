"""What comes back: segmentations and reports that were made here are known again, and nothing of them is stored twice."""

from collections.abc import Iterable

from hipapp.accounts.models import Centre
from hipapp.core.crypto import keyed_digest
from hipapp.imaging.dicom.deidentify import remap_uid
from hipapp.imaging.dicom.derived import NAMES, Returned
from hipapp.imaging.models import DerivedObject, Study
from hipapp.imaging.receiving.files import Outcome


def know_returned(centre: Centre, outcomes: Iterable[Outcome]) -> None:
    """Say of each file that is a segmentation or report whether it is ours, and of which study."""
    for outcome in outcomes:
        if outcome.returned is not None:
            _know(centre, outcome, outcome.returned)


def _know(centre: Centre, outcome: Outcome, returned: Returned) -> None:
    name = NAMES[returned.kind]
    ours = DerivedObject.objects.filter(study__centre=centre, kind=returned.kind, sop_uid=returned.sop_uid).first()
    if ours is not None:
        outcome.study = str(ours.study_id)
        if ours.content_sha256 == returned.content_sha256:
            outcome.outcome, outcome.reason = "duplicate", f"is the {name} that was made here of this study"
        else:
            outcome.outcome = "conflict"
            outcome.reason = (
                f"has the SOP Instance UID of the {name} that was made here of this study, but says something else; nothing was "
                "changed"
            )
        return
    study = _study_of(centre, returned)
    if study is not None:
        outcome.study = str(study.pk)
        outcome.reason = f"is a {name} of this study that was made elsewhere; it was not taken over: correct the outlines here"


def _study_of(centre: Centre, returned: Returned) -> Study | None:
    """The study that a file names, by our UID or by the scanner's."""
    uids = [returned.study_uid, remap_uid(keyed_digest("uid", str(centre.pk)), returned.study_uid)]
    return Study.objects.filter(centre=centre, study_uid__in=uids).first()
