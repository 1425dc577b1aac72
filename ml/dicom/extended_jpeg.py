"""JPEG extended with 12 bits (process 4): GDCM decodes it, but pydicom's way to GDCM refuses it, so here is another."""

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import JPEGExtended12Bit


def is_extended_12_bit(dataset: Dataset) -> bool:
    """Whether pydicom's decoders refuse this data set's pixels for having more than 8 bits."""
    return str(dataset.file_meta.TransferSyntaxUID) == JPEGExtended12Bit and int(dataset.get("BitsStored") or 0) > 8


def decode_extended(frame: bytes, dataset: Dataset) -> npt.NDArray[np.generic]:
    """Pixel values of one frame, 16 bits (rows, columns); raises ValueError where GDCM can't decode it.

    References
    ----------
    ITU-T T.81 4.11 (extended DCT-based process); DICOM PS3.5 8.2.1.
    """
    import gdcm

    rows, columns, stored = int(dataset.Rows), int(dataset.Columns), int(dataset.BitsStored)
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(str(dataset.PhotometricInterpretation))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(JPEGExtended12Bit))))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, stored, stored - 1, int(dataset.get("PixelRepresentation") or 0)))
    pixels = image.GetBuffer()
    if not isinstance(pixels, str):
        raise ValueError("GDCM gives no pixels")
    values = np.frombuffer(pixels.encode("utf-8", "surrogateescape"), "<u2")
    if values.size != rows * columns:
        raise ValueError(f"GDCM gives {values.size} pixels")
    values = values.reshape(rows, columns)
    return values.view(np.int16) if int(dataset.get("PixelRepresentation") or 0) else values
