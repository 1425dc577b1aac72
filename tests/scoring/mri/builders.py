"""Small masks with known properties."""

import numpy as np

HEAD = 3  # femur and femoral_head
BME = 4
SYNOVITIS = 8
SPACING = (4.0, 1.0, 1.0)


def hip_stack(n_slices=15, size=48, radii=None):
    """A mask with one disc of femoral head a slice; the radius in mm grows towards the middle unless given."""
    radii = [12.0 - 0.5 * abs(index - n_slices // 2) for index in range(n_slices)] if radii is None else radii
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(rows - size // 2, columns - size // 2)
    return np.stack([np.where(distance <= radius, HEAD, 0) for radius in radii]).astype(np.uint8)


def random_case(seed, n_slices=9, size=32):
    """A hip mask with random lesions, and intensities; many slices, some without a head."""
    random = np.random.default_rng(seed)
    mask = hip_stack(n_slices, size, radii=random.uniform(6.0, 11.0, n_slices).tolist())
    if n_slices > 8:
        mask[random.integers(2)] = 0
    mask[random.random(mask.shape) < 0.1] |= BME
    mask[(random.random(mask.shape) < 0.05) & (mask == 0)] = SYNOVITIS
    return mask, random.integers(1, 1000, mask.shape).astype(np.float32)
