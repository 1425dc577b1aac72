"""Sound files changed at random: the same seed gives the same files, on every machine."""

import gzip
import io
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from tests.builders import dicom as build

MAX_SEED_BYTES = 200_000
_CORPUS = ("transfer_syntax", "enhanced_mr", "vendor_mr", "phi", "malformed", "charset", "fuzz", "zip")
_LENGTHS = (0, 1, 7, 0x7FFF, 0xFFFE, 0xFFFF)
_VRS = (b"SQ", b"UN", b"OB", b"OW", b"PN", b"US", b"DS", b"UI", b"ZZ", b"\0\0")


def seeds(corpus: Path) -> list[bytes]:
    """What is mutated: small stacks in several syntaxes, an enhanced object, archives of them, and small files of the corpus."""
    stack = build.random_stack((5, 32, 40))
    sound = [build.to_bytes(dataset) for dataset in build.classic(stack, PatientName="Fuzz^Planted", PatientID="FUZZ-1")]
    enhanced = build.to_bytes(build.enhanced(stack))
    packed = []
    for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        dataset = build.classic(stack, series_uid=f"{build.SERIES_UID}.{len(packed) + 7}")[0]
        options = {"encoding_plugin": "pylibjpeg"} if syntax is JPEG2000Lossless else {}
        dataset.compress(syntax, generate_instance_uid=False, **options)
        packed.append(build.to_bytes(dataset, syntax))
    found = [path for folder in _CORPUS if (corpus / folder).is_dir() for path in sorted((corpus / folder).rglob("*"))]
    small = [path.read_bytes() for path in found if path.is_file() and path.stat().st_size <= MAX_SEED_BYTES]
    own = [*sound, enhanced, *packed, zipped(sound), tarred(sound), gzip.compress(sound[0], mtime=0)]
    return own * max(1, len(small) // len(own)) + small  # half of the mutations are of files that would be stored


def zipped(files: list[bytes]) -> bytes:
    """A zip of these files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, content in enumerate(files):
            archive.writestr(zipfile.ZipInfo(f"a/{i}.dcm"), content)
    return stream.getvalue()


def tarred(files: list[bytes]) -> bytes:
    """A tar of these files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for i, content in enumerate(files):
            info = tarfile.TarInfo(f"a/{i}.dcm")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def mutated(number: int, seed: int, sources: list[bytes]) -> bytes:
    """The file with this number of the run with this seed."""
    dice = random.Random(f"{seed} {number}")
    data = bytearray(dice.choice(sources))
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        dice.choice(_MUTATIONS)(data, dice, sources)
    return bytes(data)


def _place(data: bytearray, dice: random.Random) -> int:
    """Somewhere in the file; half of the time in its head, where the header is."""
    end = min(len(data), 2000) if dice.random() < 0.5 else len(data)
    return dice.randrange(max(end, 1))


def _flip(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    for _n in range(dice.choice((1, 1, 4, 30))):
        if data:
            data[_place(data, dice)] ^= 1 << dice.randrange(8)


def _overwrite(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    at, n = _place(data, dice), dice.choice((1, 2, 4, 16, 300))
    new = dice.choice((b"\xff" * n, b"\0" * n, dice.randbytes(n)))
    data[at : at + n] = new[: max(0, len(data) - at)]


def _cut(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    del data[_place(data, dice) :]


def _remove(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    at = _place(data, dice)
    del data[at : at + dice.choice((1, 2, 8, 100))]


def _repeat(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    at, n = _place(data, dice), dice.choice((2, 8, 64, 500))
    data[at:at] = data[at : at + n] * dice.choice((1, 1, 2, 50))


def _splice(data: bytearray, dice: random.Random, sources: list[bytes]) -> None:
    other = dice.choice(sources)
    at, start = _place(data, dice), dice.randrange(max(len(other), 1))
    data[at:at] = other[start : start + dice.choice((20, 200, 2000))]


def _element(data: bytearray, dice: random.Random) -> int:
    """Where an element of explicit VR may begin; -1 where none is found."""
    at = _place(data, dice)
    for i in range(at, min(at + 400, len(data) - 8)):
        if data[i + 4 : i + 6].isalpha() and data[i + 4 : i + 6].isupper():
            return i
    return -1


def _length(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    at = _element(data, dice)
    if at >= 0:
        struct.pack_into("<H", data, at + 6, dice.choice(_LENGTHS))


def _vr(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    at = _element(data, dice)
    if at >= 0:
        data[at + 4 : at + 6] = dice.choice(_VRS)


def _number(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    """A known number of the image changed: rows, columns, bits, frames."""
    tag = dice.choice((b"\x28\x00\x10\x00", b"\x28\x00\x11\x00", b"\x28\x00\x00\x01", b"\x28\x00\x01\x01", b"\x28\x00\x03\x01"))
    at = data.find(tag)
    if at >= 0 and at + 10 <= len(data):
        struct.pack_into("<H", data, at + 8, dice.choice((0, 1, 7, 8, 33, 4096, 65535, dice.randrange(65536))))


def _nest(data: bytearray, dice: random.Random, _: list[bytes]) -> None:
    depth = dice.choice((3, 30, 400))
    item = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    data.extend(item * depth)


_Mutation = Callable[[bytearray, random.Random, list[bytes]], None]
_MUTATIONS: tuple[_Mutation, ...] = (_flip, _flip, _overwrite, _cut, _remove, _repeat, _splice, _length, _vr, _number, _nest)
