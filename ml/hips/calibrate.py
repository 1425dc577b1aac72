"""Fit the verdict on stacks that the network never saw, after `ml.hips.train`: `python -m ml.hips.calibrate FOLDER`."""

import argparse
import json
import logging
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize

from ml.hips.finder import SETTINGS_NAME, WEIGHTS_NAME, ask, load_net, to_volume_index
from ml.hips.network import HipNet
from ml.hips.scenes.stack import Stack, draw_stack, phantom_stack
from ml.hips.scenes.stream import draw_kind
from ml.hips.verify import FEATURES, candidates

log = logging.getLogger(__name__)
HIT_MM = 12.0  # a candidate this near to a true head of its side is a hip
STACKS_A_SCENE = 3
PHANTOM_SHARE = 0.4
RIDGE = 2.0

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """Evidence of many candidates, shape (n, features), and which of them are hips."""

    values: Array
    is_hip: npt.NDArray[np.bool_]


def draw_stacks(seed: int, n: int) -> Iterator[Stack]:
    """So many stacks: of every kind of scene, and of `ml.phantom`."""
    rng = np.random.default_rng(seed)
    for k in range(n):
        if k % STACKS_A_SCENE == 0:
            kind = draw_kind(rng)
            scene = kind.make(rng)
        yield phantom_stack(rng) if rng.random() < PHANTOM_SHARE else draw_stack(rng, kind, scene)


def gather(net: HipNet, stacks: Iterator[Stack]) -> Evidence:
    """All candidates that the network raises in the stacks."""
    values, is_hip = [], []
    for stack in stacks:
        answer = ask(stack.volume, net)
        for candidate in candidates(answer):
            place = stack.volume.to_lps(to_volume_index(answer.canvas, stack.volume, candidate.ball.centre_mm))
            near = [np.linalg.norm(head.centre_mm - place) for head in stack.heads if head.side == candidate.side]
            values.append(candidate.evidence)
            is_hip.append(bool(near) and min(near) < HIT_MM)
    return Evidence(np.array(values).reshape(-1, len(FEATURES)), np.array(is_hip, bool))


def fit_verdict(evidence: Evidence) -> dict[str, object]:
    """The logistic as it stands in the settings: ridge-penalised maximum likelihood."""
    mean, spread = evidence.values.mean(0), evidence.values.std(0) + 1e-6
    x = (evidence.values - mean) / spread
    sign = np.where(evidence.is_hip, 1.0, -1.0)

    def loss(parameters: Array) -> tuple[float, Array]:
        margin = sign * (x @ parameters[:-1] + parameters[-1])
        slope = -sign / (1 + np.exp(np.clip(margin, -50, 50)))
        gradient = np.append(x.T @ slope + 2 * RIDGE * parameters[:-1], slope.sum())
        return float(np.logaddexp(0, -margin).sum() + RIDGE * (parameters[:-1] ** 2).sum()), gradient

    best = optimize.minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B")
    log.info("verdict from %d candidates, %d of them hips", len(x), int(evidence.is_hip.sum()))
    return {
        "features": list(FEATURES),
        "mean": [round(float(v), 6) for v in mean],
        "spread": [round(float(v), 6) for v in spread],
        "weights": [round(float(v), 6) for v in best.x[:-1]],
        "bias": round(float(best.x[-1]), 6),
        "threshold": 0.5,
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m ml.hips.calibrate", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with hips.safetensors and hips.json of ml.hips.train")
    parser.add_argument("--stacks", type=int, default=300)
    parser.add_argument("--seed", type=int, default=900_001)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    path = given.folder / SETTINGS_NAME
    settings = json.loads(path.read_text())
    net = load_net(given.folder / WEIGHTS_NAME, tuple(settings["widths"]))
    settings["verdict"] = fit_verdict(gather(net, draw_stacks(given.seed, given.stacks)))
    given_words = arguments if arguments is not None else sys.argv[1:]
    settings["commands"] += [shlex.join(["python", "-m", "ml.hips.calibrate", *given_words])]
    path.write_text(json.dumps(settings, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
