"""The spool: files of an upload wait here, under numbers, until its job has read them. Client names never reach the disk."""

import shutil
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from hipapp.core.errors import DomainError

STALE_S = 24 * 3600  # files of uploads that were never finished are thrown away after a day
INCOMING = "incoming-"
PART = ".part"  # a file that tus has begun


class UploadTooLargeError(DomainError):
    """More bytes than one upload may have."""

    status = 413


def folder_of(upload_id: uuid.UUID) -> Path:
    return Path(settings.SPOOL_DIR) / str(upload_id)


def new_incoming() -> Path:
    """A fresh folder for the files of one request, private to this process's user."""
    folder = Path(settings.SPOOL_DIR) / f"{INCOMING}{uuid.uuid4()}"
    folder.mkdir(parents=True, mode=0o700)
    return folder


def open_new(folder: Path, number: int) -> BinaryIO:
    """An empty file for the content with this number, readable by this process's user only."""
    path = folder / f"{number:08d}"
    path.touch(mode=0o600, exist_ok=True)
    return path.open("wb")


def adopt(incoming: Path, upload_id: uuid.UUID) -> int:
    """Move the files of a request to their upload; gives how many files the upload has now.

    A file sent again under the same number replaces the earlier one, so that a batch can be repeated after an error.

    Raises
    ------
    UploadTooLargeError
        The upload would pass UPLOAD_MAX_BYTES; the files of this request are dropped.
    """
    target = folder_of(upload_id)
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    arriving = {path.name: path for path in incoming.iterdir()}
    kept = [path for path in target.iterdir() if path.name not in arriving]
    check_size(_n_bytes([*kept, *arriving.values()]))
    for name, path in arriving.items():
        path.replace(target / name)
    discard(incoming)
    return len(list(target.iterdir()))


def count(folder: Path) -> tuple[int, int, int]:
    """(complete files, files that were begun and are not complete, bytes) of an upload."""
    paths = list(folder.iterdir()) if folder.is_dir() else []
    n_parts = sum(path.name.endswith(PART) for path in paths)
    return len(paths) - n_parts, n_parts, _n_bytes(paths)


def check_size(n_bytes: int) -> None:
    """Raise UploadTooLargeError where an upload of this size is not taken."""
    if n_bytes > settings.UPLOAD_MAX_BYTES:
        raise UploadTooLargeError(
            f"An upload may have {settings.UPLOAD_MAX_BYTES / 2**30:.1f} GiB at most. Send one study at a time.",
            code="too_large",
        )


def discard(folder: Path) -> None:
    """Remove a folder of the spool with all that is in it; nothing happens where it is gone already."""
    if Path(settings.SPOOL_DIR).resolve() not in folder.resolve().parents:
        raise ValueError(f"{folder} is not in the spool")
    shutil.rmtree(folder, ignore_errors=True)


def stale_folders() -> list[Path]:
    """Folders that nobody has touched for a day."""
    spool = Path(settings.SPOOL_DIR)
    limit = time.time() - STALE_S
    return [path for path in spool.iterdir() if path.stat().st_mtime < limit] if spool.is_dir() else []


def _n_bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)
