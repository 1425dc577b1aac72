"""Images that came twice: the same pixels, the same picture written in another way, or masks copied beside another image."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from ml.datasets.annotated import Annotated, Plane
from scoring.statistics.correlation import mid_ranks

N_CELLS = 16  # along each side of a slice's fingerprint
MIN_CELLS = 32  # of its 256 that are not background: a nearly empty slice is like any other
SAME_RANKS = 0.995  # correlation; neighbouring slices of a stack reach 0.97, slices of two phantoms 0.90, a copy × 1.5 0.9999
N_SAME_SLICES = 3
N_DIRECTIONS = 12  # in which near fingerprints are looked for before they are compared as a whole
MIN_VOXELS = 50  # smaller outlines may be the same by chance
WHAT_TO_DO = "find out whose they are, and leave the other files out"

Fingerprints = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Seen:
    """By what an image is known again, without its pixels.

    Attributes
    ----------
    name, patient, visit : of the image
    case_ids : the hips that were made of it
    pictures : hashes of its pixels, and its UIDs
    outlines : hashes of its masks
    slices : of `fingerprints`
    """

    name: str
    patient: str
    visit: str
    case_ids: tuple[str, ...]
    pictures: frozenset[str]
    outlines: frozenset[str]
    slices: Fingerprints


def seen(image: Annotated, case_ids: list[str]) -> Seen:
    """What is kept of an image."""
    masks = (mask for of_side in image.masks.values() for mask in of_side.values() if mask.sum() >= MIN_VOXELS)
    return Seen(
        name=image.name,
        patient=image.patient,
        visit=image.visit,
        case_ids=tuple(case_ids),
        pictures=image.uids | {image.pixel_hash},
        outlines=frozenset(map(_hash, masks)),
        slices=fingerprints(image.volume.pixels),
    )


def fingerprints(pixels: npt.NDArray[np.float32]) -> Fingerprints:
    """The order of brightness of 16 × 16 cells of each slice that shows something, as vectors of length 1.

    Parameters
    ----------
    pixels : shape (slice, row, column)

    Returns
    -------
    float32, shape (slice, 256)
        The product of two of them is the rank correlation of their slices. Scaling and shifting all intensities changes
        nothing; windowing, another size of the pixels and 8 bits next to nothing.
    """
    if min(pixels.shape[1:]) < N_CELLS:
        return np.zeros((0, N_CELLS**2), np.float32)
    cells = _means(_means(pixels.astype(np.float64), 1), 2).reshape(len(pixels), -1)
    shows = (cells != np.median(cells, axis=1, keepdims=True)).sum(axis=1) >= MIN_CELLS
    ranks = mid_ranks(cells[shows]) - (cells.shape[1] + 1) / 2
    return np.asarray(ranks / np.linalg.norm(ranks, axis=1, keepdims=True), np.float32)


def find_duplicates(images: list[Seen]) -> dict[Seen, str]:
    """Images that can't be used, and why.

    Of images that came as two patients none is used: whose they are is not known. Of two visits of one patient the first
    stays; two rows for the two sides of an image are none.
    """
    reasons: dict[Seen, str] = {}
    for image, why in (*_of_two_patients(images), *_of_two_visits(images)):
        reasons.setdefault(image, why)
    return reasons


def _of_two_patients(images: list[Seen]) -> Iterator[tuple[Seen, str]]:
    for how, groups in (
        ("is the same image", _sharing(images, "pictures")),
        ("is the same image, written in another way,", _alike(images)),
        ("has exactly the same outline", _sharing(images, "outlines")),
    ):
        for same in groups:
            patients = sorted({image.patient for image in same})
            if len(patients) > 1:
                why = f"{how} under the patients {', '.join(patients)}: none of them was taken; {WHAT_TO_DO}"
                yield from ((image, why) for image in same)


def _of_two_visits(images: list[Seen]) -> Iterator[tuple[Seen, str]]:
    for first, *others in _sharing(images, "pictures"):
        for image in others:
            if image.visit != first.visit:
                yield image, f"is the same image as {first.name}, which was taken"


def _sharing(images: list[Seen], marks: str) -> list[list[Seen]]:
    by_mark: dict[str, list[Seen]] = defaultdict(list)
    for image in images:
        for mark in sorted(getattr(image, marks)):
            by_mark[mark].append(image)
    return [same for same in by_mark.values() if len(same) > 1]


def _alike(images: list[Seen]) -> Iterator[list[Seen]]:
    """Pairs of images that have several slices in common."""
    slices = np.concatenate([np.zeros((0, N_CELLS**2), np.float32), *(image.slices for image in images)])
    owner = np.repeat(np.arange(len(images)), [len(image.slices) for image in images])
    common: dict[tuple[int, int], set[int]] = defaultdict(set)
    for one, other in _near(slices):
        if owner[one] != owner[other]:
            common[int(owner[one]), int(owner[other])].add(int(one))
    for (first, second), shared in sorted(common.items()):
        if len(shared) >= N_SAME_SLICES:
            yield [images[first], images[second]]


def _near(slices: Fingerprints) -> npt.NDArray[np.intp]:
    """Pairs of fingerprints whose correlation is high enough, the smaller index first, shape (pair, 2).

    They are looked for in the few directions in which fingerprints differ most: what is near as a whole is near there.
    """
    _, directions = np.linalg.eigh(slices.T @ slices)
    tree = cKDTree(slices @ directions[:, -N_DIRECTIONS:])
    pairs = tree.query_pairs(np.sqrt(2 * (1 - SAME_RANKS)), output_type="ndarray")
    correlations = np.einsum("ij,ij->i", slices[pairs[:, 0]], slices[pairs[:, 1]])
    return np.asarray(pairs[correlations >= SAME_RANKS])


def _means(values: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """Means of 16 parts of an axis."""
    edges = np.linspace(0, values.shape[axis], N_CELLS + 1).astype(int)
    parts = np.split(values, edges[1:-1], axis)
    return np.stack([part.mean(axis) for part in parts], axis)


def _hash(mask: Plane) -> str:
    return hashlib.sha256(repr(mask.shape).encode() + np.packbits(mask).tobytes()).hexdigest()
