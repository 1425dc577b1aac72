"""Private files kept once, by their content, in the default storage; never served by path."""

import hashlib

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage


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


def read_content(path: str) -> bytes:
    """The bytes stored under a path that `put_content` gave."""
    with default_storage.open(path, "rb") as file:
        content: bytes = file.read()
    return content
