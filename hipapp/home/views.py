"""The start page: what each role should look at next."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.permissions import Act
from hipapp.home import selectors
from hipapp.home.navigation import acts_of


def start(request: SignedInRequest) -> HttpResponse:
    """The start page of the signed-in person, put together from what the roles allow."""
    user = request.user
    acts = acts_of(user)
    context: dict[str, Any] = {"has_roles": bool(acts)}
    if Act.VIEW_PATIENTS in acts:
        context |= {"is_clinical": True, "seen": selectors.seen_lately(user), "waiting": selectors.waiting(user)}
        context["unreviewed"] = selectors.scored_studies(selectors.unreviewed_studies(user))
    if Act.EDIT_CLINIC in acts:
        gaps = selectors.visits_with_gaps(user)
        context |= {"can_edit": True, "gaps": selectors.list_gaps(gaps), "n_gaps": gaps[: selectors.COUNT_LIMIT].count()}
        context["is_more_gaps"] = context["n_gaps"] == selectors.COUNT_LIMIT
    if Act.MANAGE in acts:
        context["administration"] = selectors.administration(user)
    context |= {
        "can_upload": Act.UPLOAD in acts,
        "can_review": Act.REVIEW in acts,
        "sees_cohort": Act.VIEW_COHORT in acts,
        "sees_names": Act.VIEW_IDENTITY in acts,
    }
    return render(request, "home/start.html", context)
