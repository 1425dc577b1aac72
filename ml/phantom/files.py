"""Write a phantom as DICOM files with its truth beside them."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage

from ml.dicom.volume import SourceSlice
from ml.phantom.generate import Phantom

IMPLEMENTATION_UID = UID("2.25.210985326740211498320415508736012457361")
LEAST_TOP = 600  # a scanner scales its pictures so that whole numbers do not coarsen them


@dataclass(frozen=True)
class Identity:
    """A fictitious patient and examination as written into the files; dates as YYYYMMDD."""

    name: str
    patient_id: str
    birth_date: str
    sex: str
    study_date: str
    accession: str = ""


def default_identity(phantom: Phantom) -> Identity:
    """A made-up person of the phantom's seed, the same at every visit."""
    rng = np.random.default_rng([phantom.seed, 71])
    year, month, day = int(rng.integers(1950, 2006)), int(rng.integers(1, 13)), int(rng.integers(1, 29))
    examined = np.datetime64("2024-01-08") + int(rng.integers(0, 200)) + 90 * phantom.visit
    return Identity(
        name=f"PHANTOM^{phantom.seed:04d}",
        patient_id=f"PH{phantom.seed:06d}",
        birth_date=f"{year:04d}{month:02d}{day:02d}",
        sex="F" if phantom.female else "M",
        study_date=str(examined).replace("-", ""),
        accession=f"A{phantom.seed:06d}{phantom.visit:02d}",
    )


@dataclass(frozen=True)
class Layout:
    """How the slices lie in the files: each file's orientation and the order of instance numbers."""

    source: SourceSlice
    backwards: bool


def draw_layout(phantom: Phantom) -> Layout:
    """Mostly the usual radiological layout, at times flipped or transposed, numbered either way."""
    rng = np.random.default_rng([phantom.seed, 72, phantom.visit])
    if rng.random() < 0.7:
        source = SourceSlice("")
    else:
        source = SourceSlice("", None, *(bool(flag) for flag in rng.random(3) < 0.5))
    return Layout(source, bool(rng.random() < 0.4))


def write(phantom: Phantom, folder: Path | str, identity: Identity | None = None) -> list[Path]:
    """Write the stack as DICOM, one file a slice, and `truth.npz` and `truth.json` beside the folder `dicom`.

    Parameters
    ----------
    phantom : Phantom
    folder : created where missing; its `dicom` folder must not hold files
    identity : the fictitious patient; made up from the seed where not given

    Returns
    -------
    The DICOM files in the order of the Volume's slices.

    Raises
    ------
    FileExistsError
        When there are already files in the folder's `dicom`.
    """
    folder = Path(folder)
    images = folder / "dicom"
    if images.exists() and any(images.iterdir()):
        raise FileExistsError(f"{images} already holds files; choose an empty folder")
    images.mkdir(parents=True, exist_ok=True)
    who = identity or default_identity(phantom)
    layout = draw_layout(phantom)
    stored, slope = _stored_pixels(phantom)
    n = len(stored)
    paths, own_masks = [], []
    for k in range(n):
        number = n - k if layout.backwards else k + 1
        dataset = _dataset(phantom, who, layout, k, number, slope)
        _add_pixels(dataset, layout.source.to_source(stored[k]), phantom)
        path = images / f"IM{number:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
        own_masks.append(layout.source.to_source(phantom.masks[k]))
    uids = np.array(phantom.volume.uids)
    np.savez_compressed(folder / "truth.npz", masks=np.stack(own_masks), uids=uids, frames=np.zeros(n, np.int32))
    (folder / "truth.json").write_text(json.dumps(describe(phantom), indent=1) + "\n", encoding="utf-8")
    return paths


def describe(phantom: Phantom) -> dict[str, object]:
    """What `truth.json` holds: geometry and, per hip inside the stack, centre, radius, lesion volumes and severity."""
    hips: dict[str, object] = {}
    for side, hip in phantom.hips.items():
        fields = asdict(hip)
        fields["contrast"] = None if np.isnan(hip.contrast) else hip.contrast
        hips[side] = fields
    return {
        "synthetic": True,
        "seed": phantom.seed,
        "visit": phantom.visit,
        "scene": phantom.scene,
        "plane": phantom.plane,
        "shape": list(phantom.volume.pixels.shape),
        "spacing_mm": list(phantom.volume.spacing_mm),
        "slice_thickness_mm": phantom.thickness_mm,
        "hips": hips,
    }


def _uid(*parts: object) -> str:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
    return f"2.25.{int(digest[:30], 16)}"


def _stored_pixels(phantom: Phantom) -> tuple[npt.NDArray[np.int32], float]:
    """Whole numbers that fit the vendor's depth, and the rescale slope that brings them back.

    A stack too bright for the depth is scaled down, one so dark that rounding would show is scaled up.
    """
    header = phantom.header
    pixels = phantom.volume.pixels
    limit = min(2**header.bits_stored, 2**15) - 1
    values = pixels / np.float32(header.slope)
    top = float(values.max())
    values = values * np.float32(np.clip(top, LEAST_TOP, limit) / top)
    return np.rint(values).astype(np.int32), header.slope


def _dataset(phantom: Phantom, who: Identity, layout: Layout, index: int, number: int, slope: float) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = UID(phantom.volume.uids[index])
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if phantom.seed % 7 == 3 else ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = phantom.volume.uids[index]
    dataset.Modality = "MR"
    _add_identity(dataset, phantom, who)
    for keyword, value in phantom.header.tags.items():
        setattr(dataset, keyword, value)
    dataset.SeriesNumber = 1 + phantom.seed % 9
    dataset.InstanceNumber = number
    dataset.AcquisitionNumber = 1
    dataset.BodyPartExamined = "HIP" if phantom.scene == "hips" else "UNKNOWN"
    dataset.PatientPosition = "HFS"
    dataset.Laterality = ""
    if slope != 1:
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", f"{slope:.6f}", "normalized"
    _add_geometry(dataset, phantom, layout, index)
    return dataset


def _add_identity(dataset: Dataset, phantom: Phantom, who: Identity) -> None:
    dataset.PatientName, dataset.PatientID = who.name, who.patient_id
    dataset.PatientBirthDate, dataset.PatientSex = who.birth_date, who.sex
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = who.study_date
    dataset.StudyTime = dataset.ContentTime = "101500"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = who.accession, ""
    dataset.StudyID, dataset.StudyDescription = "1", "MRI hips (synthetic)"
    key = (phantom.seed, phantom.visit, who.patient_id)
    dataset.StudyInstanceUID = _uid("study", *key)
    dataset.SeriesInstanceUID = _uid("series", *key, phantom.plane, phantom.scene)
    dataset.FrameOfReferenceUID = _uid("frame", *key)
    dataset.PositionReferenceIndicator = ""


def _add_geometry(dataset: Dataset, phantom: Phantom, layout: Layout, index: int) -> None:
    """Orientation and position of the file's own pixel array (PS3.3 C.7.6.2)."""
    volume, source = phantom.volume, layout.source
    _, rows, columns = volume.pixels.shape
    corners = source.to_source(np.arange(rows * columns).reshape(rows, columns))
    points = [volume.to_lps([index, *divmod(int(corners[at]), columns)]) for at in ((0, 0), (0, 1), (1, 0))]
    along_row, along_column = points[1] - points[0], points[2] - points[0]
    row_mm, column_mm = (float(np.linalg.norm(step)) for step in (along_column, along_row))
    dataset.ImageOrientationPatient = [_decimal(v) for v in (*along_row / column_mm, *along_column / row_mm)]
    dataset.ImagePositionPatient = [_decimal(v) for v in points[0]]
    dataset.PixelSpacing = [_decimal(row_mm), _decimal(column_mm)]
    dataset.SliceThickness = _decimal(phantom.thickness_mm)
    dataset.SpacingBetweenSlices = _decimal(volume.spacing_mm[0])


def _decimal(value: float) -> str:
    """A DS value of at most 16 characters."""
    return f"{value:.10f}"[:16] if abs(value) < 1e4 else f"{value:.6g}"


def _add_pixels(dataset: Dataset, stored: npt.NDArray[np.int32], phantom: Phantom) -> None:
    header = phantom.header
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, header.bits_stored, header.bits_stored - 1
    dataset.PixelRepresentation = int(header.signed)
    high = float(np.percentile(stored, 99.5))
    dataset.WindowCenter, dataset.WindowWidth = _decimal(high / 2), _decimal(max(high, 1))
    dataset.PixelData = np.ascontiguousarray(stored, "<i2" if header.signed else "<u2").tobytes()
