"""Sign-in, own account, and the administrator's pages: people, roles, centres, passwords."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.views import LoginView, LogoutView
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from hipapp.accounts import services
from hipapp.accounts.forms import CentreEditForm, CentreForm, PasswordForm, PersonForm, RoleForm, SignInForm
from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.models import AccessEvent, Membership
from hipapp.accounts.selectors import managed_centres, managed_people
from hipapp.core.errors import DomainError


class SignIn(LoginView):
    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


class SignOut(LogoutView):
    http_method_names = ["post", "options"]


@sensitive_post_parameters()
def password(request: SignedInRequest) -> HttpResponse:
    """Change one's own password."""
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_own_password(
                request.user, old=form.cleaned_data["old_password"], new=form.cleaned_data["new_password"]
            )
        except DomainError as error:
            form.add_error(error.field, error.message)
        else:
            update_session_auth_hash(request, request.user)
            messages.success(request, "Your password is changed.")
            return redirect("home:start")
    return render(request, "accounts/password.html", {"form": form})


def token(request: SignedInRequest) -> HttpResponse:
    """Make a fresh API token of one's own; shown once."""
    key = services.renew_token(request.user) if request.method == "POST" else None
    return render(request, "accounts/token.html", {"key": key})


def _require_administrator(request: SignedInRequest) -> None:
    if not managed_centres(request.user).exists():
        raise Http404


def people(request: SignedInRequest) -> HttpResponse:
    """People of the centres one administers."""
    _require_administrator(request)
    query = request.GET.get("q", "").strip()[:100]
    rows = managed_people(request.user)
    if query:
        rows = rows.filter(Q(username__icontains=query) | Q(first_name__icontains=query) | Q(last_name__icontains=query))
    page = Paginator(rows, 50).get_page(request.GET.get("page"))
    return render(request, "accounts/people.html", {"page": page, "query": query})


def person_new(request: SignedInRequest) -> HttpResponse:
    """Add a person; the temporary password is shown once."""
    _require_administrator(request)
    form = PersonForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            person, temporary = services.create_person(request.user, **form.cleaned_data)
        except DomainError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            return render(request, "accounts/temporary_password.html", {"person": person, "password": temporary})
    return render(request, "accounts/person_new.html", {"form": form})


def person(request: SignedInRequest, pk: int) -> HttpResponse:
    """One person: roles, active or not, password."""
    _require_administrator(request)
    found = get_object_or_404(managed_people(request.user), pk=pk)
    form = RoleForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        services.give_role(request.user, found, form.cleaned_data["centre"], form.cleaned_data["role"])
        return redirect("accounts:person", pk=pk)
    managed = set(managed_centres(request.user).values_list("pk", flat=True))
    return render(request, "accounts/person.html", {"person": found, "form": form, "managed": managed})


@require_POST
def person_active(request: SignedInRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(managed_people(request.user), pk=pk)
    services.set_active(request.user, found, request.POST.get("is_active") == "1")
    return redirect("accounts:person", pk=pk)


@require_POST
def person_password(request: SignedInRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(managed_people(request.user), pk=pk)
    temporary = services.reset_password(request.user, found)
    return render(request, "accounts/temporary_password.html", {"person": found, "password": temporary})


@require_POST
def role_take(request: SignedInRequest, pk: int) -> HttpResponse:
    membership = get_object_or_404(Membership.objects.filter(centre__in=managed_centres(request.user)), pk=pk)
    services.take_role(request.user, membership)
    return redirect("accounts:person", pk=membership.user_id)


def centres(request: SignedInRequest) -> HttpResponse:
    """Centres one administers, and the form for a new one."""
    _require_administrator(request)
    form = CentreForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        services.create_centre(request.user, **form.cleaned_data)
        messages.success(request, f"{form.cleaned_data['name']} is added.")
        return redirect("accounts:centres")
    return render(request, "accounts/centres.html", {"centres": managed_centres(request.user), "form": form})


def centre_edit(request: SignedInRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(managed_centres(request.user), pk=pk)
    form = CentreEditForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        services.update_centre(request.user, found, **form.cleaned_data)
        messages.success(request, f"{found.name} is saved.")
        return redirect("accounts:centres")
    return render(request, "accounts/centre_edit.html", {"centre": found, "form": form})


def access_log(request: SignedInRequest) -> HttpResponse:
    """Who looked at what, by ids, for people of the centres one administers."""
    _require_administrator(request)
    events = AccessEvent.objects.filter(user__in=managed_people(request.user)).select_related("user")
    page = Paginator(events, 100).get_page(request.GET.get("page"))
    return render(request, "accounts/access_log.html", {"page": page})
