"""Fields with a meaning that commands look for."""

from typing import Any

from django.db import models


class StoredPathField(models.CharField):
    """The path of a content in the private storage, as `core.storage.put_content` gave it.

    Every content of the storage is named by a field of this kind: erasure and `manage.py orphans` find rows by it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 200)
        super().__init__(*args, **kwargs)


class StoredPathsField(models.JSONField):
    """JSON whose texts, at whatever depth, are paths of stored contents."""
