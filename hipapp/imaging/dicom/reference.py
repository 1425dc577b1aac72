"""The page that says what stays in a stored file, written from the rules: `python -m hipapp.imaging.dicom.reference > docs/…`."""

import sys
from collections.abc import Iterable

from pydicom.datadict import dictionary_description, dictionary_VR, tag_for_keyword

from hipapp.imaging.dicom import allowlist

PAGE = "docs/reference/deidentification.md"
_HEAD = """# What stays in a stored file

Written by `python -m hipapp.imaging.dicom.reference > {page}` from `hipapp/imaging/dicom/allowlist.py`; a test compares the two.
An attribute that is not named here is removed, at whatever depth it stands; so is a value that is not of the kind named here.
Why it is done so: `docs/explanation/privacy.md`.

Method codes written into each file (0012,0064): {codes}; {private} where a private attribute stayed.
Patient Identity Removed is YES, Longitudinal Temporal Information Modified is REMOVED, the text is "{text}".
"""
_WRITTEN = (
    ("PatientName", "pseudonym of the study, `S` and 12 hex digits by keyed hash"),
    ("PatientID", "the same pseudonym"),
    ("PatientAge", "whole years; 90 for any above 89"),
    ("PatientIdentityRemoved", "YES"),
    ("DeidentificationMethod", "name and version of the rules"),
    ("DeidentificationMethodCodeSequence", "the codes above"),
    ("LongitudinalTemporalInformationModified", "REMOVED"),
)
# Attributes that PS3.15 table E.1-1 names and that a scanner writes: what the basic profile asks for.
_PROFILE = {
    "PatientName": "Z", "PatientID": "Z/D", "PatientBirthDate": "Z", "PatientSex": "Z", "PatientAge": "X", "PatientSize": "X",
    "PatientWeight": "X", "OtherPatientIDs": "X", "OtherPatientNames": "X", "PatientAddress": "X", "PatientTelephoneNumbers": "X",
    "EthnicGroup": "X", "Occupation": "X", "AdditionalPatientHistory": "X", "PatientComments": "X", "StudyDate": "Z",
    "StudyTime": "Z", "SeriesDate": "X/D", "SeriesTime": "X/D", "AcquisitionDate": "X/Z", "AcquisitionTime": "X/Z",
    "ContentDate": "Z/D", "ContentTime": "Z/D", "AccessionNumber": "Z", "InstitutionName": "X/Z/D", "InstitutionAddress": "X",
    "InstitutionalDepartmentName": "X", "ReferringPhysicianName": "Z", "PhysiciansOfRecord": "X", "PerformingPhysicianName": "X",
    "NameOfPhysiciansReadingStudy": "X", "OperatorsName": "X/Z/D", "StationName": "X/Z/D", "DeviceSerialNumber": "X/Z/D",
    "StudyDescription": "X", "SeriesDescription": "X", "ProtocolName": "X/D", "StudyID": "Z", "ImageComments": "X",
    "RequestedProcedureDescription": "X/Z", "PerformedProcedureStepDescription": "X", "SOPInstanceUID": "U",
    "StudyInstanceUID": "U", "SeriesInstanceUID": "U", "FrameOfReferenceUID": "U", "ReferencedSOPInstanceUID": "U",
    "ReferencedImageSequence": "X/Z/U*", "ReferencedStudySequence": "X/Z", "ContentSequence": "D",
}  # fmt: skip


def action_of(keyword: str) -> str:
    """What the rules do with an attribute, in words."""
    written = dict(_WRITTEN)
    if keyword in written:
        return f"replaced: {written[keyword]}"
    if keyword in allowlist.EMPTIED:
        return "emptied"
    if keyword in allowlist.UIDS:
        return "replaced by a keyed hash"
    if keyword in allowlist.VOCABULARY:
        return "kept where it is a known word"
    if keyword in allowlist.CLEANED:
        return "known words kept"
    if keyword in allowlist.NUMBERS or keyword in allowlist.BYTES:
        return "kept"
    return "looked through" if keyword in allowlist.SEQUENCES else "removed"


def page() -> str:
    """The whole page as Markdown."""
    codes = ", ".join(f"{code} {meaning}" for code, meaning in allowlist.METHODS)
    parts = [
        _HEAD.format(page=PAGE, codes=codes, private=" ".join(allowlist.SAFE_PRIVATE_METHOD), text=allowlist.METHOD_TEXT),
        _section(
            "Against the basic profile",
            "X remove, Z empty, D dummy, U new UID (DICOM PS3.15, table E.1-1): what a scanner writes; the rest is removed.",
            ("Attribute", "Tag", "Profile", "Here"),
            ((_name(keyword), _tag(keyword), asked, action_of(keyword)) for keyword, asked in _PROFILE.items()),
        ),
        _section("Written anew", "", ("Attribute", "Tag", "Value"), ((_name(k), _tag(k), v) for k, v in _WRITTEN)),
        _section("Left empty", "", ("Attribute", "Tag"), ((_name(k), _tag(k)) for k in allowlist.EMPTIED)),
        _section(
            "UIDs replaced by 2.25.‹UUID of HMAC-SHA-256 under the centre's key›",
            "The same UID gives the same new one in every file of a centre; UIDs of the standard stay.",
            ("Attribute", "Tag"),
            ((_name(k), _tag(k)) for k in _sorted(allowlist.UIDS)),
        ),
        _section(
            "Numbers kept as they are",
            f"Counters up to {allowlist.MAX_COUNTER}, others up to {allowlist.MAX_NUMBER:g} (values of 32-bit pixels: 2³²); "
            "anything larger is removed, since it may be a date or a record number. Tags named by AT are those of the standard.",
            ("Attribute", "Tag", "VR", "Kind"),
            (
                (_name(k), _tag(k), dictionary_VR(_known(k)), "counter" if k in allowlist.COUNTERS else "")
                for k in _sorted(allowlist.NUMBERS)
            ),
        ),
        _section(
            "Words of a fixed vocabulary",
            "Other values are dropped; in Image Type and Frame Type they become OTHER.",
            ("Attribute", "Tag", "Values"),
            ((_name(k), _tag(k), ", ".join(sorted(v))) for k, v in sorted(allowlist.VOCABULARY.items())),
        ),
        _section(
            "Texts kept as far as they are known words of the trade",
            "Lists in `words.py`; a name, a number or a date is none of them.",
            ("Attribute", "Tag"),
            ((_name(k), _tag(k)) for k in sorted(allowlist.CLEANED)),
        ),
        _section(
            "Sequences looked through by the same rules",
            "At most four levels deep; every other sequence is removed as a whole.",
            ("Attribute", "Tag"),
            ((_name(k), _tag(k)) for k in _sorted(allowlist.SEQUENCES)),
        ),
        _section(
            "Bytes",
            "Without what stands beside the image: trailing bytes, overlay bits, JPEG comments and application segments, "
            "JPEG 2000 comments and boxes, fragments that are no frame.",
            ("Attribute", "Tag"),
            ((_name(k), _tag(k)) for k in _sorted(allowlist.BYTES)),
        ),
        _section(
            "Private attributes that stay",
            "Numbers only, of these creators; every other private attribute is removed.",
            ("Creator", "Tag", "VR"),
            (
                (creator, f"({group:04X},xx{element:02X})", vr)
                for (group, creator), elements in sorted(allowlist.SAFE_PRIVATE.items())
                for element, vr in elements.items()
            ),
        ),
    ]
    return "\n".join(parts)


def _section(title: str, about: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"## {title}", ""]
    lines += [about, ""] if about else []
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _sorted(keywords: Iterable[str]) -> list[str]:
    return sorted(keywords, key=_known)


def _known(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no keyword of DICOM")
    return tag


def _name(keyword: str) -> str:
    return dictionary_description(_known(keyword))


def _tag(keyword: str) -> str:
    tag = _known(keyword)
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


if __name__ == "__main__":
    sys.stdout.write(page())
