"""Training examples: hips of synthetic patients, cut once with a margin for augmentation and kept on disk."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ml.crops import SIDES, Point, distance_mm, extract
from ml.dicom.volume import Volume
from ml.labels import BITS, Mask, join_planes
from ml.phantom import Phantom, generate
from ml.pool import pool

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

    @cached_property
    def kind(self) -> int:
        """Which lesions it has: the bits of BME and synovitis."""
        return int(np.bitwise_or.reduce(self.masks, axis=None)) & (BITS["bme"] | BITS["synovitis"])

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
    n_slices : the nearest so many slices only; else all within 45 mm, at least the nearest
    """
    distances = np.abs(distance_mm(phantom.volume, centre_mm))
    keep = distances <= REACH_MM
    if n_slices is not None:
        keep &= distances <= np.sort(distances)[min(n_slices, len(distances)) - 1]
    keep[distances.argmin()] = True
    return cut_slices(phantom.volume, phantom.masks, keep, centre_mm, side, phantom.tissues)


def cut_slices(
    volume: Volume, masks: Mask, keep: npt.NDArray[np.bool_], centre_mm: Point, side: str, tissues: Mask | None = None
) -> Stack:
    """The kept slices of an outlined Volume on the canvas, as a right hip.

    Parameters
    ----------
    masks, tissues : uint8, shape of `volume.pixels`; without tissues they are 0
    keep : bool, shape (slice,), neighbouring slices
    """
    near = _only(volume, keep)
    images = extract(near, centre_mm, side, shape=CANVAS)
    shares = [extract(near, centre_mm, side, (masks[keep] & bit) > 0, CANVAS) for bit in BITS.values()]
    scale = np.percentile(images, 98)
    ids = np.zeros(images.shape) if tissues is None else extract(near, centre_mm, side, tissues[keep], CANVAS, nearest=True)
    return Stack(
        images=np.clip(images / (scale or 1.0), 0, 8).astype(np.float16),
        masks=join_planes(np.stack(shares) > 0.5),
        tissues=ids.astype(np.uint8),
    )


def stacks_of(seed: int) -> list[Stack]:
    """The hips in a synthetic patient's stack, and one stray crop, so that the network learns what is no hip.

    Two of three patients are imaged with a field of view for one hip, which takes a fifth of the time; three of four
    have inflammation in both hips.
    """
    phantom = generate(seed, target=("both", *SIDES)[seed % 3], involvement="both" if seed % 4 else None)
    stacks = [cut(phantom, hip.centre_mm, side) for side, hip in phantom.hips.items()]
    rng = np.random.default_rng([seed, 71])
    centre = np.mean([hip.centre_mm for hip in phantom.hips.values()], axis=0)
    stray = centre + rng.uniform(-1, 1, 3) * (2 * STRAY_SHIFT_MM, STRAY_SHIFT_MM / 3, STRAY_SHIFT_MM)
    point = (float(stray[0]), float(stray[1]), float(stray[2]))
    return [*stacks, cut(phantom, point, SIDES[rng.integers(2)], N_STRAY_SLICES)]


def prepare(seeds: Sequence[int], folder: Path, n_processes: int = 2) -> None:
    """Make and keep the stacks of patients that the folder does not hold yet, with a progress bar."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [(seed, folder) for seed in seeds if not _path(folder, seed).exists()]
    if not missing:
        return
    with pool(n_processes) as processes:
        for _ in tqdm(processes.map(_prepare_one, missing), total=len(missing), desc="synthetic patients", unit="patient"):
            pass


def read(seeds: Sequence[int], folder: Path) -> Iterator[Stack]:
    """The stacks that `prepare` kept."""
    for seed in seeds:
        with np.load(_path(folder, seed)) as file:
            for index in range(int(file["n"])):
                yield Stack(file[f"images{index}"], file[f"masks{index}"], file[f"tissues{index}"])


@dataclass(frozen=True)
class Drawn:
    """Slices for a batch: images float32, masks and tissues uint8, shape (n_stacks * n_slices, 184, 216).

    `indices` names the stack of each group of slices.
    """

    images: npt.NDArray[np.float32]
    masks: Mask
    tissues: npt.NDArray[np.uint8]
    indices: tuple[int, ...]


def draw_shares(stacks: Sequence[Stack]) -> npt.NDArray[np.float64]:
    """How often each stack is to be drawn; the sum is 1.

    Stacks without lesion, with BME, with synovitis and with both are drawn equally often, however rare they are; of one kind,
    each as often as it has slices.
    """
    shares = np.array([len(stack.images) for stack in stacks], np.float64)
    kinds = np.array([stack.kind for stack in stacks])
    for kind in set(kinds.tolist()):
        shares[kinds == kind] /= shares[kinds == kind].sum()
    return np.asarray(shares / shares.sum())


def draw(
    stacks: Sequence[Stack],
    shares: npt.NDArray[np.float64],
    rng: np.random.Generator,
    n_stacks: int,
    n_slices: int,
    is_consecutive: bool = False,
) -> Drawn:
    """A random batch: `n_slices` slices of each of `n_stacks` stacks, slices of one stack beside each other.

    Parameters
    ----------
    shares : of `draw_shares`
    is_consecutive : take neighbouring slices in their order, the last one repeated where the stack is too short
    """
    indices = rng.choice(len(stacks), n_stacks, replace=False, p=shares)
    pick = _neighbours if is_consecutive else _some
    groups = [(stack, pick(stack, rng, n_slices)) for stack in (stacks[index] for index in indices)]
    return Drawn(
        images=np.concatenate([stack.images[picked] for stack, picked in groups]).astype(np.float32),
        masks=np.concatenate([stack.masks[picked] for stack, picked in groups]),
        tissues=np.concatenate([stack.tissues[picked] for stack, picked in groups]),
        indices=tuple(int(index) for index in indices),
    )


def _some(stack: Stack, rng: np.random.Generator, n_slices: int) -> npt.NDArray[np.intp]:
    return rng.choice(len(stack.images), n_slices, replace=len(stack.images) < n_slices, p=stack.draw_weights())


def _neighbours(stack: Stack, rng: np.random.Generator, n_slices: int) -> npt.NDArray[np.intp]:
    """`n_slices` in a row, around a slice that is drawn as `_some` draws."""
    middle = int(rng.choice(len(stack.images), p=stack.draw_weights()))
    first = np.clip(middle - int(rng.integers(n_slices)), 0, max(0, len(stack.images) - n_slices))
    return np.minimum(np.arange(first, first + n_slices), len(stack.images) - 1)


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


def _only(volume: Volume, keep: npt.NDArray[np.bool_]) -> Volume:
    """Neighbouring slices of a volume as a volume of their own."""
    first = int(np.argmax(keep))
    affine = volume.affine.copy()
    affine[:3, 3] = volume.to_lps((first, 0, 0))
    sources = tuple(source for source, is_kept in zip(volume.sources, keep, strict=True) if is_kept)
    return replace(volume, pixels=volume.pixels[keep], affine=affine, sources=sources)
