"""What the schema of the API says of DICOMweb; PS3.18 and docs/reference/dicomweb.md say the rest."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from hipapp.imaging.dicomweb.accept import DICOM, JSON, OCTETS

MULTIPART = "multipart/related"
_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": {}, "description": "DICOM JSON model (PS3.18 F)"}
_LIST: dict[str, Any] = {"type": "array", "items": _OBJECT}
_ERROR: dict[str, Any] = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "fields": {"type": "object"}},
        }
    },
}
NOT_FOUND = OpenApiResponse(_ERROR, "There is nothing at this address that you may see")
NOT_ACCEPTABLE = OpenApiResponse(_ERROR, "It can't be given as asked; the message names what can")
_PARAMETERS = [
    OpenApiParameter("limit", int, description="At most so many rows"),
    OpenApiParameter("offset", int, description="So many rows are passed over"),
    OpenApiParameter("includefield", str, many=True, description="Keywords or tags that are given too, or `all`"),
    OpenApiParameter("StudyInstanceUID", str, description="As stored or as the scanner gave it; several with `,`"),
    OpenApiParameter("PatientID", str, description="Study code; wildcards `*` and `?`"),
    OpenApiParameter("StudyDate", str, description="YYYYMMDD, or a range with `-`"),
    OpenApiParameter("ModalitiesInStudy", str),
]


def _files(*media: str) -> dict[Any, Any]:
    return {**{(200, kind): OpenApiTypes.BINARY for kind in media}, 404: NOT_FOUND, 406: NOT_ACCEPTABLE}


search = extend_schema(
    parameters=_PARAMETERS,
    responses={(200, JSON): OpenApiResponse(_LIST, "What matches"), 204: OpenApiResponse(description="Nothing matches")},
)
store = extend_schema(
    parameters=[
        OpenApiParameter("centre", str, description="Code; needed only where you have several"),
        OpenApiParameter("complete", str, enum=["1"], description="The studies are whole: scored at once"),
    ],
    request={f'{MULTIPART}; type="{DICOM}"': OpenApiTypes.BINARY, DICOM: OpenApiTypes.BINARY},
    responses={
        (200, JSON): OpenApiResponse(_OBJECT, "All were stored"),
        (202, JSON): OpenApiResponse(_OBJECT, "Some were stored; FailedSOPSequence says which were not, and why"),
        (409, JSON): OpenApiResponse(_OBJECT, "None was stored"),
    },
)
files = extend_schema(responses=_files(f'{MULTIPART}; type="{DICOM}"'))
one_file = extend_schema(responses=_files(f'{MULTIPART}; type="{DICOM}"', DICOM))
metadata = extend_schema(responses={(200, JSON): OpenApiResponse(_LIST, "By instance"), 404: NOT_FOUND})
frames = extend_schema(
    parameters=[OpenApiParameter("frames", str, OpenApiParameter.PATH, description="Numbers from 1, with `,`")],
    responses=_files(f'{MULTIPART}; type="{OCTETS}"', OCTETS),
)
rendered = extend_schema(
    parameters=[
        OpenApiParameter("window", str, description="centre,width[,linear|linear-exact|sigmoid]"),
        OpenApiParameter("viewport", str, description="width,height in pixels"),
        OpenApiParameter("quality", int, description="Of a JPEG, 1 to 100"),
    ],
    responses=_files("image/jpeg", "image/png"),
)
bulk_data = extend_schema(
    parameters=[OpenApiParameter("tag", str, OpenApiParameter.PATH, description="Eight hexadecimal digits")],
    responses=_files(OCTETS, f'{MULTIPART}; type="{OCTETS}"'),
)
