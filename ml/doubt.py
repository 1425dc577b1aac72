"""What a network says without being sure of it anywhere is drawn smaller, down to nothing."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ml.crops import Array
from ml.tidy import TOUCHING

PART_LOGIT = -0.85  # probability 0.3, the lowest at which outlines are cut: what reaches it and hangs together is a part


def doubted(logits: Array, sure: Sequence[float]) -> Array:
    """A hip's logits, those of each doubtful part of a label lowered by what its highest one lacks of being sure.

    Of an effusion the network is sure somewhere; of the bright lining of a dry joint it is not, however large the part that it
    outlines. The threshold of each voxel can't tell them apart. As a hysteresis threshold this looks at the surest voxel of a
    part, but a part shrinks steadily as that voxel becomes less sure, and is gone where it reaches half of `sure`. No voxel of a
    part falls below what makes it one. What jumps is what depends on whether two parts touch: a doubtful part that hangs on a
    sure one stays whole.

    Parameters
    ----------
    logits : float32, shape (slice, label, row, column), all slices of one hip that were looked at
    sure : a logit for each label; of a label with 0 nothing is lowered

    Returns
    -------
    float32, same shape

    References
    ----------
    Canny J. IEEE Trans Pattern Anal Mach Intell 1986;8:679 (thresholding with hysteresis).
    """
    lowered = logits.copy()
    for plane, wanted in enumerate(sure):
        if wanted <= 0:
            continue
        said = logits[:, plane]
        parts, n_parts = ndimage.label(said > PART_LOGIT, TOUCHING)
        places = np.arange(1, n_parts + 1)
        highest = np.asarray(ndimage.maximum(said, parts, places), np.float32) if n_parts else np.zeros(0, np.float32)
        lacking = np.concatenate([[0], np.maximum(wanted - highest, 0)]).astype(np.float32)  # 0 is what is no part
        lowered[:, plane] = np.where(parts > 0, np.maximum(said - lacking[parts], np.float32(PART_LOGIT)), said)
    return lowered
