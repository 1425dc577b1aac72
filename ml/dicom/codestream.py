"""The size that a compressed frame itself declares, read before any decoder allocates memory for it."""

import struct

_NO_SIZE_MARKERS = {0xC4, 0xC8, 0xCC}  # DHT, JPG, DAC share the range of the start-of-frame markers


def declared_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) that a JPEG, JPEG-LS or JPEG 2000 codestream declares; None where there is no such header.

    References
    ----------
    ITU-T T.81 B.2.2 (frame header), T.87 C.1.1 (JPEG-LS), T.800 A.5.1 (SIZ).
    """
    if frame[:2] == b"\xff\xd8":
        return _jpeg_size(frame)
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)  # SOC + SIZ, behind the boxes of a JP2 file where there are any
    if start < 0 or len(frame) < start + 24:
        return None
    width, height, left, top = struct.unpack_from(">4I", frame, start + 8)
    return height - top, width - left


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if (0xC0 <= marker <= 0xCF and marker not in _NO_SIZE_MARKERS) or marker == 0xF7:
            rows, columns = struct.unpack_from(">2H", frame, at + 5)
            return rows, columns
        at += 2 + struct.unpack_from(">H", frame, at + 2)[0]
    return None
