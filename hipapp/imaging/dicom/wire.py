"""What a parser process and its other end say to each other: JSON with bytes behind it. Nothing that is read is ever executed."""

import json
import struct
from typing import IO, Any

HEAD = struct.Struct("<II")  # bytes of JSON, bytes behind it
MAX_JSON_BYTES = 256 * 1024 * 1024


def write_message(stream: IO[bytes], values: dict[str, Any], blob: bytes = b"") -> None:
    """One message, sent at once."""
    text = json.dumps(values, separators=(",", ":")).encode("utf-8", "surrogatepass")
    stream.write(HEAD.pack(len(text), len(blob)) + text)
    stream.write(blob)
    stream.flush()


def read_message(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """The next message; None at the end of the stream."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    n_text, n_blob = HEAD.unpack(head)
    values: dict[str, Any] = json.loads(stream.read(n_text))
    return values, stream.read(n_blob)
