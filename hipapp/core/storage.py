"""Private files kept once, by their content, in the default storage; never served by path."""

import hashlib
import logging

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from hipapp.core.errors import DomainError

log = logging.getLogger(__name__)


class MissingFileError(DomainError):
    """A row names a file that the storage doesn't have."""

    status = 404


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
    saved = default_storage.save(path, ContentFile(content))
    if saved != path:  # another process stored the same content meanwhile
        default_storage.delete(saved)
    return path


def delete_content(path: str) -> None:
    """Delete a stored content; nothing happens where it is gone already."""
    default_storage.delete(path)


def read_content(path: str) -> bytes:
    """The bytes stored under a path that `put_content` gave.

    Raises
    ------
    MissingFileError
        The file is not there any more.
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
    return content
