"""Real stacks of the DICOM corpus as Volumes, and the same turned, moved, cut and relabelled."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ml.dicom.volume import SourceSlice, Volume
from ml.quality import defects

CORPUS = Path(os.environ.get("HIPAPP_DICOM_CORPUS", Path(__file__).parents[3] / "shared" / "dicom"))
LOCALISER = "hip_mr/ProstateX-0218/t2_localizer_512"
# Centres of the femoral heads in the localiser, marked by hand (the corpus's README.md), LPS mm
LOCALISER_HEADS = {"right": np.array([-108.0, -20.0, -23.0]), "left": np.array([72.0, -13.0, -25.0])}
_CORONAL = np.array([1, 0, 0, 0, 0, -1], float)


def corpus_files(folder):
    """The DICOM files of a folder of the corpus; skips the test where the corpus is absent."""
    if not (CORPUS / folder).is_dir():
        pytest.skip(f"the DICOM corpus is not at {CORPUS} (HIPAPP_DICOM_CORPUS)")
    return sorted(path for path in (CORPUS / folder).iterdir() if path.is_file())


def _orientation(data_set):
    return np.array(data_set.ImageOrientationPatient, float)


def localiser(plane="coronal"):
    """The slices of one plane of the localiser, all laid out as a coronal Volume by `stack`."""
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    data_sets = [pydicom.dcmread(path) for path in corpus_files(LOCALISER)]
    normals = [np.abs(np.cross(_orientation(d)[:3], _orientation(d)[3:])) for d in data_sets]
    return [d for d, normal in zip(data_sets, normals, strict=True) if normal.argmax() == axis]


def stack(data_sets, *, relabel=False):
    """A Volume of data sets of one plane; with `relabel` they are called coronal whatever they are."""
    orientation = _orientation(data_sets[0])
    normal = np.cross(orientation[:3], orientation[3:])
    ordered = sorted(data_sets, key=lambda d: float(normal @ np.array(d.ImagePositionPatient, float)))
    positions = [np.array(d.ImagePositionPatient, float) for d in ordered]
    pixels = np.stack([d.pixel_array for d in ordered]).astype(np.float32)
    pitch = float(np.median(np.diff([normal @ p for p in positions])))
    row_mm, column_mm = (float(v) for v in ordered[0].PixelSpacing)
    if relabel:
        orientation, normal = _CORONAL, np.array([0, 1, 0])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([normal * pitch, orientation[3:] * row_mm, orientation[:3] * column_mm], axis=1)
    affine[:3, 3] = positions[0]
    sources = tuple(SourceSlice(str(d.SOPInstanceUID)) for d in ordered)
    return in_order(Volume(pixels, (pitch, row_mm, column_mm), affine, sources))


def in_order(volume):
    """The Volume with its axes running anterior → posterior, superior → inferior, right → left."""
    for axis, (component, sign) in enumerate(((1, 1), (2, -1), (0, 1))):
        if volume.affine[component, axis] * sign < 0:
            last = volume.pixels.shape[axis] - 1
            affine = volume.affine.copy()
            affine[:3, 3] += affine[:3, axis] * last
            affine[:3, axis] *= -1
            sources = volume.sources[::-1] if axis == 0 else volume.sources
            volume = replace(volume, pixels=np.flip(volume.pixels, axis).copy(), affine=affine, sources=sources)
    return volume


def turned(volume, heads, degrees, axis):
    """The patient turned about an LPS axis ("x", "y", "z") through the middle of the stack."""
    turn = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    middle = volume.to_lps((np.array(volume.pixels.shape) - 1) / 2)
    step, first = volume.affine[:3, :3], volume.affine[:3, 3]
    matrix = np.linalg.inv(step) @ turn.T @ step
    offset = np.linalg.inv(step) @ (turn.T @ (first - middle) + middle - first)
    pixels = ndimage.affine_transform(volume.pixels, matrix, offset, order=1)
    return replace(volume, pixels=pixels), {side: turn @ (at - middle) + middle for side, at in heads.items()}


def moved(volume, heads, rows, columns):
    """The patient moved in the picture by so many pixels."""
    pixels = ndimage.shift(volume.pixels, (0, rows, columns), order=0)
    by = volume.affine[:3, 1] * rows + volume.affine[:3, 2] * columns
    return replace(volume, pixels=pixels), {side: at + by for side, at in heads.items()}


def cut_out(volume, rows=(None, None), columns=(None, None), slices=(None, None)):
    """A part of the Volume, in its place in the patient."""
    parts = slice(*slices), slice(*rows), slice(*columns)
    affine = volume.affine.copy()
    affine[:3, 3] = volume.to_lps([part.start or 0 for part in parts])
    return replace(volume, pixels=volume.pixels[parts].copy(), affine=affine, sources=volume.sources[parts[0]])


def error_mm(hip, head_mm):
    """Distance of a found hip from where it is; infinite where it was not found."""
    return float(np.linalg.norm(np.array(hip.centre_mm) - head_mm)) if hip.found else np.inf


def metal_head(phantom, side, grow=1.3):
    """A phantom's Volume with metal in place of one head, and the true heads that are left (either generator)."""
    hip = phantom.hips[side]
    volume = defects.metal(phantom.volume, hip.centre_mm, hip.radius_mm * grow, side)
    return volume, {other: np.array(truth.centre_mm) for other, truth in phantom.hips.items() if other != side}
