"""Which representation a DICOMweb client accepts (PS3.18 8.7): Accept header or parameter, transfer syntaxes; 406 in words."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.http import HttpRequest
from django.http.request import MediaType

from hipapp.core.errors import DomainError

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
NATIVE_LITTLE = frozenset([EXPLICIT_LITTLE, "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"])
OCTETS, DICOM, MULTIPART, JSON = "application/octet-stream", "application/dicom", "multipart/related", "application/dicom+json"
# PS3.18 table 8.7.3-5
MEDIA_TYPES = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    **{f"1.2.840.10008.1.2.4.{n}": "image/jpeg" for n in (50, 51, 57, 70)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jls" for n in (80, 81)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jp2" for n in (90, 91)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jphc" for n in (201, 202, 203)},
}


class NotAcceptableError(DomainError):
    """Nothing that the client accepts can be given."""

    status = 406


@dataclass(frozen=True)
class Wanted:
    """One media range of a client: the type, for multipart/related the type of its parts, and the transfer syntax."""

    media_type: str
    is_multipart: bool
    transfer_syntax: str

    def allows(self, media_type: str) -> bool:
        """Whether this media type lies in the range."""
        main, _, sub = self.media_type.partition("/")
        other_main, _, other_sub = media_type.partition("/")
        return main in ("*", other_main) and sub in ("*", "", other_sub)


@dataclass(frozen=True)
class Given:
    """What the answer holds: the media type of a part, and the transfer syntax of the pixels."""

    media_type: str
    is_multipart: bool
    transfer_syntax: str


def wanted(request: HttpRequest) -> list[Wanted]:
    """What the client accepts, the best first; everything where it says nothing."""
    header = request.GET.get("accept") or request.headers.get("accept") or "*/*"
    ranges = sorted((MediaType(text) for text in header.split(",") if text.strip()), key=_quality, reverse=True)
    return [_wanted(one) for one in ranges if _quality(one) > 0]


def pixel_choice(request: HttpRequest, base: str, stored: str, *, may_be_single: bool) -> Given:
    """How pixels (`base` octet-stream) or a whole file (`base` application/dicom) that lies here in `stored` syntax are given.

    Without a transfer syntax in the request that is Explicit VR Little Endian, as the standard says; with `transfer-syntax=*`
    it is the one in which the file is stored. Pixels are decompressed on demand, never compressed.

    Raises
    ------
    NotAcceptableError
        Nothing that is accepted can be given.
    """
    own_type = MEDIA_TYPES.get(stored, base) if base == OCTETS else base
    is_native = stored in NATIVE_LITTLE if base == OCTETS else stored == EXPLICIT_LITTLE
    for one in wanted(request):
        if not one.is_multipart and not may_be_single and one.media_type != "*/*":
            continue
        is_multipart = one.is_multipart or one.media_type == "*/*" or not may_be_single
        names_own_type = own_type != base and one.allows(own_type) and not one.allows(base)
        if one.allows(base) and (is_native or one.transfer_syntax in ("", EXPLICIT_LITTLE)):
            if one.transfer_syntax in ("", "*", stored, EXPLICIT_LITTLE):
                return Given(base, is_multipart, EXPLICIT_LITTLE)
        elif (one.allows(base) and one.transfer_syntax in ("*", stored)) or (
            names_own_type and one.transfer_syntax in ("", "*", stored)
        ):
            return Given(own_type, is_multipart, stored)
    offers = [f'{MULTIPART}; type="{base}"', f'{MULTIPART}; type="{own_type}"; transfer-syntax={stored}']
    raise not_acceptable(offers)


def choose(request: HttpRequest, offers: Iterable[str]) -> str:
    """The first of the offered media types that the client wants most.

    Raises
    ------
    NotAcceptableError
        None of them is accepted.
    """
    offers = list(offers)
    for one in wanted(request):
        for offer in offers:
            if one.allows(offer) and not one.is_multipart:
                return offer
    raise not_acceptable(offers)


def not_acceptable(offers: Iterable[str]) -> NotAcceptableError:
    """The error that says what could be had."""
    return NotAcceptableError(
        f"None of the media types in Accept can be given here. This resource is given as {' or '.join(dict.fromkeys(offers))}.",
        code="not_acceptable",
    )


def _quality(one: MediaType) -> float:
    try:
        return float(one.params.get("q", 1))
    except ValueError:
        return 0.0


def _wanted(one: MediaType) -> Wanted:
    name = f"{one.main_type}/{one.sub_type}".lower()
    syntax = str(one.params.get("transfer-syntax", "")).strip('" ')
    if name == MULTIPART or name == "multipart/*":
        return Wanted(str(one.params.get("type", "*/*")).strip('" ').lower(), True, syntax)
    return Wanted(name, False, syntax)
