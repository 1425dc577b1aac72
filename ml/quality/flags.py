"""`check`: what is wrong with a picture, by thresholds that were set on synthetic ones at a stated rate of false alarms."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.crops import Point
from ml.dicom.content import MANY
from ml.dicom.volume import Volume
from ml.labels import Mask
from ml.quality.features import HipNumbers, hip_numbers, stack_numbers

THRESHOLDS = Path(__file__).with_name("thresholds.json")
# What a number says when it is too high. The first three are of the whole stack, the others of one hip.
STACK_KINDS = {
    "motion": "edges repeat at one distance, as ghosts of motion do",
    "wrap": "one edge of the picture goes on at the opposite one, as when the field of view was too small",
    "fat": "tissue under the skin is far brighter than the hip, as fat is where its suppression failed",
}
HIP_KINDS = {
    "noise": "the picture is noisy",
    "contrast": "the marrow of the femoral head is as bright as its surroundings; fat-suppressed it is darker",
    "cut_off": "a part of the head and the joint lies outside the pictures",
    "unlike": "the picture of this hip is unlike all that the model was tested on",
}
STOPPING = ("motion", "noise", "contrast", "cut_off")  # a score of such a picture means nothing
OF_CONTRAST = ("contrast", "fat")  # a person who asked for another sequence knows of these


@dataclass(frozen=True)
class Flag:
    """One fault of a picture.

    Attributes
    ----------
    code : a key of `STACK_KINDS` or `HIP_KINDS`
    side : "right" or "left"; "" where it is of the whole stack
    value, limit : the number, and the threshold that it passed
    stops : whether there is to be no score
    message : one sentence for people
    """

    code: str
    side: str
    value: float
    limit: float
    stops: bool
    message: str


@dataclass(frozen=True)
class Limit:
    """From `mark` a score is marked, from `stop` there is none (None: it is only ever marked)."""

    mark: float
    stop: float | None


# Of marrow, where `ml.dicom.content` says that fat is bright in the picture: two signs of unsuppressed fat, neither enough alone
BRIGHT_FAT = Limit(1.0, 1.0)


@dataclass(frozen=True)
class Thresholds:
    """The limit of each kind of fault, and what hips look like: `mean` and `precision` of `features.LOOK`."""

    limits: dict[str, Limit]
    mean: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]

    def unlikeness(self, look: npt.NDArray[np.float64]) -> float:
        """Mahalanobis distance of a hip's look from that of ordinary hips."""
        away = look - self.mean
        return float(np.sqrt(max(0.0, float(away @ self.precision @ away))))

    def limit_of(self, kind: str, numbers: HipNumbers) -> Limit:
        """The limit of a kind for one hip: stricter for its marrow where fat is bright in the whole picture."""
        return BRIGHT_FAT if kind == "contrast" and numbers.bright_share >= MANY else self.limits[kind]

    def of_hip(self, numbers: HipNumbers) -> dict[str, float]:
        """The numbers of a hip by the kind of fault."""
        return {
            "noise": numbers.noise,
            "contrast": numbers.marrow,
            "cut_off": numbers.cut,
            "unlike": self.unlikeness(numbers.look),
        }


def read_thresholds(path: Path = THRESHOLDS) -> Thresholds:
    """The thresholds that `python -m ml quality` wrote."""
    kept: dict[str, Any] = json.loads(path.read_text())
    limits = {kind: Limit(row["mark"], row["stop"]) for kind, row in kept["limits"].items()}
    return Thresholds(limits, np.array(kept["look"]["mean"]), np.array(kept["look"]["precision"]))


def check(
    volume: Volume, hips: Sequence[tuple[str, Point, Mask]], thresholds: Thresholds, any_sequence: bool = False
) -> tuple[Flag, ...]:
    """The faults of a picture, worst kinds first as they are listed above.

    Parameters
    ----------
    hips : side, LPS of the head's centre and outlines (uint8, slice, row, column) of each hip that was found
    any_sequence : a person asked for a sequence that is not fat-suppressed: contrast and fat are marked, they stop nothing
    """
    if not hips:
        return ()
    flags = (_flag(*found, any_sequence) for found in judge(volume, hips, thresholds))
    return tuple(flag for flag in flags if flag is not None)


def judge(
    volume: Volume, hips: Sequence[tuple[str, Point, Mask]], thresholds: Thresholds
) -> Iterator[tuple[str, str, float, Limit]]:
    """Side ("" of the whole stack), kind, number and limit of every kind of fault; `hips` as in `check`, at least one."""
    for kind, value in stack_numbers(volume, [centre for _, centre, _ in hips]).items():
        yield "", kind, value, thresholds.limits[kind]
    for side, centre, mask in hips:
        numbers = hip_numbers(volume, centre, side, mask)
        for kind, value in thresholds.of_hip(numbers).items():
            yield side, kind, value, thresholds.limit_of(kind, numbers)


def _flag(side: str, kind: str, value: float, limit: Limit, any_sequence: bool) -> Flag | None:
    may_stop = limit.stop is not None and not (any_sequence and kind in OF_CONTRAST)
    stops = may_stop and value >= (limit.stop or 0.0)
    if not stops and value < limit.mark:
        return None
    passed = limit.stop if stops and limit.stop is not None else limit.mark
    words = (STACK_KINDS | HIP_KINDS)[kind]
    where = f"{side} hip: " if side else ""
    message = f"{where}{words} ({value:.3g}; {'no score' if stops else 'marked'} from {passed:.3g})"
    return Flag(kind, side, round(value, 4), passed, stops, message)
