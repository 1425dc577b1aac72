"""Solids as signed distances (mm, negative inside), each with the box that bounds it; they are joined and cut, never meshed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Points = tuple[Array, Array, Array]  # x, y, z of the same shape, mm


@dataclass(frozen=True)
class Shape:
    """A solid: `distance` of points in mm, and the corners of a box that holds all of it."""

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    distance: Callable[[Points], Array]

    def __sub__(self, other: Shape) -> Shape:
        return Shape(self.low, self.high, lambda p: np.maximum(self.distance(p), -other.distance(p)))

    def __and__(self, other: Shape) -> Shape:
        low, high = np.maximum(self.low, other.low), np.minimum(self.high, other.high)
        return Shape(low, high, lambda p: np.maximum(self.distance(p), other.distance(p)))

    def grown(self, mm: float) -> Shape:
        """The solid with `mm` added all round (taken away where negative)."""
        pad = max(mm, 0.0)
        return Shape(self.low - pad, self.high + pad, lambda p: self.distance(p) - np.float32(mm))

    def behind(self, point: Sequence[float], normal: Sequence[float]) -> Shape:
        """The part of the solid on the side of the plane that `normal` points away from."""
        plane = half_space(point, normal)
        return Shape(self.low, self.high, lambda p: np.maximum(self.distance(p), plane(p)))


def half_space(point: Sequence[float], normal: Sequence[float]) -> Callable[[Points], Array]:
    """Signed distance from a plane, positive on the side of the normal."""
    unit = np.asarray(normal, float) / np.linalg.norm(normal)
    offset = float(np.dot(point, unit))
    a, b, c = (np.float32(u) for u in unit)
    return lambda p: a * p[0] + b * p[1] + c * p[2] - np.float32(offset)


def rod(start: Sequence[float], end: Sequence[float], r_start: float, r_end: float) -> Shape:
    """A rod with round ends whose radius runs from `r_start` to `r_end`."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    axis = b - a
    length2 = float(axis @ axis)

    def distance(p: Points) -> Array:
        dx, dy, dz = p[0] - np.float32(a[0]), p[1] - np.float32(a[1]), p[2] - np.float32(a[2])
        along = (dx * np.float32(axis[0]) + dy * np.float32(axis[1]) + dz * np.float32(axis[2])) / np.float32(length2)
        np.clip(along, 0, 1, out=along)
        dx -= along * np.float32(axis[0])
        dy -= along * np.float32(axis[1])
        dz -= along * np.float32(axis[2])
        return np.sqrt(dx * dx + dy * dy + dz * dz) - np.float32(r_start) - along * np.float32(r_end - r_start)

    low = np.minimum(a - r_start, b - r_end)
    return Shape(low, np.maximum(a + r_start, b + r_end), distance)


def ellipsoid(centre: Sequence[float], radii: Sequence[float], axes: npt.NDArray[np.float64] | None = None) -> Shape:
    """An ellipsoid; `axes` has its unit axes as columns (the patient's axes when left out)."""
    middle, radius = np.asarray(centre, float), np.asarray(radii, float)
    frame = np.eye(3) if axes is None else axes
    rows = (frame / radius).T.astype(np.float32)
    inverse2 = (1 / radius**2).astype(np.float32)

    def distance(p: Points) -> Array:
        d = [p[i] - np.float32(middle[i]) for i in range(3)]
        norm2, slope2 = np.zeros_like(d[0]), np.full_like(d[0], 1e-9)
        for i, row in enumerate(rows):
            q = d[i] * row[i] if axes is None else row[0] * d[0] + row[1] * d[1] + row[2] * d[2]
            q *= q
            norm2 += q
            q *= inverse2[i]
            slope2 += q
        norm = np.sqrt(norm2)
        norm2 -= norm
        norm2 /= np.sqrt(slope2, out=slope2)
        norm2[norm < 1e-3] = -np.float32(radius.min())
        return norm2

    reach = np.sqrt((frame**2) @ radius**2)
    return Shape(middle - reach, middle + reach, distance)


def join(shapes: Sequence[Shape], blend_mm: float) -> Shape:
    """The union of solids, the grooves between them filled over about `blend_mm`.

    Each solid is worked out only near its own box, so far from all of them the distance is a large number.
    """
    k = np.float32(blend_mm)

    def distance(p: Points) -> Array:
        total = np.full(p[0].shape, 99, np.float32)
        for shape in shapes:
            window = _window(p, shape, 2 * blend_mm + 8)
            if window is None:
                continue
            other = shape.distance((p[0][window], p[1][window], p[2][window]))
            here = total[window]
            h = np.maximum(k - np.abs(here - other), 0)
            np.minimum(here, other, out=here)
            h *= h
            here -= h / (4 * k)
        return total

    low = np.min([s.low for s in shapes], axis=0) - blend_mm / 4
    return Shape(low, np.max([s.high for s in shapes], axis=0) + blend_mm / 4, distance)


def _window(p: Points, shape: Shape, pad_mm: float, stride: int = 6) -> tuple[slice, slice, slice] | None:
    """The part of a block of points that lies within `pad_mm` of a solid's box, seen on every sixth point."""
    inside = np.ones(p[0][::stride, ::stride, ::stride].shape, bool)
    for i in range(3):
        thin = p[i][::stride, ::stride, ::stride]
        inside &= (thin > shape.low[i] - pad_mm) & (thin < shape.high[i] + pad_mm)
    if not inside.any():
        return None
    window = []
    for axis in range(3):
        hit = np.flatnonzero(inside.any(tuple(a for a in range(3) if a != axis)))
        window.append(slice(max(0, (hit[0] - 1) * stride), (hit[-1] + 1) * stride + 1))
    return (window[0], window[1], window[2])


def rotation(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A random rotation matrix."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    return np.asarray(q * np.sign(np.diag(r)))


def turn(degrees_xyz: Sequence[float]) -> npt.NDArray[np.float64]:
    """Rotation matrix of angles about x, then y, then z, in degrees."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees_xyz)):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        matrix = step @ matrix
    return matrix
