"""Where a run comes from: versions, device, commit; written beside what it made."""

import json
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ml.whole import whole

PACKAGES = ("torch", "numpy", "scipy", "safetensors")
ROOT = Path(__file__).parents[1]


def origin(device: torch.device) -> dict[str, Any]:
    """Versions, commit and device of this process."""
    return {
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "commit": commit(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
    }


@cache
def commit() -> str | None:
    """The commit of the code when it was first asked for, with `+` where tracked files were changed; None outside a checkout."""
    found = _git("rev-parse", "HEAD")
    return f"{found}+" if found and _git("status", "--porcelain", "--untracked-files=no") else found or None


def device_name(device: torch.device) -> str:
    """The processor or GPU in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor() or platform.machine()


def write_json(path: Path, values: Any) -> None:
    """Write JSON, as a whole."""
    with whole(path) as partial:
        partial.write_text(json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _git(*arguments: str) -> str:
    try:
        result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=20)
    except FileNotFoundError:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""
