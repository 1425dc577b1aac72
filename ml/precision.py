"""Which numbers the convolutions of a training run use: float32, or half as many bits where that pays."""

import math
import os
import time
from collections.abc import Sequence

import torch
from torch import nn

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
WORTH_IT = 1.2

# oneDNN reads this at its first convolution. On virtual machines whose processor shows AMX but not its table of tiles (CPUID
# leaf 0x1D), oneDNN 3.12 (PyTorch 2.13) ends the process with an illegal instruction in a transposed convolution in bfloat16;
# its other convolutions do not use AMX there either. Where AMX works, set the variable to AVX512_CORE_AMX.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_FP16")


def choose(precision: str, device: torch.device) -> str:
    """`precision` itself, or for "auto" what pays on this device.

    On a GPU bfloat16, or float16 where the GPU has no bfloat16; on a CPU bfloat16 if a short probe finds it 1.2 times as
    fast as float32. A probe may answer differently on a busy machine: the answer belongs into the run's manifest.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    seconds = probe(("fp32", "bf16"))
    return "bf16" if seconds["fp32"] > WORTH_IT * seconds["bf16"] else "fp32"


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which the network runs forward."""
    return torch.autocast(device.type, DTYPES.get(precision, torch.bfloat16), enabled=precision != "fp32")


def probe(precisions: Sequence[str], n_repeats: int = 8) -> dict[str, float]:
    """CPU seconds of this process for one small convolution forward and backward in each precision.

    They take turns, and the best of a few counts, so that a busy moment of the machine decides nothing.
    """
    with torch.random.fork_rng(devices=[]):
        network = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = torch.randn(4, 16, 128, 160).contiguous(memory_format=torch.channels_last)
    seconds = dict.fromkeys(precisions, math.inf)
    for _ in range(n_repeats):
        for precision in precisions:
            started = time.process_time()
            with autocast(precision, torch.device("cpu")):
                values = network(images)
            values.float().mean().backward()
            seconds[precision] = min(seconds[precision], time.process_time() - started)
    return seconds
