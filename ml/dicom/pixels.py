"""Pixel data of one frame → float32 after Modality LUT, each transfer syntax by one named decoder."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_modality_lut
from pydicom.pixels.utils import pixel_array

from ml.dicom.codestream import declared_size
from ml.dicom.errors import RefusedFileError
from ml.dicom.extended_jpeg import decode_extended, is_extended_12_bit
from ml.dicom.syntaxes import DECODERS, is_compressed, name_of

Pixels = npt.NDArray[np.float32]


class PixelSource(Protocol):
    """Where the pixels of one file are, and who decodes them."""

    def read(self, numbers: Sequence[int | None]) -> Iterator[tuple[Pixels, bool]]:
        """`decode` and `is_inverted` of these frames, in this order; raises RefusedFileError."""


@dataclass(frozen=True)
class Loaded:
    """A file decoded in this process; `load` gives its data set when the pixels are needed."""

    load: Callable[[], Dataset]

    def read(self, numbers: Sequence[int | None]) -> Iterator[tuple[Pixels, bool]]:
        dataset = self.load()
        for number in numbers:
            yield decode(dataset, number), is_inverted(dataset)


def decode(dataset: Dataset, number: int | None = None) -> Pixels:
    """Intensities of one image, float32 (rows, columns) as in the file; padding is NaN.

    Parameters
    ----------
    dataset : Dataset
        That `frames_of` has found usable.
    number : int or None
        1-based frame number of a multi-frame object.

    Raises
    ------
    RefusedFileError
        The pixel data can't be decoded, or is not of the size that the header declares.

    References
    ----------
    DICOM PS3.3 C.11.1 (Modality LUT), C.7.5.1.1.2 (pixel padding); PS3.5 A.4 (compressed pixel data).
    """
    with refusing_undecodable(dataset):
        return _decode(dataset, number)


@contextmanager
def refusing_undecodable(dataset: Dataset) -> Iterator[None]:
    """Turns whatever decoding raises on damaged data into a refusal in words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (RefusedFileError, MemoryError):
        raise
    except Exception as error:  # the decoders raise almost anything on damaged data
        syntax = name_of(str(dataset.file_meta.TransferSyntaxUID))
        raise RefusedFileError(f"has pixel data that can't be decoded ({syntax}, {type(error).__name__})") from error


def is_inverted(dataset: Dataset) -> bool:
    """Whether low values are bright (MONOCHROME1)."""
    return str(dataset.get("PhotometricInterpretation", "")).strip() == "MONOCHROME1"


def stored_values(dataset: Dataset, number: int | None = None) -> npt.NDArray[Any]:
    """Pixel values of one frame as stored, (rows, columns), before any lookup; raises almost anything on damaged data."""
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    index = (number or 1) - 1
    if is_compressed(syntax):
        n_frames = int(dataset.get("NumberOfFrames") or 1)
        frame = get_frame(dataset.PixelData, index, number_of_frames=n_frames)
        size = declared_size(frame)
        if size is None and DECODERS[syntax] != "pydicom":  # RLE has no header
            raise RefusedFileError(f"has compressed pixels that are no {name_of(syntax)}")
        if size is not None and size != (rows, columns):
            raise RefusedFileError(f"has compressed pixels of {size[0]} × {size[1]} in an image of {rows} × {columns}")
        if is_extended_12_bit(dataset):
            return decode_extended(frame, dataset)
    stored = pixel_array(dataset, index=index, decoding_plugin=DECODERS[syntax])
    if stored.shape != (rows, columns):
        raise RefusedFileError(f"decodes to {stored.shape} instead of {rows} × {columns}")
    return stored


def to_intensities(stored: npt.NDArray[Any], dataset: Dataset, number: int | None = None) -> Pixels:
    """Stored values of one frame, in any shape, after its Modality LUT; raises almost anything on a damaged header."""
    values = apply_modality_lut(stored, _rescaling(dataset, number)).astype(np.float32)
    if not np.isfinite(values).all():
        raise RefusedFileError("has intensities that are no finite numbers")
    return np.asarray(values)


def padding_of(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.bool_] | None:
    """Which stored values are padding; None where there is none, or nothing else."""
    value = dataset.get("PixelPaddingValue")
    if value is None or value == "":
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(value), int(value if limit is None or limit == "" else limit)))
    padding = (stored >= low) & (stored <= high)
    return None if padding.all() else padding


def _decode(dataset: Dataset, number: int | None) -> Pixels:
    stored = stored_values(dataset, number)
    values = to_intensities(stored, dataset, number)
    padding = padding_of(stored, dataset)
    if padding is not None:
        values[padding] = np.nan
    return values


def _rescaling(dataset: Dataset, number: int | None) -> Dataset:
    """Where the Modality LUT of a frame stands: its own functional group, the shared one, or the top level."""
    groups = []
    if number is not None:
        groups = [dataset.PerFrameFunctionalGroupsSequence[number - 1]]
        groups += list((dataset.get("SharedFunctionalGroupsSequence") or [])[:1])
    for group in groups:
        for item in group.get("PixelValueTransformationSequence") or []:
            return Dataset(item)
    return dataset
