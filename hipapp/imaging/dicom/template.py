"""What the images of a series have in common is parsed, stripped and written once; of each further image only what varies.

A template belongs to a key: all bytes of a header that have a say in what `arrival.receive_whole` makes of it, and the centre's
secrets. Left out of the key are the values of attributes that are removed unread, and of the few in `VARYING`, which go through
the very functions that a whole file goes through. A file with the same key has the same outcome but for those; where it can't be
told, the file is read whole.
"""

import hashlib
import struct
import warnings
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement, empty_value_for_VR
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag
from pydicom.uid import UID

from hipapp.imaging.dicom import allowlist
from hipapp.imaging.dicom.arrival import TEXT_FOUND, Arrival, TextSeeker, receive_whole
from hipapp.imaging.dicom.deidentify import LISTED, READ_FOR_CONCERNS, READ_FOR_PERSON, strip_elements
from hipapp.imaging.dicom.dicomjson import Json, attribute, attributes_of
from hipapp.imaging.dicom.identity import IDENTIFYING, TIMES, acquired_at
from hipapp.imaging.dicom.scan import PIXEL_DATA, Place, Scanned, scan
from ml.dicom.header import ORDER_NUMBERS, Frame, numbers
from ml.dicom.look import look_at_values
from ml.dicom.parse import parse
from ml.dicom.pixels import Loaded, refusing_undecodable

MAX_TEMPLATES = 32  # kept by a parser; one is a few kilobytes


def _tags(keywords: Iterable[str]) -> frozenset[int]:
    return frozenset(tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None)


VARYING = (
    *("SOPInstanceUID", "InstanceNumber", "AcquisitionNumber", "ImagePositionPatient", "SliceLocation", "TriggerTime"),
    *("WindowCenter", "WindowWidth", "SmallestImagePixelValue", "LargestImagePixelValue"),
)
_VARYING, _TIMES = _tags(VARYING), _tags(TIMES)
_CONTEXT = _tags(["BitsAllocated", "PixelRepresentation"])  # have a say in what becomes of varying elements
_WHEN = _TIMES | _tags(IDENTIFYING)
_SOP_UID, _POSITION = 0x00080018, 0x00200032
_META_LENGTH, _META_UID = 0x00020000, 0x00020003
_READ = frozenset(LISTED) | _tags([*IDENTIFYING, *READ_FOR_PERSON, *READ_FOR_CONCERNS])
_SAFE_ELEMENTS: dict[int, frozenset[int]] = {
    group: frozenset(e for (other, _), elements in allowlist.SAFE_PRIVATE.items() if other == group for e in elements)
    for group, _ in allowlist.SAFE_PRIVATE
}
_SEARCHED = ("SOPInstanceUID", "InstanceNumber")
_NUMBERS = tuple(keyword for keyword in ORDER_NUMBERS if keyword in VARYING)


@cache
def is_in_key(tag: int) -> bool:
    """Whether the value of an element of this tag belongs to the key."""
    group, element = tag >> 16, tag & 0xFFFF
    if group == 2:
        return tag not in (_META_LENGTH, _META_UID)
    if group % 2:
        return element < 0x100 or element & 0xFF in _SAFE_ELEMENTS[group] if group in _SAFE_ELEMENTS else False
    return tag in _READ and tag not in _VARYING


def key_of(data: bytes, scanned: Scanned) -> bytes | None:
    """What decides about a file, but for what varies; None where a file is for `receive_whole` alone."""
    parts, at = [], 132
    n_named = 4 if scanned.is_implicit else 6  # bytes of tag and VR
    for tag, _vr, start, value_start, end in scanned.places:
        if 0x6000 <= tag >> 16 <= 0x60FF:
            return None  # an overlay, which a person may have to look at
        if tag == PIXEL_DATA:
            parts.append(data[at:value_start])  # its length decides too
        elif not is_in_key(tag):
            parts.append(data[at : start + n_named])
            at = end
    return b"".join(parts)


@dataclass(frozen=True)
class Template:
    """What an image of a series comes to, with slots for what varies.

    Attributes
    ----------
    arrived : Arrival
        Of the first image, without content.
    header : Dataset
        Of the first image without identity and pixels.
    parts : list of bytes or int
        The stored file up to its pixels; tags stand for what is filled in.
    n_meta : int
        Bytes of the file meta information (PS3.10 7.1) without the SOP Instance UID's element.
    kept : frozenset of int
        Tags of the varying attributes that stay.
    actions : dict
        Of the varying attributes.
    """

    arrived: Arrival
    header: Dataset
    parts: list[bytes | int]
    n_meta: int
    kept: frozenset[int]
    actions: dict[str, str]
    is_implicit: bool
    n_pixel_bytes: int

    def apply(self, data: bytes, scanned: Scanned, uid_key: bytes) -> Arrival | None:
        """What `arrival.receive_whole` makes of a file of the same key; None where only it can tell.

        Raises
        ------
        RefusedFileError
            As `arrival.receive_whole`, for the pixels.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            places = {place.tag: place for place in scanned.places}
            source = _dataset(data, (places[tag] for tag in (_VARYING | _CONTEXT) & places.keys()), self.is_implicit)
            original = source[_SOP_UID].value if _SOP_UID in source else None
            if not isinstance(original, UID) or not 1 <= len(original.strip()) <= 64:
                return None
            actions: dict[str, str] = {}
            clean = strip_elements(source, uid_key, actions, tags=[tag for tag in source.keys() if tag in _VARYING])  # noqa: SIM118
            position = numbers([clean], "ImagePositionPatient")
            if self.kept != clean.keys() or len(position) != 3:
                return None
            when = acquired_at(_dataset(data, (places[tag] for tag in _WHEN & places.keys()), self.is_implicit))
            uid = str(clean[_SOP_UID].value)
            values = memoryview(data)[places[PIXEL_DATA].start : places[PIXEL_DATA].end]
            stored = self._stored(values)
            if stored is None:
                return None
            content = self._content(clean, values)
            text = TextSeeker()
            with refusing_undecodable(self.header):
                look = look_at_values(stored, self.header, see=text)
            frame = replace(self._frame(clean, uid, position), source=Loaded(lambda: parse(content)), look=look)
        first = self.arrived
        return replace(
            first,
            content=content,
            uids=[*first.uids[:2], uid, *first.uids[3:]],
            originals=[*first.originals[:2], str(original), *first.originals[3:]],
            pixel_sha256=hashlib.sha256(values).hexdigest(),
            identity=replace(first.identity, acquired_at=when),
            frames=[frame],
            concerns=[*first.concerns, *([TEXT_FOUND] if text.was_found else [])],
            removed=first.removed if actions == self.actions else self._removed(actions),
            attributes={**first.attributes, **_searched(clean, uid)},
        )

    def _content(self, clean: Dataset, values: memoryview) -> bytes:
        uid = str(clean[_SOP_UID].value)
        filled = {tag: _encoded(clean[tag], self.is_implicit) for tag in self.kept if tag != _SOP_UID}
        filled[_SOP_UID] = _encoded_uid(_SOP_UID, uid, self.is_implicit)
        filled[_META_UID] = _encoded_uid(_META_UID, uid, False)
        filled[_META_LENGTH] = struct.pack("<HH2sHL", 2, 0, b"UL", 4, self.n_meta + len(filled[_META_UID]))
        parts: list[bytes | memoryview] = [filled[part] if isinstance(part, int) else part for part in self.parts]
        return b"".join([*parts, values[: self.n_pixel_bytes], b"\0" * (self.n_pixel_bytes % 2)])

    def _stored(self, values: memoryview) -> npt.NDArray[Any] | None:
        """The stored values (rows, columns); None where bits that are none of the image's are set, which pydicom clears."""
        first, n_bits = self.arrived.frames[0], int(self.header.BitsStored)
        is_signed = bool(int(self.header.PixelRepresentation))
        stored = np.frombuffer(values, "<i2" if is_signed else "<u2", first.rows * first.columns)
        low, high = (-(2 ** (n_bits - 1)), 2 ** (n_bits - 1)) if is_signed else (0, 2**n_bits)
        if n_bits < 16 and not low <= int(stored.min()) <= int(stored.max()) < high:
            return None
        return stored.reshape(first.rows, first.columns)

    def _frame(self, clean: Dataset, uid: str, position: tuple[float, ...]) -> Frame:
        first = self.arrived.frames[0]
        found = {keyword: number[0] for keyword in _NUMBERS if (number := numbers([clean], keyword))}
        constant = {keyword: number for keyword, number in first.numbers.items() if keyword not in _NUMBERS}
        place = (position[0], position[1], position[2])
        return replace(first, uid=uid, position_mm=place, numbers={**found, **constant})

    def _removed(self, actions: dict[str, str]) -> dict[str, str]:
        constant = {name: done for name, done in self.arrived.removed.items() if name not in VARYING}
        return dict(sorted({**constant, **actions}.items()))


class Receiver:
    """Receives files one after the other, and knows of the last series what their images have in common."""

    def __init__(self) -> None:
        self._templates: OrderedDict[bytes, Template | None] = OrderedDict()

    def receive(self, data: bytes, uid_key: bytes, pseudonym_key: bytes) -> Arrival:
        """As `arrival.receive_whole`."""
        scanned = scan(data)
        key = key_of(data, scanned) if scanned is not None else None
        if scanned is None or key is None:
            return receive_whole(data, uid_key, pseudonym_key)[0]
        key = b"".join([uid_key, pseudonym_key, key])
        template = self._templates.get(key)
        if template is not None:
            self._templates.move_to_end(key)
            arrived = template.apply(data, scanned, uid_key)
            if arrived is not None:
                return arrived
        arrived, clean = receive_whole(data, uid_key, pseudonym_key)
        if key not in self._templates:
            self._templates[key] = make_template(data, scanned, arrived, clean, uid_key)
            if len(self._templates) > MAX_TEMPLATES:
                self._templates.popitem(last=False)
        return arrived


def make_template(data: bytes, scanned: Scanned, arrived: Arrival, clean: Dataset, uid_key: bytes) -> Template | None:
    """The template of a file that was read whole; None where it gives not that very file again."""
    written = scan(arrived.content)
    if written is None or len(arrived.frames) != 1 or arrived.frames[0].number is not None or int(clean.BitsAllocated) != 16:
        return None
    names = _VARYING | {_META_LENGTH, _META_UID}
    parts: list[bytes | int] = []
    at = 0
    for place in written.places:
        if place.tag in names:
            parts += [arrived.content[at : place.at], place.tag]
            at = place.end
    pixels = written.places[-1]
    parts.append(arrived.content[at : pixels.start])
    meta = {place.tag: place for place in written.places if place.tag >> 16 == 2}
    n_meta = sum(place.end - place.at for place in meta.values() if place.tag not in (_META_LENGTH, _META_UID))
    header = Dataset({tag: element for tag, element in clean.items() if tag != PIXEL_DATA})
    header.file_meta = clean.file_meta
    actions = {name: done for name, done in arrived.removed.items() if name in VARYING}
    kept = frozenset(int(tag) for tag in clean.keys() & _VARYING)
    n_bytes = int(clean.Rows) * int(clean.Columns) * 2
    concerns = [concern for concern in arrived.concerns if concern != TEXT_FOUND]
    frame = replace(arrived.frames[0], look=None, source=Loaded(lambda: header))
    bare = replace(arrived, content=b"", concerns=concerns, frames=[frame])
    template = Template(bare, header, parts, n_meta, kept, actions, scanned.is_implicit, n_bytes)
    again = template.apply(data, scanned, uid_key)
    return template if again is not None and again.content == arrived.content else None


def _dataset(data: bytes, places: Iterable[Place], is_implicit: bool) -> Dataset:
    """These elements of a file, as pydicom reads them."""
    found = Dataset({BaseTag(place.tag): _raw(data, place, is_implicit) for place in sorted(places)})
    found.set_original_encoding(is_implicit, True)
    return found


def _raw(data: bytes, place: Place, is_implicit: bool) -> RawDataElement:
    vr = place.vr or None
    length = place.end - place.start
    value: Any = data[place.start : place.end] if length else empty_value_for_VR(vr, raw=True)
    return RawDataElement(BaseTag(place.tag), vr, length, value, place.start, is_implicit, True)


def _encoded(element: Any, is_implicit: bool) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, is_implicit
    write_data_element(buffer, element)
    return buffer.getvalue()


def _encoded_uid(tag: int, uid: str, is_implicit: bool) -> bytes:
    value = uid.encode("ascii")
    value += b"\0" * (len(value) % 2)
    if is_implicit:
        return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, b"UI", len(value)) + value


def _searched(clean: Dataset, uid: str) -> Json:
    """What DICOMweb searches by, of what varies."""
    number = clean.get("InstanceNumber")
    if number is not None and not isinstance(number, int):  # empty, or several
        return attributes_of(clean, _SEARCHED)
    found = dict([attribute("SOPInstanceUID", uid)])
    if number is not None:
        found.update([attribute("InstanceNumber", int(number))])
    return found
