"""Small studies as files, and the way from files to scores that tests go: the real services, without a broker."""

from datetime import date

import numpy as np

from hipapp.imaging.models import ModelVersion, Series, Upload
from hipapp.imaging.outcome import HipOutcome, StackOutcome
from hipapp.imaging.receiving import spool
from hipapp.imaging.services import uploads
from hipapp.imaging.stacks import load_volume
from hipapp.jobs import shell
from hipapp.jobs.models import Job
from ml.labels import BME, FEMORAL_HEAD, FEMUR, SYNOVITIS
from tests.builders.dicom import Stack, classic, to_bytes

SHAPE = (9, 64, 80)
PERSON = {
    "PatientName": "Plantedname^Ottokar",
    "PatientID": "REC-778899",
    "PatientBirthDate": "19950714",
    "PatientSex": "M",
    "AcquisitionDate": "20260302",
    "AcquisitionTime": "101500",
    "InstitutionName": "Plantedclinic",
    "AccessionNumber": "ACC4711",
}
STIR = {
    "SeriesDescription": "cor STIR",
    "ScanningSequence": ["SE", "IR"],
    "RepetitionTime": 4000,
    "EchoTime": 40,
    "InversionTime": 150,
}
T1 = {"SeriesDescription": "cor T1", "ScanningSequence": "SE", "RepetitionTime": 600, "EchoTime": 12, "InversionTime": None}
BIRTH_ON = date(1995, 7, 14)


def stir_files(*, shape=SHAPE, seed=0, study="1.2.3.4", series="1.2.3.4.5", **tags) -> list[bytes]:
    """A coronal STIR stack of both hips, one file a slice, with the planted identity of PERSON unless `tags` say otherwise."""
    pixels = np.random.default_rng(seed).integers(100, 1000, shape).astype(np.uint16)
    stack = Stack(pixels, spacing_mm=(4.4, 4.0, 4.0), origin_mm=(-160.0, -20.0, 120.0))
    values = {**PERSON, **STIR, **tags}
    return [to_bytes(dataset) for dataset in classic(stack, study_uid=study, series_uid=series, **values)]


def spool_files(upload: Upload, files: list[bytes]) -> Upload:
    """Put the files of an upload into its spool, as the upload handler does."""
    incoming = spool.new_incoming()
    for number, content in enumerate(files, start=1):
        with spool.open_new(incoming, number) as file:
            file.write(content)
    return uploads.add_files(upload, incoming)


def run_job(job: Job) -> Job:
    """Work off one job in this process, as a worker does."""
    from hipapp.imaging import tasks

    shell.run(str(job.pk), getattr(tasks, job.task.removeprefix("imaging.")))
    job.refresh_from_db()
    return job


def receive(user, files: list[bytes], **target) -> Upload:
    """Upload files and have them read; `target` is visit or patient."""
    upload = spool_files(uploads.start_upload(user, **target), files)
    job = run_job(uploads.finish_upload(upload, user))
    upload.refresh_from_db()
    assert job.state in (Job.State.SUCCEEDED, Job.State.FAILED), job.message
    return upload


def outcomes(upload: Upload) -> dict[str, int]:
    """How many files had each outcome."""
    found: dict[str, int] = {}
    for row in upload.report:
        found[row["outcome"]] = found.get(row["outcome"], 0) + 1
    return found


def fake_segment(series: Series, model: ModelVersion, say) -> StackOutcome:
    """Stands for the network: a round head with BME and synovitis in each hip, at fixed places of the real Volume."""
    say(50, "Pretending")
    volume, warnings = load_volume(series)
    hips = tuple(_hip(side, volume.pixels.shape) for side in ("right", "left"))
    return StackOutcome(hips, volume.pixels, volume.spacing_mm, volume.uids, tuple(warnings))


def _hip(side: str, shape: tuple[int, int, int]) -> HipOutcome:
    mask = np.zeros(shape, np.uint8)
    middle = shape[2] // 4 if side == "right" else 3 * shape[2] // 4
    rows, columns = np.ogrid[: shape[1], : shape[2]]
    head = (rows - shape[1] // 2) ** 2 + (columns - middle) ** 2 <= 36
    mask[:, head] = FEMUR | FEMORAL_HEAD
    mask[:, shape[1] // 2, middle - 2 : middle + 2] |= BME
    mask[:, shape[1] // 2 - 8, middle - 3 : middle + 3] = SYNOVITIS
    return HipOutcome(side, True, 0.9, (0.0, 0.0, 0.0), {"row_min": 0}, mask)
