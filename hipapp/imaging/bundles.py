"""A bundle as it comes from outside, a zip or a folder: looked at as bytes alone, and refused in words; needs no torch.

What is refused here can do no harm any more when a worker loads the rest: there are only JSON and safetensors, each with
the hash that the description names, of bounded size, and every weight is a finite number.
"""

import hashlib
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import safetensors
from safetensors import SafetensorError

from hipapp.core.errors import DomainError

DESCRIPTION = "bundle.json"
MAX_BYTES = 256 * 2**20
MAX_FILES = 32
MAX_JSON_BYTES = 4 * 2**20
MAX_SETTING = 4096  # widths, depths and the like; larger ones only serve to exhaust the worker
MAX_SETTINGS = 256  # of one network, or of all the members of an ensemble
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,60}\.(json|safetensors)")
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+ -]{0,39}")
CALIBRATION = {"weights", "factor", "level", "n_hips", "unet_sha256"}  # the fields of `ml.interval.Calibration`
SHA256 = re.compile(r"[0-9a-f]{64}")
# Little-endian, as safetensors stores them; BF16 as its bits, numpy has no such type.
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
BF16_EXPONENT = 0x7F80  # all ones: infinite or no number


class BundleRefusedError(DomainError):
    """The bundle is damaged, incomplete, or holds what a bundle must not hold."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="bundle_refused", field="bundle")


@dataclass(frozen=True)
class BundleFiles:
    """A bundle whose files are what its description says. `sha256` is the one hash over the hashes of all its files."""

    name: str
    version: str
    sha256: str
    description: dict[str, Any]
    files: dict[str, bytes]

    @property
    def n_bytes(self) -> int:
        return sum(len(content) for content in self.files.values())


def read_bundle(source: Path | IO[bytes]) -> BundleFiles:
    """The bundle of a folder or of a zip file (by its path or open), checked.

    Raises
    ------
    BundleRefusedError
        Says what is wrong with which file.
    """
    if isinstance(source, Path) and source.is_dir():
        return check_bundle(_of_folder(source))
    try:
        with zipfile.ZipFile(source) as archive:
            return check_bundle(_of_zip(archive))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError, RuntimeError) as error:
        raise BundleRefusedError(
            f"This is no zip file that can be read. A bundle is a zip of {DESCRIPTION} and weights."
        ) from error


def check_bundle(contents: dict[str, bytes]) -> BundleFiles:
    """The bundle that these files make, by their names.

    Raises
    ------
    BundleRefusedError
        A file is missing, is not the one described, or has weights that are no finite numbers.
    """
    if DESCRIPTION not in contents:
        raise BundleRefusedError(f"There is no {DESCRIPTION} in it. Send the bundle's folder as a zip.")
    files = {name: content for name, content in contents.items() if name != DESCRIPTION}
    description = _json(DESCRIPTION, contents[DESCRIPTION])
    name, version = (_label(description, key) for key in ("name", "version"))
    _check_hashes(description.get("files"), files)
    _check_settings(description)
    _check_calibration(description)
    for file_name, content in sorted(files.items()):
        if file_name.endswith(".json"):
            _json(file_name, content)
        else:
            _check_weights(file_name, content)
    return BundleFiles(name, version, description_hash(description), description, files)


def description_hash(description: dict[str, Any]) -> str:
    """The bundle's SHA-256 as `ml.bundle.bundle_hash` makes it, which can't be called here because it needs torch."""
    files = description["files"]
    return hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()


def calibration_of(description: dict[str, Any]) -> dict[str, Any] | None:
    """The calibration of the scores' intervals, as `python -m ml interval` made it for these very weights; None without one."""
    section = description.get("interval")
    kept = section.get("calibration") if isinstance(section, dict) else None
    if not isinstance(kept, dict) or kept.get("unet_sha256") != description["files"].get("unet.safetensors"):
        return None
    return kept


def written(description: dict[str, Any]) -> bytes:
    """`bundle.json` as a file."""
    return (json.dumps(description, indent=1, sort_keys=True) + "\n").encode()


def _of_folder(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    total = 0
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_dir():
            continue
        _check_name(path.name)
        total += path.stat().st_size
        _check_size(total, len(found) + 1)
        found[path.name] = path.read_bytes()
    return found


def _of_zip(archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir() and not entry.filename.startswith("__MACOSX/")]
    _check_size(sum(entry.file_size for entry in entries), len(entries))
    top = _common_folder([entry.filename for entry in entries])
    found: dict[str, bytes] = {}
    total = 0
    for entry in entries:
        name = entry.filename.removeprefix(top)
        _check_entry(entry, name)
        if name in found:
            raise BundleRefusedError(f"{name} is in the zip twice.")
        with archive.open(entry) as file:
            found[name] = file.read(MAX_BYTES - total + 1)  # the sizes in a zip's directory may lie
        total += len(found[name])
        _check_size(total, len(entries))
    return found


def _common_folder(names: list[str]) -> str:
    """The one folder that holds all files, with its slash; empty where they lie at the top."""
    folders = {name.partition("/")[0] if "/" in name else "" for name in names}
    folder = folders.pop() if len(folders) == 1 else ""
    return f"{folder}/" if folder and folder not in (".", "..") else ""


def _check_entry(entry: zipfile.ZipInfo, name: str) -> None:
    if entry.flag_bits & 0x1:
        raise BundleRefusedError("The zip is encrypted. Send it without a password.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise BundleRefusedError(f"{_shown(name)} is a link. A bundle holds its files themselves.")
    _check_name(name)


def _check_name(name: str) -> None:
    if "/" in name or "\\" in name or name.startswith("."):
        raise BundleRefusedError(f"{_shown(name)} lies outside the bundle's one folder. A bundle has no folders within it.")
    if not FILE_NAME.fullmatch(name):
        raise BundleRefusedError(
            f"{_shown(name)} is neither .json nor .safetensors. Other files, such as pickles (.pt, .pth, .pkl, .bin), could "
            "run code and are not taken."
        )


def _check_size(n_bytes: int, n_files: int) -> None:
    if n_bytes > MAX_BYTES:
        raise BundleRefusedError(f"The files take more than {MAX_BYTES // 2**20} MB together.")
    if n_files > MAX_FILES:
        raise BundleRefusedError(f"There are more than {MAX_FILES} files in it.")


def _json(name: str, content: bytes) -> dict[str, Any]:
    if len(content) > MAX_JSON_BYTES:
        raise BundleRefusedError(f"{name} is larger than {MAX_JSON_BYTES // 2**20} MB.")
    try:
        parsed = json.loads(content, parse_constant=_no_number)
        json.dumps(parsed, allow_nan=False)  # 1e999 is read as infinity
    except (ValueError, RecursionError) as error:
        raise BundleRefusedError(f"{name} is not valid JSON: {_shown(str(error))}.") from error
    if not isinstance(parsed, dict):
        raise BundleRefusedError(f"{name} must hold a JSON object.")
    if "\\u0000" in content.decode(errors="replace"):
        raise BundleRefusedError(f"{name} has a null character in it.")
    return parsed


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _label(description: dict[str, Any], key: str) -> str:
    value = description.get(key)
    if not isinstance(value, str) or not MODEL_NAME.fullmatch(value):
        raise BundleRefusedError(
            f"{DESCRIPTION} needs a {key}, shown beside each score: at most 40 letters, digits, points, hyphens or spaces."
        )
    return value


def _check_hashes(named: object, files: dict[str, bytes]) -> None:
    if not isinstance(named, dict) or not named:
        raise BundleRefusedError(f"{DESCRIPTION} names no files. `python -m ml seal` writes them with their hashes.")
    if absent := sorted(set(named) - set(files)):
        raise BundleRefusedError(f"{_shown(absent[0])} is named in {DESCRIPTION} but is not there.")
    if unnamed := sorted(set(files) - set(named)):
        raise BundleRefusedError(f"{unnamed[0]} is not named in {DESCRIPTION}.")
    if not any(name.endswith(".safetensors") for name in files):
        raise BundleRefusedError("There are no weights (.safetensors) in it.")
    for name, content in files.items():
        expected = named[name]
        if not isinstance(expected, str) or not SHA256.fullmatch(expected):
            raise BundleRefusedError(f"{DESCRIPTION} gives no SHA-256 for {name}.")
        if hashlib.sha256(content).hexdigest() != expected:
            raise BundleRefusedError(f"{name} is not the file that {DESCRIPTION} describes: its SHA-256 differs.")


def _check_settings(description: dict[str, Any]) -> None:
    """Settings of networks are few small whole numbers, switches and words: nothing that would take a worker's memory."""
    for part in description.values():
        settings = list(_leaves(part.get("settings"))) if isinstance(part, dict) else []
        if len(settings) > MAX_SETTINGS:
            raise BundleRefusedError(f"{DESCRIPTION} has more than {MAX_SETTINGS} settings of one network.")
        for value in settings:
            if isinstance(value, int | float) and abs(value) > MAX_SETTING:
                raise BundleRefusedError(f"The settings in {DESCRIPTION} have {value:g}, more than {MAX_SETTING}.")


def _check_calibration(description: dict[str, Any]) -> None:
    kept = calibration_of(description)
    if kept is None:
        return
    weights = kept.get("weights")
    numbers = [*(weights if isinstance(weights, list) else ()), kept.get("factor"), kept.get("level"), kept.get("n_hips")]
    is_whole = set(kept) == CALIBRATION and len(numbers) == 7
    if not is_whole or not all(type(value) in (int, float) and 0 <= value < 1e9 for value in numbers) or kept["level"] >= 1:
        raise BundleRefusedError(f"The calibration in {DESCRIPTION} is not as `python -m ml interval` writes it. Run it again.")


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        yield value
        return
    for item in value:
        yield from _leaves(item)


def _check_weights(name: str, content: bytes) -> None:
    try:
        tensors = safetensors.deserialize(content)
    except SafetensorError as error:
        raise BundleRefusedError(
            f"{name} is not in the safetensors format. Other formats, such as pickles, could run code and are not taken."
        ) from error
    for tensor, about in tensors:
        kind = about["dtype"]
        if kind in FLOATS and not _is_finite(np.frombuffer(about["data"], FLOATS[kind]), kind):
            raise BundleRefusedError(f"{name} has weights that are no finite numbers, in {_shown(tensor)}.")


def _is_finite(values: np.ndarray, kind: str) -> bool:
    if kind == "BF16":
        return not bool(((values & BF16_EXPONENT) == BF16_EXPONENT).any())
    return bool(np.isfinite(values).all())


def _shown(text: str) -> str:
    """Text of unknown origin, short and printable."""
    clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= 80 else f"{clean[:77]}…"
