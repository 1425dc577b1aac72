"""What the doors for programs share: token or session, answers that are not chosen by a renderer, an actor for the history."""

from typing import Any

import pghistory
from django.http import QueryDict
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from hipapp.accounts.models import User


class BearerAuthentication(TokenAuthentication):
    """The same token, in the form that viewers send."""

    keyword = "Bearer"


class AsAsked(BaseContentNegotiation):
    """The views choose what they give themselves; errors are JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class Untouched(BaseParser):
    """Leaves every body to the view: the check of the CSRF token looks for one in a parsed body before it looks at the header."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> QueryDict:
        return QueryDict()


class DoorView(APIView):
    """A resource of a protocol that others have laid down (DICOMweb, tus); documented there and in docs/, not in the schema."""

    authentication_classes = [TokenAuthentication, BearerAuthentication, SessionAuthentication]
    content_negotiation_class = AsAsked
    renderer_classes = [JSONRenderer]
    parser_classes = [Untouched]
    schema = None
    door = ""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        pghistory.context(user=request.user.pk, door=self.door)

    @property
    def person(self) -> User:
        assert isinstance(self.request.user, User)
        return self.request.user
