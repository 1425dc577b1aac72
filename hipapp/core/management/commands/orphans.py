"""`manage.py orphans`: what the database names but the storage doesn't have, and what the storage has but nothing names."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from hipapp.core.errors import DomainError
from hipapp.core.storage import delete_content, named_paths, read_content, still_named, stored_paths

OLD_S = 3600  # a younger content may belong to an upload that is just being received


class Command(BaseCommand):
    help = "Find rows without their stored content, and stored contents without a row. Exit status 1 where there are some."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--delete", action="store_true", help="delete the contents that no row names")
        parser.add_argument("--verify", action="store_true", help="also read every named content and compare its SHA-256")
        parser.add_argument(
            "--older-than", type=int, default=OLD_S, metavar="SECONDS", help=f"pass over younger contents (default {OLD_S})"
        )

    def handle(self, *args: Any, delete: bool, verify: bool, older_than: int, **options: Any) -> None:
        stored = set(stored_paths())
        missing, damaged, named = [], [], set()
        for path, row in named_paths():
            named.add(path)
            if path not in stored:
                missing.append((path, row))
            elif verify and (why := _damage(path)):
                damaged.append((path, row, why))
        limit = timezone.now() - timedelta(seconds=older_than)
        unnamed = sorted(path for path in stored - named if default_storage.get_modified_time(path) <= limit)
        for path, row in missing:
            self.stdout.write(f"missing {path} ({row})")
        for path, row, why in damaged:
            self.stdout.write(f"damaged {path} ({row}): {why}")
        for path in unnamed:
            self.stdout.write(f"unnamed {path}")
        n_deleted = _delete(unnamed) if delete else 0
        self.stdout.write(
            f"{len(named)} named, {len(missing)} missing, {len(damaged)} damaged, {len(unnamed)} unnamed, {n_deleted} deleted"
        )
        if missing or damaged or len(unnamed) > n_deleted:
            raise CommandError("There are orphans: restore what is missing from a backup; --delete removes what nothing names.")


def _damage(path: str) -> str:
    try:
        read_content(path)
    except DomainError as error:
        return error.code
    return ""


def _delete(paths: list[str]) -> int:
    """Delete what still nothing names; an upload may have stored the same content meanwhile."""
    gone = [path for path in paths if path not in still_named(paths)]
    for path in gone:
        delete_content(path)
    return len(gone)
