"""Interpolation along one axis from a matrix of weights of which each row has a few neighbours.

Not by matrix products: those of numpy start threads of their own, which on a busy machine wait for each other far longer than
such small products take.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def resample(values: npt.NDArray, weights: Array, axis: int) -> Array:
    """Weighted sums along an axis, as `weights @ values` gives them.

    Parameters
    ----------
    values : any shape
    weights : float32, shape (place, values.shape[axis]); the weights of a place lie beside each other

    Returns
    -------
    float32, the shape of `values` with as many entries along `axis` as there are places
    """
    shape = list(values.shape)
    shape[axis] = len(weights)
    is_used = weights != 0
    if not is_used.any():
        return np.zeros(shape, np.float32)
    first = is_used.argmax(axis=1)
    last = weights.shape[1] - 1 - is_used[:, ::-1].argmax(axis=1)
    n_taps = int((last - first)[is_used.any(axis=1)].max()) + 1
    first = np.minimum(first, max(weights.shape[1] - n_taps, 0))
    aside = [1] * values.ndim
    aside[axis] = len(weights)
    total = np.zeros(shape, np.float32)
    for tap in range(n_taps):
        share = np.take_along_axis(weights, first[:, None] + tap, axis=1).reshape(aside)
        total += values.take(first + tap, axis=axis) * share
    return total
