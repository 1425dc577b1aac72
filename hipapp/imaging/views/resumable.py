"""tus 1.0: the files of an upload, each resumed where it broke off (core, creation, checksum, expiration, termination)."""

import base64
import binascii
import uuid
from typing import Any

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from hipapp.imaging.models import Upload
from hipapp.imaging.receiving import resumable, spool
from hipapp.imaging.receiving.body import MediaTypeError, chunks_of
from hipapp.imaging.selectors import visible_uploads
from hipapp.imaging.views.door import DoorView

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
OFFSETS = "application/offset+octet-stream"


_VERSION = OpenApiParameter("Tus-Resumable", str, OpenApiParameter.HEADER, required=True, enum=[VERSION])
_CHECKSUM = OpenApiParameter("Upload-Checksum", str, OpenApiParameter.HEADER, description="algorithm and base64 of these bytes")
_OFFSET = OpenApiParameter("Upload-Offset", int, OpenApiParameter.HEADER, required=True, description="Bytes that are there")
_LENGTH = OpenApiParameter("Upload-Length", int, OpenApiParameter.HEADER, required=True, description="Bytes of the whole file")
_METADATA = OpenApiParameter(
    "Upload-Metadata", str, OpenApiParameter.HEADER, description="`number` with its value in base64: place in the report"
)
_TAKEN = {
    404: OpenApiResponse(description="There is no such upload or file"),
    409: OpenApiResponse(description="The upload is complete, or the offset is another"),
    412: OpenApiResponse(description="Another version of tus"),
}


class VersionError(DomainError):
    """The client speaks another version of tus."""

    status = 412


class TusView(DoorView):
    """What both resources share: the version, whose upload it is, what the server can."""

    door, tag = "web", "uploads"
    http_method_names = ["options", "post", "head", "patch", "delete"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.headers.get("tus-resumable") != VERSION:
            raise VersionError(f"This is tus {VERSION}: send the header Tus-Resumable: {VERSION}.", code="tus_version")

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Tus-Resumable"] = VERSION
        answer["Cache-Control"] = "no-store"
        if answer.status_code == VersionError.status:
            answer["Tus-Version"] = VERSION
        return answer

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        if request.method == "OPTIONS":  # it asks before it says which version it speaks
            request.META["HTTP_TUS_RESUMABLE"] = VERSION
        if request.method == "POST" and (method := request.headers.get("x-http-method-override", "").upper()) in (
            "PATCH",
            "DELETE",
        ):
            request.method = method
        return super().initialize_request(request, *args, **kwargs)

    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        """What this server can do."""
        headers = {
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(settings.UPLOAD_MAX_BYTES),
            "Tus-Checksum-Algorithm": ",".join(resumable.CHECKSUMS),
        }
        return HttpResponse(status=204, headers=headers)

    def open_upload(self, pk: uuid.UUID) -> Upload:
        """The person's own upload while it takes files."""
        upload: Upload = get_object_or_404(visible_uploads(self.person), pk=pk)
        if upload.user_id != self.person.pk:
            raise ForbiddenError("Only the person who began this upload can go on with it.", code="forbidden")
        if upload.state != Upload.State.RECEIVING:
            raise ConflictError("This upload is complete: start a new one for more files.", code="upload_complete")
        return upload


class NewFile(TusView):
    @extend_schema(
        parameters=[_VERSION, _LENGTH, _METADATA, _CHECKSUM],
        request={OFFSETS: OpenApiTypes.BINARY},
        responses={201: OpenApiResponse(description="Location is where its bytes go"), **_TAKEN},
    )
    def post(self, request: Request, pk: uuid.UUID) -> HttpResponse:
        """Announce a file of `Upload-Length` bytes; `number` in Upload-Metadata is its place in the upload's report."""
        upload = self.open_upload(pk)
        length = _whole(request, "upload-length")
        number, piece = resumable.begin(spool.folder_of(upload.pk), length, _number(request.headers.get("upload-metadata", "")))
        if request.headers.get("content-type") == OFFSETS and not piece.is_complete:
            piece = resumable.append(piece, 0, chunks_of(request), _checksum(request))  # type: ignore[arg-type]
        address = request.build_absolute_uri(reverse("imaging:tus-file", args=[upload.pk, number]))
        return HttpResponse(status=201, headers={"Location": address, **_state(piece)})


class OneFile(TusView):
    def head(self, request: Request, pk: uuid.UUID, number: int) -> HttpResponse:
        """How far the file has come."""
        piece = self._piece(pk, number)
        return HttpResponse(status=200, headers={"Upload-Length": str(piece.length), **_state(piece)})

    @extend_schema(
        parameters=[_VERSION, _OFFSET, _CHECKSUM],
        request={OFFSETS: OpenApiTypes.BINARY},
        responses={204: OpenApiResponse(description="Upload-Offset says how far it is now"), **_TAKEN},
    )
    def patch(self, request: Request, pk: uuid.UUID, number: int) -> HttpResponse:
        """More of the file, from `Upload-Offset`."""
        if request.headers.get("content-type") != OFFSETS:
            raise MediaTypeError(f"The bytes of a file are sent as {OFFSETS}.", code="media_type")
        piece = self._piece(pk, number)
        piece = resumable.append(piece, _whole(request, "upload-offset"), chunks_of(request), _checksum(request))  # type: ignore[arg-type]
        return HttpResponse(status=204, headers=_state(piece))

    @extend_schema(parameters=[_VERSION], responses={204: OpenApiResponse(description="It is gone"), **_TAKEN})
    def delete(self, request: Request, pk: uuid.UUID, number: int) -> HttpResponse:
        """Throw the file away."""
        resumable.remove(self._piece(pk, number))
        return HttpResponse(status=204)

    def _piece(self, pk: uuid.UUID, number: int) -> resumable.Piece:
        piece = resumable.find(spool.folder_of(self.open_upload(pk).pk), number)
        if piece is None:
            raise Http404
        return piece


def _state(piece: resumable.Piece) -> dict[str, str]:
    expires = {} if piece.is_complete else {"Upload-Expires": resumable.http_date(piece.expires_at)}
    return {"Upload-Offset": str(piece.offset), **expires}


def _whole(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not text.isdecimal() or len(text) > 15:
        raise DomainError(f"The header {header.title()} has to be a whole number of bytes.", code="bad_number", field=header)
    return int(text)


def _number(text: str) -> int | None:
    for pair in text.split(","):
        key, _, value = pair.strip().partition(" ")
        if key != "number":
            continue
        try:
            decoded = base64.b64decode(value, validate=True).decode("ascii")
        except (binascii.Error, ValueError) as error:
            raise DomainError("Upload-Metadata is no list of keys and base64 values.", code="bad_metadata") from error
        if not decoded.isdecimal() or len(decoded) > 9:
            raise DomainError("`number` in Upload-Metadata has to be a whole number.", code="bad_number", field="number")
        return int(decoded)
    return None


def _checksum(request: Request) -> tuple[str, bytes] | None:
    text = request.headers.get("upload-checksum")
    if not text:
        return None
    algorithm, _, value = text.partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error:
        algorithm = ""
    if algorithm not in resumable.CHECKSUMS:
        known = ", ".join(resumable.CHECKSUMS)
        raise DomainError(f"Upload-Checksum is `algorithm base64`, the algorithm one of {known}.", code="checksum")
    return algorithm, digest
