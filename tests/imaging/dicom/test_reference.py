"""The page of what stays in a stored file says what the rules say."""

from pathlib import Path

from hipapp.imaging.dicom import allowlist, reference
from hipapp.imaging.dicom.deidentify import deidentify
from tests.builders import dicom as build


def test_the_page_is_what_the_rules_give():
    written = Path(reference.PAGE).read_text(encoding="utf-8")
    assert written == reference.page(), f"python -m hipapp.imaging.dicom.reference > {reference.PAGE}"


def test_every_rule_is_on_the_page():
    page = reference.page()
    for keyword in (*allowlist.NUMBERS, *allowlist.UIDS, *allowlist.SEQUENCES, *allowlist.VOCABULARY, *allowlist.CLEANED):
        assert reference._tag(keyword) in page, keyword


def test_what_the_page_says_is_removed_is_removed():
    dataset = build.classic(build.random_stack((1, 12, 16)))[0]
    dataset.StationName, dataset.StudyDate, dataset.PatientSex, dataset.StudyID = "Z", "20260302", "F", "7"
    clean, _ = deidentify(dataset, b"key", "S1")
    said = {keyword: reference.action_of(keyword) for keyword in ("StationName", "StudyDate", "PatientSex", "StudyID")}
    assert said["StationName"] == "removed"
    assert "StationName" not in clean
    assert (said["StudyDate"], clean.StudyDate, said["StudyID"], clean.StudyID) == ("emptied", "", "emptied", "")
    assert (said["PatientSex"], clean.PatientSex) == ("kept where it is a known word", "F")
