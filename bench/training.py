"""Training samples a second against forward, backward and optimiser step on tensors that lie in memory."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

from ml import precision, train
from ml.batches import Batches, Example
from ml.dataset import stacks_of
from ml.device import choose
from ml.losses import segmentation_loss
from ml.networks import build

N_PATIENTS, N_STEPS, WARM_UP = 4, 12, 3
AIM = 0.9


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--network", default="unet")
    parser.add_argument("--base", type=int, default=16)
    parser.add_argument("--precision", choices=precision.PRECISIONS, default="fp32")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args([] if arguments is None else arguments)
    plan = train.Plan(
        steps=10_000,
        network=options.network,
        base=options.base,
        precision=options.precision,
        workers=options.workers,
        threads=options.threads,
    )
    torch.set_num_threads(plan.threads)
    examples = [Example(stack) for seed in range(N_PATIENTS) for stack in stacks_of(seed)]
    device = choose()
    with tempfile.TemporaryDirectory() as folder:
        state = train.start(plan, Path(folder), device)
        batches = Batches(examples, plan.seed, plan.steps, plan.n_hips, plan.n_slices, state.network.takes_stack)
        feed = batches.from_step(0, plan.workers, is_pinned=device.type == "cuda")
        kept = [next(feed).to(device) for _ in range(2)]
        bare_s, step_s, wait_s, whole_s = [], [], [], []
        for _ in range(2):  # turn and turn about, so that a busy moment hits both
            bare_s.append(_bare(plan, state.precision, device, kept))
            whole, waited = _ours(plan, state, feed)
            whole_s.append(whole)
            wait_s.append(waited)
            step_s.append(whole - waited)
        started = time.perf_counter()
        batches[plan.steps - 1]
        make_s = time.perf_counter() - started
        del feed
    _report(plan, state, device, min(bare_s), min(whole_s), min(step_s), min(wait_s), make_s)


def _bare(plan: train.Plan, chosen: str, device: torch.device, batches: list) -> float:
    """Seconds of a bare step: the network's forward, the plain loss, backward, AdamW."""
    network = build(plan.network, base=plan.base).to(device).train()
    network = network.laid_out()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=device.type == "cuda")
    given = [batch.as_stacks(plan.n_slices) if network.takes_stack else batch for batch in batches]
    given = [(batch.images.contiguous(memory_format=network.memory_format), batch.targets) for batch in given]
    for number in range(WARM_UP + N_STEPS):
        if number == WARM_UP:
            _finish(device)
            started = time.perf_counter()
        images, targets = given[number % len(given)]
        with precision.autocast(chosen, device):
            loss = network.loss(images, targets, segmentation_loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    _finish(device)
    return (time.perf_counter() - started) / N_STEPS


def _ours(plan: train.Plan, state: train.State, feed) -> tuple[float, float]:
    """Seconds of a step of the training loop with batches made beside it, and of that, seconds waited for a batch."""
    waited = 0.0
    for number in range(WARM_UP + N_STEPS):
        if number == WARM_UP:
            _finish(state.device)
            started, waited = time.perf_counter(), 0.0
        asked = time.perf_counter()
        batch = next(feed)
        waited += time.perf_counter() - asked
        train.step(state, plan, batch.to(state.device), True)
        state.unread.clear()
    _finish(state.device)
    return (time.perf_counter() - started) / N_STEPS, waited / N_STEPS


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _report(
    plan: train.Plan, state: train.State, device: torch.device, bare: float, whole: float, step: float, wait: float, make: float
) -> None:
    n = plan.n_hips * plan.n_slices
    beside = max(step - bare, 0.0)
    limits = {
        f"making batches: {make:.2f} s of one processor each": wait,
        "what is done beside the bare step: clipping, running average, the check that the loss is finite": beside,
    }
    what = max(limits, key=lambda name: limits[name])
    if limits[what] < 0.02 * bare:
        what = "nothing but the network"
    print(
        f"training: {plan.network}, base {plan.base}, batches of {n} slices, {state.precision}, {device}, "
        f"{plan.threads} threads, {plan.workers} processes that augment"
    )
    print(f"  forward + backward + step on tensors in memory {n / bare:8.1f} samples/s")
    print(f"  the training loop                              {n / whole:8.1f} samples/s   ratio {bare / whole:.2f} (aim ≥ {AIM})")
    print(f"  a step waits {1000 * wait:.0f} ms for its batch and takes {1000 * beside:.0f} ms longer than the bare one;")
    print(f"  the limit is {what}")


if __name__ == "__main__":
    main(sys.argv[1:])
