"""NIfTI and panels of a study as a zip, named without anything of the person."""

import io
import zipfile
from collections.abc import Mapping

import numpy as np

from hipapp.imaging.export.contents import Contents, HipContent, predictions
from hipapp.imaging.results import HipResult
from ml.crops import CROP_COLUMNS, CROP_ROWS, CROP_SPACING_MM
from ml.datasets.nifti import write_nifti
from ml.dicom.volume import Volume
from ml.labels import FEMORAL_HEAD, LABELS, Mask
from ml.panels.draw import Column, contact_sheet, hip_slices, panels

ZIP_TIME = (1980, 1, 1, 0, 0, 0)
NOTICE = "Research use only. Not for diagnosis or treatment decisions.\n"


def nifti_zip(contents: Contents) -> bytes:
    """The image and a mask for each label, `image.nii.gz` and `LABEL.nii.gz`, on the image's own grid."""
    files: dict[str, bytes] = dict(write_nifti(contents.volume, contents.masks, LABELS))
    return zipped(files | {"README.txt": _readme(contents)})


def panels_zip(contents: Contents) -> bytes:
    """Image | what a person accepted or corrected | prediction: a JPG a slice, and a contact sheet a hip."""
    files: dict[str, bytes] = {}
    drawn = predictions(contents)
    for hip in contents.hips:
        files |= _hip_panels(contents, hip, drawn.get(hip.side))
    return zipped(files | {"README.txt": _readme(contents)})


def hip_sheet(contents: Contents, hip: HipContent) -> bytes:
    """The contact sheet of one hip as JPG."""
    return _hip_panels(contents, hip, predictions(contents).get(hip.side))[f"{hip.side}_sheet.jpg"]


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of files, the same for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), files[name], zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _hip_panels(contents: Contents, hip: HipContent, predicted: Mask | None) -> dict[str, bytes]:
    window = _around_head(contents.volume, hip.mask)
    pixels, mask = contents.volume.pixels[window], hip.mask[window]
    columns = [Column("image")]
    if hip.result.review == "accepted":
        columns.append(Column("corrected" if hip.is_corrected else "accepted", mask))
    if predicted is not None:
        model = " ".join(hip.model or ())
        columns.append(Column(f"prediction ({model})" if model else "prediction", predicted[window]))
    pixel_mm = (contents.volume.spacing_mm[1], contents.volume.spacing_mm[2])
    slices = hip_slices(mask, predicted[window] if predicted is not None else None)
    title = f"{hip.side} hip"
    pictures = panels(pixels, pixel_mm, columns, title, slices)
    files = {f"{hip.side}/slice_{index + 1:02d}.jpg": picture for index, picture in zip(slices, pictures, strict=True)}
    return files | {f"{hip.side}_sheet.jpg": contact_sheet(pixels, pixel_mm, columns, title, slices)}


def _around_head(volume: Volume, mask: Mask) -> tuple[slice, slice, slice]:
    """The pixels of all slices within the crop's size around the head's centre; all where no head is outlined."""
    head = np.argwhere((mask & FEMORAL_HEAD) > 0)
    if not len(head):
        return slice(None), slice(None), slice(None)
    spans = []
    for axis, n_pixels in ((1, CROP_ROWS), (2, CROP_COLUMNS)):
        half = n_pixels * CROP_SPACING_MM / volume.spacing_mm[axis] / 2
        middle = float(head[:, axis].mean())
        spans.append(slice(max(0, int(middle - half)), min(volume.pixels.shape[axis], int(middle + half) + 1)))
    return slice(None), spans[0], spans[1]


def _readme(contents: Contents) -> bytes:
    lines = [NOTICE, f"Study {contents.images[0].get('PatientID', '')}\n"]
    lines += [f"Model: {', '.join(contents.models) or 'none'}\n"]
    for hip in contents.hips:
        state = "corrected by a radiologist" if hip.is_corrected else hip.result.review
        score = "none" if hip.result.unet_score is None else f"{hip.result.unet_score:.4f}"
        lines.append(f"{hip.side} hip: UNet-score {score}{_interval(hip.result)}, {state}\n")
    return "".join(lines).encode()


def _interval(result: HipResult) -> str:
    if result.interval_level is None:
        return ""
    return f" ({100 * result.interval_level:.0f} % interval {result.interval_low:.4f} to {result.interval_high:.4f})"
