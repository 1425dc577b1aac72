"""Training examples: hips of synthetic patients, cut once with a margin for augmentation and kept on disk."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ml.crops import SIDES, Point, distance_mm, extract
from ml.labels import BITS, Mask, join_planes
from ml.phantom import Phantom, generate

CANVAS = (184, 216)  # rows, columns at the crop's spacing: room for rotation, scaling and shift
REACH_MM = 45.0  # slices farther from the head than this are left out
EMPTY_SLICE_WEIGHT = 0.3  # how often a slice without head or lesion is drawn, against one with
STRAY_SHIFT_MM = 60.0
N_STRAY_SLICES = 5
PHANTOM_SOURCES = Path(__file__).parent / "phantom"


@dataclass(frozen=True)
class Stack:
    """Slices of one crop with its truth.

    Attributes
    ----------
    images : float16, shape (slice, 184, 216)
        Intensities as a share of the stack's 98th percentile; 0 outside the image.
    masks, tissues : uint8, same shape
        Bit planes of `ml.labels`; ids of `ml.phantom.anatomy.Tissue`.
    """

    images: npt.NDArray[np.float16]
    masks: Mask
    tissues: npt.NDArray[np.uint8]

    def draw_weights(self) -> npt.NDArray[np.float64]:
        """How likely each slice is to be drawn; the sum is 1."""
        has_label = (self.masks & (255 - BITS["femur"])).any(axis=(1, 2))
        weights = np.where(has_label, 1.0, EMPTY_SLICE_WEIGHT)
        return np.asarray(weights / weights.sum())


def fingerprint() -> str:
    """Twelve hex digits that change when the phantom's code or the way of cutting changes."""
    digest = hashlib.sha256()
    for path in [*sorted(PHANTOM_SOURCES.glob("*.py")), Path(__file__), Path(__file__).with_name("crops.py")]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def cut(phantom: Phantom, centre_mm: Point, side: str, n_slices: int | None = None) -> Stack:
    """The stack around a point of a phantom.

    Parameters
    ----------
    n_slices : the nearest so many slices only; all within 45 mm where it is None
    """
    distances = np.abs(distance_mm(phantom.volume, centre_mm))
    keep = distances <= REACH_MM
    if n_slices is not None:
        keep &= distances <= np.sort(distances)[min(n_slices, len(distances)) - 1]
    images = extract(phantom.volume, centre_mm, side, shape=CANVAS)[keep]
    scale = np.percentile(images, 98) or 1.0
    return Stack(
        images=(np.clip(images / scale, 0, 8)).astype(np.float16),
        masks=_cut_bits(phantom, centre_mm, side)[keep],
        tissues=_cut_ids(phantom, centre_mm, side)[keep],
    )


def stacks_of(seed: int) -> list[Stack]:
    """Both hips of a synthetic patient, and one stray crop beside them, so that the network learns what is no hip."""
    phantom = generate(seed)
    stacks = [cut(phantom, phantom.hips[side].centre_mm, side) for side in SIDES]
    rng = np.random.default_rng([seed, 71])
    centre = np.mean([phantom.hips[side].centre_mm for side in SIDES], axis=0)
    stray = centre + rng.uniform(-1, 1, 3) * (2 * STRAY_SHIFT_MM, STRAY_SHIFT_MM / 3, STRAY_SHIFT_MM)
    point = (float(stray[0]), float(stray[1]), float(stray[2]))
    stacks.append(cut(phantom, point, SIDES[rng.integers(2)], N_STRAY_SLICES))
    return [stack for stack in stacks if len(stack.images)]


def prepare(seeds: Sequence[int], folder: Path, n_processes: int = 2) -> None:
    """Make and keep the stacks of patients that the folder does not hold yet, with a progress bar."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [(seed, folder) for seed in seeds if not _path(folder, seed).exists()]
    if not missing:
        return
    with ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as pool:
        for _ in tqdm(pool.map(_prepare_one, missing), total=len(missing), desc="synthetic patients", unit="patient"):
            pass


def read(seeds: Sequence[int], folder: Path) -> Iterator[Stack]:
    """The stacks that `prepare` kept."""
    for seed in seeds:
        with np.load(_path(folder, seed)) as file:
            for index in range(int(file["n"])):
                yield Stack(file[f"images{index}"], file[f"masks{index}"], file[f"tissues{index}"])


def draw(
    stacks: Sequence[Stack], rng: np.random.Generator, n_stacks: int, n_slices: int
) -> tuple[npt.NDArray[np.float32], Mask, npt.NDArray[np.uint8]]:
    """A random batch: `n_slices` slices of each of `n_stacks` stacks, slices of one stack beside each other.

    Returns
    -------
    images, masks, tissues, each of shape (n_stacks * n_slices, 184, 216)
    """
    images, masks, tissues = [], [], []
    for index in rng.choice(len(stacks), n_stacks, replace=False):
        stack = stacks[index]
        picked = rng.choice(len(stack.images), n_slices, replace=len(stack.images) < n_slices, p=stack.draw_weights())
        images.append(stack.images[picked])
        masks.append(stack.masks[picked])
        tissues.append(stack.tissues[picked])
    return np.concatenate(images).astype(np.float32), np.concatenate(masks), np.concatenate(tissues)


def _path(folder: Path, seed: int) -> Path:
    return folder / f"{seed:06d}.npz"


def _prepare_one(job: tuple[int, Path]) -> None:
    seed, folder = job
    arrays: dict[str, npt.NDArray] = {}
    stacks = stacks_of(seed)
    for index, stack in enumerate(stacks):
        arrays |= {f"images{index}": stack.images, f"masks{index}": stack.masks, f"tissues{index}": stack.tissues}
    partial = _path(folder, seed).with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(file, n=np.array(len(stacks)), **arrays)  # type: ignore[arg-type]
    partial.rename(_path(folder, seed))


def _cut_bits(phantom: Phantom, centre_mm: Point, side: str) -> Mask:
    planes = [extract(phantom.volume, centre_mm, side, (phantom.masks & bit) > 0, CANVAS) > 0.5 for bit in BITS.values()]
    return join_planes(np.stack(planes))


def _cut_ids(phantom: Phantom, centre_mm: Point, side: str) -> npt.NDArray[np.uint8]:
    """Most present tissue of each crop pixel."""
    best = np.zeros((phantom.tissues.shape[0], *CANVAS), np.float32)
    ids = np.zeros(best.shape, np.uint8)
    for tissue in np.unique(phantom.tissues):
        share = extract(phantom.volume, centre_mm, side, phantom.tissues == tissue, CANVAS)
        wins = share > best
        best[wins], ids[wins] = share[wins], tissue
    return ids
