"""A stored file in Explicit VR Little Endian, for clients that read nothing else."""

import io
import warnings

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from ml.dicom.codestream import declared_size
from ml.dicom.errors import RefusedFileError
from ml.dicom.parse import parse
from ml.dicom.syntaxes import DECODERS, is_compressed


def as_explicit_little(content: bytes) -> bytes:
    """The same data set in Explicit VR Little Endian, pixels decompressed (PS3.5 A.2).

    Raises
    ------
    RefusedFileError
        The pixels can't be decoded.
    """
    dataset = parse(content)
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if is_compressed(syntax):
                _check_sizes(dataset)
                dataset.decompress(as_rgb=False, decoding_plugin=DECODERS[syntax], generate_instance_uid=False)
            elif syntax == ExplicitVRBigEndian:
                n_bytes = int(dataset.BitsAllocated) // 8
                words = np.frombuffer(dataset.PixelData, f">u{max(n_bytes, 2)}")  # 8-bit pixels in OW are swapped by pairs
                dataset.PixelData = words.byteswap().tobytes()
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            buffer = io.BytesIO()
            dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True, enforce_file_format=True)
    except (RefusedFileError, MemoryError):
        raise
    except Exception as error:  # the decoders raise almost anything on damaged data
        raise RefusedFileError(f"has pixel data that can't be decoded ({type(error).__name__})") from error
    return buffer.getvalue()


def _check_sizes(dataset: Dataset) -> None:
    """Refuse a codestream of another size than the header says, before a decoder allocates memory for it."""
    for frame in generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1)):
        size = declared_size(frame)
        if size is not None and size != (int(dataset.Rows), int(dataset.Columns)):
            raise RefusedFileError("has compressed pixels of another size than it says")
