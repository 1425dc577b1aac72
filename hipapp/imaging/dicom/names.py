"""A person's name as the file means it, also where the character set that it declares is missing or wrong."""

import re
import warnings

from pydicom import Dataset
from pydicom.charset import decode_bytes, python_encoding
from pydicom.valuerep import PersonName

_ESCAPES = ("iso8859", "iso2022_jp", "iso2022_jp_2", "euc_kr", "iso_ir_58", "shift_jis")  # what an escape sequence may lead to
_LATIN = ("ISO_IR 6", "ISO_IR 100", "ISO 2022 IR 6", "ISO 2022 IR 100")
_DELIMITERS = {ord("^"), ord("="), ord("\\")}
_NOT_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd]")
_CJK = re.compile("[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff·]+")


def person_name(dataset: Dataset, keyword: str = "PatientName") -> str:
    """All writings of a name, `alphabetic=ideographic=phonetic`; empty where there is none or it can't be read.

    Notes
    -----
    Bytes outside ASCII are decoded by Specific Character Set. Where that is absent, unknown, or does not fit the bytes, they are
    read as what they are: UTF-8 where they are valid UTF-8; by their escape sequences where they have such; GB18030 where whole
    components are Chinese characters in it; else Latin-1. Bytes that are Latin by their declared set but valid UTF-8 are UTF-8:
    real Latin names hardly ever are.

    References
    ----------
    DICOM PS3.5 6.1, PS3.3 C.12.1.1.2.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = _bytes_of(dataset, keyword)
            value = dataset.get(keyword)
            text = "" if value is None else str(value)
            if any(byte > 126 or byte == 0x1B for byte in raw):
                text = _by_bytes(raw, text, _declared(dataset))
    except Exception:  # noqa: BLE001 - an unreadable name counts as a missing one
        return ""
    return text.replace("\0", "").strip()


def _bytes_of(dataset: Dataset, keyword: str) -> bytes:
    """The name as it stands in the file; empty for one made in memory. pydicom encodes it anew once it has been looked at."""
    element = dataset.get_item(keyword) if keyword in dataset else None
    value = getattr(element, "value", None)
    raw = value.original_string if isinstance(value, PersonName) else value
    return raw.rstrip(b"\0 ") if isinstance(raw, bytes) else b""


def _declared(dataset: Dataset) -> list[str]:
    """The declared sets that there are."""
    value = dataset.get("SpecificCharacterSet")
    values = [] if value is None else [value] if isinstance(value, str) else list(value)
    return [str(one) for one in values if one and str(one) in python_encoding]


def _by_bytes(raw: bytes, declared_text: str, declared: list[str]) -> str:
    has_escapes = b"\x1b" in raw
    is_readable = not _NOT_TEXT.search(declared_text)
    if is_readable and any(one not in _LATIN for one in declared):
        return declared_text
    if has_escapes:
        by_escapes = decode_bytes(raw, list(_ESCAPES), _DELIMITERS)
        return declared_text if _NOT_TEXT.search(by_escapes) else by_escapes
    utf_8, chinese = _decoded(raw, "utf_8"), _decoded(raw, "gb18030")
    if utf_8 is not None:
        return utf_8
    if chinese is not None and _is_chinese(chinese) and not (declared and is_readable):
        return chinese
    return raw.decode("latin_1")


def _decoded(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_chinese(text: str) -> bool:
    """Whether every component is either ASCII or Chinese characters alone; Latin letters read as GB18030 lie among ASCII ones."""
    return all(part.isascii() or _CJK.fullmatch(part.strip("\0 ")) for part in re.split(r"[\^=]", text))
