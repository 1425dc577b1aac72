"""Where outlines lie: on the hip they name, on its canvas or beside it; and whether an outlined head can be one."""

from collections.abc import Iterator, Sequence

import numpy as np

from ml.crops import Point
from ml.datasets.annotated import Annotated, Plane, Remark
from ml.datasets.cut import on_canvas
from ml.dicom.volume import Volume
from ml.labels import LABELS, join_planes
from ml.tidy import implausible_head, largest

HEADS_APART_MM = 180.0  # so far to the side the other head is expected where nothing shows it
MOST, NOTABLE = 0.5, 0.1  # shares of an outline that lie elsewhere: it is not taken; it is to be looked at
MAX_FILL = 0.95  # of the bounding box of a head's largest section; a disc fills 0.79
LESIONS = ("bme", "synovitis")

Heads = dict[str, Point]  # by side, LPS mm; a side that was not found is missing


def other(side: str) -> str:
    """The other side."""
    return "left" if side == "right" else "right"


def half_of(volume: Volume, heads: Heads, side: str) -> Plane:
    """The voxels that lie nearer to the head of a side than to the other one, bool (slice, row, column)."""
    to_left = HEADS_APART_MM if side == "right" else -HEADS_APART_MM
    one = np.array(heads[side])
    far = np.array(heads.get(other(side), np.add(one, (to_left, 0, 0))))
    start = (volume.affine[:3, 3] - (one + far) / 2) @ (far - one)
    per_slice, per_row, per_column = volume.affine[:3, :3].T @ (far - one)
    s, r, c = np.ogrid[: volume.pixels.shape[0], : volume.pixels.shape[1], : volume.pixels.shape[2]]
    return np.asarray(per_slice * s + per_row * r + per_column * c <= -start)


def on_other_hip(image: Annotated, heads: Heads) -> list[Remark]:
    """Outlines that name a side and lie nearer to the other side's head: "left out" where most of one does, else "marked"."""
    remarks = []
    for side in heads:
        half = half_of(image.volume, heads, side)
        for label, mask in image.masks.get(side, {}).items():
            if label == "femoral_head" or not mask.any():
                continue
            share = float((mask & ~half).sum() / mask.sum())
            if share > MOST:
                why = f"the {label} called {side} lies on the {other(side)} hip; rename the masks, or outline it where it is"
                remarks.append(Remark("left out", image.name, f"has its sides swapped: {why}"))
            elif share >= NOTABLE:
                remarks.append(
                    Remark("marked", image.name, f"has {share:.0%} of the {label} called {side} on the {other(side)} hip")
                )
    return remarks


def off_canvas(image: Annotated, heads: Heads, sides: Sequence[str]) -> tuple[set[tuple[str, str]], list[Remark]]:
    """Outlines that do not come to lie on the canvases of the hips that are cut out.

    Returns
    -------
    lost, remarks : (side, label)s that can't be taken as annotated, and what is to be said

    Notes
    -----
    A femur goes on below the canvas, and a head has its own check: of them only what is not there at all counts. A lesion mask
    without a side that mostly misses one hip is trusted on neither.
    """
    lost: set[tuple[str, str]] = set()
    remarks = []
    for side, label, drawn_ml, kept_ml in _volumes_ml(image, heads, sides):
        what, cut_off = f"{image.name}, {side} hip", drawn_ml - kept_ml
        if label not in LESIONS:
            if kept_ml == 0:
                lost.add((side, label))
                remarks.append(Remark("left out", what, f"has no {label} on its canvas: it counts as not outlined"))
        elif cut_off > MOST * drawn_ml:
            untold = sides if label in image.masks.get("", {}) else [side]
            lost |= {(one, label) for one in untold}
            why = f"has {cut_off:.2f} of {drawn_ml:.2f} mL of {label} outside its canvas: {label} counts as not outlined"
            of_which = f"of the {' and '.join(untold)} hip; check that the mask belongs to this image"
            remarks.append(Remark("left out", what, f"{why} {of_which}"))
        elif cut_off >= NOTABLE * drawn_ml > 0:
            remarks.append(
                Remark("marked", what, f"has {cut_off:.2f} of {drawn_ml:.2f} mL of {label} outside its canvas: cut off")
            )
    return lost, remarks + _of_unused_hip(image, heads, sides)


def why_no_head(image: Annotated, heads: Heads, side: str, has_femur: bool) -> str:
    """Why the outlined head of a side can't be one, in words; empty where it can.

    Parameters
    ----------
    has_femur : the femur is outlined too; else it is not held against it
    """
    head = largest(image.mask_of("femoral_head", side, "") & half_of(image.volume, heads, side))
    femur = image.mask_of("femur", side, "") if has_femur else np.ones_like(head)
    none = np.zeros_like(head)
    if why := implausible_head(join_planes(np.stack([femur, head, none, none])), image.volume):
        return why
    rows, columns = np.nonzero(head[int(head.sum(axis=(1, 2)).argmax())])
    if len(rows) > MAX_FILL * (np.ptp(rows) + 1) * (np.ptp(columns) + 1):
        return "the outline is no femoral head: its largest section is a rectangle"
    last_row, last_column = head.shape[1] - 1, head.shape[2] - 1
    if rows.min() == 0 or rows.max() == last_row or columns.min() == 0 or columns.max() == last_column:
        return "the outline of the femoral head reaches the edge of the picture"
    return ""


def _volumes_ml(image: Annotated, heads: Heads, sides: Sequence[str]) -> Iterator[tuple[str, str, float, float]]:
    """Side, label, mL drawn on that side of the image, mL of them on the hip's canvas."""
    voxel_ml = float(np.prod(image.volume.spacing_mm)) / 1000
    for side in sides:
        half, canvas = half_of(image.volume, heads, side), on_canvas(image.volume, heads[side])
        for label in image.labels_of(side):
            drawn = image.mask_of(label, side, "") & half
            yield side, label, float(drawn.sum() * voxel_ml), float((drawn & canvas).sum() * voxel_ml)


def _of_unused_hip(image: Annotated, heads: Heads, sides: Sequence[str]) -> list[Remark]:
    """Lesions without a side that lie where the hip is that is not cut out."""
    if len(sides) != 1:
        return []
    half = half_of(image.volume, heads, sides[0])
    shares = {label: (mask & ~half).sum() / max(1, mask.sum()) for label, mask in image.masks.get("", {}).items()}
    return [
        Remark("marked", image.name, f"has {shares[label]:.0%} of the {label} on the {other(sides[0])} hip, which is not used")
        for label in LABELS
        if label in LESIONS and shares.get(label, 0) >= NOTABLE
    ]
