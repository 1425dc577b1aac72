"""A parser process: the one place where bytes of unknown origin are parsed and decoded, with bounds on memory, and no secrets.

`python -m hipapp.imaging.dicom.process MEMORY_BYTES` answers requests on its standard input until that is closed; `parsers.py` is
the other end. It knows neither Django nor the database, and may write no file.
"""

import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hipapp.imaging.dicom.arrival import Arrival, stored_frames
from hipapp.imaging.dicom.derived import DerivedFileError
from hipapp.imaging.dicom.template import Receiver
from hipapp.imaging.dicom.transcode import as_explicit_little
from hipapp.imaging.dicom.wire import read_message, write_message
from ml.dicom.archive import Item, walk
from ml.dicom.errors import RefusedFileError
from ml.dicom.header import frame_values
from ml.dicom.parse import parse
from ml.dicom.pixels import decode, is_inverted

Reply = tuple[dict[str, Any], bytes]
RECEIVER = Receiver()
TOO_LARGE = "needs more memory than one file may have"


def receive_path(request: dict[str, Any], _: bytes) -> Iterator[Reply]:
    """Every file at a path (members of archives one by one): what `arrival.receive_whole` makes of it, or why it is refused.

    The first `skip` ones are passed over: an earlier process has answered for them.
    """
    path, keys = Path(request["path"]), (bytes.fromhex(request["uid_key"]), bytes.fromhex(request["pseudonym_key"]))
    for n, found in enumerate(walk(path)):
        if n < request["skip"]:
            continue
        name = found.name if isinstance(found, Item) else found[0]
        place = {"is_member": "/" in name}
        try:
            if not isinstance(found, Item):
                raise RefusedFileError(found[1])
            data = found.read()
            arrived = RECEIVER.receive(data, *keys)
            original = data if request.get("keeps_original") else b""
            yield {**place, **_values(arrived), "n_content": len(arrived.content)}, arrived.content + original
        except DerivedFileError as derived:
            yield {**place, "refused": str(derived), "returned": derived.returned.values()}, b""
        except RefusedFileError as refusal:
            yield {**place, "refused": str(refusal)}, b""
        except OSError as error:
            yield {**place, "refused": f"can't be read ({error.strerror or type(error).__name__})"}, b""


def decode_content(request: dict[str, Any], content: bytes) -> Iterator[Reply]:
    """Intensities of the frames with these numbers of one file: float32, row by row."""
    dataset = parse(content)
    for number in request["numbers"]:
        pixels = decode(dataset, number)
        yield {"shape": pixels.shape, "is_inverted": is_inverted(dataset)}, pixels.tobytes()


def explicit_content(_: dict[str, Any], content: bytes) -> Iterator[Reply]:
    """The same file in Explicit VR Little Endian, its pixels decompressed."""
    yield {}, as_explicit_little(content)


def frames_in_content(_: dict[str, Any], content: bytes) -> Iterator[Reply]:
    """The frames of one stored file; none where it does not say where in the body it lies."""
    frames, _unplaced = stored_frames(parse(content))
    yield {"frames": [frame_values(frame) for frame in frames]}, b""


WORK: dict[str, Callable[[dict[str, Any], bytes], Iterator[Reply]]] = {
    "receive": receive_path,
    "decode": decode_content,
    "explicit": explicit_content,
    "frames": frames_in_content,
}


def main() -> None:
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # decoders written in C print what they find wrong
        os.dup2(silence, stream)
    _bound(int(sys.argv[1]))
    while (message := read_message(requests)) is not None:
        request, content = message
        try:
            for reply, blob in WORK[request["do"]](request, content):
                write_message(replies, reply, blob)
            write_message(replies, {"end": ""})
        except RefusedFileError as refusal:
            write_message(replies, {"end": str(refusal)})
        except MemoryError:
            write_message(replies, {"died": TOO_LARGE})
            return  # what is left of the memory may be in pieces: a fresh process goes on
        except Exception as error:  # noqa: BLE001 - the process goes on, and the other end says it
            write_message(replies, {"end": f"can't be read ({type(error).__name__})"})


def _bound(memory_bytes: int) -> None:
    for limit, value in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(limit, (value, value))


def _values(arrived: Arrival) -> dict[str, Any]:
    identity = arrived.identity
    return {
        "originals": arrived.originals,
        "uids": arrived.uids,
        "pixel_sha256": arrived.pixel_sha256,
        "identity": {
            "name": identity.name,
            "patient_id": identity.patient_id,
            "birth_on": identity.birth_on.isoformat() if identity.birth_on else "",
            "sex": identity.sex,
            "acquired_at": identity.acquired_at.isoformat() if identity.acquired_at else "",
        },
        "frames": [frame_values(frame) for frame in arrived.frames],
        "unplaced": arrived.unplaced,
        "description": arrived.description,
        "concerns": arrived.concerns,
        "removed": arrived.removed,
        "attributes": arrived.attributes,
    }


if __name__ == "__main__":
    main()
