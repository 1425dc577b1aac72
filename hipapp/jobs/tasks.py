"""Tasks of the jobs app."""

from hipapp.jobs.services import sweep
from hipapp.jobs.shell import Progress, job_task


@job_task("jobs.sweep")
def sweep_now(progress: Progress) -> str:
    """Look for lost jobs at once, on an administrator's order."""
    return f"{sweep()} lost jobs were sent again"
