"""The segmentation and report of a study, kept for viewers that find them by DICOMweb; made anew when outlines change."""

import logging

from django.db import transaction
from pydicom import Dataset

from hipapp.core.storage import put_content
from hipapp.imaging.dicom.dicomjson import searched_attributes
from hipapp.imaging.export.contents import NothingToExportError, contents_of
from hipapp.imaging.export.objects import make_seg, make_sr
from hipapp.imaging.models import DerivedObject, Instance, Review, Segmentation, Study
from hipapp.imaging.receiving.files import FOLDER
from ml.dicom.parse import parse
from ml.dicom.seg_write import to_bytes

log = logging.getLogger(__name__)


def keep_derived(study: Study) -> None:
    """Make and store the SEG and SR of the outlines that count, unless the kept ones are newer than every outline and verdict."""
    rows = (Segmentation.objects.filter(series__study=study), Review.objects.filter(series__study=study))
    changes = [at for row in rows if (at := row.order_by("-created_at").values_list("created_at", flat=True).first())]
    kept = study.instances.filter(state=Instance.State.DERIVED).order_by("-created_at").first()
    if not changes or (kept is not None and kept.created_at > max(changes)):
        return
    try:
        contents = contents_of(study)
        made = [make_seg(contents), make_sr(contents)]
    except NothingToExportError as error:
        log.info("study %s has no segmentation to show: %s", study.pk, error.code)
        return
    with transaction.atomic():
        Study.objects.select_for_update(of=("self",)).get(pk=study.pk)
        study.instances.filter(state=Instance.State.DERIVED).update(state=Instance.State.REPLACED)
        for dataset in made:
            _keep(study, dataset)


def _keep(study: Study, made: Dataset) -> None:
    content = to_bytes(made)
    known = DerivedObject.objects.get(study=study, sop_uid=str(made.SOPInstanceUID))
    study.instances.filter(sop_uid=known.sop_uid, state=Instance.State.REPLACED).delete()
    Instance.objects.create(
        study=study,
        series_uid=str(made.SeriesInstanceUID),
        sop_uid=known.sop_uid,
        state=Instance.State.DERIVED,
        attributes=searched_attributes(parse(content)),
        pixel_sha256=known.content_sha256,
        path=put_content(content, FOLDER, ".dcm"),
        n_bytes=len(content),
    )
