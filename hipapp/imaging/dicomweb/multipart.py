"""multipart/related: parts of a request streamed into the spool, parts of an answer streamed out (RFC 2387, PS3.18 8.6.1)."""

import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from django.http import HttpRequest, StreamingHttpResponse
from django.http.request import UnreadablePostError
from django.utils.http import parse_header_parameters
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError

from hipapp.core.errors import DomainError
from hipapp.imaging.receiving import spool
from hipapp.imaging.receiving.body import MediaTypeError, chunks_of
from hipapp.imaging.receiving.handler import MAX_FILES

PART_TYPES = ("", "application/dicom", "application/octet-stream")


def spool_parts(request: HttpRequest, folder: Path) -> int:
    """Write the DICOM parts of a request into numbered files of `folder`; gives how many.

    Raises
    ------
    MediaTypeError
        The request is no multipart/related of application/dicom.
    DomainError
        It is damaged or cut off, too large, or has too many parts.
    """
    kind, options = parse_header_parameters(request.headers.get("content-type", ""))
    if kind == "application/dicom":
        return _spool_one(request, folder)
    if kind != "multipart/related" or options.get("type", "application/dicom").lower() != "application/dicom":
        raise MediaTypeError(
            'Send multipart/related; type="application/dicom" (one part a file), or application/dicom for a single file.',
            code="media_type",
        )
    if not options.get("boundary"):
        raise DomainError("The Content-Type names no boundary of its parts.", code="damaged_body")
    writer = _PartWriter(folder)
    n_bytes = 0
    try:
        parser = MultipartParser(options["boundary"], writer.callbacks)
        for chunk in chunks_of(request):
            n_bytes += len(chunk)
            spool.check_size(n_bytes)
            parser.write(chunk)
        parser.finalize()
    except (FormParserError, UnreadablePostError) as error:
        raise DomainError(
            "The parts of the request can't be read: it was cut off, or its boundary is wrong. Nothing of it was stored.",
            code="damaged_body",
        ) from error
    finally:
        writer.close()
    if not writer.is_ended:
        raise DomainError("The request was cut off before its last part. Nothing of it was stored.", code="damaged_body")
    return writer.n


def answer(parts: Iterable[tuple[str, bytes]], media_type: str) -> StreamingHttpResponse:
    """A multipart/related answer of (headers of the part, content)."""
    boundary = secrets.token_hex(16)

    def stream() -> Iterator[bytes]:
        for headers, content in parts:
            yield f"--{boundary}\r\n{headers}\r\n\r\n".encode()
            yield content
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    return StreamingHttpResponse(
        stream(),
        content_type=f'multipart/related; type="{media_type}"; boundary={boundary}',
        headers={"Cache-Control": "no-store"},
    )


def _spool_one(request: HttpRequest, folder: Path) -> int:
    n_bytes = 0
    try:
        with spool.open_new(folder, 1) as file:
            for chunk in chunks_of(request):
                n_bytes += len(chunk)
                spool.check_size(n_bytes)
                file.write(chunk)
    except UnreadablePostError as error:
        raise DomainError("The request was cut off. Nothing of it was stored.", code="damaged_body") from error
    if not n_bytes or n_bytes < int(request.META.get("CONTENT_LENGTH") or 0):
        raise DomainError("The request was cut off, or is empty. Nothing of it was stored.", code="damaged_body")
    return 1


class _PartWriter:
    """The parser's callbacks: each part becomes the next file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.n, self.is_ended = folder, 0, False
        self._file: BinaryIO | None = None
        self._name, self._value, self._kind = bytearray(), bytearray(), ""
        self.callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._open,
            "on_part_data": self._write,
            "on_part_end": self.close,
            "on_end": self._end,
        }

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self._kind = ""
        self.n += 1
        if self.n > MAX_FILES:
            raise DomainError(f"A request may have {MAX_FILES} files at most. Send one study at a time.", code="too_many")

    def _header(self) -> None:
        if self._name.decode("latin-1").strip().lower() == "content-type":
            self._kind = parse_header_parameters(self._value.decode("latin-1"))[0]
        self._name.clear()
        self._value.clear()

    def _open(self) -> None:
        if self._kind not in PART_TYPES:
            raise MediaTypeError(
                f"Part {self.n} is no application/dicom. Metadata with separate bulk data is not taken: send whole files.",
                code="media_type",
            )
        self._file = spool.open_new(self.folder, self.n)

    def _write(self, data: bytes, start: int, end: int) -> None:
        assert self._file is not None  # headers come first
        self._file.write(data[start:end])

    def _end(self) -> None:
        self.is_ended = True
