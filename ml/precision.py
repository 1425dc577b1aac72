"""Which numbers the convolutions of a training run use: float32, or half as many bits where that pays."""

import time

import torch
from torch import nn

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
WORTH_IT = 1.2


class PrecisionError(ValueError):
    """A network can't be trained in this precision on this device."""


def choose(precision: str, device: torch.device, takes_stack: bool = False) -> str:
    """`precision` itself, or for "auto" what pays on this device.

    On a GPU bfloat16, or float16 where the GPU has no bfloat16; on a CPU bfloat16 if a short probe finds it 1.2 times as
    fast as float32. A probe may answer differently on a busy machine: the answer belongs into the run's manifest.

    Raises
    ------
    PrecisionError
        Half precision is asked for where it gives wrong gradients: PyTorch 2.13 leaves parts of the weight gradient of 3D
        convolutions in bfloat16 on a CPU unwritten (values of 1e30 or NaN, a different one in each run).
    """
    if takes_stack and device.type == "cpu":
        if precision not in ("auto", "fp32"):
            raise PrecisionError(f"networks of whole stacks can't be trained in {precision} on a CPU; use --precision fp32")
        return "fp32"
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if probe("fp32") > WORTH_IT * probe("bf16") else "fp32"


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which the network runs forward."""
    return torch.autocast(device.type, DTYPES.get(precision, torch.bfloat16), enabled=precision != "fp32")


def probe(precision: str, n_repeats: int = 3) -> float:
    """CPU seconds of this process for one small convolution forward and backward, the best of a few."""
    with torch.random.fork_rng(devices=[]):
        network = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = torch.randn(4, 16, 128, 160).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(n_repeats):
        started = time.process_time()
        with autocast(precision, torch.device("cpu")):
            values = network(images)
        values.float().mean().backward()
        times.append(time.process_time() - started)
    return min(times)
