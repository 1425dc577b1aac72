"""Which transfer syntaxes are read, and by which decoder: one each, so that damaged data meets only one."""

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLETransferSyntaxes,
)

_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
_HTJ2K = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203))

DECODERS: dict[str, str] = {
    **dict.fromkeys(_NATIVE, ""),
    **dict.fromkeys(RLETransferSyntaxes, "pydicom"),
    **dict.fromkeys(JPEGTransferSyntaxes, "gdcm"),
    # not pyjpegls 1.5.1: it works 30 s on a damaged frame of 4 kB, where gdcm says at once that it is damaged
    **dict.fromkeys(JPEGLSTransferSyntaxes, "gdcm"),
    **dict.fromkeys([*JPEG2000TransferSyntaxes, *_HTJ2K], "pylibjpeg"),
}


def is_compressed(syntax: str) -> bool:
    """Whether each frame lies in fragments of its own (PS3.5 A.4)."""
    return bool(DECODERS[syntax])


def name_of(uid: str) -> str:
    """Name of a UID of the standard; any other UID is not quoted, since it may belong to the person."""
    return str(UID(uid).name)[:64] if uid in UID_dictionary else "an unknown UID"
