"""STOW-RS: files in by DICOMweb, each answered for on its own (PS3.18 10.5)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from rest_framework.request import Request

from hipapp.accounts.permissions import Act, centres_for
from hipapp.core.errors import DomainError
from hipapp.imaging.dicom.deidentify import remap_uid
from hipapp.imaging.dicom.dicomjson import Json, attribute
from hipapp.imaging.dicomweb import described
from hipapp.imaging.dicomweb.accept import JSON, choose
from hipapp.imaging.dicomweb.door import uid_key
from hipapp.imaging.dicomweb.multipart import spool_parts
from hipapp.imaging.dicomweb.query import StudiesQuery
from hipapp.imaging.models import Instance, Upload
from hipapp.imaging.receiving import spool
from hipapp.imaging.services import uploads
from ml.dicom.header import MR_CLASSES

# PS3.18 table 10.5.3-1 and PS3.4 table GG.4-1
DUPLICATE, CLASS_NOT_SUPPORTED, CANNOT_UNDERSTAND, DOES_NOT_MATCH = 0x0111, 0x0122, 0xC000, 0xA900
HEAD_BYTES = 8192


@dataclass(frozen=True)
class FileMeta:
    """What the group in front of a data set says that it is; empty where there is none."""

    sop_class: str = ""
    sop_uid: str = ""


def read_file_meta(head: bytes) -> FileMeta:
    """The SOP class and instance of a file by its first bytes (PS3.10 7.1), without parsing the data set."""
    at, found = 132, {}
    while head[128:132] == b"DICM" and head[at : at + 2] == b"\x02\x00" and at + 12 <= len(head):
        is_long = head[at + 4 : at + 6] in (b"OB", b"UN")
        start = at + 12 if is_long else at + 8
        length = int.from_bytes(head[at + 8 : start] if is_long else head[at + 6 : start], "little")
        if length <= 64:
            found[head[at + 2]] = head[start : start + length].decode("ascii", "replace").rstrip("\0 ")
        at = start + length
    uids = [found.get(element, "") for element in (2, 3)]
    return FileMeta(*(uid if uid.replace(".", "").isdecimal() else "" for uid in uids))


class Studies(StudiesQuery):
    """/studies and /studies/{study}: searched by GET, stored to by POST."""

    @described.store
    def post(self, request: Request, study: str | None = None) -> HttpResponse:
        """Store the files of a request; with `?complete=1` the sender says that their studies are whole."""
        choose(request, (JSON, "application/json"))
        centre = None
        if code := request.query_params.get("centre"):
            centre = get_object_or_404(centres_for(self.person, Act.UPLOAD), code=code)
        is_whole = request.query_params.get("complete") == "1"
        upload = uploads.start_upload(self.person, centre=centre, door=Upload.Door.DICOMWEB, is_whole=is_whole)
        incoming = spool.new_incoming()
        try:
            n = spool_parts(request, incoming)
            metas = {k: read_file_meta(_head(incoming / f"{k:08d}")) for k in range(1, n + 1)}
            if not metas:
                raise DomainError("The request has no parts: there is nothing to store.", code="no_files")
            uploads.add_files(upload, incoming)
            only = remap_uid(uid_key(upload.centre_id), study) if study else None
            upload = uploads.receive_now(upload, self.person, only_study_uid=only)
        except Exception:
            spool.discard(incoming)
            uploads.give_up(upload)
            raise
        return _answer(request, upload, metas)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _answer(request: Request, upload: Upload, metas: dict[int, FileMeta]) -> HttpResponse:
    key = uid_key(upload.centre_id)
    stored = _stored(upload, [remap_uid(key, meta.sop_uid) for meta in metas.values() if meta.sop_uid])
    done: list[Json] = []
    failed: list[Json] = []
    unknown: list[Json] = []
    reasons = []
    for row in upload.report:
        meta = metas.get(row["n"], FileMeta())
        words = [attribute("ReferencedSOPClassUID", meta.sop_class), attribute("ReferencedSOPInstanceUID", meta.sop_uid)]
        if row["outcome"] in ("accepted", "duplicate", "held"):
            instance = stored.get(remap_uid(key, meta.sop_uid))
            done.append(dict([*words, *([attribute("RetrieveURL", _address(request, instance))] if instance else [])]))
        elif row["outcome"] != "note":
            reasons.append(f"file {row['n']} {row['reason']}")
            target = failed if meta.sop_uid else unknown
            target.append(dict([*(words if meta.sop_uid else []), attribute("FailureReason", _reason(row, meta))]))
    body: dict[str, Any] = {}
    if len({instance.study_id for instance in stored.values()}) == 1:
        study = next(iter(stored.values())).study
        body.update([attribute("RetrieveURL", request.build_absolute_uri(reverse("dicomweb:study", args=[study.study_uid])))])
    for keyword, items in (("ReferencedSOPSequence", done), ("FailedSOPSequence", failed), ("OtherFailuresSequence", unknown)):
        if items:
            body.update([attribute(keyword, *items)])
    status = 200 if not reasons else 202 if done else 409
    answer = JsonResponse(body, content_type=JSON, status=status)
    if reasons:
        more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
        text = "; ".join(reasons[:3]).replace('"', "'").encode("ascii", "replace").decode()
        answer["Warning"] = f'299 dicomweb "Not stored: {text}{more}"'
    return answer


def _stored(upload: Upload, sop_uids: list[str]) -> dict[str, Instance]:
    ids = {row["study"] for row in upload.report if row["study"]}
    rows = Instance.objects.filter(study__in=ids, sop_uid__in=sop_uids, state=Instance.State.CURRENT).select_related("study")
    return {row.sop_uid: row for row in rows}


def _address(request: Request, row: Instance) -> str:
    path = reverse("dicomweb:instance", args=[row.study.study_uid, row.series_uid, row.sop_uid])
    return request.build_absolute_uri(path)


def _reason(row: dict[str, Any], meta: FileMeta) -> int:
    if row["outcome"] == "conflict":
        return DUPLICATE
    if row["reason"] == uploads.OTHER_STUDY:
        return DOES_NOT_MATCH
    return CLASS_NOT_SUPPORTED if meta.sop_class and meta.sop_class not in MR_CLASSES else CANNOT_UNDERSTAND
