"""Bundles: a folder with the weights of both networks and `bundle.json`, which names their hashes and origin."""

import hashlib
import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ml.hips import Finder, load_finder
from ml.networks.unet import UNet

DEFAULT = Path(__file__).parent / "weights" / "default"
DESCRIPTION = "bundle.json"
UNET_WEIGHTS = "unet.safetensors"
REQUIRED_FILES = (UNET_WEIGHTS, "hips.safetensors", "hips.json")
MAX_BYTES = 16_000_000


class BundleError(ValueError):
    """A bundle is missing, incomplete, damaged or not the one that its description names."""


@dataclass(frozen=True)
class Bundle:
    """The networks in force and where they come from.

    Attributes
    ----------
    unet : the segmentation network, in evaluation mode
    finder : the hip finder
    name, version : shown beside each score
    sha256 : one hash over the hashes of all files of the bundle
    description : the whole of `bundle.json`
    """

    unet: nn.Module
    finder: Finder
    name: str
    version: str
    sha256: str
    description: dict[str, Any]


def load(path: Path | str = DEFAULT, device: str = "cpu") -> Bundle:
    """The bundle of a folder, ready to predict; the hash of each file is checked.

    Raises
    ------
    BundleError
        A file is missing, is not the one described, or does not fit this version of the code.
    """
    folder = Path(path)
    description = describe(folder)
    _check_files(folder, description)
    try:
        unet = load_unet(folder, description).to(device)
        finder = load_finder(folder)
        finder.net.to(device)
    except (KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise BundleError(f"{folder} does not fit this version of the code: {error}") from error
    return Bundle(
        unet=unet,
        finder=finder,
        name=str(description.get("name", folder.name)),
        version=str(description.get("version", "0")),
        sha256=bundle_hash(description),
        description=description,
    )


def describe(folder: Path) -> dict[str, Any]:
    """The parsed `bundle.json` of a folder."""
    path = folder / DESCRIPTION
    if not path.is_file():
        raise BundleError(f"{folder} is no bundle: it has no {DESCRIPTION}")
    try:
        description = json.loads(path.read_text())
    except ValueError as error:
        raise BundleError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(description, dict):
        raise BundleError(f"{path} must hold a JSON object")
    return description


def load_unet(folder: Path, description: dict[str, Any]) -> UNet:
    """The segmentation network of a folder, in evaluation mode, channels last."""
    state = safetensors.torch.load_file(folder / UNET_WEIGHTS)
    return unet_of({name: value.float() for name, value in state.items()}, description["unet"]["settings"])


def unet_of(state: dict[str, Tensor], settings: dict[str, Any]) -> UNet:
    """The segmentation network with these weights, in evaluation mode, channels last."""
    network = UNet(**settings)
    missing, unexpected = network.load_state_dict(state, strict=False)
    wrong = [name for name in missing if _is_kept(name)] + list(unexpected)
    if wrong:
        raise BundleError(f"the weights do not fit a U-Net with {settings}: {wrong[0]} and {len(wrong) - 1} more")
    return network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def save_unet(folder: Path, network: UNet, command: str, metrics: dict[str, Any]) -> None:
    """Write the segmentation network into a bundle folder and seal it.

    Parameters
    ----------
    folder : made where it is missing
    network : kernels are stored as float16, batch-norm statistics and biases as float32
    command : the exact command that made the weights
    metrics : what was measured of them
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: _stored(value) for name, value in network.state_dict().items() if _is_kept(name)}
    safetensors.torch.save_file(state, folder / UNET_WEIGHTS)
    path = folder / DESCRIPTION
    description: dict[str, Any] = describe(folder) if path.exists() else {"name": "unet", "version": "1"}
    description["unet"] = {
        "settings": network.settings,
        "command": command,
        "metrics": metrics,
        "versions": {name: version(name) for name in ("torch", "numpy", "safetensors")} | {"python": platform.python_version()},
    }
    _write(folder, description)
    seal(folder)


def seal(folder: Path) -> str:
    """Write the hash of each file that is there into `bundle.json` and give the bundle's own.

    Raises
    ------
    BundleError
        There is no description, or the files are larger than 16 MB together.
    """
    description = describe(folder)
    present = [name for name in REQUIRED_FILES if (folder / name).is_file()]
    n_bytes = sum((folder / name).stat().st_size for name in present)
    if n_bytes > MAX_BYTES:
        raise BundleError(f"the files of {folder} take {n_bytes} bytes, more than {MAX_BYTES}")
    description["files"] = {name: _file_hash(folder / name) for name in present}
    _write(folder, description)
    return bundle_hash(description)


def record(folder: Path, name: str, figures: dict[str, Any]) -> None:
    """Keep measured figures beside the network's other metrics; the bundle's hash stays."""
    description = describe(folder)
    description["unet"]["metrics"][name] = figures
    _write(folder, description)


def bundle_hash(description: dict[str, Any]) -> str:
    """One SHA-256 over the files' hashes: the same for the same files, whatever else the description says."""
    files = description["files"]
    return hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()


def _check_files(folder: Path, description: dict[str, Any]) -> None:
    files = description.get("files")
    if not isinstance(files, dict):
        raise BundleError(f"{folder / DESCRIPTION} names no files; `python -m ml seal {folder}` writes their hashes")
    for name in REQUIRED_FILES:
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name} is missing")
        if files.get(name) != _file_hash(folder / name):
            raise BundleError(f"{folder / name} is not the file that {DESCRIPTION} describes (its SHA-256 differs)")


def _is_kept(name: str) -> bool:
    return not name.endswith("num_batches_tracked")


def _stored(value: Tensor) -> Tensor:
    """float16 for kernels; float32 for statistics, whose range float16 does not hold."""
    dtype = torch.float16 if value.ndim > 1 else torch.float32
    return value.detach().to("cpu", dtype).contiguous()


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(folder: Path, description: dict[str, Any]) -> None:
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")
