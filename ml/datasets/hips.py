"""From an annotated image to its hips: which side, where the head is, which labels count, what was mended or left out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ml.crops import SIDES, Point
from ml.datasets.annotated import Annotated, Plane, Remark
from ml.datasets.places import Heads, off_canvas, on_other_hip, why_no_head
from ml.dicom.volume import Volume
from ml.labels import BITS, LABELS, Mask, enforce_rules, join_planes
from ml.tidy import MIN_LESION_ML, without_specks

SAME_HEAD_MM = 80.0  # heads of two hips lie about 180 mm apart
MIN_HEAD_ML = 1.0  # smaller pieces are crumbs of the outline
NEAR_HEAD_MM = 40.0  # the finder speaks of the same head
ASIDE_MM = 4.0  # so far towards the middle the head has to lie to tell the side

Finder = Callable[[Volume], Heads]


@dataclass(frozen=True)
class Hip:
    """One hip that can be cut out: its side, its head's centre in LPS mm, the labels that were annotated, the masks."""

    side: str
    centre_mm: Point
    labels: tuple[str, ...]
    masks: Mask


def hips_of(image: Annotated, find: Finder) -> tuple[list[Hip], list[Remark]]:
    """The hips of an annotated image.

    Parameters
    ----------
    find : gives the heads of a volume where no outline of a head says where they are

    Returns
    -------
    hips, remarks : what can be used, and what was left out, mended or is to be looked at
    """
    remarks = list(image.remarks)
    image, emptied = _without_empty_anatomy(image)
    remarks += emptied
    heads, sides, problems = _heads(image, find)
    remarks += [Remark("left out", image.name, why) for why in problems]
    astray = on_other_hip(image, heads)
    remarks += astray
    if any(remark.kind == "left out" for remark in astray):
        sides = []
    masks, mended = _ruled(image)
    remarks += [Remark("mended", image.name, why) for why in mended]
    lost, off = off_canvas(image, heads, sides)
    remarks += off
    hips = []
    for side in sides:
        labels = tuple(label for label in image.labels_of(side) if (side, label) not in lost)
        if why := _why_not(image, heads, side, labels):
            remarks.append(Remark("left out", f"{image.name}, {side} hip", why))
            continue
        bits = sum(BITS[label] for label in labels)
        hips.append(Hip(side, heads[side], labels, masks & np.uint8(bits)))
        empty = [label for label in labels if not image.mask_of(label, side, "").any()]
        if empty:
            why = f"has an empty mask of {', '.join(empty)}: taken as looked for and not there"
            remarks.append(Remark("marked", f"{image.name}, {side} hip", why))
    return hips, remarks


def centre_of(mask: Plane, volume: Volume) -> Point:
    """Centroid of a mask in LPS mm."""
    x, y, z = (float(v) for v in volume.to_lps(np.argwhere(mask).mean(axis=0)))
    return x, y, z


def _without_empty_anatomy(image: Annotated) -> tuple[Annotated, list[Remark]]:
    """A hip has a femur and a head, so an empty outline of one is a missing one."""
    remarks, masks = [], {}
    for side, of_side in image.masks.items():
        empty = [label for label in ("femur", "femoral_head") if label in of_side and not of_side[label].any()]
        masks[side] = {label: mask for label, mask in of_side.items() if label not in empty}
        remarks += [
            Remark("left out", f"{image.name}, {' '.join(filter(None, (side, label)))} mask", "is empty") for label in empty
        ]
    values = {**image.__dict__, "masks": {side: of_side for side, of_side in masks.items() if of_side}}
    values.pop("pixel_hash", None)
    return Annotated(**values), remarks


def _why_not(image: Annotated, heads: Heads, side: str, labels: tuple[str, ...]) -> str:
    """Why a hip with these labels can't be taken; empty where it can."""
    if not labels:
        return "has no outline left that can be used"
    why = why_no_head(image, heads, side, "femur" in labels) if "femoral_head" in labels else ""
    return f"has a head that is not plausible: {why}" if why else ""


def _heads(image: Annotated, find: Finder) -> tuple[Heads, list[str], list[str]]:
    """Centres of the heads that are known, the sides of the annotated hips among them, and why a hip is not."""
    if not image.masks:
        return {}, [], ["has no outline that can be used"]
    outlined = {side: mask for side in ("", *SIDES) if (mask := image.masks.get(side, {}).get("femoral_head")) is not None}
    named = {side: centre_of(mask, image.volume) for side, mask in outlined.items() if side}
    if wrong := _swapped(image, named, find):
        return {}, [], wrong
    heads, problems = _unstated_heads(image, outlined[""], find) if "" in outlined else ({}, [])
    heads |= named
    stated = [side for side in SIDES if side in image.masks]
    wanted = stated if outlined or stated else list(SIDES)
    missing = [side for side in wanted if side not in heads]
    found = find(image.volume) if missing else {}
    known = {side: centre for side, centre in found.items() if _is_apart(centre, heads)} | heads
    problems += [
        f"has a {side} hip without an outline of its head, and the hip finder does not see it"
        for side in missing
        if side not in known
    ]
    return known, [side for side in SIDES if side in known and (side in heads or side in wanted)], problems


def _unstated_heads(image: Annotated, mask: Plane, find: Finder) -> tuple[Heads, list[str]]:
    """Heads of masks that do not name a side: two of them tell it by their place, one by its femur or the finder."""
    centres = _pieces(mask, image.volume)
    if not centres:
        return {}, ["has an outline of a head smaller than 1 mL"]
    if len(centres) > 2:
        return {}, [f"has {len(centres)} separate outlines of a head, a person has two"]
    if len(centres) == 2:
        right, left = sorted(centres)  # LPS: x grows to the patient's left
        return {"right": right, "left": left}, []
    side = _side_by_femur(image, centres[0], "") or _side_by_finder(image, centres[0], find)
    if not side:
        return {}, ["has one head outlined, and nothing tells its side: name it in the table (column side)"]
    return {side: centres[0]}, []


def _swapped(image: Annotated, named: Heads, find: Finder) -> list[str]:
    """Why the sides that are stated can't be right."""
    if len(named) == 2:
        if not _is_apart(named["right"], {"left": named["left"]}):
            return ["has the outlines of both heads on one hip; outline each on its own"]
        if named["right"][0] < named["left"][0]:
            return []
        return ["has its sides swapped: the head called right lies on the patient's left of the other one"]
    for side, centre in named.items():
        seen = _side_by_femur(image, centre, side) or _side_by_finder(image, centre, find)
        if seen and seen != side:
            return [f"has its sides swapped: the hip called {side} is a {seen} one"]
    return []


def _side_by_femur(image: Annotated, head_mm: Point, side: str) -> str:
    """The side that a head lying towards the middle of its femur tells; "" where no femur is outlined."""
    shaft = image.mask_of("femur", side, "") & ~image.mask_of("femoral_head", side, "")
    if not shaft.any():
        return ""
    towards_left = head_mm[0] - centre_of(shaft, image.volume)[0]
    return "" if abs(towards_left) < ASIDE_MM else "right" if towards_left > 0 else "left"


def _side_by_finder(image: Annotated, head_mm: Point, find: Finder) -> str:
    away = {side: float(np.linalg.norm(np.subtract(centre, head_mm))) for side, centre in find(image.volume).items()}
    near = min(away, key=lambda side: away[side], default="")
    return near if near and away[near] < NEAR_HEAD_MM else ""


def _is_apart(centre: Point, heads: Heads) -> bool:
    """Whether a head is none of the others."""
    return all(float(np.linalg.norm(np.subtract(centre, one))) >= SAME_HEAD_MM for one in heads.values())


def _pieces(mask: Plane, volume: Volume) -> list[Point]:
    """Centres of the separate outlines of a head; pieces of one head are taken together, crumbs left out."""
    parts, n_parts = ndimage.label(mask, np.ones((3, 3, 3)))
    voxel_ml = float(np.prod(volume.spacing_mm)) / 1000
    sizes = np.bincount(parts.ravel(), minlength=n_parts + 1)[1:] * voxel_ml
    heads: list[tuple[float, npt.NDArray[np.float64]]] = []
    for part in np.argsort(sizes)[::-1]:
        if sizes[part] < MIN_HEAD_ML:
            break
        centre = np.array(centre_of(parts == part + 1, volume))
        for at, (size, other) in enumerate(heads):
            if np.linalg.norm(centre - other) < SAME_HEAD_MM:
                together = size + float(sizes[part])
                heads[at] = (together, (size * other + float(sizes[part]) * centre) / together)
                break
        else:
            heads.append((float(sizes[part]), centre))
    return [(float(c[0]), float(c[1]), float(c[2])) for _, c in heads]


def _ruled(image: Annotated) -> tuple[Mask, list[str]]:
    """All masks as bit planes with the rules between labels made true, and what was mended."""
    sides = ("", *SIDES)
    planes = np.stack([image.mask_of(label, *sides) for label in LABELS])
    annotated = {label for side in sides for label in image.masks.get(side, {})}
    voxel_ml = float(np.prod(image.volume.spacing_mm)) / 1000
    mended = []
    outside = planes[1] & ~planes[0]
    if {"femur", "femoral_head"} <= annotated and outside.any():
        mended.append(f"had {outside.sum() * voxel_ml:.2f} mL of the femoral head outside the femur: added to the femur")
    both = planes[2] & planes[3]
    if both.any():
        where = "BME kept in the bone, synovitis outside"
        mended.append(f"had {both.sum() * voxel_ml:.2f} mL called both BME and synovitis: {where}")
    ruled = enforce_rules(join_planes(planes))
    kept = without_specks(ruled, voxel_ml)
    if n_specks := int((ruled != kept).sum()):
        mended.append(f"had {n_specks * voxel_ml:.3f} mL of lesions in specks below {MIN_LESION_ML:g} mL each: taken out")
    return kept, mended
