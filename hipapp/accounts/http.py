"""The request of a person who is signed in, as every view behind the sign-in wall gets it."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from hipapp.accounts.models import User


class SignedInRequest(HttpRequest):
    """For annotations: `LoginRequiredMiddleware` makes sure of the user, `HtmxMiddleware` of `htmx`."""

    user: User
    htmx: HtmxDetails
