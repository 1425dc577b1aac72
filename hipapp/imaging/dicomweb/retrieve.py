"""WADO-RS: files, metadata, frames, rendered pictures and bulk data out (PS3.18 10.4)."""

import io
import re
from collections.abc import Iterable, Iterator

import numpy as np
from django.http import Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from PIL import Image
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import get_frame
from rest_framework.request import Request

from hipapp.core.errors import DomainError
from hipapp.core.storage import read_content
from hipapp.imaging.dicom.dicomjson import Json, metadata
from hipapp.imaging.dicomweb import described, multipart
from hipapp.imaging.dicomweb.accept import (
    DICOM,
    EXPLICIT_LITTLE,
    JSON,
    OCTETS,
    Given,
    choose,
    pixel_choice,
)
from hipapp.imaging.dicomweb.door import DicomWebView, find_instances
from hipapp.imaging.dicomweb.store import Studies
from hipapp.imaging.models import Instance
from hipapp.imaging.parsers import StoredPixels, parser_pool
from ml.dicom.errors import RefusedFileError
from ml.dicom.syntaxes import is_compressed

CACHE = {"Cache-Control": "private, max-age=3600", "Vary": "Cookie, Authorization, Accept"}
MAX_SIDE = 4096
PIXELS = "7FE00010"
_TAG = re.compile(r"[0-9a-fA-F]{8}")


def served(row: Instance, content: bytes) -> Dataset:
    """A stored file as it goes out: named by the study code where the study has a patient, else by its pseudonym."""
    dataset = dcmread(io.BytesIO(content))
    if row.study.visit is not None:
        dataset.PatientName = dataset.PatientID = row.study.visit.patient.study_code
    return dataset


class Study(Studies):
    """/studies/{study}: all its files by GET, more of them by POST."""

    @described.files
    def get(self, request: Request, study: str) -> HttpResponseBase:  # type: ignore[override]
        """All files of a study."""
        return _files(request, find_instances(self.person, study))


class Series(DicomWebView):
    @described.files
    def get(self, request: Request, study: str, series: str) -> HttpResponseBase:
        """All files of a series."""
        return _files(request, find_instances(self.person, study, series))


class OneInstance(DicomWebView):
    @described.one_file
    def get(self, request: Request, study: str, series: str, instance: str) -> HttpResponseBase:
        """One file."""
        return _files(request, find_instances(self.person, study, series, instance), may_be_single=True)


class Metadata(DicomWebView):
    @described.metadata
    def get(self, request: Request, study: str, series: str | None = None, instance: str | None = None) -> HttpResponseBase:
        """The attributes of every instance, as DICOM JSON."""
        choose(request, (JSON, "application/json"))
        rows = find_instances(self.person, study, series, instance)
        encoder = JsonResponse({}).__class__

        def stream() -> Iterator[bytes]:
            for n, row in enumerate(rows):
                yield b"[" if n == 0 else b","
                yield encoder(_metadata(request, row)).content
            yield b"]"

        return StreamingHttpResponse(stream(), content_type=JSON, headers=CACHE)


class Frames(DicomWebView):
    @described.frames
    def get(self, request: Request, study: str, series: str, instance: str, frames: str) -> HttpResponseBase:
        """Frames as raw pixels, or as they are stored."""
        (row,) = find_instances(self.person, study, series, instance)[:1]
        numbers = _numbers(frames, row)
        given = pixel_choice(request, OCTETS, syntax_of(row), may_be_single=len(numbers) == 1)
        parts = _frames(row, numbers, given)
        kind = f"{given.media_type}; transfer-syntax={given.transfer_syntax}"
        if not given.is_multipart:
            return HttpResponse(next(iter(parts)), content_type=kind, headers=CACHE)
        address = request.build_absolute_uri(request.path)
        heads = (f"Content-Type: {kind}\r\nContent-Location: {address}" for _ in numbers)
        return multipart.answer(zip(heads, parts, strict=True), given.media_type)


class Rendered(DicomWebView):
    @described.rendered
    def get(self, request: Request, study: str, series: str, instance: str, frames: str = "1") -> HttpResponseBase:
        """One frame as a picture: `window=centre,width[,function]`, `viewport=width,height`, `quality=1–100`."""
        kind = choose(request, ("image/jpeg", "image/png"))
        (row,) = find_instances(self.person, study, series, instance)[:1]
        numbers = _numbers(frames, row)
        if len(numbers) > 1:
            raise DomainError("One frame at a time is rendered.", code="one_frame", field="frames")
        try:
            return HttpResponse(_picture(request, row, numbers[0], kind), content_type=kind, headers=CACHE)
        except RefusedFileError as error:
            raise DomainError(f"The stored file {error}.", code="not_decodable") from error


class BulkData(DicomWebView):
    @described.bulk_data
    def get(self, request: Request, study: str, series: str, instance: str, tag: str) -> HttpResponseBase:
        """The value of one long binary attribute."""
        (row,) = find_instances(self.person, study, series, instance)[:1]
        stored = syntax_of(row)
        if tag.upper() == PIXELS:
            given = pixel_choice(request, OCTETS, stored, may_be_single=True)
            content = _pixel_data(row, given)
        else:
            choose(request, (OCTETS,))
            given = Given(OCTETS, False, EXPLICIT_LITTLE)
            if not _TAG.fullmatch(tag):
                raise Http404
            element = served(row, read_content(row.path)).get(int(tag, 16))
            if element is None or not isinstance(element.value, bytes):
                raise Http404
            content = element.value
        if given.is_multipart:
            return multipart.answer([(f"Content-Type: {given.media_type}", content)], given.media_type)
        return HttpResponse(content, content_type=given.media_type, headers=CACHE)


def syntax_of(row: Instance) -> str:
    """Transfer syntax in which the file is stored."""
    return str((row.attributes.get("00083002", {}).get("Value") or [EXPLICIT_LITTLE])[0])


def explicit_little(content: bytes) -> bytes:
    """The file in Explicit VR Little Endian, its pixels decompressed; by a parser process.

    Raises
    ------
    RefusedFileError
        The pixels can't be decoded.
    """
    ((_, converted),) = parser_pool().ask({"do": "explicit"}, content)
    return converted


def _files(request: Request, rows: list[Instance], *, may_be_single: bool = False) -> HttpResponseBase:
    choices = {
        syntax: pixel_choice(request, DICOM, syntax, may_be_single=may_be_single) for syntax in {syntax_of(row) for row in rows}
    }

    def parts() -> Iterable[tuple[str, bytes]]:
        for row in rows:
            given = choices[syntax_of(row)]
            content = _file(row, given)
            yield f"Content-Type: {DICOM}; transfer-syntax={given.transfer_syntax}", content

    if not next(iter(choices.values())).is_multipart:
        return HttpResponse(_file(rows[0], choices[syntax_of(rows[0])]), content_type=DICOM, headers=CACHE)
    return multipart.answer(parts(), DICOM)


def _file(row: Instance, given: Given) -> bytes:
    content = read_content(row.path)
    if given.transfer_syntax != syntax_of(row):
        try:
            content = explicit_little(content)
        except RefusedFileError as error:
            raise DomainError(
                f"A stored file {error}; ask for it as it is stored, with transfer-syntax=*.", code="not_decodable"
            ) from error
    buffer = io.BytesIO()
    dcmwrite(buffer, served(row, content), enforce_file_format=True)
    return buffer.getvalue()


def _metadata(request: Request, row: Instance) -> Json:
    address = reverse("dicomweb:instance", args=[row.study.study_uid, row.series_uid, row.sop_uid])
    base = request.build_absolute_uri(address)
    return metadata(served(row, read_content(row.path)), lambda tag: f"{base}/bulkdata/{tag}")


def _n_frames(row: Instance) -> int:
    return int((row.attributes.get("00280008", {}).get("Value") or [1])[0])


def _numbers(text: str, row: Instance) -> list[int]:
    parts = text.replace("%2C", ",").split(",")
    if not all(part.isdecimal() and 0 < int(part) <= _n_frames(row) for part in parts):
        raise Http404
    return [int(part) for part in parts]


def _pixel_data(row: Instance, given: Given) -> bytes:
    """All pixels; those of a segmentation lie bit by bit, frames not on byte boundaries."""
    if is_compressed(syntax_of(row)):
        return b"".join(_frames(row, list(range(1, _n_frames(row) + 1)), given))
    return _dataset_with_pixels(read_content(row.path)).PixelData


def _dataset_with_pixels(content: bytes) -> Dataset:
    dataset = dcmread(io.BytesIO(content))
    if "PixelData" not in dataset:
        raise Http404
    return dataset


def _frames(row: Instance, numbers: list[int], given: Given) -> Iterator[bytes]:
    content, stored = read_content(row.path), syntax_of(row)
    is_encapsulated = is_compressed(stored)
    as_stored = given.transfer_syntax == stored or (not is_encapsulated and stored != "1.2.840.10008.1.2.2")
    if not as_stored:
        try:
            content, is_encapsulated = explicit_little(content), False
        except RefusedFileError as error:
            raise DomainError(f"The stored file {error}.", code="not_decodable") from error
    dataset = _dataset_with_pixels(content)
    if int(dataset.BitsAllocated) < 8:
        raise DomainError("Frames of a segmentation are given together, as bulk data.", code="bits", field="frames")
    n_frames = _n_frames(row)
    size = int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated) // 8
    return (
        get_frame(dataset.PixelData, n - 1, number_of_frames=n_frames)
        if is_encapsulated
        else dataset.PixelData[(n - 1) * size : n * size]
        for n in numbers
    )


def _picture(request: Request, row: Instance, number: int, kind: str) -> bytes:
    frame = number if _is_enhanced(row) else None
    ((pixels, is_inverted),) = StoredPixels(row.path).read([frame])
    low, high, function = _window(request, pixels)
    if function == "SIGMOID":
        grey = 1 / (1 + np.exp(-4 * (pixels - (low + high) / 2) / (high - low)))
    else:
        grey = np.clip((pixels - low) / (high - low), 0, 1)
    grey = np.nan_to_num(1 - grey if is_inverted else grey)
    image = Image.fromarray((grey * 255).astype(np.uint8), "L")
    if viewport := request.query_params.get("viewport"):
        image = _fitted(image, viewport)
    buffer = io.BytesIO()
    quality = request.query_params.get("quality", "90")
    if not quality.isdecimal() or not 1 <= int(quality) <= 100:
        raise DomainError("`quality` is a whole number from 1 to 100.", code="bad_number", field="quality")
    if kind == "image/png":
        image.save(buffer, "PNG", compress_level=3)
    else:
        image.save(buffer, "JPEG", quality=int(quality))
    return buffer.getvalue()


def _is_enhanced(row: Instance) -> bool:
    return (
        "00280008" in row.attributes
        and (row.attributes.get("00080016", {}).get("Value") or [""])[0] != "1.2.840.10008.5.1.4.1.1.4"
    )


def _window(request: Request, pixels: np.ndarray) -> tuple[float, float, str]:
    """(lowest, highest, function) of the picture; the frame's own 1st to 99th percentile where none is asked for."""
    text = request.query_params.get("window")
    if not text:
        low, high = (float(v) for v in np.nanpercentile(pixels, (1, 99)))
        return low, max(high, low + 1e-6), "LINEAR"
    try:
        centre, width, *rest = text.split(",")
        low, high = float(centre) - float(width) / 2, float(centre) + float(width) / 2
        function = rest[0].upper().replace("-", "_") if rest else "LINEAR"
    except ValueError as error:
        raise DomainError("`window` is centre,width[,function].", code="bad_window", field="window") from error
    if not high > low or not np.isfinite([low, high]).all() or function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise DomainError(
            "`window` is centre,width[,function], the width above 0, the function linear, linear-exact or sigmoid.",
            code="bad_window",
            field="window",
        )
    return low, high, function


def _fitted(image: Image.Image, text: str) -> Image.Image:
    parts = text.split(",")[:2]
    if len(parts) != 2 or not all(part.isdecimal() and 0 < int(part) <= MAX_SIDE for part in parts):
        raise DomainError(f"`viewport` is width,height in pixels, up to {MAX_SIDE}.", code="bad_viewport", field="viewport")
    scale = min(int(parts[0]) / image.width, int(parts[1]) / image.height)
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BILINEAR)
