"""Where each element of a plain file lies, without making anything of its value; None for any file that is not wholly regular.

It knows native little-endian files whose elements stand in ascending order up to the pixel data, with which they end. All others
are for pydicom, which takes far more.
"""

import struct
from typing import NamedTuple

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

PIXEL_DATA = 0x7FE00010
TRANSFER_SYNTAX = 0x00020010
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_MAX_DEPTH = 8
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_HEAD = struct.Struct("<HH2sH").unpack_from
_PLAIN = struct.Struct("<HHL").unpack_from
_LENGTH = struct.Struct("<L").unpack_from


class Place(NamedTuple):
    """One element: its header begins at `at`, its value lies from `start` to `end`; `vr` is empty where the file names none."""

    tag: int
    vr: str
    at: int
    start: int
    end: int


class IrregularError(Exception):
    """The file is for pydicom."""


class Scanned(NamedTuple):
    """The elements of a file, file meta first, with its transfer syntax."""

    places: list[Place]
    is_implicit: bool


def scan(data: bytes) -> Scanned | None:
    """The places of all elements, the pixel data last; None where the file is not regular."""
    if data[128:132] != b"DICM":
        return None
    try:
        places, at = _meta(data)
        syntaxes = [data[p.start : p.end].rstrip(b"\0").decode("ascii", "replace") for p in places if p.tag == TRANSFER_SYNTAX]
        if syntaxes == [ExplicitVRLittleEndian]:
            is_implicit = False
        elif syntaxes == [ImplicitVRLittleEndian] and not (data[at + 4 : at + 6].isalpha() and data[at + 4 : at + 6].isupper()):
            is_implicit = True  # pydicom looks at the first element whether it names its VR after all
        else:
            return None
        _top(data, at, places, is_implicit)
    except (IrregularError, struct.error):
        return None
    return Scanned(places, is_implicit)


def _meta(data: bytes) -> tuple[list[Place], int]:
    places: list[Place] = []
    at = 132
    while data[at : at + 2] == b"\x02\x00":
        place = _element(data, at, is_implicit=False)
        if place.end > len(data) or (places and place.tag <= places[-1].tag):
            raise IrregularError
        places.append(place)
        at = place.end
    if not places or places[0].tag != 0x00020000 or places[0].end - places[0].start != 4:
        raise IrregularError
    if places[0].end + _LENGTH(data, places[0].start)[0] != at:
        raise IrregularError
    return places, at


def _top(data: bytes, at: int, places: list[Place], is_implicit: bool) -> None:
    last, n = places[-1].tag, len(data)
    while at < n:
        place = _element(data, at, is_implicit)
        if place.tag <= last or place.end > n:
            raise IrregularError
        last, at = place.tag, place.end
        places.append(place)
    if last != PIXEL_DATA:
        raise IrregularError


def _element(data: bytes, at: int, is_implicit: bool, depth: int = 0) -> Place:
    if is_implicit:
        group, element, length = _PLAIN(data, at)
        vr, start = b"", at + 8
    else:
        group, element, vr, length = _HEAD(data, at)
        start = at + 8
        if vr in _LONG:
            (length,) = _LENGTH(data, start)
            start += 4
        elif vr not in _SHORT:
            raise IrregularError
    end = start + length
    if length == _UNDEFINED:
        if vr not in (b"SQ", b"") or group == 0x7FE0:
            raise IrregularError
        end = _sequence_end(data, start, is_implicit, depth + 1)
    return Place(group << 16 | element, vr.decode("ascii"), at, start, end)


def _sequence_end(data: bytes, at: int, is_implicit: bool, depth: int) -> int:
    """Behind a sequence of undefined length, all of whose items are regular."""
    if depth > _MAX_DEPTH:
        raise IrregularError
    while True:
        group, element, length = _PLAIN(data, at)
        tag, at = group << 16 | element, at + 8
        if tag == _SEQUENCE_END and length == 0:
            return at
        if tag != _ITEM:
            raise IrregularError
        at = _item_end(data, at, length, is_implicit, depth)


def _item_end(data: bytes, at: int, length: int, is_implicit: bool, depth: int) -> int:
    end = len(data) if length == _UNDEFINED else at + length
    while at < end:
        if length == _UNDEFINED and _PLAIN(data, at)[:2] == (_ITEM_END >> 16, _ITEM_END & 0xFFFF):
            if _PLAIN(data, at)[2]:
                raise IrregularError
            return at + 8
        place = _element(data, at, is_implicit, depth)
        if place.tag >> 16 == 0xFFFE or place.end > end:
            raise IrregularError
        at = place.end
    if length == _UNDEFINED or at != end:
        raise IrregularError
    return at
