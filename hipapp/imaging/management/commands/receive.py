"""`manage.py receive PATH… --report FILE.csv`: the receiving service from the command line, with a row for each file."""

import csv
import os
import shutil
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hipapp.accounts.models import Centre
from hipapp.clinic.models import Visit
from hipapp.core.errors import DomainError
from hipapp.imaging.models import Upload
from hipapp.imaging.receiving import spool
from hipapp.imaging.services import uploads
from ml.dicom import limits
from ml.dicom.archive import Item, walk

WORDS = {"conflict": "held"}  # it waits for a person, as the reason says


class Command(BaseCommand):
    help = (
        "Receive DICOM files, folders and archives as every other door does. The report has the columns file, outcome (accepted, "
        "duplicate, refused, held) and reason. Scores are ordered; the workers make them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file, folder, zip, tar or gz")
        parser.add_argument("--report", type=Path, required=True, metavar="FILE.csv", help="where to write a row for each file")
        parser.add_argument("--centre", metavar="CODE", help="centre that the studies belong to, where there are several")
        parser.add_argument("--visit", type=int, metavar="ID", help="key of the visit that the studies belong to")

    def handle(self, *args: Any, paths: list[Path], report: Path, centre: str | None, visit: int | None, **_: Any) -> None:
        for path in paths:
            if not path.exists():
                raise CommandError(f"{path}: there is no such file or folder")
        target = _visit(visit)
        place = _centre(centre, target)
        counts: Counter[str] = Counter()
        try:
            with report.open("w", newline="", encoding="utf-8", errors="replace") as file:
                writer = csv.writer(file)
                writer.writerow(["file", "outcome", "reason"])
                for batch in _batches(paths):
                    for name, outcome, reason in receive(batch, place, target):
                        counts[outcome] += 1
                        writer.writerow([name, outcome, reason])
        except OSError as error:
            raise CommandError(f"{error.filename or report}: {error.strerror}") from error
        except DomainError as error:
            raise CommandError(error.message) from error
        if not counts:
            raise CommandError("there are no files at these paths")
        self.stdout.write(", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items())))


def receive(files: list[Path], centre: Centre, visit: Visit | None) -> Iterator[tuple[str, str, str]]:
    """(file, outcome, reason) of each file; of an archive, of each member."""
    upload = uploads.start_command_upload(centre, visit)
    folder = spool.folder_of(upload.pk)
    folder.mkdir(parents=True, mode=0o700)
    numbers: dict[int, Path] = {}
    for n, path in enumerate(files, start=1):
        if path.is_symlink() or not path.is_file():
            yield _shown(path), "refused", "is a link or no ordinary file"
            continue
        try:
            _put(path, folder / f"{n:08d}")
        except OSError as error:
            yield _shown(path), "refused", f"can't be read ({error.strerror})"
            continue
        numbers[n] = path
    if not numbers:
        uploads.give_up(upload)
        return
    yield from _rows(uploads.receive_now(upload, None), numbers)


def _rows(upload: Upload, numbers: dict[int, Path]) -> Iterator[tuple[str, str, str]]:
    members: dict[int, list[str]] = {}
    for row in upload.report:
        n, outcome = int(row["n"]), str(row["outcome"])
        if outcome == "note":
            continue
        name = _shown(numbers[n]) if n in numbers else ""
        if row["member"] and n in numbers:
            if n not in members:
                members[n] = [found.name if isinstance(found, Item) else found[0] for found in walk(numbers[n])]
            within = members[n][row["member"] - 1 : row["member"]]
            name = f"{_shown(numbers[n].parent)}/{within[0]}" if within else f"{name}/member {row['member']}"
        yield name, WORDS.get(outcome, outcome), str(row["reason"])


def _shown(path: Path) -> str:
    """The path without characters that would break the report's lines."""
    return "".join(c if c.isprintable() else "?" for c in str(path))


def _batches(paths: list[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    for path in paths:
        for file in _files(path):
            batch.append(file)
            if len(batch) == limits.MAX_FILES:
                yield batch
                batch = []
    if batch:
        yield batch


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        yield from (Path(folder) / name for name in sorted(names))


def _put(path: Path, target: Path) -> None:
    """A hard link in the spool where that can be, else a copy."""
    try:
        os.link(path, target)
    except OSError:
        with path.open("rb") as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy)


def _visit(key: int | None) -> Visit | None:
    if key is None:
        return None
    visit = Visit.objects.select_related("patient__centre").filter(pk=key).first()
    if visit is None:
        raise CommandError(f"there is no visit {key}")
    return visit


def _centre(code: str | None, visit: Visit | None) -> Centre:
    if code is None and visit is not None:
        return visit.patient.centre
    centres = Centre.objects.filter(is_active=True)
    if code is None and len(centres) == 1:
        return centres[0]
    found = centres.filter(code=code).first() if code else None
    if found is None:
        codes = ", ".join(centres.values_list("code", flat=True))
        raise CommandError(f"name the centre with --centre, one of: {codes or '(there is none yet)'}")
    return found
