"""Train the hip finder's network: `python -m ml.hips.train OUT --steps N`."""

import argparse
import json
import logging
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from ml.hips.finder import SETTINGS_NAME, WEIGHTS_NAME, load_net
from ml.hips.network import HipNet
from ml.hips.scenes.stream import stream

log = logging.getLogger(__name__)
PART_WEIGHTS = (1.0, 4.0, 4.0, 2.0, 2.0, 1.5)


class Slices(IterableDataset[tuple[np.ndarray, np.ndarray]]):
    """The stream of synthetic slices as a torch data set; each worker has its own seed."""

    def __init__(self, seed: int, pool_size: int, refresh: int) -> None:
        self.seed, self.pool_size, self.refresh = seed, pool_size, refresh

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        worker = torch.utils.data.get_worker_info()
        return iter(stream(self.seed + (worker.id if worker else 0), self.pool_size, self.refresh))


def finder_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """Weighted cross-entropy against the cell shares plus soft Dice of the two heads.

    Parameters
    ----------
    logits, shares : (B, parts, H, W)
    """
    weights = torch.tensor(PART_WEIGHTS)[None, :, None, None]
    entropy = -(weights * shares * logits.log_softmax(1)).sum(1).mean()
    p, q = logits.softmax(1)[:, 1:3], shares[:, 1:3]
    dice = (2 * (p * q).sum((0, 2, 3)) + 1) / ((p * p).sum((0, 2, 3)) + (q * q).sum((0, 2, 3)) + 1)
    return entropy + 0.3 * (1 - dice.mean())


def train(
    net: HipNet, *, steps: int, batch: int, seed: int, peak_rate: float, pool_size: int, refresh: int, workers: int
) -> HipNet:
    """The network trained for so many steps on synthetic slices."""
    net.train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=peak_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak_rate, total_steps=steps, pct_start=0.1)
    loader = DataLoader(Slices(seed, pool_size, refresh), batch_size=batch, num_workers=workers)
    started, running = time.monotonic(), 0.0
    for step, (images, shares) in enumerate(loader, start=1):
        loss = finder_loss(net(images), shares)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        running = loss.item() if step == 1 else 0.98 * running + 0.02 * loss.item()
        if step % 50 == 0:
            log.info("step %d of %d, loss %.4f, %.0f s", step, steps, running, time.monotonic() - started)
        if step == steps:
            return net.eval()
    raise RuntimeError("the stream of slices ended before training did")


def start(earlier: Path | None) -> HipNet:
    """A fresh network, or that of an earlier run."""
    if earlier is None:
        return HipNet()
    return load_net(earlier / WEIGHTS_NAME, tuple(json.loads((earlier / SETTINGS_NAME).read_text())["widths"]))


def save(net: HipNet, folder: Path, settings: dict[str, object]) -> None:
    """Write `hips.safetensors` and `hips.json` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in net.state_dict().items() if "num_batches" not in name}
    save_file(state, folder / WEIGHTS_NAME)
    (folder / SETTINGS_NAME).write_text(json.dumps(settings, indent=2) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m ml.hips.train", description=__doc__)
    parser.add_argument("out", type=Path, help="folder that gets hips.safetensors and hips.json")
    parser.add_argument("--init", type=Path, help="folder of an earlier run to go on from")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peak-rate", type=float, default=3e-3)
    parser.add_argument("--pool", type=int, default=60, help="scenes held at a time")
    parser.add_argument("--refresh", type=int, default=100, help="slices after which one scene is replaced")
    parser.add_argument("--workers", type=int, default=0, help="processes that make slices")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    net = train(
        start(given.init), steps=given.steps, batch=given.batch, seed=given.seed, peak_rate=given.peak_rate,
        pool_size=given.pool, refresh=given.refresh, workers=given.workers,
    )  # fmt: skip
    command = shlex.join(["python", "-m", "ml.hips.train", *(arguments if arguments is not None else sys.argv[1:])])
    earlier = json.loads((given.init / SETTINGS_NAME).read_text())["commands"] if given.init else []
    save(net, given.out, {"commands": [*earlier, command], "widths": list(net.widths)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
