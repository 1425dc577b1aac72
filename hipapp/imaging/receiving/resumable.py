"""Files that come in pieces (tus 1.0): each is a part file in the spool of its upload until its last byte is here.

The name of a part holds its announced length and its size is the offset, so that nothing else has to be kept.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.http.request import UnreadablePostError

from hipapp.core.errors import ConflictError, DomainError
from hipapp.imaging.receiving import spool
from hipapp.imaging.receiving.handler import MAX_FILES, NOT_STORED, StoppedError

CHECKSUMS = ("sha1", "sha256", "md5")


class ChecksumError(DomainError):
    """The bytes of a request are not those that were sent; none of them is kept."""

    status = 460


class TooManyBytesError(DomainError):
    """More bytes came than were announced."""

    status = 413


@dataclass(frozen=True)
class Piece:
    """How far a file has come."""

    path: Path
    length: int
    offset: int

    @property
    def is_complete(self) -> bool:
        return not self.path.name.endswith(spool.PART)

    @property
    def expires_at(self) -> float:
        """When its upload is thrown away if nothing more comes, in seconds since 1970."""
        return self.path.parent.stat().st_mtime + spool.STALE_S


def begin(folder: Path, length: int, number: int | None = None) -> tuple[int, Piece]:
    """An empty file of an announced length; gives its number. A file that has the number already is replaced.

    Raises
    ------
    UploadTooLargeError, DomainError
        The upload would get too large, or have too many files.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    names = {path.name.partition(".")[0]: path for path in folder.iterdir()}
    if number is None:
        number = max((int(name) for name in names), default=0) + 1
    if not 1 <= number <= MAX_FILES:
        raise DomainError(f"Files are numbered from 1 to {MAX_FILES}. Send one study at a time.", code="too_many", field="number")
    former = names.pop(f"{number:08d}", None)
    spool.check_size(length + sum(_announced(path) for path in names.values()))
    if former is not None:
        former.unlink(missing_ok=True)
    path = folder / f"{number:08d}.{length}{spool.PART}"
    path.touch(mode=0o600)
    return number, _completed(Piece(path, length, 0))


def find(folder: Path, number: int) -> Piece | None:
    """The file with this number; None where there is none (any more)."""
    with suppress(FileNotFoundError):
        for path in folder.glob(f"{number:08d}*"):
            return Piece(path, _announced(path), path.stat().st_size)
    return None


def append(piece: Piece, offset: int, chunks: Iterable[bytes], checksum: tuple[str, bytes] | None = None) -> Piece:
    """Add the bytes of one request at `offset`; what came before a lost connection is kept, unless it has a checksum.

    A later request for the same file wins over one that still hangs on a dead connection.

    Raises
    ------
    ConflictError
        The file is at another offset.
    ChecksumError
        The bytes don't have the checksum.
    TooManyBytesError
        There are more than were announced; the file is left as it was announced.
    """
    if offset != piece.offset or piece.is_complete:
        raise ConflictError(f"The file is at byte {piece.offset}, not {offset}.", code="other_offset")
    digest = hashlib.new(checksum[0], usedforsecurity=False) if checksum else None
    at = offset
    with piece.path.open("r+b") as file:
        try:
            for chunk in chunks:
                if at + len(chunk) > piece.length:
                    raise TooManyBytesError(
                        f"The file was announced with {piece.length} bytes; more came.", code="too_many_bytes"
                    )
                _write(file.fileno(), chunk, at)
                at += len(chunk)
                if digest is not None:
                    digest.update(chunk)
        except UnreadablePostError:
            if checksum is None:
                return Piece(piece.path, piece.length, at)
        except TooManyBytesError:
            _truncate(file.fileno(), offset, at)
            raise
        if checksum is not None and digest is not None and digest.digest() != checksum[1]:
            _truncate(file.fileno(), offset, at)
            raise ChecksumError("The bytes are not those that the checksum was made of; send them again.", code="checksum")
        os.utime(piece.path.parent)  # it is not stale
    return _completed(Piece(piece.path, piece.length, at))


def remove(piece: Piece) -> None:
    """Throw a file away."""
    piece.path.unlink(missing_ok=True)


def http_date(seconds: float) -> str:
    """A point in time as HTTP has it."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))


def _announced(path: Path) -> int:
    return int(path.name.split(".")[1]) if path.name.endswith(spool.PART) else path.stat().st_size


def _completed(piece: Piece) -> Piece:
    if piece.offset < piece.length:
        return piece
    return Piece(piece.path.rename(piece.path.with_name(piece.path.name.partition(".")[0])), piece.length, piece.length)


def _write(descriptor: int, chunk: bytes, at: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        if os.fstat(descriptor).st_size != at:
            raise ConflictError("Another request goes on with this file.", code="other_offset")
        os.pwrite(descriptor, chunk, at)
    except OSError as error:
        raise StoppedError(NOT_STORED, code="not_stored") from error
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _truncate(descriptor: int, offset: int, at: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        if os.fstat(descriptor).st_size == at:
            os.ftruncate(descriptor, offset)
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
