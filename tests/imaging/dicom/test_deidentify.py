"""Nothing of the person is left in the bytes of a stored file, wherever it was planted; geometry and pixels are."""

import io
import struct

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom._dicom_dict import DicomDictionary
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import compress
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from hipapp.imaging.dicom.allowlist import SEQUENCES
from hipapp.imaging.dicom.deidentify import deidentify, find_pixel_concerns, remap_uid
from hipapp.imaging.dicom.words import clean_descriptor, clean_manufacturer, clean_model
from ml.dicom import RefusedFileError, choose_series, read_datasets
from tests.builders import dicom as build

KEY = b"a key of the tests"
PLANTED = {
    "PN": "Zebulon^Quimby",
    "DA": "19770131",
    "DT": "19770131101112.000000",
    "TM": "101112.345678",
    "UI": "1.2.826.7777.19770131",
    "CS": "ZEBULON",
    "AS": "077Y",
    "AE": "ZEBULON",
    "SH": "Zebulon 19770131",
    "UR": "http://zebulon.example/19770131",
    **dict.fromkeys(("LO", "ST", "LT", "UT", "UC"), "Zebulon Quimby 19770131 stir"),
}
MARKS = [b"zebulon", b"quimby", b"19770131", b"101112", b"7777"]


def written(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def marks_left(content: bytes) -> list[bytes]:
    wide = content.decode("utf-16-le", "ignore").encode("utf-8", "ignore")
    return [mark for mark in MARKS if mark in content.lower() or mark in wide.lower()]


def plant_everywhere(dataset: Dataset, kept: set[str]) -> int:
    """A planted value in every attribute of the standard that holds text, a date or a UID; how many that were."""
    n_planted = 0
    for tag, (vr, _, _, is_retired, keyword) in DicomDictionary.items():
        is_free = keyword and keyword not in kept and tag >> 16 not in (0, 2) and not is_retired
        if is_free and vr in PLANTED:
            dataset.add_new(tag, vr, PLANTED[vr])
            n_planted += 1
    return n_planted


NEEDED = {"SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Modality", "PatientAge"}
NEEDED |= {"PhotometricInterpretation", "SpecificCharacterSet"}


@pytest.fixture
def slice_dataset() -> Dataset:
    return build.classic(build.random_stack((1, 12, 16)))[0]


def test_planted_values_are_gone_from_every_attribute_of_the_standard(slice_dataset):
    assert plant_everywhere(slice_dataset, NEEDED) > 1500
    assert set(marks_left(written(slice_dataset))) == set(MARKS)
    clean, removed = deidentify(slice_dataset, KEY, "S1")
    assert marks_left(written(clean)) == []
    assert {"PatientBirthDate", "InstitutionName", "StudyDate", "AccessionNumber", "PatientComments"} <= set(removed)
    assert not any(mark.decode() in name.lower() for name in removed for mark in MARKS)


def test_planted_values_are_gone_from_sequences_at_any_depth(slice_dataset):
    n_planted = 0
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if vr == "SQ" and tag >> 16 > 2:
            item = Dataset()
            plant_everywhere(item, {"PatientAge"}) if keyword in SEQUENCES else item.add_new(0x00100010, "PN", "Zebulon")
            inner = Dataset()
            inner.PatientName = "Quimby"
            inner.add_new(0x00091010, "LO", "Zebulon")
            item.PlanePositionSequence = [inner]
            slice_dataset.add_new(tag, "SQ", [item])
            n_planted += 1
    assert n_planted > 500
    clean, removed = deidentify(slice_dataset, KEY, "S1")
    assert marks_left(written(clean)) == []
    assert "PlanePositionSequence.PlanePositionSequence.PatientName" in removed


def test_private_tags_overlays_curves_and_padding_are_gone(slice_dataset):
    block = slice_dataset.private_block(0x0029, "ZEBULON CSA", create=True)
    block.add_new(0x10, "OB", b"Quimby 19770131 ")
    slice_dataset.add_new(0x60003000, "OW", b"Zebulon ")
    slice_dataset.add_new(0x60000022, "LO", "Zebulon")
    slice_dataset.add_new(0x50003000, "OW", b"Quimby19")
    slice_dataset.add_new(0xFFFCFFFC, "OB", b"Zebulon ")
    clean, removed = deidentify(slice_dataset, KEY, "S1")
    assert marks_left(written(clean)) == []
    assert {"(0029,0010)", "(0029,1010)", "DataSetTrailingPadding"} <= set(removed)


def test_preamble_and_file_meta_are_written_anew(slice_dataset):
    slice_dataset.preamble = b"Zebulon".ljust(128, b"\0")
    slice_dataset.file_meta.SourceApplicationEntityTitle = "QUIMBY"
    slice_dataset.file_meta.ImplementationVersionName = "ZEBULON"
    slice_dataset.file_meta.PrivateInformationCreatorUID = "1.2.7777.19770131"
    slice_dataset.file_meta.PrivateInformation = b"Quimby"
    assert marks_left(build.to_bytes(slice_dataset))
    assert marks_left(written(deidentify(slice_dataset, KEY, "S1")[0])) == []


def test_bytes_behind_the_image_and_comments_in_it_are_gone(slice_dataset):
    slice_dataset.PixelData += b"Zebulon "
    clean, _ = deidentify(slice_dataset, KEY, "S1")
    assert len(clean.PixelData) == 12 * 16 * 2
    compress(slice_dataset, JPEGLSLossless, generate_instance_uid=False)
    before = slice_dataset.pixel_array
    frame = bytes(_frame(slice_dataset))
    comment = b"Zebulon Quimby"
    planted = frame[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + frame[2:] + b"19770131"
    slice_dataset.PixelData = encapsulate([planted])
    assert marks_left(written(slice_dataset))
    clean, _ = deidentify(slice_dataset, KEY, "S1")
    assert marks_left(written(clean)) == []
    np.testing.assert_array_equal(clean.pixel_array, before)


def test_a_comment_in_jpeg_2000_is_gone():
    slice_dataset = build.classic(build.random_stack((1, 64, 64)))[0]
    array = slice_dataset.pixel_array
    slice_dataset.BitsStored, slice_dataset.HighBit = 12, 11
    slice_dataset.compress(JPEG2000Lossless, array, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    frame = bytes(_frame(slice_dataset))
    comment = b"\0\1Zebulon"
    at = 4 + struct.unpack_from(">H", frame, 4)[0]  # behind SIZ
    planted = frame[:at] + b"\xff\x64" + struct.pack(">H", len(comment) + 2) + comment + frame[at:]
    slice_dataset.PixelData = encapsulate([planted])
    assert marks_left(written(slice_dataset)) == [b"zebulon"]
    clean, _ = deidentify(slice_dataset, KEY, "S1")
    assert marks_left(written(clean)) == []
    np.testing.assert_array_equal(clean.pixel_array, array)


def _frame(dataset: Dataset) -> bytes:
    from pydicom.encaps import get_frame

    return get_frame(dataset.PixelData, 0, number_of_frames=1)


def test_overlay_bits_in_the_pixels_are_cleared():
    for kind in (np.uint16, np.int16):
        values = np.arange(-8 if kind is np.int16 else 0, 16 * 12 - (8 if kind is np.int16 else 0)).reshape(12, 16)
        dataset = build.classic(build.random_stack((1, 12, 16)))[0]
        planted = (values & 0x0FFF) | 0x8000
        build.set_pixels(dataset, planted.astype(np.uint16).view(kind))
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.add_new(0x60000102, "US", 15)
        clean, _ = deidentify(dataset, KEY, "S1")
        np.testing.assert_array_equal(np.frombuffer(clean.PixelData, kind).reshape(12, 16), values)


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_geometry_acquisition_and_pixels_stay_in_each_transfer_syntax(syntax):
    stack = build.random_stack()
    datasets = build.classic(stack, ScanOptions=["PFP", "FS"], ManufacturerModelName="Aera")
    clean = []
    for dataset in datasets:
        if syntax is RLELossless:
            dataset.compress(syntax, generate_instance_uid=False)
        elif syntax is not None:
            dataset = dcmread(io.BytesIO(build.to_bytes(dataset, syntax)))
        clean.append(written(deidentify(dataset, KEY, "S1")[0]))
    choice = choose_series(read_datasets((f"{i}", content) for i, content in enumerate(clean)))
    np.testing.assert_array_equal(choice.volume.pixels, stack.pixels)
    np.testing.assert_allclose(choice.volume.affine, stack.affine, atol=1e-4)
    assert choice.volume.tags["ti_ms"] == 145
    assert choice.volume.tags["scan_options"] == "PFP\\FS"
    assert choice.volume.tags["model"] == "aera"
    assert list(choice.volume.uids) == [remap_uid(KEY, d.SOPInstanceUID) for d in datasets]


def test_an_enhanced_object_keeps_its_functional_groups():
    stack = build.random_stack()
    dataset = build.enhanced(stack, slopes=[1, 2, 1, 2, 1, 2])
    for i, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        content = Dataset()
        content.FrameAcquisitionDateTime, content.StackID, content.InStackPositionNumber = "19770131101112", "1", i + 1
        content.FrameComments = "Zebulon"
        group.FrameContentSequence = [content]
    clean, removed = deidentify(dataset, KEY, "S1")
    assert marks_left(written(clean)) == []
    choice = choose_series(read_datasets([("one", written(clean))]))
    np.testing.assert_array_equal(choice.volume.pixels, stack.pixels * np.array([1, 2] * 3)[:, None, None])
    np.testing.assert_allclose(choice.volume.affine, stack.affine, atol=1e-4)
    assert "PerFrameFunctionalGroupsSequence.FrameContentSequence.FrameAcquisitionDateTime" in removed


def test_uids_are_replaced_alike_in_all_files_and_differently_by_key():
    datasets = build.classic(build.random_stack())
    for dataset in datasets:
        dataset.FrameOfReferenceUID = f"{build.STUDY_UID}.77"
    clean = [deidentify(dataset, KEY, "S1")[0] for dataset in datasets]
    assert len({d.SOPInstanceUID for d in clean}) == len(datasets)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        (new,) = {d[keyword].value for d in clean}
        assert new.startswith("2.25.")
        assert new.is_valid
        assert new == remap_uid(KEY, datasets[0][keyword].value)
    assert clean[0].file_meta.MediaStorageSOPInstanceUID == clean[0].SOPInstanceUID
    assert clean[0].SOPClassUID == datasets[0].SOPClassUID
    assert remap_uid(KEY, "1.2.3") != remap_uid(b"another", "1.2.3")


def test_what_was_done_is_written_down(slice_dataset):
    slice_dataset.PatientName, slice_dataset.PatientID, slice_dataset.PatientSex = "Zebulon^Quimby", "7777", "F"
    slice_dataset.DeidentificationMethod = "by Zebulon"
    clean, _ = deidentify(slice_dataset, KEY, "S1")
    assert (clean.PatientName, clean.PatientID, clean.PatientSex) == ("S1", "S1", "F")
    assert clean.PatientIdentityRemoved == "YES"
    assert clean.LongitudinalTemporalInformationModified == "REMOVED"
    assert [c.CodeValue for c in clean.DeidentificationMethodCodeSequence] == ["113100", "113105", "113108"]
    assert slice_dataset.PatientName == "Zebulon^Quimby"


@pytest.mark.parametrize(("age", "stored"), [("045Y", "045Y"), ("094Y", "090Y"), ("030M", "002Y"), ("Zebu", None)])
def test_age_is_in_years_and_above_89_not_told(slice_dataset, age, stored):
    slice_dataset.add_new(0x00101010, "LO", age)
    assert deidentify(slice_dataset, KEY, "S1")[0].get("PatientAge") == stored


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("T2_TIRM_COR Zebulon 1977", "t2 tirm cor"),
        ("cor STIR hips, Mrs Quimby", "cor stir hips"),
        ("t2_tse_noFS_cor", "t2 tse nofs cor"),
        ("COR T2FS", "cor t2fs"),
        ("t1 vibe dixon W", "t1 vibe dixon w"),
        ("Zebulon Quimby", ""),
    ],
)
def test_descriptions_keep_known_words_only(text, cleaned):
    assert clean_descriptor(text) == cleaned


def test_vendor_and_model_are_known_ones_or_nothing():
    assert clean_manufacturer("Siemens Healthineers, Zebulon's") == "SIEMENS"
    assert clean_manufacturer("Zebulon") == ""
    assert clean_model("MAGNETOM Aera Zebulon 123456") == "magnetom aera"


def test_the_choice_of_series_is_the_same_before_and_after():
    for tags in (
        {"SeriesDescription": "Zebulon COR STIR", **dict.fromkeys(build.STIR)},
        {"SeriesDescription": "t2_tse_fs_cor", **dict.fromkeys(build.STIR), **build.T2},
        {"SeriesDescription": "x", **dict.fromkeys(build.STIR), **build.T2, "ScanOptions": "SAT1\\SFS"},
        {"SeriesDescription": "x", **dict.fromkeys(build.STIR), **build.T2, "SequenceName": "*tir2d1_11"},
        {"SeriesDescription": "T2 cor w/o FatSat", **dict.fromkeys(build.STIR), **build.T2},
        {"SeriesDescription": "cor T2 fat-suppressed", **dict.fromkeys(build.STIR), **build.T2},
        {"SeriesDescription": "t1 fs post Gadovist", **dict.fromkeys(build.STIR), **build.T1},
        {"SeriesDescription": "t1 fs", **dict.fromkeys(build.STIR), **build.T1, "ContrastBolusAgent": "Zebulovist"},
    ):
        datasets = build.classic(build.random_stack(), **tags)
        clean = [deidentify(dataset, KEY, "S1")[0] for dataset in datasets]
        from ml.dicom import weigh

        (before,), (after,) = (weigh(read_datasets(build.named(files))) for files in (datasets, clean))
        assert (before.code, before.fat_suppressed) == (after.code, after.fat_suppressed)
        assert "Zebul" not in after.why


def test_pictures_that_may_show_a_name_are_told():
    dataset = build.classic(build.random_stack((1, 8, 8)))[0]
    assert find_pixel_concerns(dataset) == []
    dataset.BurnedInAnnotation = "YES"
    dataset.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    assert len(find_pixel_concerns(dataset)) == 2


def test_a_file_without_pixels_is_refused(slice_dataset):
    del slice_dataset.PixelData
    with pytest.raises(RefusedFileError):
        deidentify(slice_dataset, KEY, "S1")
