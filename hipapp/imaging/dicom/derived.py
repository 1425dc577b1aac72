"""DICOM objects that are made of images, as they come to the door: what they are, and a hash of what they say."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from pydicom import Dataset

from ml.dicom.errors import RefusedFileError

SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
SR_CLASSES = ("1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.88.22")
NAMES = {"seg": "segmentation", "sr": "measurement report"}


@dataclass(frozen=True)
class Returned:
    """A segmentation ("seg") or report ("sr") by its UIDs as in the file, and a hash of what it says."""

    kind: str
    sop_uid: str
    study_uid: str
    content_sha256: str

    def values(self) -> dict[str, Any]:
        """For JSON; `Returned(**values)` gives it again."""
        return asdict(self)


class DerivedFileError(RefusedFileError):
    """A file that is no image but may be one of ours; its text is the reason if it is not."""

    def __init__(self, returned: Returned) -> None:
        super().__init__(f"is a {NAMES[returned.kind]}, not an MR image")
        self.returned = returned


def check_derived(dataset: Dataset) -> None:
    """Raise DerivedFileError for a segmentation or a report; nothing happens for anything else."""
    kind = kind_of(dataset)
    if kind:
        sop_uid, study_uid = (str(dataset.get(keyword) or "") for keyword in ("SOPInstanceUID", "StudyInstanceUID"))
        raise DerivedFileError(Returned(kind, sop_uid, study_uid, content_hash(dataset)))


def kind_of(dataset: Dataset) -> str:
    """ "seg", "sr" or "" for anything else."""
    sop_class = str(dataset.get("SOPClassUID") or "")
    return "seg" if sop_class == SEG_CLASS else "sr" if sop_class in SR_CLASSES else ""


def content_hash(dataset: Dataset) -> str:
    """SHA-256 of what a segmentation or report says: the same whoever wrote it to a file again.

    Of a data set as it was read from a file.
    """
    if "PixelData" in dataset:
        return hashlib.sha256(dataset["PixelData"].value).hexdigest()
    part = Dataset()
    part.ContentSequence = dataset.get("ContentSequence") or []
    return hashlib.sha256(part.to_json(suppress_invalid_tags=True).encode()).hexdigest()
