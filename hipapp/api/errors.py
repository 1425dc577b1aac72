"""One shape for every error of the API: {"error": {"code", "message", "fields"}}."""

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from hipapp.core.errors import DomainError


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer for an exception raised in an API view; None lets Django's own 500 happen."""
    if isinstance(error, DomainError):
        return Response(_body(error.code, error.message, {error.field: [error.message]} if error.field else {}), error.status)
    if isinstance(error, ValidationError):
        error = exceptions.ValidationError(getattr(error, "message_dict", None) or error.messages)
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        fields = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
        response.data = _body("invalid", "Some fields are wrong; see `fields`.", fields)
    elif isinstance(error, Http404):
        response.data = _body("not_found", "There is nothing at this address that you may see.", {})
    elif isinstance(error, PermissionDenied | exceptions.APIException):
        detail = getattr(error, "detail", "Your role doesn't allow this.")
        response.data = _body(getattr(detail, "code", "forbidden"), str(detail), {})
    return response


def _body(code: str, message: str, fields: object) -> dict[str, object]:
    return {"error": {"code": code, "message": message, "fields": fields}}
