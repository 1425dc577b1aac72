"""De-identification by allow-list: what comes out holds no identity, no date, no free text, and of private tags a few numbers."""

import hmac
import re
import struct
import uuid
import warnings
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
from pydicom import DataElement, Dataset
from pydicom._dicom_dict import DicomDictionary
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
LISTED = {
    tag_for_keyword(keyword): keyword for keyword in (*_CHANGEABLE, *allowlist.NUMBERS, *allowlist.BYTES, *allowlist.SEQUENCES)
}
READ_FOR_PERSON = ("PatientAge",)  # not listed, but what stays depends on it
READ_FOR_CONCERNS = ("RecognizableVisualFeatures",)
_OLDEST_NAMED_AGE = 89  # HIPAA Safe Harbor: older ages are one group


def deidentify(dataset: Dataset, key: bytes, pseudonym: str) -> tuple[Dataset, dict[str, str]]:
    """The data set with only what the allow-list lets through, and the names of what was removed or replaced.

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
    actions : dict
        `removed` or `replaced` by keyword (`Sequence.Keyword` when nested, `(gggg,eeee)` without a keyword), sorted, without
        values.

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
        actions: dict[str, str] = {}
        clean = strip_elements(source, key, actions)
        _set_patient(clean, source, pseudonym, actions)
        _set_methods(clean)
        _set_pixels(clean, source)
        _set_file_meta(clean, source)
    return clean, dict(sorted(actions.items()))


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
    if _has_drawn_overlay(dataset):
        concerns.append("something was drawn over the image (an overlay, which was removed)")
    return concerns


def _has_drawn_overlay(dataset: Dataset) -> bool:
    """Whether an overlay plane has anything on it: as data of its own, or in bits of the pixels that are none of the image's."""
    groups = _overlay_groups(dataset)
    for group in groups:
        data = dataset.get_item((group, 0x3000))
        if data is not None and isinstance(data.value, bytes) and any(data.value):
            return True
    if not any((group, 0x3000) not in dataset for group in groups):
        return False
    try:
        unused = int(dataset.BitsAllocated) - int(dataset.BitsStored)
        if is_compressed(str(dataset.file_meta.TransferSyntaxUID)) or unused <= 0 or int(dataset.PixelRepresentation):
            return True  # can't be told from the image here: a person looks
        stored = np.frombuffer(dataset.PixelData, _stored_type(dataset), int(dataset.Rows) * int(dataset.Columns))
        return bool((stored >> int(dataset.BitsStored)).any())
    except (AttributeError, TypeError, ValueError):
        return True


def _overlay_groups(dataset: Dataset) -> set[int]:
    return {tag.group for tag in list(dataset.keys()) if 0x6000 <= tag.group <= 0x601E and tag.group % 2 == 0}


def _stored_type(dataset: Dataset) -> "np.dtype[Any]":
    is_little = UID(dataset.file_meta.TransferSyntaxUID).is_little_endian
    return np.dtype(f"{'<' if is_little else '>'}u{int(dataset.BitsAllocated) // 8}")


def strip_elements(
    source: Dataset,
    key: bytes,
    actions: dict[str, str],
    prefix: str = "",
    depth: int = 0,
    tags: Iterable[BaseTag] | None = None,
) -> Dataset:
    """The elements (of these `tags`) that the allow-list lets through; what was removed or replaced is noted in `actions`.

    What becomes of an element of the top level depends on itself, on Bits Allocated, on what settles its VR and its character
    set, and for a private one on the creator of its block: on no other element.
    """
    clean = Dataset()
    for tag in list(source.keys() if tags is None else tags):
        if tag.element == 0:  # group length: written anew
            continue
        keyword = LISTED.get(tag)
        if keyword:
            element = _allowed(source, tag, keyword, key, actions, prefix, depth)
        else:
            element = _safe_private(source, tag) if tag.is_private else None
        if element is not None:
            clean.add(element)
        if element is None:
            actions[prefix + (keyword_for_tag(tag) or str(tag))] = "removed"
        elif keyword in _CHANGEABLE and element.value != source[tag].value:
            actions[prefix + keyword_for_tag(tag)] = "replaced"
    return clean


def _safe_private(source: Dataset, tag: BaseTag) -> DataElement | None:
    """A number of a known vendor, or the creator of such a block; None for any other private element."""
    try:
        block = tag.element if tag.element < 0x100 else tag.element >> 8
        creator = str(source[tag.group, block].value).strip()
        numbers = allowlist.SAFE_PRIVATE.get((tag.group, creator))
        if numbers is None or block < 0x10:
            return None
        if tag.element < 0x100:
            has_any = any((tag.group, block << 8 | element) in source for element in numbers)
            return DataElement(tag, "LO", creator) if has_any else None
        vr = numbers.get(tag.element & 0xFF)
        values = _private_numbers(source[tag], vr) if vr else []
        is_plain = values and all(np.isfinite(value) and abs(value) < allowlist.MAX_NUMBER for value in values)
        return DataElement(tag, vr, values if len(values) > 1 else values[0]) if vr and is_plain else None
    except Exception:  # noqa: BLE001 - as in `_allowed`
        return None


def _private_numbers(element: DataElement, vr: str) -> list[Any]:
    value = element.value
    if element.VR == "UN" and isinstance(value, bytes):
        if vr in ("FL", "FD"):
            size = 4 if vr == "FL" else 8
            return list(struct.unpack(f"<{len(value) // size}{'f' if vr == 'FL' else 'd'}", value))
        value = value.decode("ascii").strip("\0 ").split("\\")
    elif vr != element.VR:
        return []
    return [int(float(one)) if vr == "IS" else float(one) for one in _values(value)]


def _allowed(
    source: Dataset, tag: BaseTag, keyword: str, key: bytes, actions: dict[str, str], prefix: str, depth: int
) -> DataElement | None:
    """The element as it may stay; None where its value is not what its kind says."""
    try:
        element = source[tag]
        value, vr = element.value, element.VR
        if keyword in allowlist.SEQUENCES:
            if vr != "SQ" or depth >= _MAX_DEPTH:
                return None
            items = [strip_elements(item, key, actions, f"{prefix}{keyword}.", depth + 1) for item in value]
            return DataElement(tag, "SQ", items)
        if keyword in allowlist.BYTES:
            return DataElement(tag, vr, value) if isinstance(value, bytes) and vr in ("OB", "OW", "OV") else None
        if keyword in allowlist.NUMBERS:
            return _number(element, keyword, int(source.get("BitsAllocated") or 16))
        if keyword in allowlist.UIDS:
            return DataElement(tag, "UI", _uid(str(value), key)) if value else None
        return _text(tag, keyword, _values(value))
    except Exception:  # noqa: BLE001 - a value that can't be read can't be vouched for: it goes, and is named as removed
        return None


def _values(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else [value]


def _number(element: DataElement, keyword: str, bits: int) -> DataElement | None:
    declared = dictionary_VR(element.tag)
    if declared != element.VR and element.VR not in declared.split(" or "):
        return None
    values = _values(element.value)
    if declared == "AT":
        return element if all(int(value) in DicomDictionary for value in values) else None
    if not all(isinstance(value, (int, float, Decimal)) for value in values):
        return None
    if keyword in allowlist.COUNTERS:
        limit: float = allowlist.MAX_COUNTER
    else:
        limit = 2.0**32 if keyword in allowlist.PIXEL_VALUES and bits > 16 else allowlist.MAX_NUMBER
    if not all(abs(value) <= limit for value in values):
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


def _set_patient(clean: Dataset, source: Dataset, pseudonym: str, actions: dict[str, str]) -> None:
    for keyword in ("PatientName", "PatientID"):
        setattr(clean, keyword, pseudonym)
        actions[keyword] = "replaced"
    for keyword in allowlist.EMPTIED:
        setattr(clean, keyword, "")
    if "PatientSex" not in clean:
        clean.PatientSex = ""
    age = re.fullmatch(r"(\d{3})([DWMY])", str(source.get("PatientAge", "")).strip())
    if age:
        per_year = {"D": 365, "W": 52, "M": 12, "Y": 1}[age.group(2)]
        years = int(age.group(1)) // per_year
        clean.PatientAge = f"{min(years, _OLDEST_NAMED_AGE + 1):03d}Y"
        if clean.PatientAge == age.group(0):
            actions.pop("PatientAge", None)
        else:
            actions["PatientAge"] = "replaced"


def _set_methods(clean: Dataset) -> None:
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = allowlist.METHOD_TEXT
    clean.LongitudinalTemporalInformationModified = "REMOVED"
    codes = []
    methods = (*allowlist.METHODS, allowlist.SAFE_PRIVATE_METHOD) if _has_private(clean) else allowlist.METHODS
    for code, meaning in methods:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
        codes.append(item)
    clean.DeidentificationMethodCodeSequence = codes


def _has_private(clean: Dataset) -> bool:
    return any(e.tag.is_private or (e.VR == "SQ" and any(_has_private(item) for item in e.value)) for e in clean)


def _set_pixels(clean: Dataset, source: Dataset) -> None:
    """Pixel data without comments, trailing bytes and overlay bits."""
    if "PixelData" not in clean:
        raise RefusedFileError("has pixel data of an unknown kind")
    n_frames = int(clean.get("NumberOfFrames") or 1)
    try:
        if is_compressed(str(source.file_meta.TransferSyntaxUID)):
            pixels = clean_frames(clean, n_frames, str(source.file_meta.TransferSyntaxUID))
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
    return any((group, 0x3000) not in source for group in _overlay_groups(source))


def _without_overlay_bits(native: bytes, clean: Dataset, source: Dataset) -> bytes:
    """Native pixels with the bits above Bits Stored cleared, and the sign carried on where there is one (PS3.5 8.1.1)."""
    kind = _stored_type(source)
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
