"""Files that appear whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write a file that becomes `path` at the end: a reader sees the old file or the new one, never a part."""
    partial = path.with_name(f"{path.name}.part")
    yield partial
    partial.rename(path)
