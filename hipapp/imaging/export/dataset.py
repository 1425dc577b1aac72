"""Accepted and corrected outlines of the database as a folder of DICOM images with DICOM SEG, for `python -m ml prepare`."""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db.models import QuerySet
from pydicom import Dataset

from hipapp.clinic.models import Visit
from hipapp.core.crypto import keyed_digest
from hipapp.core.errors import DomainError
from hipapp.imaging.export.contents import Contents, NothingToExportError, contents_of
from hipapp.imaging.export.objects import make_seg
from hipapp.imaging.models import Study
from ml.dicom.seg_write import to_bytes

CASES, MANIFEST, NOTICE = "cases.csv", "manifest.csv", "README.txt"
CASE_COLUMNS = ("file", "patient", "visit")
MANIFEST_COLUMNS = (
    *("file", "patient", "visit", "side", "review", "is_corrected", "model", "unet_score"),
    *("n_slices", "slice_spacing_mm", "row_spacing_mm", "column_spacing_mm"),
)
ABOUT = """Hip MRI with outlines that a radiologist accepted or corrected. Research use only.

cases.csv     one row a study: its folder, the pseudonym of the patient, the visit (counted, without a date)
manifest.csv  one row a hip: side, what was said of the outlines, model, UNet-score, spacing
DICOM files   de-identified as they are stored here, with the pseudonym instead of the patient; seg.dcm holds the outlines

python -m ml prepare OUT --table cases.csv
"""


@dataclass(frozen=True)
class Exported:
    """What became of a study: its hips in the data set, or why it was left out. Studies are named by their key."""

    study_key: str
    n_hips: int
    why: str = ""


def export_dataset(studies: QuerySet[Study], folder: Path, say: Callable[[Exported], None] = lambda _: None) -> list[Exported]:
    """Write the data set; what is left out is said with its reason.

    Parameters
    ----------
    studies : those to look at
    folder : new or empty

    Raises
    ------
    DomainError
        The folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DomainError(f"{folder} is not an empty folder; name a new one.", code="folder")
    folder.mkdir(parents=True, exist_ok=True)
    found, cases, manifest = [], [], []
    visits = visit_numbers(studies)
    used: dict[tuple[str, str], int] = {}
    for study in studies.select_related("visit", "chosen_series").order_by("visit__patient_id", "visit__visit_on", "pk"):
        try:
            patient, visit = _names(study, visits)
            n_before = used.get((patient, visit), 0)
            used[patient, visit] = n_before + 1
            visit = f"{visit}.{n_before + 1}" if n_before else visit  # a second study of one visit
            contents = contents_of(study, accepted_only=True)
            place = f"{patient}/{visit}"
            write_study(contents, folder / place, patient)
        except DomainError as error:
            found.append(Exported(str(study.pk), 0, error.message))
            say(found[-1])
            continue
        cases.append((place, patient, visit))
        manifest += list(_manifest_rows(contents, place, patient, visit))
        found.append(Exported(str(study.pk), len(contents.hips)))
        say(found[-1])
    _write_csv(folder / CASES, CASE_COLUMNS, cases)
    _write_csv(folder / MANIFEST, MANIFEST_COLUMNS, manifest)
    (folder / NOTICE).write_text(ABOUT, encoding="utf-8")
    return found


def write_study(contents: Contents, folder: Path, patient: str) -> None:
    """The images of the scored series and their segmentation, of a patient with this pseudonym."""
    seg = make_seg(contents)
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(contents.images, start=1):
        (folder / f"IM{number:04d}.dcm").write_bytes(to_bytes(_renamed(image, patient)))
    (folder / "seg.dcm").write_bytes(to_bytes(_renamed(seg, patient)))


def patient_pseudonym(patient_id: int) -> str:
    """What stands for a patient in a data set: the same in every export, and neither the study code nor the key."""
    return f"P{keyed_digest('dataset patient', str(patient_id)).hex()[:10].upper()}"


def visit_numbers(studies: QuerySet[Study]) -> dict[int, str]:
    """V1, V2, … for the visits of each patient of the studies, in the order of their days."""
    patients = studies.exclude(visit=None).values("visit__patient_id")
    names: dict[int, str] = {}
    counts: dict[int, int] = {}
    for visit_id, patient_id in (
        Visit.objects.filter(patient__in=patients).order_by("patient_id", "visit_on", "pk").values_list("pk", "patient_id")
    ):
        counts[patient_id] = counts.get(patient_id, 0) + 1
        names[visit_id] = f"V{counts[patient_id]}"
    return names


def _names(study: Study, visits: dict[int, str]) -> tuple[str, str]:
    if study.visit is None:
        raise NothingToExportError("The study is attached to no patient, so nobody knows whose fold it belongs to.")
    return patient_pseudonym(study.visit.patient_id), visits[study.visit.pk]


def _renamed(dataset: Dataset, patient: str) -> Dataset:
    dataset.PatientID = dataset.PatientName = patient
    return dataset


def _manifest_rows(contents: Contents, place: str, patient: str, visit: str) -> Iterator[tuple[object, ...]]:
    for hip in contents.hips:
        score = hip.result.unet_score
        yield (
            *(place, patient, visit, hip.side, hip.result.review, "yes" if hip.is_corrected else "no", " ".join(hip.model or ())),
            *("" if score is None else repr(score), contents.series.n_slices),
            *(f"{mm:.4f}" for mm in contents.volume.spacing_mm),
        )


def _write_csv(path: Path, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
