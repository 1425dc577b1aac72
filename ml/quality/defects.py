"""What goes wrong in a scanner, done to a Volume of any origin: for setting and testing the flags of `ml.quality`."""

from dataclasses import replace

import numpy as np

from ml.crops import Point
from ml.dicom.volume import Volume

Rng = np.random.Generator
HEAD_RADIUS_MM = 23.5  # of an adult


def moved(volume: Volume, rng: Rng, amplitude_mm: float, axis: int = 1) -> Volume:
    """The patient moved to and fro along an in-plane axis while its lines were read: ghosts, and blur.

    Every line of k-space has its own shift, a sine over the lines (an interleaved readout of a regular motion).
    """
    n, step_mm = volume.pixels.shape[axis], float(volume.spacing_mm[axis])
    lines = np.fft.fftfreq(n)
    sway = np.sin(2 * np.pi * (rng.uniform(0.08, 0.42) * np.arange(n) + rng.random())) * amplitude_mm / step_mm
    shape = [1, 1, 1]
    shape[axis] = n
    turn = np.exp(-2j * np.pi * lines * np.fft.ifftshift(sway)).reshape(shape)
    pixels = np.abs(np.fft.ifft(np.fft.fft(volume.pixels, axis=axis) * turn, axis=axis))
    return replace(volume, pixels=pixels.astype(np.float32))


def noisy(volume: Volume, rng: Rng, level: float) -> Volume:
    """Rician noise, its standard deviation a share of the spread of the intensities (5th to 95th percentile of the body)."""
    body = volume.pixels[volume.pixels > np.percentile(volume.pixels, 40)]
    low, high = np.percentile(body, (5, 95))
    sigma = np.float32(level * (high - low))
    real = volume.pixels + sigma * rng.standard_normal(volume.pixels.shape, np.float32)
    imaginary = sigma * rng.standard_normal(volume.pixels.shape, np.float32)
    return replace(volume, pixels=np.hypot(real, imaginary))


def wrapped(volume: Volume, share: float, axis: int = 2) -> Volume:
    """A field of view too small by so much of its width: what lies outside is folded in at the other side."""
    pixels = np.moveaxis(volume.pixels, axis, 0)
    n = len(pixels)
    n_kept = max(8, round(n * (1 - share)))
    first = (n - n_kept) // 2
    folded = pixels[first : first + n_kept].copy()
    before, after = pixels[:first], pixels[first + n_kept :]
    if len(before):
        folded[-len(before) :] += before
    if len(after):
        folded[: len(after)] += after
    start = [0.0, 0.0, 0.0]
    start[axis] = first
    return _cut_from(volume, np.moveaxis(folded, 0, axis), start)


def cut_off(volume: Volume, centre_mm: Point, beyond_mm: float, axis: int = 2, keep_high: bool = True) -> Volume:
    """The pictures end `beyond_mm` beyond the head's centre (negative: before it) along an axis."""
    index = float(volume.to_index(np.asarray(centre_mm))[axis])
    reach = beyond_mm / float(volume.spacing_mm[axis])
    n = volume.pixels.shape[axis]
    part = slice(max(0, round(index - reach)), n) if keep_high else slice(0, min(n, round(index + reach) + 1))
    parts = [slice(None)] * 3
    parts[axis] = part
    start = [0.0, 0.0, 0.0]
    start[axis] = part.start
    cut = _cut_from(volume, volume.pixels[tuple(parts)], start)
    return replace(cut, sources=volume.sources[part]) if axis == 0 else cut


def unsuppressed(volume: Volume, is_fat: np.ndarray, share: float) -> Volume:
    """Fat that was not suppressed: its pixels as bright as a share of the brightest ones.

    Parameters
    ----------
    is_fat : float, 0 … 1, shape of the pixels; how much of a pixel is fat that shines
    """
    bright = float(np.percentile(volume.pixels, 99))
    return replace(volume, pixels=(volume.pixels + np.float32(share * bright) * is_fat).astype(np.float32))


def metal(volume: Volume, centre_mm: Point, radius_mm: float, side: str) -> Volume:
    """A metal head on its stem: almost no signal in its place, and a bright rim where the signal has piled up.

    Parameters
    ----------
    radius_mm : of what the metal wipes out; larger than the head
    side : "right" or "left"; neck and stem run down and lateral of the head
    """
    at = volume.to_lps(np.stack(np.meshgrid(*(np.arange(n) for n in volume.pixels.shape), indexing="ij"), -1)).astype(np.float32)
    lateral = 1 if side == "left" else -1
    head = np.asarray(centre_mm, np.float32)
    neck = head + np.array([1.5 * lateral, 0, -1.3], np.float32) * HEAD_RADIUS_MM
    stem = neck + np.array([5 * lateral, 0, -110], np.float32)
    beyond = np.minimum.reduce([
        _away(at, head, head) - radius_mm, _away(at, head, neck) - 0.6 * radius_mm, _away(at, neck, stem) - 0.5 * radius_mm,
    ])  # fmt: skip
    void, rim = np.clip(0.5 - beyond / 2, 0, 1), np.clip(1 - np.abs(beyond - 2) / 3, 0, 1)
    bright = 1.2 * float(np.percentile(volume.pixels, 90))
    return replace(volume, pixels=(volume.pixels * (1 - 0.97 * void) + bright * rim).astype(np.float32))


def _away(at: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance in mm of points from a line from one point to another."""
    along = end - start
    share = np.clip((at - start) @ along / max(float(along @ along), 1e-6), 0, 1)
    return np.asarray(np.linalg.norm(at - start - share[..., None] * along, axis=-1))


def inverted(volume: Volume) -> Volume:
    """Bright for dark, as of a wrong photometric interpretation."""
    top = float(np.percentile(volume.pixels, 99.5))
    return replace(volume, pixels=np.clip(top - volume.pixels, 0, None).astype(np.float32))


def posterised(volume: Volume, n_levels: int) -> Volume:
    """Only a few grey values left, as in a picture that was windowed and saved."""
    top = float(np.percentile(volume.pixels, 95)) or 1.0
    steps = np.round(np.clip(volume.pixels / top, 0, 1) * n_levels) / n_levels
    return replace(volume, pixels=(steps * top).astype(np.float32))


def _cut_from(volume: Volume, pixels: np.ndarray, start: list[float]) -> Volume:
    affine = volume.affine.copy()
    affine[:3, 3] = volume.to_lps(np.array(start))
    return replace(volume, pixels=np.ascontiguousarray(pixels, np.float32), affine=affine)
