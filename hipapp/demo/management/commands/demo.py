"""`manage.py demo`: migrate, start workers, build the synthetic cohort through the real path, serve it."""

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from tqdm import tqdm

from hipapp.accounts.models import Centre, Role
from hipapp.demo import build
from hipapp.demo.cohort import PatientPlan, draw_cohort
from hipapp.demo.people import api_token, make_people, sign_ins
from hipapp.demo.processes import HOST, PORT, Workers, end_on_sigterm, log_path, port_is_free, serve
from hipapp.imaging.services.cross_validations import import_cross_validation

COMPARISONS = [settings.BASE_DIR / "docs" / name for name in ("cross-validation", "cross-validation-2", "cross-validation-3")]


class Command(BaseCommand):
    help = "Build the synthetic cohort through the real path and serve it on 127.0.0.1:8000."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="end when every study is scored, instead of serving")
        parser.add_argument("--patients", type=int, default=64, help="number of patients (default 64)")
        parser.add_argument("--with-mri", type=int, default=14, help="how many of them have MRI at two visits (default 14)")

    def handle(self, *args: Any, no_serve: bool, patients: int, with_mri: int, **options: Any) -> None:
        if patients < 1 or not 0 <= with_mri <= patients:
            raise CommandError("--patients must be at least 1, and --with-mri between 0 and the number of patients.")
        if not no_serve and not port_is_free():
            raise CommandError(f"Something listens on {HOST}:{PORT} already (another demo?). Stop it first.")
        end_on_sigterm()
        call_command("migrate", verbosity=0, interactive=False)
        centre = make_people()
        for comparison in COMPARISONS:
            import_cross_validation(comparison, takes_incomplete=True)
        with Workers() as workers:
            n_failed = self.build(centre, draw_cohort(patients, with_mri), workers)
            if not no_serve:
                self.announce()
                serve(workers)
            elif n_failed:
                raise CommandError(f"{n_failed} studies have no score. See {log_path('worker-gpu')}.")

    def build(self, centre: Centre, plans: list[PatientPlan], workers: Workers) -> int:
        """Everything that is missing of the cohort; gives the number of studies without a score."""
        for _ in tqdm(build.build_patients(plans, centre), "Synthetic patients", total=len(plans), unit="patient"):
            pass
        orders = build.mri_orders(plans, centre)
        for _ in tqdm(build.deliver_mris(orders), "Synthetic MRIs uploaded", total=len(orders), unit="study", disable=not orders):
            workers.check()
        n_all = 2 * sum(any(visit.has_mri for visit in plan.visits) for plan in plans)
        with tqdm(total=n_all, desc="Studies scored", unit="study") as bar:
            while n_open := build.open_jobs(centre):
                workers.check()
                bar.n = build.count_scored(centre)[0]
                bar.set_postfix_str(f"{n_open} jobs open")
                time.sleep(0.5)
                connection.close_if_unusable_or_obsolete()
            n_scored, n_failed = build.count_scored(centre)
            bar.n = n_scored
            bar.set_postfix_str("")
        self.stdout.write(f"{n_scored} studies scored, {n_failed} failed")
        return n_failed

    def announce(self) -> None:
        """Address, sign-ins and tokens."""
        self.stdout.write(f"\nServing at http://{HOST}:{PORT}/   (all patients are synthetic; Ctrl-C stops)\n\nSign in as")
        for role, username, password in sign_ins():
            self.stdout.write(f"  {role:<18} {username:<16} {password}")
        self.stdout.write(f"\nAPI token of the radiologist: {api_token(Role.RADIOLOGIST)}")
        self.stdout.write(f"  curl -H 'Authorization: Token {api_token(Role.RADIOLOGIST)}' http://{HOST}:{PORT}/api/v1/patients/")
        self.stdout.write(f"API token of the coordinator: {api_token(Role.COORDINATOR)}\n")
        self.stdout.flush()
