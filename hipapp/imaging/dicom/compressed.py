"""Compressed frames without what encoders write beside the image: comments, application segments, trailing bytes."""

import struct

from pydicom import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_J2K_START = b"\xff\x4f\xff\x51"


def clean_frames(dataset: Dataset, n_frames: int) -> bytes | None:
    """Encapsulated pixel data with each frame cleaned; None where nothing had to be changed.

    References
    ----------
    ITU-T T.81 B.1.1.3 (COM, APPn), T.800 A.9.2 (CME).
    """
    frames = list(generate_frames(dataset.PixelData, number_of_frames=n_frames))
    cleaned = [_clean(frame) for frame in frames]
    if cleaned == frames and "ExtendedOffsetTable" not in dataset:
        return None
    if "ExtendedOffsetTable" in dataset:
        pixels, offsets, lengths = encapsulate_extended(cleaned)
        dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = offsets, lengths
        return bytes(pixels)
    return bytes(encapsulate(cleaned))


def _clean(frame: bytes) -> bytes:
    if frame.startswith(_JPEG_START):
        frame = _without_jpeg_segments(frame)
    elif frame.startswith(_J2K_START):
        frame = _without_j2k_comments(frame)
    else:
        return frame
    end = frame.rfind(_JPEG_END)  # also the end of a JPEG 2000 codestream
    return frame if end < 0 else frame[: end + 2]


def _without_jpeg_segments(frame: bytes) -> bytes:
    kept, at = [_JPEG_START], 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker, length = frame[at + 1], struct.unpack_from(">H", frame, at + 2)[0]
        if marker == 0xDA or length < 2:  # the scan begins
            break
        if not (marker == 0xFE or 0xE0 <= marker <= 0xEF) or marker == 0xE8:  # APP8 may steer JPEG-LS colour
            kept.append(frame[at : at + 2 + length])
        at += 2 + length
    return b"".join([*kept, frame[at:]])


def _without_j2k_comments(frame: bytes) -> bytes:
    kept, at = [frame[:2]], 2
    while at + 4 <= len(frame) and frame[at] == 0xFF and frame[at + 1] != 0x90:  # until the first tile-part
        length = struct.unpack_from(">H", frame, at + 2)[0]
        if length < 2:
            break
        if frame[at + 1] != 0x64:
            kept.append(frame[at : at + 2 + length])
        at += 2 + length
    return b"".join([*kept, frame[at:]])
