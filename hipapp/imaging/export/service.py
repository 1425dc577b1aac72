"""One study as a file for a person: SEG, SR, NIfTI or panels. Pages and the API call this."""

from collections.abc import Callable
from dataclasses import dataclass

from hipapp.accounts.models import User
from hipapp.accounts.permissions import record_access
from hipapp.core.errors import ForbiddenError
from hipapp.imaging.export.contents import Contents, contents_of
from hipapp.imaging.export.files import nifti_zip, panels_zip
from hipapp.imaging.export.objects import make_seg, make_sr
from hipapp.imaging.models import Study
from hipapp.imaging.selectors import may_see_images
from ml.dicom.seg_write import to_bytes


@dataclass(frozen=True)
class Kind:
    """One way out: how it is called, what its file is, and who makes it."""

    title: str
    about: str
    suffix: str
    content_type: str
    make: Callable[[Contents], bytes]

    @property
    def address(self) -> str:
        """Name of the page's address."""
        return f"imaging:export-{next(key for key, kind in KINDS.items() if kind is self)}"


KINDS = {
    "seg": Kind("DICOM SEG", "outlines", "_seg.dcm", "application/dicom", lambda contents: to_bytes(make_seg(contents))),
    "sr": Kind("DICOM SR", "measurements", "_sr.dcm", "application/dicom", lambda contents: to_bytes(make_sr(contents))),
    "nifti": Kind("NIfTI", "image and masks", "_nifti.zip", "application/zip", nifti_zip),
    "panels": Kind("Panels", "JPG a slice, contact sheets", "_panels.zip", "application/zip", panels_zip),
}


@dataclass(frozen=True)
class ExportedFile:
    """A file as it is handed out; its name holds the study's pseudonym and nothing else."""

    name: str
    content_type: str
    content: bytes


def export_study(study: Study, user: User, kind: str) -> ExportedFile:
    """A study in one of KINDS, noted as a look at patient data.

    Parameters
    ----------
    study : one that the person may see
    kind : a key of KINDS

    Raises
    ------
    NothingToExportError
        The study has no outlines, or its images can't be read.
    ForbiddenError
        The study is held, and the person may not see its pictures.
    """
    if not may_see_images(user, study):
        raise ForbiddenError("The pictures of a held study can't be exported before it is released.", code="held")
    way = KINDS[kind]
    contents = contents_of(study)
    content = way.make(contents)
    record_access(user, f"export-{kind}", "study", study.pk)
    pseudonym = str(contents.images[0].get("PatientID", "")) or "study"
    return ExportedFile(f"{pseudonym}{way.suffix}", way.content_type, content)
