"""Pixel data of one frame → float32 after Modality LUT, each transfer syntax by one named decoder."""

import warnings

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_modality_lut
from pydicom.pixels.utils import pixel_array

from ml.dicom.codestream import declared_size
from ml.dicom.errors import RefusedFileError
from ml.dicom.header import Frame
from ml.dicom.syntaxes import DECODERS, is_compressed, name_of

Pixels = npt.NDArray[np.float32]


def decode(frame: Frame, dataset: Dataset) -> Pixels:
    """Intensities of one frame, shape (rows, columns) as in the file; padding is NaN.

    Raises
    ------
    RefusedFileError
        The pixel data can't be decoded, or is not of the size that the header declares.

    References
    ----------
    DICOM PS3.3 C.11.1 (Modality LUT), C.7.5.1.1.2 (pixel padding); PS3.5 A.4 (compressed pixel data).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(frame, dataset)
    except RefusedFileError:
        raise
    except Exception as error:  # the decoders raise almost anything on damaged data
        syntax = name_of(str(dataset.file_meta.TransferSyntaxUID))
        raise RefusedFileError(f"has pixel data that can't be decoded ({syntax}, {type(error).__name__})") from error


def is_inverted(dataset: Dataset) -> bool:
    """Whether low values are bright (MONOCHROME1)."""
    return str(dataset.get("PhotometricInterpretation", "")).strip() == "MONOCHROME1"


def _decode(frame: Frame, dataset: Dataset) -> Pixels:
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    index = (frame.number or 1) - 1
    if is_compressed(syntax):
        n_frames = int(dataset.get("NumberOfFrames") or 1)
        size = declared_size(get_frame(dataset.PixelData, index, number_of_frames=n_frames))
        if size is None and DECODERS[syntax] != "pydicom":  # RLE has no header
            raise RefusedFileError(f"has compressed pixels that are no {name_of(syntax)}")
        if size is not None and size != (frame.rows, frame.columns):
            raise RefusedFileError(
                f"has compressed pixels of {size[0]} × {size[1]} in an image of {frame.rows} × {frame.columns}"
            )
    stored = pixel_array(dataset, index=index, decoding_plugin=DECODERS[syntax])
    if stored.shape != (frame.rows, frame.columns):
        raise RefusedFileError(f"decodes to {stored.shape} instead of {frame.rows} × {frame.columns}")
    values = apply_modality_lut(stored, _rescaling(frame, dataset)).astype(np.float32)
    if not np.isfinite(values).all():
        raise RefusedFileError("has intensities that are no finite numbers")
    padding = _padding(stored, dataset)
    if padding is not None:
        values[padding] = np.nan
    return values


def _rescaling(frame: Frame, dataset: Dataset) -> Dataset:
    """Where the Modality LUT of a frame stands: its own functional group, the shared one, or the top level."""
    groups = []
    if frame.number is not None:
        groups = [dataset.PerFrameFunctionalGroupsSequence[frame.number - 1]]
        groups += list((dataset.get("SharedFunctionalGroupsSequence") or [])[:1])
    for group in groups:
        for item in group.get("PixelValueTransformationSequence") or []:
            return Dataset(item)
    return dataset


def _padding(stored: np.ndarray, dataset: Dataset) -> npt.NDArray[np.bool_] | None:
    value = dataset.get("PixelPaddingValue")
    if value is None or value == "":
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(value), int(value if limit is None or limit == "" else limit)))
    padding = (stored >= low) & (stored <= high)
    return None if padding.all() else padding
