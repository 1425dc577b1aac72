"""Downloads of a study: DICOM SEG and SR, NIfTI, panels."""

import uuid

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from hipapp.accounts.http import SignedInRequest
from hipapp.imaging.export.service import ExportedFile, export_study
from hipapp.imaging.selectors import visible_studies


@require_GET
def study_export(request: SignedInRequest, pk: uuid.UUID, kind: str) -> HttpResponse:
    """One of the ways out, as a file."""
    study = get_object_or_404(visible_studies(request.user), pk=pk)
    return attachment(export_study(study, request.user, kind))


def attachment(file: ExportedFile) -> HttpResponse:
    """A file to be saved, kept by no cache on the way."""
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "private, no-store"}
    return HttpResponse(file.content, content_type=file.content_type, headers=headers)
