"""Folders, archives and damaged files: everything ends as frames or as a reason, within bounds."""

import gzip
import io
import os
import struct
import tarfile
import time
import zipfile
import zlib
from itertools import product

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
)

from ml.dicom import RefusedFileError, UnscorableError, choose_series, limits, read_datasets, read_study
from ml.dicom.codestream import declared_size
from ml.dicom.look import look_at, window_of
from tests.builders import dicom as build


@pytest.fixture
def stack() -> build.Stack:
    return build.random_stack()


def contents(stack: build.Stack) -> list[bytes]:
    return [build.to_bytes(dataset) for dataset in build.classic(stack)]


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize("packing", ["folder", "zip", "zip in zip", "tar", "tar.gz", "memory"])
def test_the_same_study_however_it_is_packed(tmp_path, stack, packing):
    members = {f"a/b/{i}": content for i, content in enumerate(contents(stack))}
    members["a/readme.txt"] = b"hello"
    path = tmp_path / "study"
    if packing == "folder":
        for name, content in members.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    elif packing != "memory":
        inner = zipped(members) if "zip" in packing else tarred(members)
        packed = {"zip in zip": zipped({"x.zip": inner}), "tar.gz": gzip.compress(inner)}.get(packing, inner)
        path.write_bytes(packed)
    study = read_datasets([("x.zip", zipped(members))]) if packing == "memory" else read_study(path)
    np.testing.assert_array_equal(choose_series(study).volume.pixels, stack.pixels)
    ((name, reason),) = study.refused
    assert name.endswith("a/readme.txt")
    assert reason == "is no DICOM file"


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_study(tmp_path / "absent")


def test_names_that_lead_out_of_the_archive_touch_nothing(tmp_path, stack):
    path = tmp_path / "in" / "x.zip"
    path.parent.mkdir()
    path.write_bytes(zipped({"../../evil.dcm": contents(stack)[0], "/etc/evil\n.txt": b"x", "..\\..\\evil2": b"x"}))
    study = read_study(path)
    assert study.series[0].n_slices == 1
    assert [name for name, _ in study.refused] == ["x.zip/etc/evil?.txt", "x.zip/evil2"]
    assert sorted(os.listdir(tmp_path)) == ["in"]
    assert os.listdir(tmp_path / "in") == ["x.zip"]


def test_system_files_are_passed_over(tmp_path, stack):
    members = {"__MACOSX/._1": b"x", "a/.DS_Store": b"x", "a/Thumbs.db": b"x", "a/1": contents(stack)[0]}
    assert read_datasets([("x.zip", zipped(members))]).refused == []


def test_bombs_are_refused_quickly(tmp_path):
    start = time.process_time()
    zeros = bytes(64 * limits.MIB)
    bomb = zipped({"zeros": zeros})
    (tmp_path / "a.zip").write_bytes(bomb)
    (tmp_path / "b.zip").write_bytes(zipped({"inner.zip": bomb}))
    (tmp_path / "c.gz").write_bytes(gzip.compress(zeros))
    deepest = zipped({"1.zip": zipped({"2.zip": zipped({"3.zip": b"PK\x03\x04"})})})
    (tmp_path / "d.zip").write_bytes(deepest)
    (tmp_path / "e.dcm").write_bytes(_deflate_bomb(zeros))
    reasons = dict(read_study(tmp_path).refused)
    assert "archive bomb" in reasons["a.zip/zeros"]
    assert "archive bomb" in reasons["b.zip/inner.zip/zeros"]
    assert "archive bomb" in reasons["c.gz"]
    assert "archive in an archive in an archive" in reasons["d.zip/1.zip/2.zip"]
    assert "deflate bomb" in reasons["e.dcm"]
    assert time.process_time() - start < 10


def _deflate_bomb(zeros: bytes) -> bytes:
    whole = build.to_bytes(build.classic(build.random_stack((1, 8, 8)))[0], DeflatedExplicitVRLittleEndian)
    end = 144 + int.from_bytes(whole[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return whole[:end] + packer.compress(zeros) + packer.flush()


def test_too_many_files_and_too_many_bytes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_FILES", 3)
    many = zipped({str(i): b"x" for i in range(5)})
    from ml.dicom import archive

    monkeypatch.setattr(archive._Budget, "__init__", _small_budget)
    ((name, reason),) = read_datasets([("x.zip", many)]).refused
    assert (name, "more than 3 files" in reason) == ("x.zip", True)
    ((name, reason),) = read_datasets([("y.zip", zipped({"a": b"x" * 2000}))]).refused
    assert (name, "unpacks to more than" in reason) == ("y.zip", True)


def _small_budget(self):
    self.n_files, self.total_bytes, self.held_bytes = 3, 1000, 1000


def test_locked_and_damaged_archives_are_refused(tmp_path):
    packed = bytearray(zipped({"a.dcm": b"x" * 500}))
    locked = packed.copy()
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "cut.zip").write_bytes(packed[:60])
    (tmp_path / "locked.zip").write_bytes(locked)
    (tmp_path / "bad.gz").write_bytes(b"\x1f\x8b" + b"x" * 50)
    (tmp_path / "bad.tar").write_bytes(tarred({"a": b"x" * 3000})[:1000])
    reasons = dict(read_study(tmp_path).refused)
    assert reasons["cut.zip"] == "is a damaged zip archive"
    assert reasons["locked.zip/a.dcm"] == "is protected by a password"
    assert reasons["bad.gz"] == "is a damaged gzip file"
    assert "damaged" in reasons["bad.tar"] or "damaged" in reasons["bad.tar/a"]


def test_an_empty_archive_holds_no_images(tmp_path):
    (tmp_path / "x.zip").write_bytes(zipped({}))
    with pytest.raises(UnscorableError) as caught:
        choose_series(read_study(tmp_path / "x.zip"))
    assert caught.value.code == "no_images"


def test_unreadable_and_special_files_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    (tmp_path / "empty.dcm").write_bytes(b"")
    reasons = dict(read_study(tmp_path).refused)
    assert reasons["pipe"] == "is no ordinary file"
    assert reasons["dangling"] == "is no ordinary file"
    assert reasons["empty.dcm"] == "is no DICOM file"


@pytest.mark.parametrize(
    ("syntax", "is_signed"),
    [
        *product([ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless], [False, True]),
        (JPEGLSLossless, False),  # pyjpegls encodes no signed images
    ],
)
def test_transfer_syntaxes_give_the_same_volume(syntax, is_signed):
    stack = build.random_stack((5, 64, 80))
    if is_signed:
        stack = build.Stack((stack.pixels.astype(np.int32) - 2000).astype(np.int16))
    files = []
    for i, dataset in enumerate(build.classic(stack)):
        if syntax.is_encapsulated:
            options = {"encoding_plugin": "pylibjpeg"} if syntax is JPEG2000Lossless else {}
            dataset.compress(syntax, generate_instance_uid=False, **options)
        files.append((str(i), build.to_bytes(dataset, syntax)))
    np.testing.assert_array_equal(choose_series(read_datasets(files)).volume.pixels, stack.pixels)


def test_big_endian_gives_the_same_volume(stack):
    files = []
    for i, dataset in enumerate(build.classic(stack)):
        dataset.PixelData = stack.pixels[i].astype(">u2").tobytes()
        files.append((str(i), build.to_bytes(dataset, ExplicitVRBigEndian)))
    np.testing.assert_array_equal(choose_series(read_datasets(files)).volume.pixels, stack.pixels)


def test_a_file_without_preamble_is_read(stack):
    files = []
    for i, dataset in enumerate(build.classic(stack)):
        stream = io.BytesIO()
        del dataset.file_meta
        dataset.save_as(stream, implicit_vr=True, little_endian=True)
        files.append((str(i), stream.getvalue()))
    np.testing.assert_array_equal(choose_series(read_datasets(files)).volume.pixels, stack.pixels)


def refusal_of(dataset) -> str:
    study = read_datasets([("x", build.to_bytes(dataset, dataset.file_meta.TransferSyntaxUID))])
    ((_, reason),) = study.refused
    return reason


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"SamplesPerPixel": 3}, "colour"),
        ({"BitsAllocated": 12}, "can't be read"),
        ({"BitsStored": 33}, "can't be read"),
        ({"Rows": 40000}, "at most"),
        ({"NumberOfFrames": 999999}, "at most"),
        ({"Rows": 0}, "no usable Rows"),
        ({"Rows": 13}, "cut off or damaged"),
        ({"Modality": "CT"}, "no MR image (modality CT, MR Image Storage)"),
        ({"Modality": "ZEBULON"}, "(modality unknown, MR Image Storage)"),
        ({"SOPClassUID": "1.2.3.1977"}, "(modality MR, an unknown UID)"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "Secondary Capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4.2"}, "no MR image"),
        ({"PixelSpacing": [0, 1]}, "Pixel Spacing"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "right angles"),
        ({"ImageOrientationPatient": [5, 0, 0, 0, 1, 0]}, "unit vectors"),
        ({"SeriesInstanceUID": ""}, "SeriesInstanceUID"),
    ],
)
def test_headers_that_make_no_image(tags, words):
    dataset = build.classic(build.random_stack((1, 12, 16)))[0]
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    assert words in refusal_of(dataset)


def test_unknown_transfer_syntax_is_refused():
    dataset = build.classic(build.random_stack((1, 12, 16)))[0]
    content = build.to_bytes(dataset).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.7\0")
    ((_, reason),) = read_datasets([("x", content)]).refused
    assert "can't be read" in reason or "damaged" in reason


def test_damaged_pixels_name_the_file():
    datasets = build.classic(build.random_stack((5, 64, 64)))
    for dataset in datasets:
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    frame = bytes(get_frame(datasets[2].PixelData, 0, number_of_frames=1))
    datasets[2].PixelData = encapsulate([frame[:200]])
    with pytest.raises(UnscorableError) as caught:
        choose_series(read_datasets((f"{i}.dcm", build.to_bytes(d, JPEGLSLossless)) for i, d in enumerate(datasets)))
    assert caught.value.code == "unreadable_pixels"
    assert caught.value.message.startswith("2.dcm has pixel data that can't be decoded (JPEG-LS")
    datasets[2].PixelData = encapsulate([b"\xff\xd8" + b"\x00" * 200])
    with pytest.raises(UnscorableError, match=r"2\.dcm has compressed pixels that are no JPEG-LS"):
        choose_series(read_datasets(build.named(datasets)))


def test_a_codestream_of_another_size_is_refused_before_decoding():
    datasets = build.classic(build.random_stack((5, 64, 64)))
    other = build.classic(build.random_stack((1, 64, 80)))[0]
    for dataset in [*datasets, other]:
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    datasets[1].PixelData = other.PixelData
    with pytest.raises(UnscorableError, match="compressed pixels of 64 × 80 in an image of 64 × 64"):
        choose_series(read_datasets(build.named(datasets)))


def test_declared_size_of_codestreams():
    sof = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc3\x00\x0b\x08" + struct.pack(">2H", 300, 200) + b"\x01"
    assert declared_size(sof) == (300, 200)
    siz = b"\xff\x4f\xff\x51\x00\x29\x00\x00" + struct.pack(">4I", 220, 310, 20, 10)
    assert declared_size(siz + bytes(20)) == (300, 200)
    assert declared_size(b"\xff\xd8\x00") is None
    assert declared_size(b"anything") is None


def test_deeply_nested_sequences_end_as_a_refusal():
    item = b""
    for _ in range(3000):
        item = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + item
    whole = build.to_bytes(build.classic(build.random_stack((1, 8, 8)))[0])
    ((_, reason),) = read_datasets([("x", whole + item)]).refused
    assert "damaged" in reason


@pytest.mark.parametrize("value", ["MOSAIC", "VFRAME"])
def test_mosaics_are_refused_in_words(value):
    dataset = build.classic(build.random_stack((1, 12, 16)), ImageType=["ORIGINAL", "PRIMARY", "M", value])[0]
    assert refusal_of(dataset).startswith("is a mosaic")


def test_jpeg_extended_with_12_bits_is_read(corpus):
    """The corpus's one such frame, as an MR image; values at two places as pydicom's own tests have them from another decoder."""
    other = dcmread(corpus / "non_mr" / "JPEG-lossy.dcm")
    dataset = build.classic(build.random_stack((1, 8, 8)))[0]
    dataset.Rows, dataset.Columns, dataset.BitsStored, dataset.HighBit = other.Rows, other.Columns, 12, 11
    dataset["PixelData"].VR, dataset.PixelData = "OB", other.PixelData
    dataset["PixelData"].is_undefined_length = True
    study = read_datasets([("x", build.to_bytes(dataset, JPEGExtended12Bit))])
    ((pixels, _),) = study.series[0].frames[0].source.read([None])
    assert (pixels[420, 140], pixels[230, 120], pixels.max()) == (244, 95, 264)


def test_a_damaged_frame_of_12_bits_is_a_refusal(corpus):
    other = dcmread(corpus / "non_mr" / "JPEG-lossy.dcm")
    dataset = build.classic(build.random_stack((1, 8, 8)))[0]
    dataset.Rows, dataset.Columns, dataset.BitsStored, dataset.HighBit = other.Rows, other.Columns, 12, 11
    frame = get_frame(other.PixelData, 0, number_of_frames=1)
    dataset["PixelData"].VR, dataset.PixelData = "OB", encapsulate([frame[:120]])
    dataset["PixelData"].is_undefined_length = True
    study = read_datasets([("x", build.to_bytes(dataset, JPEGExtended12Bit))])
    with pytest.raises(RefusedFileError, match="JPEG Extended"):
        list(study.series[0].frames[0].source.read([None]))


def test_the_look_at_an_image_has_its_range_and_leaves_padding_out():
    stack = build.random_stack((1, 40, 48))
    stack.pixels[0, :10] = 9999
    dataset = build.classic(stack, PixelPaddingValue=9999, RescaleSlope=2, RescaleIntercept=-5)[0]
    found = look_at(dataset)
    sound = stack.pixels[0, 10:].astype(float) * 2 - 5
    assert (found.low, found.high, found.is_inverted) == (sound.min(), sound.max(), False)
    assert set(found.sample) <= set(sound.ravel())
    low, high = window_of([found], (1, 99))
    np.testing.assert_allclose([low, high], np.percentile(sound, (1, 99)), atol=200)


def test_the_window_of_inverted_images_is_that_of_the_volume():
    stack = build.random_stack((5, 40, 48))
    study = read_datasets(build.named(build.classic(stack, PhotometricInterpretation="MONOCHROME1")))
    volume = choose_series(study).volume
    looks = [look_at(dataset) for dataset in build.classic(stack, PhotometricInterpretation="MONOCHROME1")]
    np.testing.assert_allclose(window_of(looks, (1, 99)), np.percentile(volume.pixels, (1, 99)), atol=100)
