"""An interval around a UNet-score: how far the score moves when the picture changes a little, scaled to the errors on phantoms.

The network draws the same hip again, turned, scaled and moved by a few per cent and with other contrast, shading and noise;
and its own picture is cut at other probabilities than 0.5. Neither spread is an error by itself. Both, and the size of the
score, are weighed so that on synthetic patients the interval holds the true score as often as its level says.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize
from torch import Tensor
from torch.nn import functional

from ml.bundle import UNET_WEIGHTS, Bundle
from ml.crops import CROP_COLUMNS, CROP_ROWS, Array
from ml.dicom.volume import Volume
from ml.hips import FoundHip
from ml.predict import BATCH, Change, HipOutline, outline, probabilities
from scoring.errors import ScoringError
from scoring.mri.unet_score import score_hip

N_VARIANTS = 4
LEVEL = 0.9
SEED = 20_260
CUTS = (0.3, 0.7)  # beside 0.5
TURN_DEG, SCALE, SHIFT = 5.0, 0.05, 0.03  # shift as a share of half the crop
GAIN, OFFSET, BIAS, NOISE = 0.12, 0.06, 0.12, 0.04
BLACK = 0.6  # about where no signal lies below the median of normalised crops
METHOD = f"{N_VARIANTS} changed pictures and 2 other cuts, scaled on phantoms"
SECTION = "interval"


class NoIntervalError(ValueError):
    """The bundle has no calibration for the network that it holds."""


@dataclass(frozen=True)
class Interval:
    """Where the true score of a hip lies with probability `level`, by `method`."""

    low: float
    high: float
    level: float
    method: str = METHOD


@dataclass(frozen=True)
class Spread:
    """How far a score moves: `changed`, root mean square over changed pictures; `cut`, half the way between the other cuts."""

    score: float
    changed: float
    cut: float

    @property
    def terms(self) -> npt.NDArray[np.float64]:
        """What the half-width is a sum of: both spreads, the score itself, and a constant."""
        return np.array([self.changed, self.cut, self.score, 1.0])


@dataclass(frozen=True)
class Calibration:
    """The weights of `Spread.terms`, the factor that makes them an interval of `level`, and the network that they belong to."""

    weights: tuple[float, float, float, float]
    factor: float
    level: float
    n_hips: int
    unet_sha256: str

    def interval(self, spread: Spread) -> Interval:
        """The interval of a score; never below 0."""
        half = self.factor * float(np.array(self.weights) @ spread.terms)
        return Interval(max(0.0, spread.score - half), spread.score + half, self.level)


def calibration_of(bundle: Bundle) -> Calibration:
    """What `python -m ml interval` left in the bundle.

    Raises
    ------
    NoIntervalError
        It was never run, or for another network.
    """
    kept = bundle.description.get(SECTION)
    sha256 = bundle.description.get("files", {}).get(UNET_WEIGHTS)
    if not isinstance(kept, dict) or kept["calibration"]["unet_sha256"] != sha256:
        raise NoIntervalError(
            f"model {bundle.name} {bundle.version} has no interval for its scores; `python -m ml interval` makes it"
        )
    values = kept["calibration"]
    return Calibration(**values | {"weights": tuple(values["weights"])})


def spread_of(
    volume: Volume, bundle: Bundle, hip: HipOutline, score: float, device: str | None = None, batch: int = BATCH
) -> Spread | None:
    """How far the score of an outlined hip moves; None where fewer than half of its variants have one."""
    planes = _planes(volume, bundle, hip.found, device, batch, None)
    drawn = _variants(volume, bundle, hip.found, planes, device, batch)
    changed = [_score(volume, outline(volume, hip.found, again)) for again in drawn]
    cuts = [_score(volume, outline(volume, hip.found, planes, threshold)) for threshold in CUTS]
    known = [value for value in changed if value is not None]
    if 2 * len(known) < len(changed):
        return None
    most, least = (score if value is None else value for value in cuts)
    return Spread(score, math.sqrt(float(np.mean([(value - score) ** 2 for value in known]))), abs(most - least) / 2)


def fit(spreads: Sequence[Spread], truths: Sequence[float], sha256: str, level: float = LEVEL) -> Calibration:
    """Weights and factor from scores whose truth is known.

    Notes
    -----
    Weights: non-negative least squares of the absolute errors. Factor: the `level` quantile of error ÷ weighed sum, taken a
    little high for the finite sample (split-conformal prediction), so that the coverage is that of the level on hips like these.

    References
    ----------
    Lei J et al. J Am Stat Assoc 2018;113:1094.
    """
    terms = np.array([spread.terms for spread in spreads])
    errors = np.abs(np.array(truths) - np.array([spread.score for spread in spreads]))
    heights = 1 / np.maximum(terms[:, 2], 0.1)  # relative errors, so that the worst hips do not decide alone
    weights, _ = optimize.nnls(terms * heights[:, None], errors * heights)
    weights = np.maximum(weights, [0, 0, 0, 1e-3])
    n = len(errors)
    rank = min(1.0, math.ceil((n + 1) * level) / n)
    factor = float(np.quantile(errors / (terms @ weights), rank, method="higher"))
    a, b, c, d = (round(float(weight), 6) for weight in weights)
    return Calibration((a, b, c, d), round(factor, 6), level, n, sha256)


def section(calibration: Calibration, coverage: dict[str, Any]) -> dict[str, Any]:
    """What stands in `bundle.json` under `interval`."""
    return {"calibration": asdict(calibration), "method": METHOD, "coverage": coverage}


def _planes(volume: Volume, bundle: Bundle, hip: FoundHip, device: str | None, batch: int, change: Change | None) -> Array:
    return probabilities(volume, bundle, [hip], device, batch, change)[hip.side]


def _variants(volume: Volume, bundle: Bundle, hip: FoundHip, planes: Array, device: str | None, batch: int) -> Iterator[Array]:
    """Probabilities of the hip's crops from changed pictures, laid back where they belong."""
    for number in range(N_VARIANTS):
        rng = torch.Generator().manual_seed(SEED + number)
        motion, look = _motion(rng), _look(rng)
        drawn = _planes(volume, bundle, hip, device, batch, _change(motion, look))
        yield _moved_back(drawn, motion, planes)


def _change(motion: Tensor, look: Callable[[Tensor], Tensor]) -> Change:
    def change(crops: Array) -> Array:
        moved = _sampled(torch.from_numpy(crops)[:, None], motion, "border")
        return np.asarray(look(moved)[:, 0].numpy(), np.float32)

    return change


def _motion(rng: torch.Generator) -> Tensor:
    """A small turn, scaling and shift as an affine map of grid coordinates (-1 … 1), shape (3, 3)."""
    turn, scale, *shift = (2 * torch.rand(4, generator=rng, dtype=torch.float64) - 1).tolist()
    angle, factor = math.radians(TURN_DEG) * turn, 1 + SCALE * scale
    aspect = CROP_COLUMNS / CROP_ROWS
    cos, sin = factor * math.cos(angle), factor * math.sin(angle)
    rows = [[cos, -sin / aspect, SHIFT * shift[0]], [sin * aspect, cos, SHIFT * shift[1]], [0, 0, 1]]
    return torch.tensor(rows, dtype=torch.float64)


def _look(rng: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Another contrast, shading and noise of normalised crops, shape (n, 1, H, W)."""
    gain, offset, noise = (2 * torch.rand(3, generator=rng) - 1).tolist()
    knots = torch.randn((1, 1, 3, 3), generator=rng) * BIAS
    field = functional.interpolate(knots, (CROP_ROWS, CROP_COLUMNS), mode="bicubic", align_corners=True).exp()

    def look(crops: Tensor) -> Tensor:
        shaded = (crops + BLACK) * field - BLACK
        grain = torch.randn(crops.shape, generator=rng) * (NOISE * abs(noise))
        return (shaded * (1 + GAIN * gain) + OFFSET * offset + grain).clamp(-3, 6)

    return look


def _sampled(images: Tensor, motion: Tensor, padding: str) -> Tensor:
    """Images, shape (n, channel, H, W), taken where the motion leads."""
    theta = motion[:2].to(images.dtype).expand(len(images), 2, 3)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def _moved_back(drawn: Array, motion: Tensor, planes: Array) -> Array:
    """Probabilities of a moved picture in the place of the unmoved one; where nothing comes back, those of the latter."""
    inverse = torch.linalg.inv(motion)
    images = torch.from_numpy(np.ascontiguousarray(drawn.transpose(1, 0, 2, 3)))  # (slice, label, H, W)
    back = _sampled(images, inverse, "zeros").numpy().transpose(1, 0, 2, 3)
    inside = _sampled(torch.ones((1, 1, *drawn.shape[2:])), inverse, "zeros")[0, 0].numpy() > 0.999
    return np.where(inside, back, planes)


def _score(volume: Volume, hip: HipOutline) -> float | None:
    if hip.refused is not None:
        return None
    try:
        return score_hip(hip.mask, volume.pixels, volume.spacing_mm, hip.side).unet_score
    except ScoringError:
        return None
