"""Files of a known series come to the very same as files that are read whole, whatever stands in them."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hipapp.imaging.dicom import arrival, template
from hipapp.imaging.dicom.process import _values
from hipapp.imaging.dicom.scan import scan
from hipapp.imaging.dicom.template import Receiver, is_in_key, key_of
from ml.dicom.archive import Item, walk
from tests.builders import dicom as build

KEYS = (b"u" * 32, b"p" * 32)
OTHER_KEYS = (b"v" * 32, b"q" * 32)
HEADER = {
    "PatientName": "Quimby^Zebulon",
    "PatientID": "4711",
    "PatientBirthDate": "19500101",
    "PatientAge": "071Y",
    "PatientSex": "M",
    "StudyDate": "20260302",
    "AcquisitionDate": "20260302",
    "InstitutionName": "St. Elsewhere",
    "StudyDescription": "Hip Quimby",
    "SeriesDescription": "cor stir Zebulon",
    "StudyID": "12",
    "BodyPartExamined": "HIP",
    "RescaleSlope": "2",
    "RescaleIntercept": "-5",
    "PixelPaddingValue": 0,
}


def series(n: int = 4, syntax: object = ExplicitVRLittleEndian) -> list[bytes]:
    """Coronal images with a header as a scanner writes it, and private blocks, of which a few numbers stay."""
    files = []
    for i, dataset in enumerate(build.classic(build.random_stack((n, 24, 20)), **HEADER)):
        dataset.AcquisitionTime = f"1200{i:02d}"
        dataset.ContentTime = f"1300{i:02d}"
        dataset.SliceLocation = f"{4.4 * i:.1f}"
        dataset.WindowCenter, dataset.WindowWidth = str(600 + i), "1200"
        dataset.SmallestImagePixelValue, dataset.LargestImagePixelValue = i, 4000 + i
        dataset.AcquisitionNumber = i + 1
        for group, creator in ((0x19, "SIEMENS MR HEADER"), (0x29, "SIEMENS CSA HEADER")):
            block = dataset.private_block(group, creator, create=True)
            block.add_new(0x0C, "IS", "50")
            block.add_new(0x15, "FD", [1.0, 2.0, float(i)])
            block.add_new(0x29, "LO", f"Quimby {i}")
        item = build.Dataset()
        item.ReferencedSOPInstanceUID = f"1.2.{i}"
        dataset.ReferencedImageSequence = [item]
        dataset["ReferencedImageSequence"].is_undefined_length = i % 2 == 0
        if syntax == ImplicitVRLittleEndian:
            dataset._is_implicit_VR = True
        files.append(build.to_bytes(dataset, syntax))
    return files


def read_whole(data, *keys) -> arrival.Arrival:
    """Without a template."""
    return arrival.receive_whole(data, *keys)[0]


def outcome(receive, data, keys=KEYS) -> object:
    """All that leaves the parser, as it leaves it."""
    try:
        arrived = receive(data, *keys)
    except Exception as error:  # noqa: BLE001 - the parser process names the kind of those that are no refusal
        return type(error).__name__, str(error)
    return json.dumps(_values(arrived), sort_keys=True), arrived.content, dataclasses.astuple(arrived.identity)


@pytest.fixture
def n_whole(monkeypatch) -> list[bytes]:
    """The files that were read whole."""
    seen: list[bytes] = []
    monkeypatch.setattr(template, "receive_whole", lambda data, *keys: seen.append(data) or arrival.receive_whole(data, *keys))
    return seen


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_only_the_first_file_of_a_series_is_read_whole_and_all_come_to_the_same(n_whole, syntax):
    files, receiver = series(6, syntax), Receiver()
    assert [outcome(receiver.receive, data) for data in files] == [outcome(read_whole, data) for data in files]
    assert n_whole == files[:1]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("AcquisitionNumber", 100_000), ("SOPInstanceUID", ""), ("ImagePositionPatient", [1, 2]), ("SliceLocation", "1e9")],
)
def test_a_file_of_a_known_series_with_a_value_that_may_not_stay_is_read_whole(n_whole, keyword, value):
    receiver = Receiver()
    first, second = build.classic(build.random_stack((2, 24, 20)), AcquisitionNumber=1, SliceLocation="1")
    setattr(second, keyword, value)
    files = [build.to_bytes(first), build.to_bytes(second)]
    assert [outcome(receiver.receive, data) for data in files] == [outcome(read_whole, data) for data in files]
    assert n_whole == files


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_pixels_with_bits_that_are_not_the_images_come_to_the_same(n_whole, kind):
    stack, files = build.random_stack((3, 24, 20)), []
    for dataset, above in zip(build.classic(stack), (0, 0, 0x4000), strict=True):
        build.set_pixels(dataset, (stack.pixels[0] // 2 | above).astype(kind))
        dataset.BitsStored, dataset.HighBit = 12, 11
        files.append(build.to_bytes(dataset))
    receiver = Receiver()
    assert [outcome(receiver.receive, data) for data in files] == [outcome(read_whole, data) for data in files]
    assert n_whole == [files[0], files[2]]


def test_text_in_a_picture_of_a_known_series_is_found(n_whole):
    from tests.imaging.dicom.test_burned_in import TEXTS, anatomy, with_text

    receiver = Receiver()
    pictures = [anatomy(1), with_text(anatomy(2), TEXTS[0], 16, (6, 8), 2000), anatomy(3)]
    files = [build.to_bytes(dataset) for dataset in build.classic(build.Stack(np.stack(pictures)))]
    assert [receiver.receive(data, *KEYS).concerns for data in files] == [[], [arrival.TEXT_FOUND], []]
    assert receiver.receive(files[1], *KEYS).concerns == [arrival.TEXT_FOUND]
    assert n_whole == files[:1]


def test_another_centre_gets_none_of_what_was_kept_for_one(n_whole):
    files, receiver = series(2), Receiver()
    ours = [outcome(receiver.receive, data) for data in files]
    theirs = [outcome(receiver.receive, data, OTHER_KEYS) for data in files]
    assert theirs == [outcome(read_whole, data, OTHER_KEYS) for data in files] != ours
    assert len(n_whole) == 2


def test_no_more_series_are_kept_than_meant():
    receiver = Receiver()
    for n in range(template.MAX_TEMPLATES + 5):
        receiver.receive(series(1)[0], bytes([n]) * 32, KEYS[1])
    assert len(receiver._templates) == template.MAX_TEMPLATES


def changed(data: bytes, place, value: bytes) -> bytes:
    return data[: place.start] + value + data[place.end :]


def unread(data: bytes) -> list:
    """The elements whose value is not in the key, but for those that are looked at in each file."""
    scanned = scan(data)
    looked_at = template._VARYING | template._TIMES | {template.PIXEL_DATA, template._META_LENGTH, template._META_UID}
    return [place for place in scanned.places if not is_in_key(place.tag) and place.tag not in looked_at]


def garbled(data: bytes, place) -> bytes:
    """The same file with other bytes in an element: of the same length, and none that could end anything early."""
    return changed(data, place, b"Q" * (place.end - place.start))


def check_unread(data: bytes) -> int:
    """No element whose value is left out of the key has a say in the outcome; gives how many there were."""
    whole, n = outcome(read_whole, data), 0
    for place in unread(data):
        if place.vr != "SQ" and place.end > place.start:
            other = garbled(data, place)
            assert outcome(read_whole, other) == whole, f"{place.tag:08X}"
            assert key_of(other, scan(other)) == key_of(data, scan(data))
            n += 1
    return n


def test_what_is_left_out_of_the_key_has_no_say():
    assert check_unread(series(1)[0]) >= 6


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_is_changed_in_a_file_of_a_known_series_it_comes_to_the_same_as_when_read_whole(data):
    first, second = series(2)
    receiver = Receiver()
    receiver.receive(first, *KEYS)
    receiver.receive(second, *KEYS)
    pixels = scan(second).places[-1].start
    garbled = bytearray(second)
    for at in data.draw(st.lists(st.integers(128, pixels - 1), min_size=1, max_size=3)):
        garbled[at] = data.draw(st.sampled_from([0, 1, 0x20, 0x30, 0x31, 0x39, 0x41, 0x53, 0x5C, 0xFF]) | st.integers(0, 255))
    file = bytes(garbled)
    if data.draw(st.booleans()):
        file = file[: data.draw(st.integers(132, len(file)))]
    assert outcome(receiver.receive, file) == outcome(read_whole, file)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_in_an_element_of_a_known_series_comes_to_the_same(data):
    first, second = series(2)
    receiver = Receiver()
    receiver.receive(first, *KEYS)
    place = data.draw(st.sampled_from([place for place in scan(second).places if place.tag != template.PIXEL_DATA]))
    value = data.draw(st.sampled_from([b"", b"Q", b"1\\2", b"1e9 ", b"nan ", b"-1", b"1.2.840", b"9" * 66, b"1\\2\\3 "]))
    if place.vr == "SQ" or place.tag >> 16 == 2:
        value = second[place.start : place.end]
    head = second[place.at : place.at + 6] + len(value).to_bytes(2, "little") if place.start - place.at == 8 else b""
    file = second[: place.at] + head + value + second[place.end :] if head else second
    assert outcome(receiver.receive, file) == outcome(read_whole, file)


@pytest.mark.corpus
def test_every_file_of_the_corpus_comes_to_the_same(corpus):
    receiver, n_regular, n_known, n_unread = Receiver(), 0, 0, 0
    for found in walk(corpus):
        if not isinstance(found, Item):
            continue
        data = found.read()
        whole = outcome(read_whole, data)
        assert outcome(receiver.receive, data) == whole, found.name
        assert outcome(receiver.receive, data) == whole, found.name  # by its own template, where it has one
        scanned = scan(data)
        key = key_of(data, scanned) if scanned else None
        n_regular += key is not None
        if key is not None and receiver._templates.get(b"".join([*KEYS, key])):
            n_known += 1
            n_unread += check_unread(data) if n_known % 12 == 1 else 0
    assert n_known > 80
    assert n_unread > 100
