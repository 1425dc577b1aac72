"""`Series`: the frames that make one stack, sorted out of a Series Instance UID that may hold several."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ml.dicom.header import Frame

# Slices whose axes differ by less than this belong to one stack: less than the step of a radial acquisition,
# more than what tilted slices of a broken series differ by (those are then refused as inconsistent).
SAME_STACK_DEG = 5.0
PLANE_TOLERANCE_DEG = 25.0  # design.md §4
SAME_POSITION_MM = 0.1

# Canonical LPS directions of (slice, row, column) in a Volume, a plane each.
DIRECTIONS = {
    "coronal": ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
    "axial": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "sagittal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}


@dataclass(frozen=True)
class Series:
    """One stack: frames of one series with the same orientation, size, echo and image type, in space order.

    Attributes
    ----------
    uid : str
        Series Instance UID as in the files.
    part : int
        0, 1, … where one Series Instance UID holds several stacks.
    frames : tuple of Frame
        In the order of the Volume, one at each position.
    warnings : tuple of str
        What was dropped while stacking.
    """

    uid: str
    part: int
    frames: tuple[Frame, ...]
    warnings: tuple[str, ...] = ()

    @property
    def n_slices(self) -> int:
        return len(self.frames)

    @property
    def description(self) -> str:
        """Series Description, else Protocol Name, as in the file."""
        words = self.frames[0].words
        return " ".join(words.get("SeriesDescription") or words.get("ProtocolName") or ("",))

    @cached_property
    def plane(self) -> str:
        """`coronal`, `axial`, `sagittal` (normal within 25° of that axis) or `oblique`."""
        name, angle_deg = nearest_plane(self.frames[0].normal)
        return name if angle_deg <= PLANE_TOLERANCE_DEG else "oblique"

    @cached_property
    def tilt_deg(self) -> float:
        """Angle between the stack's normal and the nearest body axis, in degrees."""
        return nearest_plane(self.frames[0].normal)[1]

    @cached_property
    def gaps_mm(self) -> np.ndarray:
        """Distances between neighbouring slices along the normal, float64 (n_slices - 1)."""
        return np.diff(along_normal(self.frames))

    @property
    def slice_spacing_mm(self) -> float:
        """Centre to centre; of a single slice its thickness."""
        if len(self.frames) > 1:
            return float(np.median(self.gaps_mm))
        numbers = self.frames[0].numbers
        return numbers.get("SpacingBetweenSlices") or numbers.get("SliceThickness") or 1.0

    @property
    def width_mm(self) -> float:
        """Extent from the patient's right to left (of sagittal stacks: across the slices)."""
        frame = self.frames[0]
        across = abs(frame.row_direction[0]) * frame.pixel_spacing_mm[1] * frame.columns
        down = abs(frame.column_direction[0]) * frame.pixel_spacing_mm[0] * frame.rows
        return float(across + down + abs(frame.normal[0]) * self.slice_spacing_mm * self.n_slices)


def nearest_plane(normal: np.ndarray) -> tuple[str, float]:
    """The plane whose axis is nearest to a normal, and the angle between them in degrees."""
    axes = {"sagittal": 0, "coronal": 1, "axial": 2}
    name = max(axes, key=lambda n: abs(normal[axes[n]]))
    return name, float(np.degrees(np.arccos(min(1.0, abs(float(normal[axes[name]]))))))


def along_normal(frames: Iterable[Frame]) -> np.ndarray:
    """Positions in mm along the first frame's normal, growing in the slice order of a Volume."""
    frames = list(frames)
    plane, _ = nearest_plane(frames[0].normal)
    normal = frames[0].normal
    if float(normal @ np.array(DIRECTIONS[plane][0])) < 0:
        normal = -normal
    return np.array([float(normal @ np.array(frame.position_mm)) for frame in frames])


def stack(frames: Iterable[Frame]) -> list[Series]:
    """Frames in any order → stacks, each sorted in space; the same for every order of the input."""
    ordered = sorted(frames, key=_stable_order)
    by_key: dict[tuple[object, ...], list[Frame]] = defaultdict(list)
    for frame in ordered:
        by_key[_key(frame)].append(frame)
    stacks = [part for group in by_key.values() for part in _by_orientation(group)]
    result: list[Series] = []
    n_parts: dict[str, int] = defaultdict(int)
    for group, warnings in (split for part in stacks for split in _one_per_position(part)):
        uid = group[0].series_uid
        result.append(Series(uid, n_parts[uid], tuple(group), tuple(warnings)))
        n_parts[uid] += 1
    return result


def _stable_order(frame: Frame) -> tuple[object, ...]:
    numbers = frame.numbers
    return (
        frame.study_uid,
        numbers.get("SeriesNumber", 0.0),
        frame.series_uid,
        numbers.get("InstanceNumber", 0.0),
        frame.uid,
        frame.number or 0,
        frame.name,
    )


def _key(frame: Frame) -> tuple[object, ...]:
    echo_ms = frame.numbers.get("EffectiveEchoTime", frame.numbers.get("EchoTime"))
    kind = frame.words.get("FrameType") or frame.words.get("ImageType") or ()
    return (
        frame.study_uid,
        frame.series_uid,
        (frame.rows, frame.columns),  # masks lie on each file's own array, so one Volume has one size
        tuple(round(s, 3) for s in sorted(frame.pixel_spacing_mm)),
        frame.numbers.get("EchoNumbers"),
        None if echo_ms is None else round(echo_ms, 1),
        frame.words.get("ComplexImageComponent"),
        kind[:1],  # original or derived
        kind[2:],
    )


def _by_orientation(frames: list[Frame]) -> list[list[Frame]]:
    limit = np.cos(np.radians(SAME_STACK_DEG))
    groups: list[list[Frame]] = []
    for frame in frames:
        for group in groups:
            if abs(float(frame.normal @ group[0].normal)) >= limit and _same_axes(frame, group[0]):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return groups


def _same_axes(one: Frame, other: Frame) -> bool:
    """Whether the sides of two images are parallel, whichever of them is the row and whatever their sign."""
    limit = np.cos(np.radians(SAME_STACK_DEG))
    row = np.array(one.row_direction)
    straight = abs(float(row @ np.array(other.row_direction))) >= limit
    turned = abs(float(row @ np.array(other.column_direction))) >= limit
    if turned:
        return (one.rows, one.columns) == (other.columns, other.rows)
    return straight and (one.rows, one.columns) == (other.rows, other.columns)


def _one_per_position(frames: list[Frame]) -> list[tuple[list[Frame], list[str]]]:
    """Frames of one orientation as stacks with one slice a position: repeats split off where a tag tells them apart."""
    unique = list({(frame.uid, frame.number): frame for frame in reversed(frames)}.values())
    warnings = []
    if len(unique) < len(frames):
        warnings.append(f"{len(frames) - len(unique)} file(s) came twice (same SOP Instance UID); each was taken once")
    ordered = _in_space(unique)
    n_repeats = max(len(place) for place in _places(ordered))
    if n_repeats == 1:
        return [(ordered, warnings)]
    for label in (*_REPEAT_LABELS, _all_labels):
        parts: dict[object, list[Frame]] = defaultdict(list)
        for frame in ordered:
            parts[label(frame)].append(frame)
        if len(parts) >= n_repeats and all(len(p) == 1 for part in parts.values() for p in _places(part)):
            return [(part, warnings) for _, part in sorted(parts.items(), key=lambda item: str(item[0]))]
    places = _places(ordered)
    n_dropped = len(ordered) - len(places)
    warnings.append(f"{n_dropped} slice(s) lie where another one lies; the first by instance number was taken")
    return [([min(place, key=_stable_order) for place in places], warnings)]


def _in_space(frames: list[Frame]) -> list[Frame]:
    positions = along_normal(frames)
    return [frames[i] for i in sorted(range(len(frames)), key=lambda i: (positions[i], _stable_order(frames[i])))]


def _places(ordered: list[Frame]) -> list[list[Frame]]:
    """Frames in space order, those at one position together."""
    positions = along_normal(ordered)
    places = [[ordered[0]]]
    for i in range(1, len(ordered)):
        if positions[i] - positions[i - 1] < SAME_POSITION_MM:
            places[-1].append(ordered[i])
        else:
            places.append([ordered[i]])
    return places


def _in_plane_origin(frame: Frame) -> tuple[int, int]:
    """Where the image's centre lies in its own plane, to 5 mm: tells stacks apart that lie side by side (multi-stack)."""
    centre = image_centre_mm(frame)
    plane, _ = nearest_plane(frame.normal)
    return tuple(round(float(centre @ np.array(axis)) / 5) for axis in DIRECTIONS[plane][1:])  # type: ignore[return-value]


def image_centre_mm(frame: Frame) -> np.ndarray:
    """LPS position of the middle of an image, the same however its rows and columns run."""
    down = (frame.rows - 1) / 2 * frame.pixel_spacing_mm[0] * np.array(frame.column_direction)
    across = (frame.columns - 1) / 2 * frame.pixel_spacing_mm[1] * np.array(frame.row_direction)
    return np.asarray(np.array(frame.position_mm) + down + across)


def _number_label(keyword: str) -> Callable[[Frame], object]:
    return lambda frame: frame.numbers.get(keyword)


def _all_labels(frame: Frame) -> object:
    """Everything that tells repeats apart: time points of several b-values each, and the like."""
    return tuple(label(frame) for label in _REPEAT_LABELS)


_REPEAT_LABELS: tuple[Callable[[Frame], object], ...] = (
    _in_plane_origin,
    *(
        _number_label(k)
        for k in (
            "TemporalPositionIdentifier",
            "TemporalPositionIndex",
            "DiffusionBValue",
            "InversionTime",
            "TriggerTime",
            "AcquisitionNumber",
        )
    ),
)
