"""Cases of synthetic patients, with all labels and the tissues known."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ml.datasets.cut import cut
from ml.datasets.format import Case, write_case
from ml.labels import LABELS
from ml.phantom import generate
from ml.pool import pool
from ml.tidy import without_specks

VISIT = "V1"
INVOLVED, INVOLVED_SHARES = ("right", "left", "both"), (0.21, 0.21, 0.58)


def write_phantoms(folder: Path, n_patients: int, seed: int, n_processes: int = 1, is_involved: bool = False) -> Iterator[Case]:
    """Write the hips of `n_patients` synthetic patients, seeds from `seed` on; a hip outside the stack gives no case.

    Parameters
    ----------
    is_involved : only patients with inflammation of at least one hip, as the article's; else a third has none
    """
    jobs = [(folder, seed + k, is_involved) for k in range(n_patients)]
    with pool(n_processes) as processes:
        for cases in tqdm(processes.map(write_phantom, jobs), total=len(jobs), desc="synthetic patients", unit="patient"):
            yield from cases


def write_phantom(job: tuple[Path, int, bool]) -> list[Case]:
    """Write the hips of one synthetic patient, imaged as in practice: (folder, seed, is_involved) → cases.

    The truth has no lesions that nobody would draw and the product would not show: parts below 0.02 mL (`ml.tidy`).
    """
    folder, seed, is_involved = job
    involvement = str(np.random.default_rng([seed, 73]).choice(INVOLVED, p=INVOLVED_SHARES)) if is_involved else None
    phantom = generate(seed, involvement=involvement, style="stir")
    masks = without_specks(phantom.masks, float(np.prod(phantom.volume.spacing_mm)) / 1000)
    cases = []
    for side, hip in phantom.hips.items():
        made = cut(phantom.volume, masks, hip.centre_mm, side, phantom.tissues)
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
