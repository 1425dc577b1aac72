"""De-identification by allow-list: what comes out holds no identity, no date, no private tag and no free text."""

import hmac
import re
import uuid
import warnings
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
from pydicom import DataElement, Dataset
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import UID
from pydicom.valuerep import DSfloat

from hipapp.imaging.dicom import allowlist
from hipapp.imaging.dicom.compressed import clean_frames
from ml.dicom.errors import RefusedFileError
from ml.dicom.parse import with_transfer_syntax
from ml.dicom.syntaxes import is_compressed

_MAX_DEPTH = 4
_CHANGEABLE = frozenset([*allowlist.CLEANED, *allowlist.VOCABULARY, *allowlist.UIDS])
_LISTED = {
    tag_for_keyword(keyword): keyword for keyword in (*_CHANGEABLE, *allowlist.NUMBERS, *allowlist.BYTES, *allowlist.SEQUENCES)
}
_OLDEST_NAMED_AGE = 89  # HIPAA Safe Harbor: older ages are one group


def deidentify(dataset: Dataset, key: bytes, pseudonym: str) -> tuple[Dataset, list[str]]:
    """The data set with only what the allow-list lets through, and the names of what was removed or changed.

    Parameters
    ----------
    dataset : Dataset
        An MR image as read; it is left as it is.
    key : bytes
        Secret of the UID map: the same key gives the same new UID for the same old one, in every file and at every time.
    pseudonym : str
        Written as Patient's Name and Patient ID.

    Returns
    -------
    clean : Dataset
        With file meta, ready to be written in the transfer syntax that it came in.
    removed : list of str
        Keywords (`Sequence.Keyword` when nested, `(gggg,eeee)` without a keyword), sorted, without values.

    Raises
    ------
    RefusedFileError
        The pixel data can't be taken over (see also `find_pixel_concerns`, which asks for a person to look).

    Notes
    -----
    Sex stays, and age in whole years (90 for any above 89). Dates and times are gone; `identity.identity_of` reads the real ones
    beforehand. Geometry, timing and contrast parameters stay bit for bit.

    References
    ----------
    DICOM PS3.15 Annex E, table E.1-1; PS3.3 C.7.1.1, C.12.1.1.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # malformed values are dropped, which is what the warnings are about
        source = with_transfer_syntax(dataset)
        removed: set[str] = set()
        clean = _filtered(source, key, removed, prefix="", depth=0)
        _set_patient(clean, source, pseudonym)
        _set_methods(clean)
        _set_pixels(clean, source)
        _set_file_meta(clean, source)
    return clean, sorted(removed)


def remap_uid(key: bytes, uid: str) -> str:
    """The UID that stands for `uid` under this key: 2.25 and a UUID made by HMAC-SHA-256."""
    digest = hmac.digest(key, uid.encode("utf-8", "surrogateescape"), "sha256")
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def find_pixel_concerns(dataset: Dataset) -> list[str]:
    """Why the picture itself may show a name, in words; such a file is to be held until a person has looked at it."""
    concerns = []
    if str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES":
        concerns.append("the file says that text is burned into its pixels (Burned In Annotation)")
    if str(dataset.get("RecognizableVisualFeatures", "")).strip().upper() == "YES":
        concerns.append("the file says that the person can be recognised in its pixels")
    image_type = [str(v).upper() for v in _values(dataset.get("ImageType"))]
    if any("SCREEN" in value for value in image_type):
        concerns.append("the image is a screen capture")
    return concerns


def _filtered(source: Dataset, key: bytes, removed: set[str], prefix: str, depth: int) -> Dataset:
    clean = Dataset()
    for tag in list(source.keys()):
        if tag.element == 0:  # group length: written anew
            continue
        keyword = _LISTED.get(tag)
        element = _allowed(source, tag, keyword, key, removed, prefix, depth) if keyword else None
        if element is not None:
            clean.add(element)
        if element is None or (keyword in _CHANGEABLE and element.value != source[tag].value):
            removed.add(prefix + (keyword_for_tag(tag) or str(tag)))
    return clean


def _allowed(
    source: Dataset, tag: BaseTag, keyword: str, key: bytes, removed: set[str], prefix: str, depth: int
) -> DataElement | None:
    """The element as it may stay; None where its value is not what its kind says."""
    try:
        element = source[tag]
        value, vr = element.value, element.VR
        if keyword in allowlist.SEQUENCES:
            if vr != "SQ" or depth >= _MAX_DEPTH:
                return None
            items = [_filtered(item, key, removed, f"{prefix}{keyword}.", depth + 1) for item in value]
            return DataElement(tag, "SQ", items)
        if keyword in allowlist.BYTES:
            return DataElement(tag, vr, value) if isinstance(value, bytes) and vr in ("OB", "OW", "OV") else None
        if keyword in allowlist.NUMBERS:
            return _number(element)
        if keyword in allowlist.UIDS:
            return DataElement(tag, "UI", _uid(str(value), key)) if value else None
        return _text(tag, keyword, _values(value))
    except Exception:  # noqa: BLE001 - a value that can't be read can't be vouched for: it goes, and is named as removed
        return None


def _values(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else [value]


def _number(element: DataElement) -> DataElement | None:
    declared = dictionary_VR(element.tag)
    if declared != element.VR and element.VR not in declared.split(" or "):
        return None
    if declared == "AT":
        return element
    values = _values(element.value)
    if not all(isinstance(value, (int, float, Decimal)) for value in values):
        return None
    if declared == "DS" and any(len(str(value)) > 16 for value in values):
        return DataElement(element.tag, "DS", [DSfloat(float(value), auto_format=True) for value in values])
    return element


def _uid(uid: str, key: bytes) -> str:
    return uid if uid in UID_dictionary else remap_uid(key, uid)


def _text(tag: BaseTag, keyword: str, values: list[Any]) -> DataElement | None:
    texts = [str(value).strip() for value in values]
    if keyword in allowlist.CLEANED:
        cleaned = allowlist.CLEANED[keyword](" ".join(texts))
        return DataElement(tag, dictionary_VR(tag), cleaned) if cleaned else None
    known = allowlist.VOCABULARY[keyword]
    if keyword in ("ImageType", "FrameType"):
        kept = [text if text in known else "OTHER" for text in texts]
    else:
        kept = [text for text in texts if text in known]
    return DataElement(tag, dictionary_VR(tag), kept[0] if len(kept) == 1 else kept) if kept else None


def _set_patient(clean: Dataset, source: Dataset, pseudonym: str) -> None:
    clean.PatientName = pseudonym
    clean.PatientID = pseudonym
    for keyword in allowlist.EMPTIED:
        setattr(clean, keyword, "")
    if "PatientSex" not in clean:
        clean.PatientSex = ""
    age = re.fullmatch(r"(\d{3})([DWMY])", str(source.get("PatientAge", "")).strip())
    if age:
        per_year = {"D": 365, "W": 52, "M": 12, "Y": 1}[age.group(2)]
        years = int(age.group(1)) // per_year
        clean.PatientAge = f"{min(years, _OLDEST_NAMED_AGE + 1):03d}Y"


def _set_methods(clean: Dataset) -> None:
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = allowlist.METHOD_TEXT
    clean.LongitudinalTemporalInformationModified = "REMOVED"
    codes = []
    for code, meaning in allowlist.METHODS:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
        codes.append(item)
    clean.DeidentificationMethodCodeSequence = codes


def _set_pixels(clean: Dataset, source: Dataset) -> None:
    """Pixel data without comments, trailing bytes and overlay bits."""
    if "PixelData" not in clean:
        raise RefusedFileError("has pixel data of an unknown kind")
    n_frames = int(clean.get("NumberOfFrames") or 1)
    try:
        if is_compressed(str(source.file_meta.TransferSyntaxUID)):
            pixels = clean_frames(clean, n_frames)
            if pixels is not None:
                clean["PixelData"] = DataElement(0x7FE00010, "OB", pixels)
            clean["PixelData"].is_undefined_length = True
            return
        n_bytes = int(clean.Rows) * int(clean.Columns) * n_frames * int(clean.BitsAllocated) // 8
        native = clean["PixelData"].value[:n_bytes]
        if _has_embedded_overlay(source):
            native = _without_overlay_bits(native, clean, source)
        clean["PixelData"].value = native + b"\0" * (len(native) % 2)
    except Exception as error:
        raise RefusedFileError(f"has pixel data that can't be taken over ({type(error).__name__})") from error


def _has_embedded_overlay(source: Dataset) -> bool:
    groups = {tag.group for tag in list(source.keys()) if 0x6000 <= tag.group <= 0x601E}
    return any((group, 0x3000) not in source for group in groups)


def _without_overlay_bits(native: bytes, clean: Dataset, source: Dataset) -> bytes:
    """Native pixels with the bits above Bits Stored cleared, and the sign carried on where there is one (PS3.5 8.1.1)."""
    is_little = UID(source.file_meta.TransferSyntaxUID).is_little_endian
    kind = np.dtype(f"{'<' if is_little else '>'}u{int(clean.BitsAllocated) // 8}")
    unused = int(clean.BitsAllocated) - int(clean.BitsStored)
    shifted = np.frombuffer(native, kind) << unused
    signed = shifted.view(kind.str.replace("u", "i")) if int(clean.PixelRepresentation) else shifted
    return bytes((signed >> unused).astype(signed.dtype).tobytes())


def _set_file_meta(clean: Dataset, source: Dataset) -> None:
    clean.file_meta = FileMetaDataset()
    clean.file_meta.TransferSyntaxUID = UID(source.file_meta.TransferSyntaxUID)
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if keyword not in clean:
            raise RefusedFileError(f"has no {keyword}")
    clean.file_meta.MediaStorageSOPClassUID = clean.SOPClassUID
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    clean.preamble = b"\0" * 128
