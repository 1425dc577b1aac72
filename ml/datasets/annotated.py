"""An image with its outlines, whatever file they came from, and what a person should be told about it."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ml.dicom.volume import Volume
from ml.labels import LABELS

Plane = npt.NDArray[np.bool_]


class LeftOutError(Exception):
    """Something that can't be used; its text is the reason, to stand behind its name as one sentence."""


@dataclass(frozen=True)
class Remark:
    """One line of the report. `kind` is "left out", "mended" or "marked"; `why` stands behind `what` as one sentence."""

    kind: str
    what: str
    why: str


@dataclass(frozen=True)
class Annotated:
    """An image of one or both hips with its masks.

    Attributes
    ----------
    name : how people know it, for messages
    patient, visit : pseudonyms, fit for a file name
    volume : coronal
    masks : by side ("right", "left", or "" for masks that do not say) and label; bool (slice, row, column)
    source : "dicom" or "nifti"
    uids : SOP Instance UIDs of the image; empty where it has none
    sequence : how the image was acquired, in words; "" where nothing says so
    """

    name: str
    patient: str
    visit: str
    volume: Volume
    masks: dict[str, dict[str, Plane]]
    source: str
    uids: frozenset[str] = frozenset()
    sequence: str = ""
    remarks: tuple[Remark, ...] = field(default=())

    @cached_property
    def pixel_hash(self) -> str:
        """SHA-256 of the intensities, the same however the array lay in its file."""
        pixels = np.ascontiguousarray(self.volume.pixels, "<f4")
        return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()

    def labels_of(self, side: str) -> tuple[str, ...]:
        """What was annotated of a hip."""
        named = set(self.masks.get(side, {})) | set(self.masks.get("", {}))
        return tuple(label for label in LABELS if label in named)

    def mask_of(self, label: str, *sides: str) -> Plane:
        """One label over the given sides together."""
        found = [self.masks[side][label] for side in sides if label in self.masks.get(side, {})]
        return np.asarray(np.logical_or.reduce(found)) if found else np.zeros(self.volume.pixels.shape, bool)
