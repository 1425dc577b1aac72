"""Volume → hips → crops → network → masks → UNet-score, against the bare network forward on the same crops."""

import time
from collections.abc import Callable

import numpy as np
import torch

from ml.bundle import load
from ml.crops import normalised_crops
from ml.phantom import generate
from ml.predict import segment
from ml.study_score import score_volume

N_STUDIES, REPEATS, FIRST_SEED = 3, 3, 29_000


def fastest_s(call: Callable[[], object]) -> float:
    """The shortest of some timings, in seconds."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    bundle = load()
    volumes = [generate(FIRST_SEED + n, target="both", style="stir", n_slices=22).volume for n in range(N_STUDIES)]
    found = [[hip for hip in segment(volume, bundle).hips if hip.centre_mm is not None] for volume in volumes]
    crops = [
        np.concatenate([normalised_crops(volume, hip.centre_mm, hip.side) for hip in hips])
        for volume, hips in zip(volumes, found, strict=True)
    ]
    batches = [torch.from_numpy(crop)[:, None].contiguous(memory_format=torch.channels_last) for crop in crops]

    def bare() -> None:
        with torch.inference_mode():
            for batch in batches:
                bundle.unet(batch)

    forward = fastest_s(bare)
    whole = fastest_s(lambda: [score_volume(volume, bundle) for volume in volumes])
    print(f"score: {N_STUDIES} phantom studies of 22 slices, {torch.get_num_threads()} threads, {bundle.name} {bundle.version}")
    print(f"  bare forward on the same crops   {forward / N_STUDIES:8.3f} s a study")
    print(f"  volume → hips → masks → score    {whole / N_STUDIES:8.3f} s a study   ratio {whole / forward:.2f} (aim ≤ 1.25)")


if __name__ == "__main__":
    main()
