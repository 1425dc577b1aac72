"""Where the networks run: the one place that chooses a device, brings numbers to it and takes them back."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

CPU = torch.device("cpu")


class DeviceError(ValueError):
    """A device was asked for that is not there."""


def choose(name: str | torch.device | None = None) -> torch.device:
    """The device of that name; without one a GPU (CUDA) where there is one, else the processor.

    Raises
    ------
    DeviceError
        The name means nothing, or no such device is there.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"{name!r} is no device; say cpu, cuda or cuda:0") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"{name!r} can't be used; say cpu, cuda or cuda:0")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"{name!r} was asked for, but PyTorch sees no CUDA device here; say cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"{name!r} was asked for, but there are only {torch.cuda.device_count()} CUDA devices")
    return device


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights are."""
    return next(network.parameters()).device


@contextmanager
def full_precision() -> Iterator[None]:
    """Inside, a GPU multiplies float32 as float32: TF32, with its 10 bits, is off for convolutions and matrices alike."""
    switches = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)  # type: ignore[attr-defined]
    before = [switch.fp32_precision for switch in switches]
    try:
        for switch in switches:
            switch.fp32_precision = "ieee"
        yield
    finally:
        for switch, precision in zip(switches, before, strict=True):
            switch.fp32_precision = precision


def send(array: npt.NDArray[np.float32], device: torch.device) -> Tensor:
    """An array on a device. To a GPU it goes through pinned memory, and nobody waits for it."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def fetch(parts: Iterable[Tensor]) -> npt.NDArray[np.float32]:
    """Tensors of the same device one after the other as an array: one copy, and the only moment that waits for a GPU."""
    together = torch.cat(list(parts))
    if together.device.type == "cuda":
        host = torch.empty(together.shape, dtype=together.dtype, pin_memory=True)
        host.copy_(together, non_blocking=True)
        torch.cuda.synchronize(together.device)
        together = host
    return np.asarray(together.numpy(), np.float32)
