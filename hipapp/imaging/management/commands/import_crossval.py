"""`manage.py import_crossval DIR`: the tables of a cross-validation, for the page of networks."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hipapp.core.errors import DomainError
from hipapp.imaging.services.cross_validations import import_cross_validation


class Command(BaseCommand):
    help = "Import the result of `python -m ml crossval` for the page Networks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="the --out of the command")
        parser.add_argument("--incomplete", action="store_true", help="although folds are missing")

    def handle(self, *args: Any, folder: Path, incomplete: bool, **options: Any) -> None:
        try:
            row, is_new = import_cross_validation(folder, incomplete)
        except DomainError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{row} {'imported' if is_new else 'was here already'}: /models/comparisons/{row.pk}/")
