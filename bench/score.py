"""Volume → hips → crops → network → masks → UNet-score, against the bare network forward on the same crops."""

import time
from collections.abc import Callable

import torch

from ml.bundle import DEFAULT, describe, load, load_unet
from ml.crops import normalised_crops
from ml.device import device_of
from ml.phantom import generate
from ml.predict import BATCH, segment
from ml.study_score import score_volume

N_STUDIES, REPEATS, FIRST_SEED = 3, 5, 29_000
AIM = 1.25


def fastest_s(calls: dict[str, Callable[[], object]], repeats: int = REPEATS) -> dict[str, float]:
    """The shortest of some timings of each call, in seconds; the calls take turns, so that a busy moment hits all."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    return {name: min(values) for name, values in times.items()}


def main() -> None:
    bundle = load()
    device = device_of(bundle.unet)
    trained = load_unet(DEFAULT, describe(DEFAULT)).to(device)
    volumes = [generate(FIRST_SEED + n, target="both", style="stir", n_slices=22).volume for n in range(N_STUDIES)]
    found = [hip for volume in volumes for hip in segment(volume, bundle).hips if hip.centre_mm is not None]
    n_of_volume = len(found) // N_STUDIES
    crops = [normalised_crops(volumes[n // n_of_volume], hip.centre_mm, hip.side) for n, hip in enumerate(found)]
    images = torch.cat([torch.from_numpy(crop) for crop in crops])[:, None].to(device)
    batches = [part.contiguous(memory_format=trained.memory_format) for part in images.split(BATCH)]

    def bare(network: torch.nn.Module) -> None:
        with torch.inference_mode():
            for batch in batches:
                network(batch)
        if device.type == "cuda":
            torch.cuda.synchronize()

    seconds = fastest_s(
        {
            "bare": lambda: bare(trained),
            "folded": lambda: bare(bundle.unet),
            "whole": lambda: [score_volume(volume, bundle) for volume in volumes],
        }
    )
    each = {name: value / N_STUDIES for name, value in seconds.items()}
    print(
        f"score: {N_STUDIES} phantom studies of 22 slices, {torch.get_num_threads()} threads, {device}, "
        f"{bundle.name} {bundle.version}, {trained.settings}, batches of {BATCH}"
    )
    print(f"  bare forward on the same crops         {each['bare']:8.3f} s a study")
    print(f"  the same, normalisation folded in      {each['folded']:8.3f} s a study")
    ratio, strict = each["whole"] / each["bare"], each["whole"] / each["folded"]
    print(
        f"  volume → hips → masks → flags → score  {each['whole']:8.3f} s a study   "
        f"ratio {ratio:.2f} (aim ≤ {AIM}); against the folded one {strict:.2f}"
    )
    overhead_ms = 1000 * (seconds["whole"] - seconds["folded"]) / len(images)
    print(f"  overhead {overhead_ms:.1f} ms a slice of a hip")


if __name__ == "__main__":
    main()
