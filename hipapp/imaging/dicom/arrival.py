"""One file as it arrives: checked, read for its identity and stripped of the person; pure functions on its bytes."""

import hashlib
import hmac
import io
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmwrite

from hipapp.imaging.dicom.burned_in import find_text
from hipapp.imaging.dicom.deidentify import deidentify, find_pixel_concerns
from hipapp.imaging.dicom.derived import check_derived
from hipapp.imaging.dicom.dicomjson import searched_attributes
from hipapp.imaging.dicom.identity import Identity, identity_of
from ml.dicom.errors import RefusedFileError, UnplacedFileError
from ml.dicom.header import Frame, check_image, frames_of
from ml.dicom.look import look_at
from ml.dicom.parse import parse
from ml.dicom.pixels import Loaded

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
OTHER_UIDS = ("FrameOfReferenceUID",)  # that a segmentation that goes back names too
TEXT_FOUND = "there seems to be text in the picture"


@dataclass(frozen=True)
class Arrival:
    """What a file holds.

    Attributes
    ----------
    content : bytes
        The file without identity, to be stored.
    uids, originals : list of str
        Study, Series and SOP Instance UID (and the frame of reference, where there is one), remapped and as in the file.
    pixel_sha256 : str
        Of the pixel data as received.
    frames : list of Frame
        Of the content; empty where the image says nowhere in the body.
    unplaced : str
        Why there are no frames, in words.
    concerns : list of str
        Why a person should look at the picture first.
    removed : dict
        By the name of an attribute, whether it was removed or replaced.
    attributes : dict
        What DICOMweb searches by, as DICOM JSON.
    """

    content: bytes = field(repr=False)
    uids: list[str]
    originals: list[str] = field(repr=False)
    pixel_sha256: str
    identity: Identity
    frames: list[Frame] = field(repr=False)
    unplaced: str
    description: str
    concerns: list[str]
    removed: dict[str, str]
    attributes: dict[str, Any] = field(repr=False)


def receive_whole(data: bytes, uid_key: bytes, pseudonym_key: bytes) -> tuple[Arrival, Dataset]:
    """The MR image in these bytes, without its person; with the data set that its content was written from.

    Parameters
    ----------
    uid_key, pseudonym_key : bytes
        Secrets of the centre: of the UID map, and of what stands for the patient of a study.

    Raises
    ------
    RefusedFileError
        No usable MR image, its pixels can't be decoded, or it can't be de-identified or written again. A segmentation or
        report is told by DerivedFileError.
    """
    dataset = parse(data)
    check_derived(dataset)
    check_image(dataset)
    identity = identity_of(dataset)
    keywords = [*UIDS, *(keyword for keyword in OTHER_UIDS if dataset.get(keyword))]
    originals = [str(dataset[keyword].value) for keyword in keywords]
    pixel_sha256 = hashlib.sha256(dataset.get_item("PixelData").value).hexdigest()
    clean, removed = deidentify(dataset, uid_key, pseudonym_of(originals[0], pseudonym_key))
    text = TextSeeker()
    frames, unplaced = stored_frames(clean, text)
    arrived = Arrival(
        content=_written(clean),
        uids=[str(clean[keyword].value) for keyword in keywords],
        originals=originals,
        pixel_sha256=pixel_sha256,
        identity=identity,
        frames=frames,
        unplaced=unplaced,
        description=str(clean.get("StudyDescription") or "")[:120],
        concerns=[*find_pixel_concerns(dataset), *([TEXT_FOUND] if text.was_found else [])],
        removed=removed,
        attributes=searched_attributes(clean),
    )
    return arrived, clean


class TextSeeker:
    """Looks for text in the pictures of a file, until it has found some."""

    def __init__(self) -> None:
        self.was_found = False

    def __call__(self, stored: npt.NDArray, padding: npt.NDArray[np.bool_] | None) -> None:  # type: ignore[type-arg]
        if self.was_found:
            return
        if padding is not None and padding.any() and not padding.all():
            stored = np.where(padding, stored[~padding].min(), stored)
        self.was_found = bool(find_text(stored))


def stored_frames(clean: Dataset, see: TextSeeker | None = None) -> tuple[list[Frame], str]:
    """The frames of a file without identity, each with a look at its pixels; or why it has none that can be laid in space.

    Raises
    ------
    RefusedFileError
        No usable MR image, or its pixels can't be decoded.
    """
    try:
        frames = frames_of("a file", clean, Loaded(lambda: clean))
    except UnplacedFileError as unplaced:
        look_at(clean, see=see)
        return [], str(unplaced)
    return [replace(frame, look=look_at(clean, frame.number, see)) for frame in frames], ""


def pseudonym_of(study_uid: str, key: bytes) -> str:
    """What stands for the patient in stored files: the same for all files of a study, whoever it is attached to."""
    return f"S{hmac.digest(key, study_uid.encode('utf-8', 'surrogateescape'), 'sha256').hex()[:12].upper()}"


def _written(clean: Dataset) -> bytes:
    buffer = io.BytesIO()
    try:
        dcmwrite(buffer, clean, enforce_file_format=True)
    except MemoryError:
        raise
    except Exception as error:  # pydicom raises almost anything on malformed values
        raise RefusedFileError(f"has values that can't be written as DICOM ({type(error).__name__})") from error
    return buffer.getvalue()
