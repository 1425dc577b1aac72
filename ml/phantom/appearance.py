"""How tissues look: intensities per contrast, textures, coil shading, failed fat suppression, noise, ghosts, wrap."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ml.phantom.anatomy import Tissue
from ml.phantom.canvas import Palette
from ml.phantom.grid import Field, Grid

MOST_CARTILAGE = 0.5  # as a share of an effusion
STYLES = ("stir", "t1", "t2", "random")

# Ranges of relative intensity. Fat-suppressed: fat and fatty marrow dark, water bright.
_SUPPRESSED: dict[Tissue, tuple[float, float]] = {
    Tissue.AIR: (0, 0), Tissue.FAT: (4, 20), Tissue.MUSCLE: (20, 42), Tissue.CORTEX: (0, 5), Tissue.MARROW: (10, 30),
    Tissue.CARTILAGE: (30, 75), Tissue.FLUID: (80, 160), Tissue.SYNOVITIS: (0, 0), Tissue.BME: (0, 0), Tissue.URINE: (90, 190),
    Tissue.WALL: (15, 45), Tissue.BOWEL: (30, 110), Tissue.VESSEL: (40, 130), Tissue.ORGAN: (40, 90), Tissue.TENDON: (2, 12),
    Tissue.DISC: (20, 90), Tissue.GAS: (0, 2), Tissue.BRAIN: (40, 70),
}  # fmt: skip
_T1 = _SUPPRESSED | {
    Tissue.FAT: (80, 120), Tissue.MUSCLE: (25, 45), Tissue.MARROW: (55, 105), Tissue.CARTILAGE: (30, 50), Tissue.FLUID: (12, 28),
    Tissue.URINE: (10, 25), Tissue.BOWEL: (20, 60), Tissue.VESSEL: (5, 50), Tissue.ORGAN: (28, 45), Tissue.DISC: (20, 40),
}  # fmt: skip
_T2 = _SUPPRESSED | {
    Tissue.FAT: (65, 115), Tissue.MUSCLE: (12, 32), Tissue.MARROW: (40, 95), Tissue.CARTILAGE: (25, 60), Tissue.FLUID: (85, 140),
    Tissue.URINE: (90, 150), Tissue.BOWEL: (20, 90), Tissue.VESSEL: (3, 60), Tissue.ORGAN: (35, 70), Tissue.DISC: (10, 60),
}  # fmt: skip
_RANDOM = _SUPPRESSED | {
    Tissue.FAT: (1, 60), Tissue.MUSCLE: (8, 75), Tissue.CORTEX: (0, 15), Tissue.MARROW: (4, 60), Tissue.CARTILAGE: (10, 110),
    Tissue.FLUID: (70, 220), Tissue.URINE: (20, 300), Tissue.BOWEL: (5, 180), Tissue.VESSEL: (5, 180), Tissue.ORGAN: (15, 150),
    Tissue.WALL: (2, 80), Tissue.DISC: (5, 140), Tissue.TENDON: (0, 30),
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """Intensities of one study and how cleanly it was acquired."""

    style: str
    palette: Palette
    brightest: float
    bias: float
    leak: float
    snr: float
    blur_mm: float
    resolution_mm: float
    ghost: float
    wrap: bool
    texture: float
    scale: float

    @property
    def noise(self) -> float:
        """Standard deviation of the noise in each channel; the signal-to-noise ratio is that of muscle."""
        return max(self.palette[Tissue.MUSCLE], 12) / self.snr


def draw_palette(rng: np.random.Generator, style: str) -> Palette:
    """Relative intensity of each tissue. Inflammation is always brighter than marrow, except on T1."""
    if style not in STYLES:
        raise ValueError(f"style is {style!r}; it must be one of {', '.join(STYLES)}")
    ranges = {"stir": _SUPPRESSED, "t1": _T1, "t2": _T2, "random": _RANDOM}[style]
    palette = {tissue: float(rng.uniform(*span)) for tissue, span in ranges.items()}
    share = rng.uniform(0.45, 1.0)
    floor = max(palette[Tissue.MUSCLE], palette[Tissue.MARROW]) * 1.25
    wet = floor + max(palette[Tissue.FLUID] - floor, 0) * share
    palette[Tissue.SYNOVITIS] = float(wet if style != "t1" else palette[Tissue.FLUID] * rng.uniform(1, 1.4))
    palette[Tissue.BME] = float(wet)
    if style != "t1":  # fluid in the joint space has to stand out of the cartilage
        palette[Tissue.CARTILAGE] = min(palette[Tissue.CARTILAGE], MOST_CARTILAGE * palette[Tissue.SYNOVITIS])
    return palette


def draw_look(rng: np.random.Generator, style: str) -> Look:
    """Contrast and quality of one acquisition."""
    palette = draw_palette(rng, style)
    marrow, fluid = palette[Tissue.MARROW], palette[Tissue.FLUID]
    brightest = max(fluid * rng.uniform(0.55, 1.0), 1.8 * marrow)
    if style == "t1":  # oedema is darker than fatty marrow
        brightest = marrow * rng.uniform(0.3, 0.6)
    return Look(
        style=style,
        palette=palette,
        brightest=float(brightest),
        bias=float(rng.uniform(0, 0.45)),
        leak=float(rng.uniform(0, 0.12) if rng.random() < 0.65 else rng.uniform(0.12, 0.6)),
        snr=float(np.exp(rng.uniform(np.log(8), np.log(60)))),
        blur_mm=float(rng.uniform(0.2, 0.9)),
        resolution_mm=float(rng.uniform(0.8, 1.4)),
        ghost=float(rng.uniform(0.01, 0.08) if rng.random() < 0.25 else 0),
        wrap=bool(rng.random() < 0.08),
        texture=float(rng.uniform(0.5, 1.5)),
        scale=float(np.exp(rng.uniform(np.log(1), np.log(120)))),
    )


def marrow_field(grid: Grid, look: Look, rng: np.random.Generator) -> Field:
    """Marrow intensity: fatty, with patches of red marrow that are brighter but no oedema."""
    red = rng.uniform(0, 0.35) if rng.random() < 0.6 else 0.0
    patches = np.clip(grid.noise(rng, 18) * 0.6 + grid.noise(rng, 7) * 0.25 - 0.1, 0, 1)
    base = look.palette[Tissue.MARROW]
    field = base * (1 + red * patches * (1 if look.style != "t1" else -1))
    return np.asarray(field * (1 + 0.05 * look.texture * grid.noise(rng, 3)), np.float32)


def texture(pixels: Field, tissue: npt.NDArray[np.uint8], grid: Grid, look: Look, rng: np.random.Generator) -> Field:
    """Streaks in muscle, lobules in fat, grain elsewhere."""
    fibre, grain = np.full(len(Tissue), 0.02, np.float32), np.full(len(Tissue), 0.04, np.float32)
    fibre[[Tissue.MUSCLE, Tissue.TENDON]] = 0.12, 0.15
    grain[[Tissue.FAT, Tissue.BOWEL, Tissue.ORGAN, Tissue.MARROW]] = 0.10, 0.14, 0.12, 0.05
    for amounts in (fibre, grain):
        amounts[[Tissue.AIR, Tissue.URINE, Tissue.GAS]] = 0
    streaks = grid.noise(rng, (6.0, 16.0, 2.5))
    lobules = grid.noise(rng, (4.0, 3.5, 3.5)) * np.float32(0.7) + grid.noise(rng, 9.0) * np.float32(0.5)
    factor = fibre[tissue] * streaks + grain[tissue] * lobules
    return np.asarray(pixels * np.maximum(1 + look.texture * factor, 0.1), np.float32)


def shading(grid: Grid, look: Look, rng: np.random.Generator) -> Field:
    """Coil sensitivity: smooth, largest near one or more sides of the field of view."""
    coarse = grid.coarse(20)
    field = coarse.noise(rng, 150) + 0.4 * coarse.noise(rng, 80)
    field = np.exp(np.clip(look.bias * field, -1.1, 1.1))
    return grid.upsample(field.astype(np.float32), coarse)


def fat_leak(tissue: npt.NDArray[np.uint8], grid: Grid, look: Look, rng: np.random.Generator) -> Field:
    """Fat signal that suppression left over: a smooth pattern, strongest toward the edges of the field."""
    coarse = grid.coarse(20)
    where = np.clip(coarse.noise(rng, 110) - 0.6, 0, 2)
    share = np.zeros(len(Tissue), np.float32)
    share[[Tissue.FAT, Tissue.MARROW, Tissue.BME]] = 1, 0.45, 0.45
    return grid.upsample((look.leak * 90 * where).astype(np.float32), coarse) * share[tissue]


def add_ghost(pixels: Field, look: Look, rng: np.random.Generator) -> Field:
    """Motion ghosts: a faint shifted copy along the phase direction."""
    if not look.ghost:
        return pixels
    axis = int(rng.integers(1, 3))
    shift = int(pixels.shape[axis] * rng.uniform(0.05, 0.5))
    return np.asarray(pixels + look.ghost * (np.roll(pixels, shift, axis) + np.roll(pixels, -shift, axis)), np.float32)


def add_wrap(pixels: Field, look: Look, rng: np.random.Generator) -> Field:
    """Aliasing: what lies at one end of the columns appears faintly at the other."""
    if not look.wrap:
        return pixels
    width = int(pixels.shape[2] * rng.uniform(0.03, 0.1))
    wrapped = pixels.copy()
    wrapped[:, :, :width] += np.float32(0.4) * pixels[:, :, -width:]
    return wrapped


def add_noise(pixels: Field, look: Look, rng: np.random.Generator) -> Field:
    """Rician noise."""
    sigma = np.float32(look.noise)
    real = pixels + sigma * rng.standard_normal(pixels.shape, np.float32)
    imaginary = sigma * rng.standard_normal(pixels.shape, np.float32)
    return np.asarray(np.sqrt(real * real + imaginary * imaginary), np.float32)


def blur(pixels: Field, look: Look, spacing_mm: tuple[float, float]) -> Field:
    """In-plane point spread."""
    sigma = [0.0, look.blur_mm / spacing_mm[0], look.blur_mm / spacing_mm[1]]
    return np.asarray(ndimage.gaussian_filter(pixels, sigma, truncate=3), np.float32)


def render(
    tissues: npt.NDArray[np.uint8],
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
    *,
    style: str = "random",
) -> Field:
    """New intensities for a tissue map, with texture, shading and noise; hard tissue edges are blurred.

    Parameters
    ----------
    tissues : uint8, shape (slice, row, column)
        Ids of `Tissue`.
    spacing_mm : (slice, row, column)
    rng : numpy Generator
    style : "stir", "t1", "t2" or "random"

    Returns
    -------
    float32, shape of `tissues`, not negative
    """
    look = draw_look(rng, style)
    levels = np.array([look.palette[t] for t in Tissue], np.float32)
    s, r, c = (np.arange(n, dtype=np.float32) * np.float32(mm) for n, mm in zip(tissues.shape, spacing_mm, strict=True))
    grid = Grid((s, r, c), np.eye(3), np.zeros(3))
    pixels = texture(levels[tissues], tissues, grid, look, rng)
    if style in ("stir", "random"):
        pixels += fat_leak(tissues, grid, look, rng)
    pixels = blur(pixels, look, (spacing_mm[1], spacing_mm[2])) * shading(grid, look, rng)
    return np.asarray(add_noise(pixels, look, rng) * np.float32(look.scale), np.float32)
