"""Bundles: a folder with the weights of both networks and `bundle.json`, which says how they were made."""

import hashlib
import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from ml.networks.unet import UNet

DEFAULT = Path(__file__).parent / "weights" / "default"
DESCRIPTION = "bundle.json"
PARTS = ("unet", "hips")
MAX_BYTES = 16_000_000


class BundleError(ValueError):
    """A bundle is missing, incomplete, damaged or not the one that its description names."""


@dataclass(frozen=True)
class Bundle:
    """The networks in force and where they come from.

    Attributes
    ----------
    unet : the segmentation network, in evaluation mode
    hips : the hip finder's network, as `ml.hips` wants it; None in a bundle that has none
    name, version : shown beside each score
    sha256 : one hash over the hashes of all weights of the bundle
    description : the whole of `bundle.json`
    """

    unet: nn.Module
    hips: Any
    name: str
    version: str
    sha256: str
    description: dict[str, Any]


def save_part(
    folder: Path,
    part: str,
    state: dict[str, Tensor],
    settings: dict[str, Any],
    *,
    command: str,
    metrics: dict[str, Any] | None = None,
) -> None:
    """Write one network of a bundle and its section of `bundle.json`; the other part's section is left as it is.

    Parameters
    ----------
    folder : made where it is missing
    part : "unet" or "hips"
    state : state dict; stored as float16, batch-norm statistics and other one-dimensional tensors as float32
    settings : what builds the network again
    command : the exact command that made the weights
    metrics : what was measured of them
    """
    if part not in PARTS:
        raise ValueError(f"part is {part!r}; a bundle has {' and '.join(PARTS)}")
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{part}.safetensors"
    safetensors.torch.save_file({name: _stored(value) for name, value in state.items() if _is_kept(name)}, weights)
    path = folder / DESCRIPTION
    description = json.loads(path.read_text()) if path.exists() else {"name": "unet", "version": "1"}
    description[part] = {
        "file": weights.name,
        "sha256": _file_hash(weights),
        "settings": settings,
        "command": command,
        "metrics": metrics or {},
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": version("numpy")},
    }
    path.write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")


def load_part(folder: Path, part: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State dict (float32) and section of `bundle.json` of one network, its hash checked.

    Raises
    ------
    BundleError
        The folder, the description, the section or the weights are missing, or the weights' SHA-256 is another one.
    """
    section = describe(folder).get(part)
    if section is None:
        raise BundleError(f"{folder / DESCRIPTION} has no section {part!r}")
    weights = folder / section["file"]
    if not weights.is_file():
        raise BundleError(f"{weights} is missing; {DESCRIPTION} names it as the weights of {part!r}")
    if _file_hash(weights) != section["sha256"]:
        raise BundleError(f"{weights} is not the file that {DESCRIPTION} describes (SHA-256 differs): restore it")
    state = safetensors.torch.load_file(weights)
    return {name: value.float() for name, value in state.items()}, section


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


def load(path: Path = DEFAULT, device: str = "cpu") -> Bundle:
    """The bundle of a folder, ready to predict.

    Raises
    ------
    BundleError
        See `load_part`.
    """
    path = Path(path)
    description = describe(path)
    state, section = load_part(path, "unet")
    unet = unet_of(state, section["settings"]).to(device)
    hips = None
    if "hips" in description:
        from ml.hips import network_of

        hips = network_of(*load_part(path, "hips")).to(device)
    return Bundle(
        unet=unet,
        hips=hips,
        name=str(description["name"]),
        version=str(description["version"]),
        sha256=bundle_hash(description),
        description=description,
    )


def unet_of(state: dict[str, Tensor], settings: dict[str, Any]) -> UNet:
    """The segmentation network with these weights, in evaluation mode, channels last."""
    network = UNet(**settings)
    network.load_state_dict(state, strict=False)
    missing = {name for name in network.state_dict() if _is_kept(name)} - set(state)
    if missing:
        raise BundleError(f"the weights lack {len(missing)} tensors of the network, {min(missing)} for one")
    return network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def bundle_hash(description: dict[str, Any]) -> str:
    """One SHA-256 over the weights' hashes: the same for the same weights, whatever else the description says."""
    lines = "".join(f"{part} {description[part]['sha256']}\n" for part in PARTS if part in description)
    return hashlib.sha256(lines.encode()).hexdigest()


def _is_kept(name: str) -> bool:
    return not name.endswith("num_batches_tracked")


def _stored(value: Tensor) -> Tensor:
    """float16 for kernels; float32 for statistics, whose range float16 does not hold."""
    dtype = torch.float16 if value.ndim > 1 else torch.float32
    return value.detach().to("cpu", dtype).contiguous()


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
