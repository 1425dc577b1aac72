"""Bundles: a folder with the weights of both networks and `bundle.json`, which names their hashes and origin."""

import hashlib
import json
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ml.device import choose
from ml.hips import Finder, load_finder
from ml.networks import Network, build
from ml.whole import make_folder

DEFAULT = Path(__file__).parent / "weights" / "default"
DESCRIPTION = "bundle.json"
UNET_WEIGHTS = "unet.safetensors"
FINDER_FILES = ("hips.safetensors", "hips.json")
REQUIRED_FILES = (UNET_WEIGHTS, *FINDER_FILES)
MAX_BYTES = 16_000_000
MOST_SURE = 30  # logit; beyond it a probability is 1 in float32
AnyModule = TypeVar("AnyModule", bound=nn.Module)


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

    unet: Network
    finder: Finder
    name: str
    version: str
    sha256: str
    description: dict[str, Any]


def load(path: Path | str = DEFAULT, device: str | None = None) -> Bundle:
    """The bundle of a folder, ready to predict; the hash of each file is checked.

    Parameters
    ----------
    device : where both networks run; see `ml.device.choose`

    Raises
    ------
    BundleError
        A file is missing, is not the one described, or does not fit this version of the code.
    """
    folder, target = Path(path), choose(device)
    description = describe(folder)
    check_finder(folder, description)
    try:
        unet = folded(load_unet(folder, description)).to(target)
        finder = load_finder(folder)
        folded(finder.net).to(target)
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


def load_unet(folder: Path, description: dict[str, Any]) -> Network:
    """The segmentation network of a folder, whichever it is, as it was trained, in evaluation mode, in its memory format.

    Raises
    ------
    BundleError
        The weights are missing, are not those described, or no network is described that they fit.
    """
    _check_file(folder, description, UNET_WEIGHTS)
    about = description.get("unet")
    if not isinstance(about, dict) or not isinstance(about.get("settings"), dict):
        raise BundleError(f"{folder / DESCRIPTION} describes no segmentation network: it has no settings under `unet`")
    try:
        state = safetensors.torch.load_file(folder / UNET_WEIGHTS)
    except SafetensorError as error:
        raise BundleError(f"{folder / UNET_WEIGHTS} can't be read: {error}") from error
    return unet_of({name: value.float() for name, value in state.items()}, about["settings"], network_name(description))


def network_name(description: dict[str, Any]) -> str:
    """What `ml.networks.build` calls a bundle's segmentation network; a description that names none holds a U-Net."""
    return str(description["unet"].get("network", "unet"))


def unet_of(state: dict[str, Tensor], settings: dict[str, Any], name: str = "unet") -> Network:
    """The segmentation network with these weights, in evaluation mode, in its memory format."""
    try:
        with torch.device("meta"):  # settings that do not fit the weights must not take the machine's memory
            planned = build(name, **settings).state_dict()
    except (ValueError, TypeError, ArithmeticError) as error:
        raise BundleError(f"there is no {name} with {settings}: {error}") from error
    missing = [key for key in planned if key not in state and _is_kept(key) and key.rsplit(".", 1)[-1] != "sure"]  # older: none
    wrong = missing + [key for key in state if key not in planned]
    wrong += [key for key in state if key in planned and planned[key].shape != state[key].shape]
    if wrong:
        raise BundleError(f"the weights do not fit a {name} with {settings}: {wrong[0]} and {len(wrong) - 1} more")
    network = build(name, **settings)
    network.load_state_dict(state, strict=False)
    for part in network.modules():
        if isinstance(part, Network) and not ((part.sure >= 0) & (part.sure <= MOST_SURE)).all():
            raise BundleError(f"how sure a {part.name} must be is {part.sure.tolist()}; each must be a logit of 0 to {MOST_SURE}")
    return network.laid_out().eval()


def folded(network: AnyModule) -> AnyModule:
    """The network with each batch normalisation put into the convolution before it: the same to rounding, and faster.

    For prediction alone; weights to keep or to train come from `load_unet`. The memory format of the weights stays.
    """
    for block in network.modules():
        if not isinstance(block, nn.Sequential):
            continue
        for index in range(len(block) - 1):
            convolution, norm = block[index], block[index + 1]
            if isinstance(convolution, nn.Conv2d | nn.Conv3d) and isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d):
                block[index], block[index + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return network


def save_unet(folder: Path, network: Network, command: str, metrics: dict[str, Any]) -> None:
    """Write the segmentation network into a bundle folder and seal it.

    Parameters
    ----------
    folder : made where it is missing
    network : any of `ml.networks`; its name and settings are kept, kernels as float16, batch-norm statistics and biases as
        float32
    command : the exact command that made the weights
    metrics : what was measured of them
    """
    make_folder(folder)
    state = {name: _stored(value) for name, value in network.state_dict().items() if _is_kept(name)}
    safetensors.torch.save_file(state, folder / UNET_WEIGHTS)
    path = folder / DESCRIPTION
    description: dict[str, Any] = describe(folder) if path.exists() else {"name": network.name, "version": "1"}
    description["unet"] = {
        "network": network.name,
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
        There is no description, or the files are too large: the default bundle, which every checkout carries, has 16 MB.
    """
    description = describe(folder)
    present = [name for name in REQUIRED_FILES if (folder / name).is_file()]
    n_bytes = sum((folder / name).stat().st_size for name in present)
    if n_bytes > MAX_BYTES and folder.resolve() == DEFAULT:
        raise BundleError(f"the files of {folder} take {n_bytes} bytes, more than {MAX_BYTES}")
    description["files"] = {name: _file_hash(folder / name) for name in present}
    _write(folder, description)
    return bundle_hash(description)


def name_bundle(folder: Path, name: str | None, version: str | None) -> None:
    """Say what a bundle is called, where that is given; its hash stays."""
    given = {key: value for key, value in (("name", name), ("version", version)) if value is not None}
    if any(not value.strip() for value in given.values()):
        raise BundleError("a bundle's name and version can't be empty")
    if given:
        _write(folder, describe(folder) | given)


def check_finder(folder: Path, description: dict[str, Any]) -> None:
    """Refuse a bundle whose hip finder is missing or is not the one that it describes; raises BundleError."""
    for name in FINDER_FILES:
        _check_file(folder, description, name)


def has_seen(description: dict[str, Any], fingerprint: str) -> bool:
    """Whether a bundle's own record names a data set: it may have learnt from its patients."""
    return fingerprint in json.dumps(description)


def add_finder(folder: Path, source: Path) -> str:
    """Give a bundle folder the hip finder of another one and seal it; the bundle's hash."""
    check_finder(source, describe(source))
    for name in FINDER_FILES:
        shutil.copyfile(source / name, folder / name)
    return seal(folder)


def record(folder: Path, name: str, figures: dict[str, Any]) -> None:
    """Keep measured figures beside the network's other metrics; the bundle's hash stays."""
    description = describe(folder)
    description["unet"]["metrics"][name] = figures
    _write(folder, description)


def record_section(folder: Path, name: str, section: dict[str, Any]) -> None:
    """Keep a part of the description of its own, such as the calibration of intervals; the bundle's hash stays."""
    _write(folder, describe(folder) | {name: section})


def bundle_hash(description: dict[str, Any]) -> str:
    """One SHA-256 over the files' hashes: the same for the same files, whatever else the description says."""
    files = description["files"]
    return hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()


def _check_file(folder: Path, description: dict[str, Any], name: str) -> None:
    files = description.get("files")
    if not isinstance(files, dict):
        raise BundleError(f"{folder / DESCRIPTION} names no files; `python -m ml seal {folder}` writes their hashes")
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
