"""A bundle tried on noise before anybody relies on it: does it run, and is what comes out a probability?"""

import numpy as np

from ml.bundle import Bundle
from ml.crops import SIDES
from ml.dicom.volume import SourceSlice, Volume
from ml.predict import find, probabilities

SHAPE = (6, 96, 160)  # slices, rows, columns
SPACING_MM = (5.0, 2.0, 2.0)
BOXES = {"right": (-80.0, 0.0, 0.0), "left": (80.0, 0.0, 0.0)}
BATCH = 4


class TrialError(ValueError):
    """The networks of a bundle fail, or what they give is no probability."""


def try_bundle(bundle: Bundle) -> None:
    """Have both networks of a bundle look at a small Volume of noise.

    Raises
    ------
    TrialError
        Says what is wrong.
    """
    volume = noise()
    try:
        find(volume, bundle, {})
        placed = find(volume, bundle, BOXES)
        planes = probabilities(volume, bundle, placed, None, BATCH)
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, FloatingPointError) as error:
        raise TrialError(f"its networks fail on a stack of noise ({error})") from error
    for side in SIDES:
        values = planes[side]
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
            raise TrialError(f"what its network gives for a {side} hip of noise are no probabilities")


def noise() -> Volume:
    """A coronal Volume of noise, the same each time."""
    pixels = np.random.default_rng(0).gamma(2.0, 100.0, SHAPE).astype(np.float32)
    affine = np.eye(4)
    # slices run anterior → posterior (+y), rows superior → inferior (−z), columns right → left (+x)
    affine[:3, :3] = np.array([[0, 0, SPACING_MM[2]], [SPACING_MM[0], 0, 0], [0, -SPACING_MM[1], 0]])
    affine[:3, 3] = (-SPACING_MM[2] * SHAPE[2] / 2, -SPACING_MM[0] * SHAPE[0] / 2, SPACING_MM[1] * SHAPE[1] / 2)
    sources = tuple(SourceSlice(f"2.25.{index + 1}") for index in range(SHAPE[0]))
    return Volume(pixels, SPACING_MM, affine, sources)
