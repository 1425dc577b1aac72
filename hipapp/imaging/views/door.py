"""What the doors for programs share: token or session, answers that are not chosen by a renderer, an actor for the history."""

import re
from typing import Any

import pghistory
from django.http import QueryDict
from drf_spectacular.authentication import TokenScheme
from drf_spectacular.openapi import AutoSchema
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


class BearerScheme(TokenScheme):
    """How the schema of the API calls it."""

    target_class = "hipapp.imaging.views.door.BearerAuthentication"
    match_subclasses = False
    name = "bearerAuth"
    priority = 1


class DoorSchema(AutoSchema):
    """Names operations by their address: one view serves several."""

    def get_operation_id(self) -> str:
        words = re.sub(r"\{(\w+)\}", r"by_\1", self.path).strip("/")
        return f"{re.sub(r'[^a-z0-9]+', '_', words.lower())}_{self.method.lower()}"

    def get_tags(self) -> list[str]:
        assert isinstance(self.view, DoorView)
        return [self.view.tag]


class DoorView(APIView):
    """A resource of a protocol that others have laid down (DICOMweb, tus): the schema says what is there, they say the rest."""

    authentication_classes = [TokenAuthentication, BearerAuthentication, SessionAuthentication]
    content_negotiation_class = AsAsked
    renderer_classes = [JSONRenderer]
    parser_classes = [Untouched]
    schema = DoorSchema()
    door = tag = ""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        pghistory.context(user=request.user.pk, door=self.door)

    @property
    def person(self) -> User:
        assert isinstance(self.request.user, User)
        return self.request.user
