"""A drawn pelvis with two annotated hips, as the files that people have: DICOM with SEG, NIfTI with masks in any layout."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
from pydicom import Dataset

from ml.dicom import read_datasets
from ml.dicom.assemble import build_volume
from ml.dicom.seg_write import Outline, to_bytes, write_seg
from ml.dicom.volume import Volume
from ml.labels import BITS
from tests.builders import dicom as builder
from tests.ml.toys import ball, make_volume

SHAPE, SPACING = (14, 90, 170), (4.4, 2.2, 2.2)
RIGHT, LEFT = slice(0, 85), slice(85, 170)  # columns
CENTRES = {"right": (-90.0, 5.0, 3.0), "left": (88.0, 6.0, -2.0)}


@dataclass(frozen=True)
class Pelvis:
    """A coronal volume with whole-number intensities and the masks of both hips, bool, by side and label."""

    volume: Volume
    masks: dict[str, dict[str, np.ndarray]]

    def plane(self, label: str, *sides: str) -> np.ndarray:
        return np.logical_or.reduce([self.masks[side][label] for side in sides or ("right", "left")])

    def bits(self) -> np.ndarray:
        return sum(self.plane(label).astype(np.uint8) * bit for label, bit in BITS.items())


@cache
def pelvis(seed: int = 0) -> Pelvis:
    """Heads of 24 mm, each with a shaft at its outer side, BME inside the head and synovitis above it.

    With each seed they lie a little farther to the left and up: no two patients have the same outlines.
    """
    rng = np.random.default_rng(seed)
    volume = make_volume(np.zeros(SHAPE), SPACING, (-187.0, -26.0, 99.0))
    masks = {}
    pixels = rng.integers(50, 400, SHAPE)
    for side, place in CENTRES.items():
        centre = np.add(place, (1.1 * seed, 0, 0.9 * seed))
        outwards = -1 if side == "right" else 1
        head = ball(volume, centre, 24)
        shaft = ball(volume, np.add(centre, (outwards * 34, 0, -24)), 22)
        bme = ball(volume, np.add(centre, (0, 0, 12)), 7)
        synovitis = ball(volume, np.add(centre, (0, 0, 30)), 8) & ~head
        masks[side] = {"femur": head | shaft, "femoral_head": head, "bme": bme, "synovitis": synovitis}
        pixels[bme | synovitis] += 900
    return Pelvis(replace(volume, pixels=pixels.astype(np.float32)), masks)


def cropped(made: Pelvis, columns: slice) -> Pelvis:
    """Part of a pelvis, for a field of view of one hip."""
    affine = made.volume.affine.copy()
    affine[:3, 3] = made.volume.to_lps((0, 0, columns.start or 0))
    volume = replace(made.volume, pixels=made.volume.pixels[:, :, columns], affine=affine)
    return Pelvis(volume, {side: {k: m[:, :, columns] for k, m in own.items()} for side, own in made.masks.items()})


def save(path: Path, volume: Volume, values: np.ndarray, order=(2, 1, 0), flips=(False, False, False)) -> Path:
    """An array of a volume as NIfTI, its axes in any order and direction, the affine saying so."""
    affine = np.diag([-1.0, -1, 1, 1]) @ volume.affine
    array = np.asarray(values).transpose(order)
    moved = affine.copy()
    moved[:3, :3] = affine[:3, list(order)]
    for axis, flip in enumerate(flips):
        if flip:
            moved[:3, 3] += moved[:3, axis] * (array.shape[axis] - 1)
            moved[:3, axis] *= -1
            array = np.flip(array, axis)
    image = nib.Nifti1Image(np.ascontiguousarray(array.astype(np.float32 if array.dtype.kind == "f" else np.uint8)), moved)
    image.set_sform(moved, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def write_nifti(folder: Path, name: str = "P1_V1", made: Pelvis | None = None, labels=tuple(BITS), **layout) -> Path:
    """An image and its masks by the naming scheme, both hips in one mask."""
    made = made or pelvis()
    save(folder / f"{name}.nii.gz", made.volume, made.volume.pixels, **layout)
    for label in labels:
        save(folder / f"{name}_{label}.nii.gz", made.volume, made.plane(label), **layout)
    return folder


def images_of(made: Pelvis, study: str = "1.2.3", layout=(False, False, False), **tags) -> list[Dataset]:
    """The slices of a pelvis as MR objects."""
    transpose, flip_rows, flip_columns = layout
    stack = builder.Stack(made.volume.pixels.astype(np.uint16), made.volume.spacing_mm, tuple(made.volume.affine[:3, 3]))
    values = {"PatientIdentityRemoved": "YES", "PatientID": "S1", "FrameOfReferenceUID": f"{study}.9", **tags}
    return builder.classic(
        stack,
        transpose=transpose,
        flip_rows=flip_rows,
        flip_columns=flip_columns,
        study_uid=study,
        series_uid=f"{study}.1",
        **values,
    )


def volume_of(images: list[Dataset]) -> Volume:
    return build_volume(read_datasets(builder.named(images)).series[0])[0]


def seg_of(images: list[Dataset], made: Pelvis, sides=("right", "left"), labels=tuple(BITS), called=None, uid="2.25.77"):
    """A segmentation object over the images; `called` gives sides other names."""
    outlines = [
        Outline(label, (called or {}).get(side, side), made.masks[side][label], f"{uid}{k}{n}", "MANUAL")
        for k, side in enumerate(sides, start=1)
        for n, label in enumerate(labels)
    ]
    return write_seg(
        images,
        volume_of(images),
        outlines,
        uid=uid,
        series_uid=f"{uid}1",
        series_number=100,
        creator="reader",
        description="test",
        product="hipapp",
        version="1",
    )


def write_dicom(folder: Path, images: list[Dataset], *segs: Dataset) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, dataset in enumerate(images):
        (folder / f"IM{index:03d}.dcm").write_bytes(builder.to_bytes(dataset))
    for index, dataset in enumerate(segs):
        (folder / f"SEG{index}.dcm").write_bytes(to_bytes(dataset))
    return folder
