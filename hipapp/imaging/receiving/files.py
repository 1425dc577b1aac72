"""One file at a time: parsed, checked, stripped of the person and stored; or refused with the reason."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydicom import Dataset, dcmwrite

from hipapp.accounts.models import Centre
from hipapp.core.crypto import keyed_digest
from hipapp.core.storage import put_content, read_content
from hipapp.imaging.dicom.deidentify import deidentify, find_pixel_concerns
from hipapp.imaging.dicom.identity import Identity, identity_of
from ml.dicom.archive import Item, walk
from ml.dicom.errors import RefusedFileError
from ml.dicom.header import Frame, frames_of, parse

FOLDER = "dicom"
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass
class Outcome:
    """What became of one file (or member of an archive), in words.

    `n` is the number of the file in the upload, `member` counts within an archive; 0 where the file is no archive.
    """

    n: int
    member: int
    outcome: str  # accepted | duplicate | conflict | held | refused
    reason: str = ""
    study: str = ""

    def row(self) -> dict[str, object]:
        """As kept in Upload.report."""
        return {"n": self.n, "member": self.member, "outcome": self.outcome, "reason": self.reason, "study": self.study}


@dataclass(frozen=True)
class StoredFile:
    """One image without identity in the storage, with what the rows need of it. UIDs are the remapped ones."""

    outcome: Outcome
    study_uid: str
    series_uid: str
    sop_uid: str
    originals: dict[str, str]
    pixel_sha256: str
    path: str
    n_bytes: int
    identity: Identity
    frames: tuple[Frame, ...] = field(repr=False)
    description: str = ""
    acquired_at: datetime | None = None
    concerns: tuple[str, ...] = ()


def read_files(folder: Path, centre: Centre) -> Iterator[StoredFile | Outcome]:
    """Every file of a spool folder, archives opened: stored, or refused."""
    members: dict[int, int] = {}
    for found in walk(folder):
        name = found.name if isinstance(found, Item) else found[0]
        number, _, inner = name.partition("/")
        n = int(number) if number.isdecimal() else 0
        members[n] = members.get(n, 0) + 1 if inner else 0
        outcome = Outcome(n, members[n], "accepted")
        if isinstance(found, Item):
            yield _read_file(found, outcome, centre)
        else:
            yield _refused(outcome, found[1])


def _read_file(item: Item, outcome: Outcome, centre: Centre) -> StoredFile | Outcome:
    try:
        dataset = parse(item.read())
        frames_of("the file", dataset, lambda: dataset)  # raises where it is no usable MR image
        return store_dataset(dataset, outcome, centre)
    except RefusedFileError as refusal:
        return _refused(outcome, str(refusal))
    except OSError as error:
        return _refused(outcome, f"can't be read ({error.strerror or type(error).__name__})")


def store_dataset(dataset: Dataset, outcome: Outcome, centre: Centre) -> StoredFile:
    """The data set stripped of the person, in the storage; the same data set is stored once.

    Raises
    ------
    RefusedFileError
        It can't be de-identified or written again.
    """
    key = keyed_digest("uid", str(centre.pk))
    identity = identity_of(dataset)
    pixel_sha256 = hashlib.sha256(dataset["PixelData"].value).hexdigest()
    clean, _ = deidentify(dataset, key, pseudonym_of(dataset, centre))
    content = _written(clean)
    path = put_content(content, FOLDER, ".dcm")
    new_uids = [str(clean[keyword].value) for keyword in UIDS]
    return StoredFile(
        outcome=outcome,
        study_uid=new_uids[0],
        series_uid=new_uids[1],
        sop_uid=new_uids[2],
        originals={new: str(dataset[keyword].value) for new, keyword in zip(new_uids, UIDS, strict=True)},
        pixel_sha256=pixel_sha256,
        path=path,
        n_bytes=len(content),
        identity=identity,
        frames=stored_frames(clean, path),
        description=str(clean.get("StudyDescription") or "")[:120],
        acquired_at=identity.acquired_at,
        concerns=tuple(find_pixel_concerns(dataset)),
    )


def stored_frames(clean: Dataset, path: str) -> tuple[Frame, ...]:
    """The frames of a stored file; pixels are read from the storage when they are needed."""
    return tuple(frames_of("a file", clean, lambda: parse(read_content(path))))


def read_stored_frames(path: str) -> tuple[Frame, ...]:
    """The frames of a file that is in the storage already."""
    return stored_frames(parse(read_content(path)), path)


def pseudonym_of(dataset: Dataset, centre: Centre) -> str:
    """What stands for the patient in stored files: the same for all files of a study, whoever it is attached to."""
    digest = keyed_digest("pseudonym", f"{centre.pk} {dataset.StudyInstanceUID}")
    return f"S{digest.hex()[:12].upper()}"


def _written(clean: Dataset) -> bytes:
    buffer = io.BytesIO()
    try:
        dcmwrite(buffer, clean, enforce_file_format=True)
    except Exception as error:  # pydicom raises almost anything on malformed values
        raise RefusedFileError(f"has values that can't be written as DICOM ({type(error).__name__})") from error
    return buffer.getvalue()


def _refused(outcome: Outcome, reason: str) -> Outcome:
    outcome.outcome, outcome.reason = "refused", reason
    return outcome
