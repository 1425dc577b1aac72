"""What every request passes: who acts (for the history), and domain errors turned into a page or JSON."""

from collections.abc import Callable

import pghistory
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from hipapp.core.errors import DomainError

GetResponse = Callable[[HttpRequest], HttpResponse]


class ActorMiddleware:
    """Every row written during the request is recorded with its actor (id only)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return self.get_response(request)
        user_id = request.user.pk if request.user.is_authenticated else None
        with pghistory.context(user=user_id, door="web"):
            return self.get_response(request)


class DomainErrorMiddleware:
    """A DomainError that no view caught becomes a page (or JSON) that says what to do."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DomainError):
            return None
        if request.headers.get("accept", "").startswith("application/json"):
            return JsonResponse({"error": {"code": error.code, "message": error.message}}, status=error.status)
        return render(request, "core/error.html", {"error": error}, status=error.status)
