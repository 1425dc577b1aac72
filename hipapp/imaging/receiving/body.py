"""The body of a request as a stream of bytes, for doors that take files other than by a form."""

from collections.abc import Iterator
from typing import BinaryIO

from django.http import HttpRequest
from django.http.request import UnreadablePostError

from hipapp.core.errors import DomainError

CHUNK_BYTES = 256 * 1024


class MediaTypeError(DomainError):
    """The body is of a kind that this address does not take."""

    status = 415


class LengthRequiredError(DomainError):
    """The server in front hands on no chunked bodies."""

    status = 411


def body_of(request: HttpRequest) -> BinaryIO:
    """The stream of the request's body, also of a chunked one where the server can read it.

    Raises
    ------
    LengthRequiredError
        The body is chunked and the server does not say that it ends.
    """
    if "chunked" in request.headers.get("transfer-encoding", "").lower():
        if not request.META.get("wsgi.input_terminated"):
            raise LengthRequiredError(
                "This server takes no body in chunks: send it with its length (Content-Length).", code="length_required"
            )
        stream: BinaryIO = request.META["wsgi.input"]
        return stream
    return request  # type: ignore[return-value]


def chunks_of(request: HttpRequest) -> Iterator[bytes]:
    """The body in chunks; UnreadablePostError where the connection is lost."""
    stream = body_of(request)
    while True:
        try:
            chunk = stream.read(CHUNK_BYTES)
        except OSError as error:
            raise UnreadablePostError(*error.args) from error
        if not chunk:
            return
        yield chunk
