"""The pool of parser processes, from this side: whatever a file does to its reader, the worker and the web server go on.

Each process of the application has a pool of its own, started with the first file; its parsers end with it. A parser that dies,
or takes too long, is replaced, and the file that it was at is refused in words.
"""

import contextlib
import fcntl
import functools
import json
import logging
import os
import queue
import select
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np
from django.conf import settings

from hipapp.core.storage import read_content
from hipapp.imaging.dicom.wire import HEAD, MAX_JSON_BYTES, write_message
from ml.dicom.errors import RefusedFileError
from ml.dicom.pixels import Pixels

log = logging.getLogger(__name__)
_F_SETPIPE_SZ = 1031  # Linux; fcntl.F_SETPIPE_SZ has it too, but not on every system
_KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG")  # of the environment: nothing secret
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# Of glibc: blocks of a picture's size are kept for the next picture; given back each time, they cost a third of the work on it.
_KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
_PIPE_BYTES = 1 << 20


class ParserDiedError(RefusedFileError):
    """The parser ended, or was ended, at a file; the sentence stands behind the file's name."""


class Pool:
    """At most `size` parser processes, each doing one request at a time; a request waits until one is free."""

    def __init__(self, size: int, memory_bytes: int, timeout_s: float) -> None:
        self.size, self._memory_bytes, self._timeout_s = size, memory_bytes, timeout_s
        self._free: queue.LifoQueue[_Parser | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)

    def ask(self, request: dict[str, Any], blob: bytes = b"") -> Generator[tuple[dict[str, Any], bytes], None, None]:
        """The replies to a request, one by one.

        Raises
        ------
        ParserDiedError
            The process died, or gave no reply within the time limit.
        RefusedFileError
            The request ended with a refusal.
        """
        parser = self._free.get()
        is_sound = False
        try:
            if parser is None or not parser.is_alive:
                parser = _Parser(self._memory_bytes)
            parser.send(request, blob)
            while True:
                reply, content = parser.receive(self._timeout_s)
                if "died" in reply:
                    raise ParserDiedError(reply["died"])
                if "end" in reply:
                    is_sound = True
                    if reply["end"]:
                        raise RefusedFileError(reply["end"])
                    return
                yield reply, content
        finally:
            if parser is not None and not is_sound:
                parser.kill()
            self._free.put(parser if is_sound else None)

    def idle(self) -> list["_Parser"]:
        """The processes that do nothing at this moment."""
        return [parser for parser in tuple(self._free.queue) if parser is not None]

    def close(self) -> None:
        """End the processes that are free; the next request starts new ones."""
        free = []
        with contextlib.suppress(queue.Empty):
            while True:
                free.append(self._free.get_nowait())
        for parser in free:
            if parser is not None:
                parser.kill()
            self._free.put(None)


class _Parser:
    """One process with its two pipes. It gets no secrets: of the environment it has only where programs and libraries are."""

    def __init__(self, memory_bytes: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hipapp.imaging.dicom.process", str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=settings.BASE_DIR,
            env={**{name: os.environ[name] for name in _KEPT if name in os.environ}, **_ONE_THREAD, **_KEPT_MEMORY},
            start_new_session=True,  # a Ctrl-C is for the application, which then closes the pipes
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout.fileno()
        if sys.platform == "linux":
            fcntl.fcntl(self._replies, _F_SETPIPE_SZ, _PIPE_BYTES)
        self._poll = select.poll()
        self._poll.register(self._replies, select.POLLIN)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, request: dict[str, Any], blob: bytes) -> None:
        try:
            write_message(self._requests, request, blob)
        except OSError as error:
            raise ParserDiedError("could not be read: its reader was ended from outside; send it again") from error

    def receive(self, timeout_s: float) -> tuple[dict[str, Any], bytes]:
        deadline = time.monotonic() + timeout_s
        n_text, n_blob = HEAD.unpack(self._read(HEAD.size, deadline, timeout_s))
        if n_text > MAX_JSON_BYTES:
            raise ParserDiedError("made its reader answer nonsense")
        values: dict[str, Any] = json.loads(self._read(n_text, deadline, timeout_s))
        return values, bytes(self._read(n_blob, deadline, timeout_s))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            try:
                stream.close()  # type: ignore[union-attr]
            except BrokenPipeError:
                log.debug("a request was not taken any more")

    def _read(self, n_bytes: int, deadline: float, timeout_s: float) -> bytearray:
        data = bytearray(n_bytes)
        view, n_read = memoryview(data), 0
        while n_read < n_bytes:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self._poll.poll(left_s * 1000):
                log.warning("a parser process took longer than %s s for a file and was ended", timeout_s)
                raise ParserDiedError(f"takes longer than {timeout_s:g} s to read")
            n = os.readv(self._replies, [view[n_read:]])
            if n == 0:
                code = self._process.wait()
                log.warning("a parser process ended with %s", code)
                raise ParserDiedError("makes its reader crash: it is damaged, or made to do harm")
            n_read += n
        return data


@functools.cache
def _pool(pid: int) -> Pool:
    """The pool of the process with this number: a forked process must not share its parent's pipes."""
    return Pool(settings.PARSER_PROCESSES, settings.PARSER_MEMORY_BYTES, settings.PARSER_TIMEOUT_S)


def parser_pool() -> Pool:
    """This process's pool."""
    return _pool(os.getpid())


class StoredPixels:
    """The pixels of a stored file, decoded by the pool."""

    def __init__(self, path: str) -> None:
        self._path = path

    def read(self, numbers: Sequence[int | None]) -> Iterator[tuple[Pixels, bool]]:
        for reply, blob in parser_pool().ask({"do": "decode", "numbers": list(numbers)}, read_content(self._path)):
            yield np.frombuffer(blob, np.float32).reshape(reply["shape"]), reply["is_inverted"]
