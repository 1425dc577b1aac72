"""`Canvas`: intensities, tissue ids and label fractions that the painters fill, back to front."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.phantom.anatomy import Tissue
from ml.phantom.grid import Box, Field, Grid
from ml.phantom.shapes import coverage

Palette = dict[Tissue, float]


@dataclass(frozen=True)
class Canvas:
    """What is painted so far.

    Painters work on one slice at a time: its arrays stay in the processor's cache, which is several times faster than whole
    volumes.

    Attributes
    ----------
    grid : sample points of the arrays
    edge_mm : width of a soft edge, one sample
    intensity : float32, shape of the grid
    tissue : uint8, shape of the grid, ids of `Tissue`
    fractions : float32, shape (4, slices, rows, columns)
        Share of each slice's sample that carries a label, in the order of `ml.labels.LABELS`; a slab has one slice of it.
    """

    grid: Grid
    edge_mm: float
    palette: Palette
    intensity: Field
    tissue: npt.NDArray[np.uint8]
    fractions: Field

    @classmethod
    def blank(cls, grid: Grid, palette: Palette) -> "Canvas":
        """A canvas full of air."""
        return cls(
            grid=grid,
            edge_mm=float(np.mean([axis[1] - axis[0] for axis in grid.axes_mm[1:]])),
            palette=palette,
            intensity=np.full(grid.shape, palette[Tissue.AIR], np.float32),
            tissue=np.full(grid.shape, Tissue.AIR, np.uint8),
            fractions=np.zeros((4, *grid.shape), np.float32),
        )

    @property
    def whole(self) -> Box:
        """The box of all samples."""
        s, r, c = (slice(0, n) for n in self.grid.shape)
        return s, r, c

    def layers(self, box: Box | None) -> Iterator[tuple[Box, Grid]]:
        """The slices of a box, one at a time, with their sample points; none for no box."""
        if box is None:
            return
        for k in range(box[0].start, box[0].stop):
            layer = (slice(k, k + 1), box[1], box[2])
            yield layer, self.grid.crop(layer)

    def slabs(self, box: Box, fine: Grid) -> Iterator[tuple["Canvas", Box]]:
        """Each slice of a box split into the sub-slices of the grid `fine`; what is painted there is averaged back."""
        sub = fine.shape[0] // self.grid.shape[0]
        for layer, _ in self.layers(box):
            k = layer[0].start
            grid = fine.crop((slice(k * sub, (k + 1) * sub), box[1], box[2]))
            intensity = np.repeat(self.intensity[layer], sub, axis=0)
            tissue = np.repeat(self.tissue[layer], sub, axis=0)
            fractions = self.fractions[(slice(None), *layer)]
            yield Canvas(grid, self.edge_mm, self.palette, intensity, tissue, fractions), layer
            self.intensity[layer] = intensity.mean(axis=0)
            self.tissue[layer] = tissue[sub // 2]

    def paint(self, box: Box, share: Field, tissue: Tissue, value: Field | float | None = None) -> None:
        """Lay a tissue over what is there; `share` 0 … 1 is how much of each sample it covers."""
        level = self.palette[tissue] if value is None else value
        here = self.intensity[box]
        here += share * (level - here)
        self.tissue[box][share > 0.5] = tissue

    def fill(self, box: Box, distance: Field, tissue: Tissue, value: Field | float | None = None) -> None:
        """Paint the inside of a signed distance with an edge as wide as a sample."""
        self.paint(box, coverage(distance, self.edge_mm), tissue, value)

    def label(self, box: Box, index: int, share: Field) -> None:
        """On a slab: raise a label's fraction to the mean of `share` over the sub-slices."""
        target = self.fractions[index, 0, box[1], box[2]]
        np.maximum(target, share.mean(axis=0), out=target)
