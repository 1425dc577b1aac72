"""Files that appear whole, in folders that are there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write a file that becomes `path` at the end: a reader sees the old file or the new one, never a part."""
    partial = path.with_name(f"{path.name}.part")
    yield partial
    partial.rename(path)


class FolderError(ValueError):
    """A folder can't be made: something else stands in its place."""


def make_folder(path: Path) -> None:
    """Make a folder for results where it is missing.

    Raises
    ------
    FolderError
        A file stands in its place or in its way, or the machine refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"{path} can't be used as a folder ({error.strerror}); choose another one") from error
