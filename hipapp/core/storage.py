"""Private files kept once, by their content, in the default storage; verified on each read, never served by path."""

import contextlib
import hashlib
import logging
import os
import threading
from collections.abc import Iterable, Iterator

from django.apps import apps
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from django.db.models import Field, FileField, Model

from hipapp.core.errors import DomainError
from hipapp.core.fields import StoredPathField, StoredPathsField

log = logging.getLogger(__name__)
_AT_ONCE = 1000
UNFINISHED = ".unfinished"


class MissingFileError(DomainError):
    """A row names a file that the storage doesn't have."""

    status = 404


class DamagedFileError(DomainError):
    """A stored file is not what was stored."""

    status = 409


def put_content(content: bytes, folder: str, suffix: str = "") -> str:
    """Path of the stored content; the same content is stored once.

    A file that an interrupted write left shorter than the content is replaced.
    """
    digest = hashlib.sha256(content).hexdigest()
    path = f"{folder}/{digest[:2]}/{digest}{suffix}"
    if default_storage.exists(path):
        if default_storage.size(path) == len(content):
            return path
        default_storage.delete(path)
    if isinstance(default_storage, FileSystemStorage):
        _write_whole(default_storage, path, content)
        return path
    saved = default_storage.save(path, ContentFile(content))
    if saved != path:  # another process stored the same content meanwhile
        default_storage.delete(saved)
    return path


def _write_whole(storage: FileSystemStorage, path: str, content: bytes) -> None:
    """Write a file of a folder under another name first, so that it is there whole or not at all.

    Django's own saving looks four times whether the file is there and writes it piece by piece: three times the work.
    """
    target = storage.path(path)
    unfinished = f"{target}.{os.getpid()}.{threading.get_ident()}{UNFINISHED}"
    mode = 0o666 if storage.file_permissions_mode is None else storage.file_permissions_mode
    try:
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    except FileNotFoundError:
        folder_mode = 0o777 if storage.directory_permissions_mode is None else storage.directory_permissions_mode
        os.makedirs(os.path.dirname(target), folder_mode, exist_ok=True)
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with open(file, "wb", buffering=0) as stream:
            left = memoryview(content)
            while left:
                left = left[stream.write(left) :]
        if storage.file_permissions_mode is not None:
            os.chmod(unfinished, storage.file_permissions_mode)  # whatever the umask is
        os.replace(unfinished, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)
        raise


def delete_content(path: str) -> None:
    """Delete a stored content; nothing happens where it is gone already."""
    default_storage.delete(path)


def read_content(path: str) -> bytes:
    """The bytes stored under a path that `put_content` gave, after a check against the SHA-256 in the path.

    Raises
    ------
    MissingFileError
        The file is not there any more.
    DamagedFileError
        Its bytes are not those that were stored: changed, or cut off.
    """
    try:
        with default_storage.open(path, "rb") as file:
            content: bytes = file.read()
    except FileNotFoundError as error:
        log.error("stored file %s is missing", path)
        raise MissingFileError(
            "A stored image is missing. Upload the study again, or tell the administrator to restore the file storage.",
            code="file_missing",
        ) from error
    if hashlib.sha256(content).hexdigest() != digest_of(path):
        log.error("stored file %s does not have the content that was stored", path)
        raise DamagedFileError(
            "A stored file is damaged: its bytes are not those that were stored (SHA-256 differs), so nothing of it is shown. "
            "Tell the administrator to restore the file storage, or upload the study again.",
            code="file_damaged",
        )
    return content


def digest_of(path: str) -> str:
    """SHA-256 (hex) of the content that a path stands for."""
    return path.rsplit("/", 1)[-1].partition(".")[0]


def path_fields() -> list[tuple[type[Model], Field]]:
    """(model, field) of everything in the database that names stored contents."""
    return [
        (model, field)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, (StoredPathField, StoredPathsField, FileField))
    ]


def named_paths() -> Iterator[tuple[str, str]]:
    """(path, the row that names it, as `app.Model key`) of every content that a row names."""
    for model, field in path_fields():
        for key, value in model._default_manager.values_list("pk", field.attname).iterator():
            for path in _texts(value):
                yield path, f"{model._meta.label} {key}"


def still_named(paths: Iterable[str]) -> set[str]:
    """Those of the paths that a row still names."""
    wanted = sorted(set(paths))
    found: set[str] = set()
    for model, field in path_fields() if wanted else []:
        rows = model._default_manager.values_list(field.attname, flat=True)
        if isinstance(field, StoredPathsField):
            found |= {path for value in rows for path in _texts(value)} & set(wanted)
            continue
        for start in range(0, len(wanted), _AT_ONCE):
            found |= set(rows.filter(**{f"{field.attname}__in": wanted[start : start + _AT_ONCE]}))
    return found


def _texts(value: object) -> Iterator[str]:
    """The texts of a path or of JSON that holds some."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif value:
        yield str(value)


def stored_paths(folder: str = "") -> Iterator[str]:
    """Every path in the storage."""
    try:
        folders, files = default_storage.listdir(folder)
    except FileNotFoundError:  # nothing was stored yet
        return
    for name in sorted(files):
        yield f"{folder}/{name}".lstrip("/")
    for name in sorted(folders):
        yield from stored_paths(f"{folder}/{name}".lstrip("/"))
