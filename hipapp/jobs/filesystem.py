"""kombu's broker in a folder, with messages that appear whole.

kombu 5.7 creates a message's file under its final name and writes it afterwards: a worker that looks in between takes an
empty message, which ends it. It also takes messages by moving them to the temporary folder, a copy where that is another
disk.
"""

import fcntl
import logging
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from time import monotonic_ns
from typing import Any

from kombu.transport import filesystem, virtual
from kombu.utils.json import dumps, loads

log = logging.getLogger(__name__)
Binding = filesystem.exchange_queue_t


class Channel(filesystem.Channel):  # type: ignore[misc]  # kombu has no types
    """Files are written beside and renamed; a message is taken by renaming it, which only one worker can."""

    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:  # type: ignore[override]
        _write(Path(self.data_folder_out) / f"{monotonic_ns():020d}_{uuid.uuid4()}.{queue}.msg", dumps(payload))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        folder = Path(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = folder / f"{name}.{uuid.uuid4()}.taken"
            try:
                (folder / name).rename(taken)
            except FileNotFoundError:
                continue  # another worker took it
            content = taken.read_bytes()
            taken.unlink()
            try:
                return loads(content)
            except ValueError:
                log.error("a message of the queue %s was damaged and is left out; the sweeper sends its job again", queue)
        raise Empty

    def _queue_bind(self, exchange: str, routing_key: str | None, pattern: str | None, queue: str | None) -> None:
        binding = Binding(routing_key or "", pattern or "", queue or "")
        self._rewrite(exchange, lambda known: known if binding in known else [binding, *known])

    def _delete(self, queue: str, exchange: str, routing_key: str, pattern: str, *args: Any, **kwargs: Any) -> None:
        virtual.Channel._delete(self, queue, *args, **kwargs)
        gone = Binding(routing_key or "", pattern or "", queue or "")
        self._rewrite(exchange, lambda known: [binding for binding in known if binding != gone])

    def _rewrite(self, exchange: str, change: Callable[[list[Binding]], list[Binding]]) -> None:
        """Change the table of an exchange's queues while no other process does."""
        folder = self.control_folder
        folder.mkdir(exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = self.get_table(exchange)
            changed = change(known)
            if changed != known:
                _write(self._exchange_file(exchange), dumps(changed))


class Transport(filesystem.Transport):  # type: ignore[misc]
    """The folder as a broker."""

    Channel = Channel


def _write(path: Path, text: str) -> None:
    """The whole file or none."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4()}.part")
    partial.write_text(text)
    partial.rename(path)
