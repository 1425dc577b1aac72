"""Pages of jobs: the list, one job that moves by itself, cancel and retry."""

import uuid

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hipapp.accounts.http import SignedInRequest
from hipapp.jobs import services
from hipapp.jobs.models import Job
from hipapp.jobs.selectors import visible_jobs


def job_list(request: SignedInRequest) -> HttpResponse:
    """All visible jobs, newest first, by state."""
    jobs = visible_jobs(request.user).filter(parent=None).select_related("created_by", "centre")
    state = request.GET.get("state", "")
    if state in Job.State.values:
        jobs = jobs.filter(state=state)
    page = Paginator(jobs, 50).get_page(request.GET.get("page"))
    return render(request, "jobs/list.html", {"page": page, "state": state, "states": Job.State.choices})


def job_detail(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    """One job; asked by htmx, only the part that moves."""
    job = get_object_or_404(visible_jobs(request.user).prefetch_related("children"), pk=pk)
    template = "jobs/_progress.html" if request.htmx else "jobs/detail.html"
    return render(request, template, {"job": job})


@require_POST
def job_cancel(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    services.cancel_job(get_object_or_404(visible_jobs(request.user), pk=pk))
    return redirect("jobs:detail", pk=pk)


@require_POST
def job_retry(request: SignedInRequest, pk: uuid.UUID) -> HttpResponse:
    services.retry_job(get_object_or_404(visible_jobs(request.user), pk=pk))
    return redirect("jobs:detail", pk=pk)
