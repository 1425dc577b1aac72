"""DICOM JSON (PS3.18 Annex F) of stored files: what is searched by, and the metadata with references to bulk data."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword

Json = dict[str, Any]
BULK_BYTES = 1024  # longer binary values are given as a reference
SEARCHED = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",  # the pseudonym that stands in the file
    "Modality",
    "Manufacturer",
    "StudyDescription",
    "SeriesDescription",
    "BodyPartExamined",
    "SeriesNumber",
    "InstanceNumber",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
)
BULK_VRS = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "UN"])


def attribute(keyword: str, *values: object) -> tuple[str, Json]:
    """(tag, element) of one attribute; without values it is present and empty."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no DICOM keyword")
    vr = dictionary_VR(tag)
    found: list[object] = [{"Alphabetic": value} if vr == "PN" else value for value in values if value not in (None, "")]
    return f"{tag:08X}", {"vr": vr, "Value": found} if found else {"vr": vr}


def attributes_of(dataset: Dataset, keywords: Iterable[str]) -> Json:
    """Those of these attributes that a data set has."""
    part = Dataset()
    for keyword in keywords:
        if keyword in dataset:
            part[keyword] = dataset[keyword]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is malformed was judged when the file came
        found: Json = part.to_json_dict(suppress_invalid_tags=True)
    return found


def searched_attributes(dataset: Dataset) -> Json:
    """The attributes of `SEARCHED` that a de-identified data set has, with the transfer syntax it is stored in."""
    found = attributes_of(dataset, SEARCHED)
    found.update([attribute("AvailableTransferSyntaxUID", str(dataset.file_meta.TransferSyntaxUID))])
    return found


def metadata(dataset: Dataset, bulk_uri: Callable[[str], str]) -> Json:
    """The whole data set as DICOM JSON; pixel data and long binary values as BulkDataURI.

    Parameters
    ----------
    bulk_uri : callable
        Gives the address of the bulk data of a tag, written as 8 hexadecimal digits.
    """
    shallow, bulk = Dataset(), {}
    for element in dataset:
        key = f"{element.tag:08X}"
        if element.keyword == "PixelData" or (element.VR in BULK_VRS and len(element.value or b"") > BULK_BYTES):
            bulk[key] = {"vr": element.VR, "BulkDataURI": bulk_uri(key)}
        else:
            shallow.add(element)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = shallow.to_json_dict(suppress_invalid_tags=True)
    found.update(bulk)
    found.update([attribute("AvailableTransferSyntaxUID", str(dataset.file_meta.TransferSyntaxUID))])
    return dict(sorted(found.items()))
