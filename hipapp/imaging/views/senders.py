"""The page of DICOM senders: which AE title belongs to which centre."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from hipapp.accounts.http import SignedInRequest
from hipapp.accounts.permissions import Act, can
from hipapp.core.errors import DomainError, ForbiddenError
from hipapp.imaging.forms import SenderForm
from hipapp.imaging.models import Sender
from hipapp.imaging.selectors import managed_senders
from hipapp.imaging.services.senders import save_sender


@require_http_methods(["GET", "POST"])
def senders(request: SignedInRequest) -> HttpResponse:
    """Senders of the centres one administers, and the form for a new one."""
    if not can(request.user, Act.MANAGE):
        raise ForbiddenError("Only an administrator of a centre keeps its senders.", code="forbidden")
    form = SenderForm(request.POST or None, user=request.user)
    if _saved(request, form, None):
        return redirect("imaging:senders")
    rows = managed_senders(request.user)
    return render(request, "imaging/senders.html", {"senders": rows, "form": form}, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def sender_edit(request: SignedInRequest, pk: int) -> HttpResponse:
    """Change a sender, or take it out of use."""
    sender = get_object_or_404(managed_senders(request.user), pk=pk)
    form = SenderForm(request.POST or None, instance=get_object_or_404(Sender, pk=pk), user=request.user)
    if _saved(request, form, sender):
        return redirect("imaging:senders")
    return render(request, "imaging/sender_edit.html", {"sender": sender, "form": form}, status=400 if form.errors else 200)


def _saved(request: SignedInRequest, form: SenderForm, sender: Sender | None) -> bool:
    if request.method != "POST" or not form.is_valid():
        return False
    try:
        saved = save_sender(request.user, sender, **form.cleaned_data)
    except DomainError as error:
        form.add_error(error.field if error.field in form.fields else None, error.message)
        return False
    words = "it may send from now on" if saved.is_active else "it is rejected from now on"
    messages.success(request, f"{saved} is saved; {words}.")
    return True
