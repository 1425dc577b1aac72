"""`manage.py clean_demo`: start over. Drops the database's tables and the demo's files under var/."""

import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from hipapp.accounts.models import Centre
from hipapp.demo.people import CENTRE_CODE
from hipapp.demo.processes import port_is_free


class Command(BaseCommand):
    help = "Throw the demo's data away: tables, stored studies, spool, broker and logs. Refuses where other centres have data."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--other-centres-too", action="store_true", help="also where the database holds other centres")

    def handle(self, *args: Any, other_centres_too: bool, **options: Any) -> None:
        if not port_is_free():
            raise CommandError("The demo seems to be running. Stop it first (Ctrl-C in its window).")
        if "accounts_centre" in connection.introspection.table_names():
            others = Centre.objects.exclude(code=CENTRE_CODE).exclude(patients=None)
            if others.exists() and not other_centres_too:
                names = ", ".join(others.values_list("name", flat=True))
                raise CommandError(f"Patients of {names} would be destroyed too. Say --other-centres-too if you mean that.")
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
        for name in ("private", "spool", "broker", "log"):
            shutil.rmtree(Path(settings.VAR_DIR) / name, ignore_errors=True)
        self.stdout.write(f"The demo's data in the database and under {settings.VAR_DIR} is gone.")
