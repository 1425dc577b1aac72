"""What hides beside a compressed image is gone, and the image is the same."""

import struct

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from hipapp.imaging.dicom.deidentify import deidentify
from ml.dicom.errors import RefusedFileError
from tests.builders import dicom as build

MARK = b"Zebulon!"


def compressed(syntax: str) -> tuple[Dataset, np.ndarray, bytes]:
    """A slice in this transfer syntax, its pixels, and its one frame."""
    dataset = build.classic(build.random_stack((1, 64, 48)))[0]
    array = dataset.pixel_array & 0x0FFF
    build.set_pixels(dataset, array)
    dataset.BitsStored, dataset.HighBit = 12, 11
    plugin = {"encoding_plugin": "pylibjpeg"} if syntax == JPEG2000Lossless else {}
    dataset.compress(syntax, array, generate_instance_uid=False, **plugin)
    return dataset, array, bytes(get_frame(dataset.PixelData, 0, number_of_frames=1))


def checked(dataset: Dataset, pixels: bytes, array: np.ndarray) -> None:
    dataset.PixelData = pixels
    assert MARK in pixels
    clean, _ = deidentify(dataset, b"key", "S1")
    assert MARK not in clean.PixelData
    np.testing.assert_array_equal(clean.pixel_array, array)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_bytes_behind_the_frame_and_fragments_that_are_no_frame_are_gone(syntax):
    dataset, array, frame = compressed(syntax)
    checked(dataset, encapsulate([frame + MARK]), array)
    checked(dataset, encapsulate([frame, MARK * 4]), array)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_an_offset_table_is_written_anew(syntax):
    dataset, array, frame = compressed(syntax)
    plain = encapsulate([frame], has_bot=False)
    planted = plain[:4] + struct.pack("<I", len(MARK)) + MARK + plain[8:]  # the first item is the table
    dataset.PixelData = planted
    try:
        clean, _ = deidentify(dataset, b"key", "S1")
    except RefusedFileError:
        return  # a table that is none
    assert MARK not in clean.PixelData
    np.testing.assert_array_equal(clean.pixel_array, array)


def test_bytes_between_rle_segments_are_gone():
    dataset, array, frame = compressed(RLELossless)
    n, first, second = struct.unpack_from("<III", frame)
    assert n == 2
    moved = struct.pack("<III", 2, first, second + len(MARK)) + frame[12:second] + MARK + frame[second:]
    checked(dataset, encapsulate([moved]), array)


def test_a_comment_in_the_header_of_a_jpeg_2000_tile_is_gone():
    dataset, array, frame = compressed(JPEG2000Lossless)
    at = frame.index(b"\xff\x90")  # SOT
    (length,) = struct.unpack_from(">I", frame, at + 6)
    comment = b"\xff\x64" + struct.pack(">H", 4 + len(MARK)) + b"\0\1" + MARK
    head = frame[: at + 6] + struct.pack(">I", length + len(comment)) + frame[at + 10 : at + 12]
    checked(dataset, encapsulate([head + comment + frame[at + 12 :]]), array)


def test_boxes_around_a_jpeg_2000_code_stream_are_gone():
    dataset, array, frame = compressed(JPEG2000Lossless)
    box = b"\0\0\0\x0cjP  \r\n\x87\n" + struct.pack(">I", 8 + len(MARK)) + b"xml " + MARK
    checked(dataset, encapsulate([box + struct.pack(">I", 8 + len(frame)) + b"jp2c" + frame]), array)


def test_a_comment_between_two_scans_is_gone():
    from hipapp.imaging.dicom.compressed import _clean

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
    frame = b"\xff\xd8" + segment(0xE0, MARK) + segment(0xC0, b"frame") + scan + segment(0xFE, MARK) + scan + b"\xff\xd9" + MARK
    assert _clean(frame) == b"\xff\xd8" + segment(0xC0, b"frame") + scan + scan + b"\xff\xd9"


@pytest.mark.parametrize("content", [b"no code stream at all", b"\xff\xd8nothing here", b"\xff\x4f\xff\x51\0\4\0\0nothing"])
def test_what_cannot_be_taken_apart_is_refused(content):
    dataset, _, _ = compressed(JPEG2000Lossless)
    dataset.PixelData = encapsulate([content + b"\0" * (len(content) % 2)])
    with pytest.raises(RefusedFileError, match="can't be taken over"):
        deidentify(dataset, b"key", "S1")


def test_numbers_that_may_be_a_date_or_a_record_number_are_gone():
    dataset = build.classic(build.random_stack((1, 12, 16)))[0]
    dataset.RepetitionTime, dataset.AcquisitionNumber, dataset.WindowCenter = "19770131", 778899, "19770131"
    dataset.EchoTime, dataset.SeriesNumber = "51.123456", 301
    clean, actions = deidentify(dataset, b"key", "S1")
    assert {key: actions[key] for key in ("RepetitionTime", "AcquisitionNumber", "WindowCenter")} == {
        key: "removed" for key in ("RepetitionTime", "AcquisitionNumber", "WindowCenter")
    }
    assert (clean.EchoTime, clean.SeriesNumber) == (51.123456, 301)
