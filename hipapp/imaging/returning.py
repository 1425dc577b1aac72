"""The way back to where a study came from: the scanner's UIDs, the patient's name, the files as they were received."""

import io
import zipfile
from collections.abc import Iterator

from pydicom import Dataset, dcmread

from hipapp.accounts.models import User
from hipapp.accounts.permissions import Act, record_access, require
from hipapp.clinic.identity import open_identity
from hipapp.core import crypto
from hipapp.core.errors import DomainError
from hipapp.core.storage import read_content
from hipapp.imaging.export.service import export_study
from hipapp.imaging.models import OriginalFile, Study, UidLink

KINDS = ("seg", "sr")
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class NoOriginalsError(DomainError):
    """The centre keeps no originals, or did not when the study came."""

    status = 404


def original_uids(study: Study) -> dict[str, str]:
    """The scanner's UID for each remapped one of a study. For the server's own use: what a person gets asks for Act.RETURN."""
    links = UidLink.objects.filter(study=study).values_list("uid", "data_key", "ciphertext")
    return {uid: crypto.unseal(bytes(key), bytes(sealed))["uid"] for uid, key, sealed in links}


def restore_uids(dataset: Dataset, originals: dict[str, str]) -> int:
    """Put the scanner's UIDs back, in place and at every depth; gives how many were."""
    n = 0
    for element in dataset:
        if element.VR == "SQ":
            n += sum(restore_uids(item, originals) for item in element.value)
        elif element.VR == "UI" and str(element.value) in originals:
            element.value = originals[str(element.value)]
            n += 1
    return n


def result_to_return(study: Study, user: User, kind: str) -> bytes:
    """The study's SEG or SR as its own archive can file it: with the scanner's UIDs, and name and record number where known.

    Raises
    ------
    ForbiddenError
        The role may not take results out under the patient's name.
    DomainError
        There is nothing to return, or the study's links to the scanner's UIDs are gone.
    """
    require(user, Act.RETURN, study.centre)
    originals = original_uids(study)
    if not originals:
        raise DomainError("The links to the scanner's UIDs are gone, so nothing can be returned.", code="no_links")
    dataset = dcmread(io.BytesIO(export_study(study, user, kind).content))
    restore_uids(dataset, originals)
    identity = open_identity(study.visit.patient) if study.visit else None
    if identity is not None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientName, dataset.PatientID = identity.name, identity.record_number
        dataset.PatientBirthDate = f"{identity.birth_on:%Y%m%d}" if identity.birth_on else ""
        for keyword in ("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"):
            if keyword in dataset:
                delattr(dataset, keyword)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    record_access(user, f"return-{kind}", "study", study.pk)
    return stream.getvalue()


def originals_zip(study: Study, user: User) -> Iterator[bytes]:
    """A zip of the files as they were received, under numbers, in parts: each file is decrypted when its turn comes.

    Raises
    ------
    ForbiddenError
        The role may not open originals.
    NoOriginalsError
        There are none.
    """
    require(user, Act.VIEW_ORIGINALS, study.centre)
    rows = OriginalFile.objects.filter(instance__study=study).order_by("pk")
    if not rows.exists():
        raise NoOriginalsError("No originals were kept of this study. An administrator can have them kept from now on.")
    record_access(user, "view-originals", "study", study.pk)
    return _zip_parts(list(rows))


def _zip_parts(rows: list[OriginalFile]) -> Iterator[bytes]:
    parts = _Parts()
    with zipfile.ZipFile(parts, "w") as archive:  # type: ignore[call-overload]
        for number, row in enumerate(rows, start=1):
            content = crypto.unseal_bytes(bytes(row.data_key), read_content(row.path))
            archive.writestr(zipfile.ZipInfo(f"{number:06d}.dcm", _ZIP_TIME), content)
            yield parts.take()
    yield parts.take()


class _Parts:
    """What a zip is written to when it is handed on while it is made."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        """What was written since it was last taken."""
        taken, self._parts = b"".join(self._parts), []
        return taken
