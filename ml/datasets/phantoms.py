"""Cases of synthetic patients, with all labels and the tissues known."""

from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from ml.datasets.cut import cut
from ml.datasets.format import Case, write_case
from ml.labels import LABELS
from ml.phantom import generate
from ml.pool import pool

VISIT = "V1"


def write_phantoms(folder: Path, n_patients: int, seed: int, n_processes: int = 1) -> Iterator[Case]:
    """Write the hips of `n_patients` synthetic patients, seeds from `seed` on; a hip outside the stack gives no case."""
    jobs = [(folder, seed + k) for k in range(n_patients)]
    if n_processes == 1:
        for job in tqdm(jobs, desc="synthetic patients", unit="patient"):
            yield from write_phantom(job)
        return
    with pool(n_processes) as processes:
        for cases in tqdm(processes.map(write_phantom, jobs), total=len(jobs), desc="synthetic patients", unit="patient"):
            yield from cases


def write_phantom(job: tuple[Path, int]) -> list[Case]:
    """Write the hips of one synthetic patient: (folder, seed) → cases."""
    folder, seed = job
    phantom = generate(seed)
    cases = []
    for side, hip in phantom.hips.items():
        made = cut(phantom.volume, phantom.masks, hip.centre_mm, side, phantom.tissues)
        cases.append(
            write_case(
                folder,
                patient=f"P{seed:05d}",
                visit=VISIT,
                side=side,
                labels=LABELS,
                stack=made.stack,
                positions_mm=made.positions_mm,
                volumes_ml=made.volumes_ml(LABELS, phantom.volume.spacing_mm[0]),
                spacing_mm=phantom.volume.spacing_mm,
                source="phantom",
            )
        )
    return cases
