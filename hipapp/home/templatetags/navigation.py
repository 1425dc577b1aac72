"""The top bar as a template tag, so that every page has it without asking its view."""

from typing import Any

from django import template
from django.urls import reverse

from hipapp.accounts.permissions import Act
from hipapp.home import navigation

register = template.Library()


@register.inclusion_tag("core/_topbar.html", takes_context=True)
def topbar(context: dict[str, Any]) -> dict[str, Any]:
    """Brand, links by role, patient search and user menu."""
    request = context.get("request")
    user = getattr(request, "user", None)
    acts = navigation.acts_of(user) if user is not None else set()
    search_url = reverse("clinic:patients") if Act.VIEW_PATIENTS in acts else None
    return {
        "PRODUCT_NAME": context.get("PRODUCT_NAME", ""),
        "request": request,
        "user": user,
        "csrf_token": context.get("csrf_token"),
        "links": navigation.links(acts, request.path if request else ""),
        "search_url": search_url,
        "query": request.GET.get("q", "") if request and search_url == request.path else "",
    }
