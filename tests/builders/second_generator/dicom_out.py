"""`write_dicom`: a study as classic MR Image Storage files with a vendor's tags, in shuffled order, and its truth."""

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from tests.builders.second_generator.study import Study2

_VENDORS = {
    "SIEMENS": ("Avanto", {"stir": "t2_tirm_cor", "fs": "t2_tse_fs_cor"}, ["ORIGINAL", "PRIMARY", "M", "ND"]),
    "GE MEDICAL SYSTEMS": ("Signa HDxt", {"stir": "COR STIR", "fs": "COR T2 FATSAT"}, ["ORIGINAL", "PRIMARY", "OTHER"]),
    "Philips": ("Ingenia", {"stir": "STIR_long_TE COR", "fs": "T2W_SPAIR COR"}, ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"]),
    "TOSHIBA": ("Titan", {"stir": "FSE_STIR CORONAL", "fs": "FSE2D_T2_FatSAT COR"}, ["ORIGINAL", "PRIMARY"]),
}


def write_dicom(study: Study2, folder: Path) -> list[Path]:
    """Write a study's slices, and `truth.npz` (masks, uids, frames) in the order of the Volume.

    Returns
    -------
    paths in slice order; the names themselves are shuffled
    """
    folder.mkdir(parents=True, exist_ok=True)
    n_slices = len(study.volume.pixels)
    rng = np.random.default_rng([*study.name.encode(), 9])
    names = rng.permutation(n_slices)
    backwards = bool(rng.random() < 0.5)
    paths = []
    for index in range(n_slices):
        dataset = _dataset(study, index, n_slices - index if backwards else index + 1)
        paths.append(folder / f"IM{names[index]:05d}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    uids = np.array(study.volume.uids)
    np.savez_compressed(folder / "truth.npz", masks=study.masks, uids=uids, frames=np.zeros(n_slices, np.int32))
    return paths


def _dataset(study: Study2, index: int, number: int) -> FileDataset:
    uid = study.volume.uids[index]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, uid
    first = study.volume.uids[0]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = f"{first}.1", f"{first}.2", f"{first}.3"
    dataset.Modality = "MR"
    dataset.PatientID, dataset.PatientName = f"TWO-{study.name}", f"Second^{study.name}"
    dataset.PatientBirthDate, dataset.PatientSex = "19900101", "O"
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "20200102", "101500", ""
    dataset.StudyID, dataset.ReferringPhysicianName = "1", ""
    dataset.SeriesNumber, dataset.InstanceNumber = 4, number
    dataset.BodyPartExamined, dataset.PatientPosition = "HIP", "HFS"
    _add_protocol(dataset, study)
    _add_place(dataset, study, index)
    _add_pixels(dataset, study, index)
    return dataset


def _add_protocol(dataset: FileDataset, study: Study2) -> None:
    protocol, sequence = study.protocol, study.protocol.sequence
    model, names, image_type = _VENDORS[protocol.vendor]
    stir = sequence.ti_ms is not None
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.ImageType = protocol.vendor, model, image_type
    dataset.SeriesDescription = names["stir" if stir else "fs"]
    dataset.ProtocolName = dataset.SeriesDescription
    dataset.ScanningSequence = ["SE", "IR"] if stir else "SE"
    dataset.SequenceVariant = ["SK", "SP", "OSP"] if protocol.vendor == "SIEMENS" else "SK"
    dataset.ScanOptions = "" if stir else "FS"
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime, dataset.EchoTime = round(sequence.tr_ms, 1), round(sequence.te_ms, 1)
    if sequence.ti_ms is not None:
        dataset.InversionTime = round(sequence.ti_ms, 1)
    dataset.MagneticFieldStrength = sequence.field_t
    dataset.EchoTrainLength, dataset.FlipAngle = 11, 150
    dataset.SliceThickness, dataset.SpacingBetweenSlices = protocol.thickness_mm, protocol.spacing_mm[0]
    dataset.InPlanePhaseEncodingDirection = "COL" if protocol.phase_rows else "ROW"


def _add_place(dataset: FileDataset, study: Study2, index: int) -> None:
    axes = study.protocol.axes
    dataset.ImageOrientationPatient = [f"{v:.10f}" for v in (*axes[:, 2], *axes[:, 1])]
    dataset.ImagePositionPatient = [f"{v:.8f}" for v in study.volume.to_lps((index, 0, 0))]
    dataset.PixelSpacing = [f"{v:.6f}" for v in study.volume.spacing_mm[1:]]


def _add_pixels(dataset: FileDataset, study: Study2, index: int) -> None:
    stored = np.round(study.volume.pixels[index] / study.protocol.slope).astype("<u2")
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    if study.protocol.vendor == "Philips":
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = study.protocol.slope, 0, "US"
    dataset.WindowCenter, dataset.WindowWidth = int(stored.mean() * 2), max(1, int(stored.max() * 0.8))
    dataset.PixelData = stored.tobytes()
