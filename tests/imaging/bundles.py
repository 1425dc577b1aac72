"""Small bundles that are right in form, though no network fits them."""

import hashlib
import json
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import safetensors.numpy


def weights(seed: int = 0, **changes) -> bytes:
    """A safetensors file of a few numbers; `changes` replace its tensors."""
    random = np.random.default_rng(seed)
    tensors = {"head.weight": random.normal(size=(4, 8)).astype(np.float16), "head.bias": np.zeros(4, np.float32)}
    return safetensors.numpy.save(tensors | changes)


def contents(version: str = "test", seed: int = 0, **changes) -> dict[str, bytes]:
    """The files of a bundle by name; `changes` of its description by key, or of its files by name."""
    files = {"unet.safetensors": weights(seed), "hips.safetensors": weights(seed + 1), "hips.json": b"{}"}
    files |= {name: content for name, content in changes.items() if isinstance(content, bytes)}
    description = {
        "name": "unet",
        "version": version,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "unet": {"settings": {"base": 16}, "metrics": {"bme": 0.8}},
    }
    description |= {key: value for key, value in changes.items() if not isinstance(value, bytes)}
    return {"bundle.json": json.dumps(description).encode(), **files}


def calibrated(files: dict[str, bytes], factor: float = 1.6, **changes) -> dict[str, bytes]:
    """The same files after `python -m ml interval`; `changes` of the calibration by key."""
    about = json.loads(files["bundle.json"])
    own = {"weights": [0.1, 0.2, 0.6, 0.07], "factor": factor, "level": 0.9, "n_hips": 77}
    own |= {"unet_sha256": about["files"]["unet.safetensors"]}
    return files | {"bundle.json": json.dumps(about | {"interval": {"calibration": own | changes}}).encode()}


def write_bundle(folder: Path, **values) -> Path:
    """A bundle as a folder."""
    folder.mkdir(exist_ok=True)
    for name, content in contents(**values).items():
        (folder / name).write_bytes(content)
    return folder


def zipped(files: dict[str, bytes], top: str = "") -> BytesIO:
    """Files as an open zip."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    buffer.seek(0)
    return buffer
