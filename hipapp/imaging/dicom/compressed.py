"""Compressed frames without what encoders write beside the image: comments, application segments, bytes that no decoder reads."""

import re
import struct
from collections.abc import Iterator
from itertools import islice

from pydicom import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import RLELossless

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_J2K_START = b"\xff\x4f\xff\x51"
_JP2_START = b"\0\0\0\x0cjP  "
_NEXT_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")  # within a scan, FF is followed by less, or by a restart (D0–D7)
_COM, _SOS, _CME, _TLM, _SOT, _SOD = 0xFE, 0xDA, 0x64, 0x55, 0x90, 0x93
_RLE_HEADER = 64


def clean_frames(dataset: Dataset, n_frames: int, syntax: str) -> bytes:
    """Encapsulated pixel data with each frame cleaned and the offsets written anew; what is no frame is gone.

    Raises
    ------
    ValueError
        A frame is no code stream of its transfer syntax.

    References
    ----------
    ITU-T T.81 B.1.1.3 (COM, APPn), T.800 A.4.2 and A.9.2 (SOT, CME); DICOM PS3.5 A.4 and G (RLE).
    """
    frames = list(islice(generate_frames(dataset.PixelData, number_of_frames=n_frames), n_frames))
    if syntax == RLELossless:
        n_bytes = int(dataset.Rows) * int(dataset.Columns)
        cleaned = [_clean_rle(frame, n_bytes) for frame in frames]
    else:
        cleaned = [_clean(frame) for frame in frames]
    if "ExtendedOffsetTable" in dataset:
        pixels, offsets, lengths = encapsulate_extended(cleaned)
        dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = offsets, lengths
        return bytes(pixels)
    return bytes(encapsulate(cleaned))


def _clean(frame: bytes) -> bytes:
    if frame.startswith(_JPEG_START):
        return b"".join(_jpeg_parts(frame))
    if frame.startswith(_JP2_START):  # boxes around the code stream, which DICOM doesn't want but some writers make
        frame = frame[max(frame.find(_J2K_START), 0) :]
    if frame.startswith(_J2K_START):
        return _clean_j2k(frame)
    raise ValueError("no JPEG and no JPEG 2000 code stream")


def _jpeg_parts(frame: bytes) -> Iterator[bytes]:
    yield _JPEG_START
    at = 2
    while at + 4 <= len(frame):
        if frame[at] != 0xFF:
            raise ValueError("no marker where a JPEG marker should be")
        marker, length = frame[at + 1], struct.unpack_from(">H", frame, at + 2)[0]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0xD9:
            break
        if length < 2:
            raise ValueError("a JPEG segment without a length")
        if marker != _COM and not 0xE0 <= marker <= 0xEF:
            yield frame[at : at + 2 + length]
        at += 2 + length
        if marker == _SOS:
            found = _NEXT_MARKER.search(frame, at)
            end = found.start() if found else len(frame)
            yield frame[at:end]
            at = end
    if frame.find(_JPEG_END, at) >= 0:
        yield _JPEG_END


def _clean_j2k(frame: bytes) -> bytes:
    header, at, n_dropped = _j2k_segments(frame, 2, _SOT)
    tiles, n_dropped_in_tiles = [], 0
    while frame[at : at + 2] == bytes([0xFF, _SOT]):
        (length,) = struct.unpack_from(">I", frame, at + 6)
        end = at + length if length else max(frame.rfind(_JPEG_END), at)
        segments, data_at, n_dropped = _j2k_segments(frame, at + 12, _SOD)
        start = frame[at : at + 6] + struct.pack(">I", length - n_dropped if length else 0) + frame[at + 10 : at + 12]
        tiles.append(b"".join([start, *(content for _, content in segments), frame[data_at:end]]))
        n_dropped_in_tiles += n_dropped
        at = end
    if not tiles:
        raise ValueError("no tile in a JPEG 2000 code stream")
    # The optional table of tile lengths is wrong once a tile is shorter.
    kept = [content for marker, content in header if marker != _TLM or not n_dropped_in_tiles]
    end_mark = _JPEG_END if frame.find(_JPEG_END, at) >= 0 else b""
    return b"".join([frame[:2], *kept, *tiles, end_mark])


def _j2k_segments(frame: bytes, at: int, last: int) -> tuple[list[tuple[int, bytes]], int, int]:
    """(marker, segment) without comments up to the marker `last`, where that lies, and how many bytes were left out."""
    kept, n_dropped = [], 0
    while at + 2 <= len(frame) and frame[at + 1] != last:
        if frame[at] != 0xFF or at + 4 > len(frame):
            raise ValueError("no marker where a JPEG 2000 marker should be")
        length = 2 + struct.unpack_from(">H", frame, at + 2)[0]
        if frame[at + 1] == _CME:
            n_dropped += length
        else:
            kept.append((frame[at + 1], frame[at : at + length]))
        at += max(length, 4)
    return kept, at, n_dropped


def _clean_rle(frame: bytes, n_bytes: int) -> bytes:
    """The segments cut off where their last byte is decoded, and the header written anew."""
    (n_segments,) = struct.unpack_from("<I", frame)
    if not 1 <= n_segments <= 15:
        raise ValueError("no RLE header")
    starts = struct.unpack_from(f"<{n_segments}I", frame, 4)
    segments = [_rle_segment(frame, start, n_bytes) for start in starts]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    offsets, at = [], _RLE_HEADER
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    header = struct.pack(f"<{n_segments + 1}I", n_segments, *offsets).ljust(_RLE_HEADER, b"\0")
    return b"".join([header, *segments])


def _rle_segment(frame: bytes, start: int, n_bytes: int) -> bytes:
    """One byte plane of `n_bytes`, as it is packed (PS3.5 G.3.1)."""
    at, n = start, 0
    while n < n_bytes and at < len(frame):
        code = frame[at]
        if code < 128:
            at, n = at + 2 + code, n + 1 + code
        elif code > 128:
            at, n = at + 2, n + 257 - code
        else:
            at += 1
    return frame[start:at]
