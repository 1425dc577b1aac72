"""Bytes → pydicom data set: anything that is no sound DICOM ends as a refusal in words, never as a crash or a flood."""

import copy
import io
import logging
import warnings
import zlib

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from ml.dicom import limits
from ml.dicom.errors import RefusedFileError

# pydicom's log quotes the values that it finds wrong, which may be a name; what is wrong is judged and said here instead.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def parse(data: bytes) -> Dataset:
    """The data set of a file's bytes.

    Raises
    ------
    RefusedFileError
        No DICOM, damaged, or a deflated file that unpacks beyond the bounds.
    """
    has_prefix = data[128:132] == b"DICM"
    if not has_prefix and data[:2] not in (b"\x08\x00", b"\x02\x00"):
        raise RefusedFileError("is no DICOM file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # malformed values are judged below, attribute by attribute
            _check_deflated(data)
            dataset = dcmread(io.BytesIO(data), force=not has_prefix)
            return with_transfer_syntax(dataset)
    except (RefusedFileError, MemoryError):
        raise
    except Exception as error:  # pydicom raises almost anything on malformed input
        raise RefusedFileError(f"is damaged and can't be read as DICOM ({type(error).__name__})") from error


def _meta_end(data: bytes) -> tuple[str, int]:
    """Transfer syntax of a file and the offset at which its data set begins, without parsing the data set."""
    at, syntax = 132, ""
    while data[at : at + 2] == b"\x02\x00" and at + 8 <= len(data):
        is_long = data[at + 4 : at + 6] in (b"OB", b"OW", b"UN", b"SQ", b"UT")
        start = at + 12 if is_long else at + 8
        length = int.from_bytes(data[at + 8 : start] if is_long else data[at + 6 : start], "little")
        if data[at + 2 : at + 4] == b"\x10\x00":
            syntax = data[start : start + length].decode("ascii", "replace").rstrip("\0 ")
        at = start + length
    return syntax, at


def _check_deflated(data: bytes) -> None:
    # pydicom inflates without a bound, so the bound is tried first.
    syntax, start = _meta_end(data)
    if syntax != DeflatedExplicitVRLittleEndian:
        return
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    bound = min(limits.MAX_FILE_BYTES, max(limits.RATIO_FROM_BYTES, limits.MAX_RATIO * len(data)))
    inflating.decompress(data[start:], bound)
    if inflating.unconsumed_tail:
        raise RefusedFileError(f"unpacks to more than {limits.MAX_RATIO} times its size: refused as a deflate bomb")


def with_transfer_syntax(dataset: Dataset) -> Dataset:
    """The data set with a Transfer Syntax UID; where the file lacks one, the one it was read with."""
    meta = getattr(dataset, "file_meta", None)
    if meta is not None and meta.get("TransferSyntaxUID"):
        return dataset
    dataset = copy.copy(dataset)
    is_implicit, is_little = dataset.original_encoding
    is_little = True if is_little is None else is_little  # made in memory
    syntax = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian
    dataset.file_meta = copy.copy(meta) if meta is not None else FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset
