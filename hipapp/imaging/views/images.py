"""Pictures of slices and outlines: behind the same door as the page they are on, cached by the browser alone."""

import uuid

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from hipapp.accounts.http import SignedInRequest
from hipapp.imaging.drawing import draw_outlines, draw_slice, draw_stored
from hipapp.imaging.models import Instance, Segmentation, Series
from hipapp.imaging.selectors import may_see_images, results_of_studies, visible_studies
from hipapp.imaging.thumbnail import draw_thumbnail
from ml.dicom.errors import RefusedFileError

CACHE = "private, max-age=3600, immutable"


@require_GET
def slice_image(request: SignedInRequest, pk: uuid.UUID, series_id: int, index: int) -> HttpResponse:
    """One slice; its address never gets another picture."""
    series = _series(request, pk, series_id)
    try:
        return _png(draw_slice(series, index))
    except (IndexError, RefusedFileError) as error:
        raise Http404("There is no such slice, or its file can't be decoded.") from error


@require_GET
def outline_image(request: SignedInRequest, pk: uuid.UUID, series_id: int, index: int) -> HttpResponse:
    """The outlines (`?fill=1`: the areas) of the segmentations named by `?of=`, e.g. `12-13`, on one slice."""
    series = _series(request, pk, series_id)
    keys = [int(key) for key in request.GET.get("of", "").split("-")[:2] if key.isdecimal() and len(key) < 12]
    rows = list(Segmentation.objects.filter(series=series, pk__in=keys).defer("mask"))
    if not rows or index >= rows[0].shape[0]:
        raise Http404("There are no such outlines.")
    return _png(draw_outlines(rows, index, is_filled=request.GET.get("fill") == "1"))


@require_GET
def instance_image(request: SignedInRequest, pk: uuid.UUID, instance_id: int) -> HttpResponse:
    """The first frame of a stored file, also of one that is not in use; `?like=` draws it over the window of one of its UID."""
    study = get_object_or_404(visible_studies(request.user), pk=pk)
    if not may_see_images(request.user, study):
        raise Http404
    row = get_object_or_404(Instance, pk=instance_id, study=study)
    key, like = request.GET.get("like", ""), None
    if key.isdecimal() and len(key) < 12:
        like = get_object_or_404(Instance, pk=key, sop_uid=row.sop_uid, study__in=visible_studies(request.user).order_by())
    try:
        return _png(draw_stored(row.path, _first_frame(row), (like.path, _first_frame(like)) if like else None))
    except RefusedFileError as error:
        raise Http404("The file can't be decoded.") from error


@require_GET
def thumbnail_image(request: SignedInRequest, pk: uuid.UUID, side: str) -> HttpResponse:
    """One hip on its most inflamed slice, as the score that counts has it; `?of=` names that score, so that it can be kept."""
    study = get_object_or_404(visible_studies(request.user), pk=pk)
    result = results_of_studies([study])[study.pk].get(side)
    if result is None or not may_see_images(request.user, study):
        raise Http404
    try:
        return _png(draw_thumbnail(result))
    except (IndexError, RefusedFileError) as error:
        raise Http404("There are no outlines of this hip, or its file can't be decoded.") from error


def _series(request: SignedInRequest, pk: uuid.UUID, series_id: int) -> Series:
    study = get_object_or_404(visible_studies(request.user), pk=pk)
    if not may_see_images(request.user, study):
        raise Http404
    return get_object_or_404(Series, pk=series_id, study=study)


def _first_frame(row: Instance) -> int | None:
    """Number of the first frame of a multi-frame file; None of a file that is one image."""
    return 1 if "00280008" in row.attributes else None


def _png(content: bytes) -> HttpResponse:
    return HttpResponse(content, content_type="image/png", headers={"Cache-Control": CACHE, "Vary": "Cookie"})
