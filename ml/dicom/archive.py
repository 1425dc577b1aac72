"""A folder, a file or an archive as a stream of named files, without ever writing to disk."""

import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ml.dicom import limits
from ml.dicom.errors import RefusedFileError

_SKIPPED_NAMES = {".ds_store", "thumbs.db", "desktop.ini"}
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # the second one is an empty archive
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError),
    *(NotImplementedError, RuntimeError),  # zipfile: unknown compression; a password
)


@dataclass(frozen=True)
class Item:
    """One file: its name as people know it, and its bytes when asked for."""

    name: str
    read: Callable[[], bytes]


@dataclass
class _Budget:
    """What may still be read from one archive."""

    n_files: int = limits.MAX_FILES
    total_bytes: int = limits.MAX_TOTAL_BYTES
    held_bytes: int = limits.MAX_HELD_BYTES

    def take(self, n_bytes: int, held: bool = False) -> None:
        self.n_files -= 1
        self.total_bytes -= n_bytes
        self.held_bytes -= n_bytes if held else 0
        if self.n_files < 0:
            raise RefusedFileError(f"holds more than {limits.MAX_FILES} files; send one study at a time")
        if self.total_bytes < 0 or self.held_bytes < 0:
            bound = limits.MAX_TOTAL_BYTES if self.total_bytes < 0 else limits.MAX_HELD_BYTES
            raise RefusedFileError(f"unpacks to more than {bound // limits.MIB} MiB; send one study at a time")


def walk(path: Path) -> Iterator[Item | tuple[str, str]]:
    """Every file under `path`: `Item`, or (name, reason) for one that can't be opened.

    Parameters
    ----------
    path : Path
        A folder (looked through wholly, links to folders are not followed), a file, or a zip, tar or gzip archive.
        An archive inside an archive is opened once, not deeper.

    Raises
    ------
    FileNotFoundError
        Nothing is there.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file or folder")
    if path.is_file():
        yield from _open_file(path, path.name)
        return
    n_files = 0
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = Path(folder) / name
            n_files += 1
            if n_files > limits.MAX_FILES:
                yield str(path), f"holds more than {limits.MAX_FILES} files; the rest was not read"
                return
            if not _is_skipped(name):
                yield from _open_file(file, clean_name(str(file.relative_to(path))))


def clean_name(name: str) -> str:
    """A file's name made safe to print: no control characters, at most 200 characters, no way out of the folder."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "".join(c if c.isprintable() else "?" for c in "/".join(parts))[-200:] or "(no name)"


def unpack(name: str, data: bytes) -> Iterator[Item | tuple[str, str]]:
    """The members of an archive held in memory, or the file itself where it is no archive."""
    yield from _open_bytes(name, data, _Budget(), depth=1)


def _is_skipped(name: str) -> bool:
    base = name.rsplit("/", 1)[-1].lower()
    return base in _SKIPPED_NAMES or base.startswith("._") or name.startswith("__MACOSX/")


def _open_file(path: Path, name: str) -> Iterator[Item | tuple[str, str]]:
    try:
        if not path.is_file():
            raise RefusedFileError("is no ordinary file")
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(512)
        if head[:4] in _ZIP_STARTS:
            yield from _open_zip(name, lambda: path.open("rb"), _Budget(), depth=1)
        elif _looks_packed(head):
            if size > limits.MAX_HELD_BYTES:
                raise RefusedFileError(f"is larger than {limits.MAX_HELD_BYTES // limits.MIB} MiB; send a folder or zip")
            yield from _open_bytes(name, path.read_bytes(), _Budget(), depth=1)
        elif size > limits.MAX_FILE_BYTES:
            raise RefusedFileError(f"is larger than {limits.MAX_FILE_BYTES // limits.MIB} MiB")
        else:
            yield Item(name, path.read_bytes)
    except RefusedFileError as refusal:
        yield name, str(refusal)
    except OSError as error:
        yield name, f"can't be read ({error.strerror or type(error).__name__})"


def _looks_packed(head: bytes) -> bool:
    return head[:2] == b"\x1f\x8b" or head[257:262] == b"ustar"


def _open_bytes(name: str, data: bytes, budget: _Budget, depth: int) -> Iterator[Item | tuple[str, str]]:
    try:
        if data[:4] in _ZIP_STARTS:
            if depth < 0:
                raise RefusedFileError("is an archive in an archive in an archive; unpack it first")
            yield from _open_zip(name, lambda: io.BytesIO(data), budget, depth)
        elif data[:2] == b"\x1f\x8b":
            if depth < 0:
                raise RefusedFileError("is an archive in an archive in an archive; unpack it first")
            yield from _open_bytes(name.removesuffix(".gz"), _gunzip(data, budget), budget, depth - 1)
        elif data[257:262] == b"ustar":
            yield from _open_tar(name, data, budget)
        else:
            yield Item(name, lambda: data)
    except RefusedFileError as refusal:
        yield name, str(refusal)


def _gunzip(data: bytes, budget: _Budget) -> bytes:
    bound = min(limits.MAX_FILE_BYTES, max(limits.RATIO_FROM_BYTES, limits.MAX_RATIO * len(data)))
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            unpacked = stream.read(bound + 1)
    except _BROKEN as error:
        raise RefusedFileError("is a damaged gzip file") from error
    if len(unpacked) > bound:
        raise RefusedFileError(f"unpacks to more than {limits.MAX_RATIO} times its size: refused as an archive bomb")
    budget.take(len(unpacked), held=True)
    return unpacked


def _open_tar(name: str, data: bytes, budget: _Budget) -> Iterator[Item | tuple[str, str]]:
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                if member.isfile() and not _is_skipped(member.name):
                    budget.take(member.size)
                    content = archive.extractfile(member)
                    if content is not None:
                        yield from _open_bytes(f"{name}/{clean_name(member.name)}", content.read(), budget, depth=-1)
    except _BROKEN as error:
        raise RefusedFileError("is a damaged tar archive") from error


def _open_zip(
    name: str, opened: Callable[[], io.BufferedIOBase], budget: _Budget, depth: int
) -> Iterator[Item | tuple[str, str]]:
    try:
        with opened() as stream, zipfile.ZipFile(stream) as archive:
            members = [info for info in archive.infolist() if not info.is_dir() and not _is_skipped(info.filename)]
            for info in members:
                budget.take(info.file_size)
            for info in members:
                yield from _open_member(f"{name}/{clean_name(info.filename)}", opened, archive, info, budget, depth)
    except _BROKEN as error:
        raise RefusedFileError("is a damaged zip archive") from error


def _open_member(
    name: str,
    opened: Callable[[], io.BufferedIOBase],
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    budget: _Budget,
    depth: int,
) -> Iterator[Item | tuple[str, str]]:
    if info.flag_bits & 1:
        yield name, "is protected by a password"
        return
    if info.file_size > limits.RATIO_FROM_BYTES and info.file_size > limits.MAX_RATIO * max(info.compress_size, 1):
        yield name, f"unpacks to more than {limits.MAX_RATIO} times its size: refused as an archive bomb"
        return
    if info.file_size > limits.MAX_FILE_BYTES:
        yield name, f"is larger than {limits.MAX_FILE_BYTES // limits.MIB} MiB"
        return
    try:
        with archive.open(info) as stream:
            head = stream.read(512)
        if head[:4] in _ZIP_STARTS or _looks_packed(head):
            budget.take(info.file_size, held=True)
            yield from _open_bytes(name, archive.read(info), budget, depth - 1)
        else:
            yield Item(name, lambda: _read_member(opened, info))
    except _BROKEN:
        yield name, "can't be unpacked: the archive is damaged there"


def _read_member(opened: Callable[[], io.BufferedIOBase], info: zipfile.ZipInfo) -> bytes:
    try:
        with opened() as stream, zipfile.ZipFile(stream) as archive:
            return archive.read(info)
    except _BROKEN as error:
        raise RefusedFileError("can't be unpacked: the archive is damaged there") from error
