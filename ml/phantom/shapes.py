"""Signed distance functions in mm (negative inside) on arrays of coordinates."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ml.phantom.grid import Field

Points = tuple[Field, Field, Field]
Vector = npt.ArrayLike


def _rotated(points: Points, centre: Vector, rotation: npt.NDArray[np.float64] | None) -> Points:
    c = np.asarray(centre, np.float32)
    x, y, z = points[0] - c[0], points[1] - c[1], points[2] - c[2]
    if rotation is None:
        return x, y, z
    m = rotation.astype(np.float32)
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
    )


def ellipsoid(points: Points, centre: Vector, radii: Vector, rotation: npt.NDArray[np.float64] | None = None) -> Field:
    """Distance to an ellipsoid; `rotation` turns anatomy axes into the ellipsoid's own."""
    x, y, z = _rotated(points, centre, rotation)
    a, b, c = np.asarray(radii, np.float32)
    k0 = np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    k1 = np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2 + (z / c**2) ** 2)
    return np.asarray(k0 * (k0 - 1) / (k1 + np.float32(1e-6)) - np.float32(1e-3), np.float32)


def capsule(points: Points, start: Vector, end: Vector, radius_start: float, radius_end: float) -> Field:
    """Distance to a round-ended cone between two points."""
    a, b = np.asarray(start, np.float32), np.asarray(end, np.float32)
    axis = b - a
    x, y, z = points[0] - a[0], points[1] - a[1], points[2] - a[2]
    h = (x * axis[0] + y * axis[1] + z * axis[2]) / np.float32(axis @ axis)
    np.clip(h, 0, 1, out=h)
    x -= h * axis[0]
    y -= h * axis[1]
    z -= h * axis[2]
    h *= np.float32(radius_start - radius_end)
    return np.asarray(np.sqrt(x * x + y * y + z * z) + h - np.float32(radius_start), np.float32)


def path(points: Points, nodes: npt.ArrayLike, radius: float) -> Field:
    """Distance to a tube of one radius along a polyline."""
    corners = np.asarray(nodes, np.float32)
    parts = [capsule(points, a, b, radius, radius) for a, b in pairwise(corners)]
    return np.asarray(np.minimum.reduce(parts), np.float32)


def union(a: Field, b: Field, blend_mm: float) -> Field:
    """Smooth union: the join of two shapes is rounded over `blend_mm`."""
    h = np.maximum(np.float32(blend_mm) - np.abs(a - b), 0)
    return np.asarray(np.minimum(a, b) - h * h * np.float32(0.25 / blend_mm), np.float32)


def coverage(distance: Field, edge_mm: float) -> Field:
    """Share 0 … 1 of a sample that lies inside, with an edge `edge_mm` wide."""
    return np.asarray(np.clip(np.float32(0.5) - distance * np.float32(1 / edge_mm), 0, 1), np.float32)


def rotation(angles_deg: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Rotation matrix: about x, then y, then z."""
    a, b, c = np.deg2rad(np.asarray(angles_deg, np.float64))
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(rz @ ry @ rx)
