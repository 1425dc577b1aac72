"""What a training step eats: slices of a few hips, augmented, with their labels; made ahead in processes of their own."""

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ml import augment
from ml.crops import CROP_COLUMNS, CROP_ROWS
from ml.dataset import Stack, draw, draw_shares
from ml.datasets import Case
from ml.labels import FEMUR_PLANE, LABELS
from ml.phantom.anatomy import Tissue

# Tissues outside the femur that may be learnt beside the labels and left behind: pelvic oedema lies in the pelvis, and
# synovitis is told from the film and the cartilage that every joint has.
EXTRA = {
    "pelvis": (Tissue.MARROW, Tissue.CORTEX, Tissue.BME),
    "film": (Tissue.FLUID,),
    "cartilage": (Tissue.CARTILAGE,),
}
AUGMENTATIONS = {
    "full": augment.Settings(),
    "light": augment.Settings(
        rotation_deg=10, scale=0.08, stretch=0.04, shift_mm=5, elastic_mm=1.5, bias=0.2, gamma=0.25, noise=0.04, blur_px=0.8,
        coarse=1.5, retune=False,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Example:
    """One hip to learn from: its slices, the labels that were annotated, and whether its tissues are known (phantoms)."""

    stack: Stack
    labels: tuple[str, ...] = LABELS
    has_tissues: bool = True

    @property
    def annotated(self) -> list[bool]:
        """For each of `LABELS`."""
        return [label in self.labels for label in LABELS]


class Batch(NamedTuple):
    """Input and targets of a step.

    Attributes
    ----------
    images : float32, shape (B, 1, 128, 160), slices of one hip beside each other
    targets : float32, shape (B, 4, 128, 160), 0 or 1
    extra : float32, shape (B, 3, 128, 160), the tissues of `EXTRA`
    annotated : bool, shape (B, 4)
    """

    images: Tensor
    targets: Tensor
    extra: Tensor
    annotated: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device, copied while the device works where the memory is pinned."""
        return Batch._make(part.to(device, non_blocking=True) for part in self)

    def as_stacks(self, n_slices: int) -> "Batch":
        """The same with one row a hip, for networks that take stacks: (hip, channel, slice, row, column)."""
        planes = (part.unflatten(0, (-1, n_slices)).transpose(1, 2) for part in self[:3])
        return Batch._make([*planes, self.annotated[::n_slices]])


class Batches(Dataset[Batch]):
    """The augmented batch of each step; it depends on the seed and the step alone, so a resumed run sees the same.

    Parameters
    ----------
    n_hips, n_slices : a batch is so many slices of so many hips
    is_consecutive : the slices of a hip are neighbours, in their order
    augmentation : a key of `AUGMENTATIONS`
    window : rows and columns of the part of each crop that is used, at a random place; one a hip
    """

    def __init__(
        self,
        examples: Sequence[Example],
        seed: int,
        n_steps: int,
        n_hips: int,
        n_slices: int,
        is_consecutive: bool = False,
        augmentation: str = "full",
        window: tuple[int, int] = (CROP_ROWS, CROP_COLUMNS),
    ) -> None:
        self.stacks = [example.stack for example in examples]
        self.annotated = torch.tensor([example.annotated for example in examples])
        self.has_tissues = torch.tensor([example.has_tissues for example in examples])
        self.shares = draw_shares(self.stacks)
        self.seed, self.n_steps = seed, n_steps
        self.n_hips, self.n_slices, self.is_consecutive = min(n_hips, len(examples)), n_slices, is_consecutive
        self.settings, self.window = AUGMENTATIONS[augmentation], window

    def __len__(self) -> int:
        return self.n_steps

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng([self.seed, step])
        drawn = draw(self.stacks, self.shares, rng, self.n_hips, self.n_slices, self.is_consecutive)
        slices, masks, tissues = (torch.from_numpy(array) for array in (drawn.images, drawn.masks, drawn.tissues))
        hips = list(drawn.indices)
        noise = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        known = self.has_tissues[hips]
        images, targets, ids = augment.augment(slices, masks, tissues, self.n_slices, noise, self.settings, known)
        is_outside_femur = targets[:, FEMUR_PLANE] == 0
        extra = [torch.isin(ids, torch.tensor(group)) & is_outside_femur for group in EXTRA.values()]
        annotated = self.annotated[hips].repeat_interleave(self.n_slices, dim=0)
        planes = [images, targets, torch.stack(extra, dim=1).float()]
        if self.window != (CROP_ROWS, CROP_COLUMNS):
            planes = self._windows(planes, noise)
        return Batch._make([*planes, annotated])

    def _windows(self, planes: list[Tensor], rng: torch.Generator) -> list[Tensor]:
        """A part of each crop, the same for all slices of a hip."""
        room = torch.tensor([CROP_ROWS - self.window[0], CROP_COLUMNS - self.window[1]]) + 1
        corners = (torch.rand((self.n_hips, 2), generator=rng) * room).long().repeat_interleave(self.n_slices, dim=0).tolist()
        parts = [(slice(top, top + self.window[0]), slice(left, left + self.window[1])) for top, left in corners]
        return [torch.stack([slice_[:, *part] for slice_, part in zip(plane, parts, strict=True)]) for plane in planes]

    def from_step(self, first: int, n_workers: int, is_pinned: bool = False) -> Iterator[Batch]:
        """The batches from step `first` on.

        Parameters
        ----------
        n_workers : processes that make them while the network works; none inside a daemon, as a Celery worker's child is
        is_pinned : in page-locked memory, for copies to a GPU
        """
        n_workers = 0 if multiprocessing.current_process().daemon else n_workers
        return iter(
            DataLoader(
                self,
                batch_size=None,
                sampler=range(first, self.n_steps),
                num_workers=n_workers,
                prefetch_factor=4 if n_workers else None,
                multiprocessing_context="fork" if n_workers else None,
                pin_memory=is_pinned,
            )
        )


def example_of(case: Case) -> Example:
    """A case of a data set, in memory."""
    return Example(case.load(), case.labels, has_tissues=case.source == "phantom")
