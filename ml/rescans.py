"""Synthetic patients scanned again: the same person and the same inflammation under a protocol that is held or changed."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ml.evaluate import Case
from ml.phantom import generate
from ml.phantom.acquisition import Acquisition, draw_acquisition
from ml.phantom.anatomy import Tissue, draw_anatomy
from ml.phantom.appearance import Look, draw_look

Change = Callable[[Acquisition, Look], tuple[Acquisition, Look]]
STYLE, TARGET = "stir", "both"
SNR, BIAS, LEAK, BLUR_MM = 25.0, 0.2, 0.05, 0.4  # of the reference protocol
THICKNESS_MM, GAP_MM, PIXEL_MM = 4.0, 0.4, 0.9
BOX_MM = (88.0, 300.0, 380.0)  # depth, height, width of what is scanned


def scan(seed: int, visit: int = 0, change: Change | None = None) -> Case:
    """A patient's study under the reference protocol, or under one that a change made of it.

    The contrast is that of the patient's first visit, so that only what is named differs: `visit` draws the position in the
    scanner, the noise, the bowel and the bladder anew.
    """
    first = _first_look(seed)

    def protocol(acquisition: Acquisition, look: Look) -> tuple[Acquisition, Look]:
        clean = replace(first, snr=SNR, bias=BIAS, leak=LEAK, ghost=0.0, wrap=False, blur_mm=BLUR_MM, resolution_mm=PIXEL_MM)
        held = laid(acquisition, THICKNESS_MM, GAP_MM, PIXEL_MM), clean
        return change(*held) if change is not None else held

    phantom = generate(seed, visit=visit, style=STYLE, target=TARGET, protocol=protocol)
    centres = {side: hip.centre_mm for side, hip in phantom.hips.items()}
    return Case(f"{seed}/{visit}", phantom.volume, phantom.masks, centres)


def _first_look(seed: int) -> Look:
    """The look that `generate` draws for the first visit."""
    rng = np.random.default_rng([seed, 13, 0])
    draw_acquisition(rng, draw_anatomy(seed), target=TARGET)
    return draw_look(rng, STYLE)


def laid(acquisition: Acquisition, thickness_mm: float, gap_mm: float, pixel_mm: float) -> Acquisition:
    """The reference box, with the same middle and directions, cut into slices and pixels."""
    spacing = (thickness_mm + gap_mm, pixel_mm, pixel_mm)
    n_slices, n_rows, n_columns = (round(size / step) for size, step in zip(BOX_MM, spacing, strict=True))
    shape = (n_slices, n_rows // 2 * 2, n_columns // 2 * 2)
    to_middle = (np.array(acquisition.shape) - 1) / 2 * np.array(acquisition.spacing_mm)
    to_corner = (np.array(shape) - 1) / 2 * np.array(spacing)
    origin = acquisition.origin_mm + acquisition.directions @ (to_middle - to_corner)
    return replace(acquisition, shape=shape, spacing_mm=spacing, thickness_mm=thickness_mm, origin_mm=origin)


def retuned(look: Look, factors: Mapping[Tissue, float]) -> Look:
    """The look with some tissues brighter or darker; oedema goes with BME."""
    palette = {tissue: level * factors.get(tissue, 1.0) for tissue, level in look.palette.items()}
    return replace(look, palette=palette, brightest=look.brightest * factors.get(Tissue.BME, 1.0))
