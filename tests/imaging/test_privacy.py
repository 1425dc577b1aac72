"""A person planted in every kind of value, nested and private, is nowhere afterwards: storage, database, logs, exports, pages."""

import io
import zipfile

import pytest
from django.urls import reverse
from pydicom import Dataset, dcmread
from pydicom._dicom_dict import DicomDictionary

from hipapp.accounts.models import AccessEvent
from hipapp.clinic.identity import Identity
from hipapp.clinic.services import set_identity
from hipapp.core.errors import ForbiddenError
from hipapp.imaging import returning
from hipapp.imaging.models import DeidentificationReport, ImagingPolicy, Instance, OriginalFile, Study, StudyIdentity
from hipapp.jobs.models import Job
from tests.builders import dicom as build
from tests.imaging.dicom.test_deidentify import NEEDED, plant_everywhere
from tests.imaging.studies import BIRTH_ON, outcomes, receive, run_job, stir_files
from tests.imaging.test_erasure import whole_database
from tests.imaging.test_receiving import stored_bytes

pytestmark = pytest.mark.django_db
MARKS = (b"zebulon", b"quimby", b"19770131", b"1977-01-31", b"101112", b"826.7777")
NUMBER = 19770131  # a birth date as a number
NEEDED_NUMBERS = {"NumberOfFrames", "ModalityLUTSequence"}  # with another value the image can't be decoded, and is refused
KEPT = NEEDED | {"AcquisitionDate", "AcquisitionTime", "ImageType", "ScanningSequence", "SeriesDescription", "TransferSyntaxUID"}
KEPT |= {"AcquisitionDateTime"}  # the day of the study is read from it, and kept under access control


def seed(dataset: Dataset) -> bytes:
    """The file with the person in every attribute that the image doesn't need: texts, dates, UIDs, numbers, bytes, sequences."""
    kept = KEPT | {element.keyword for element in dataset if element.VR in ("DS", "IS", "US", "SS")}
    plant_everywhere(dataset, kept)
    for tag, (vr, _, _, is_retired, keyword) in DicomDictionary.items():
        if not keyword or is_retired or keyword in kept | NEEDED_NUMBERS or tag >> 16 in (0, 2, 0x7FE0) or keyword in dataset:
            continue
        if vr in ("IS", "UL", "FL", "FD", "SL", "UV", "SV"):
            dataset.add_new(tag, vr, NUMBER)
        elif vr == "DS":
            dataset.add_new(tag, vr, str(NUMBER))
        elif vr in ("OB", "UN"):
            dataset.add_new(tag, vr, b"Zebulon Quimby 19770131 ")
        elif vr == "SQ" and keyword not in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
            item = Dataset()
            item.PatientName, item.TextValue, item.InstanceNumber = "Zebulon^Quimby", "19770131", NUMBER
            dataset.add_new(tag, vr, [item])
    for group, creator in ((0x0009, "ZEBULON"), (0x0019, "SIEMENS MR HEADER"), (0x0029, "SIEMENS CSA HEADER")):
        block = dataset.private_block(group, creator, create=True)
        block.add_new(0x0C, "IS", NUMBER)
        block.add_new(0x10, "OB", b"Quimby 19770131 ")
        block.add_new(0x27, "LO", "Zebulon")
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Zebulon^Quimby", "7777", "19770131"
    dataset.AcquisitionDate = "20260302"
    dataset.preamble = b"Zebulon".ljust(128, b"\0")
    return build.to_bytes(dataset)


def marks_in(content: bytes | str) -> list[bytes]:
    low = (content.encode() if isinstance(content, str) else content).lower()
    return [mark for mark in MARKS if mark in low]


def test_a_person_planted_everywhere_is_nowhere_afterwards(rheumatologist, radiologist, visit, client, caplog):
    files = [seed(dcmread(io.BytesIO(content))) for content in stir_files(study="1.2.826.7777.1", series="1.2.826.7777.2")]
    assert set(marks_in(files[0])) >= set(MARKS) - {b"1977-01-31"}
    upload = receive(radiologist, files)
    assert outcomes(upload) == {"accepted": len(files)}
    job = run_job(Job.objects.get(task="imaging.segment_series"))
    assert job.state == "succeeded", job.message
    study = Study.objects.get()
    assert StudyIdentity.objects.filter(study=study).exists(), "kept for the comparison, encrypted"
    client.force_login(radiologist)
    shown = [client.get(reverse(f"imaging:{name}", args=[study.pk])).content for name in ("study", "deidentification", "attach")]
    ways = ("export-seg", "export-sr", "export-nifti", "export-panels")
    shown += [client.get(reverse(f"imaging:{name}", args=[study.pk])).content for name in ways]
    shown.append(client.get(f"/api/v1/studies/{study.pk}/").content)
    shown.append(client.get(reverse("imaging:slice", args=[study.pk, study.chosen_series_id, 0])).content)
    for archive in (content for content in shown if content[:2] == b"PK"):
        with zipfile.ZipFile(io.BytesIO(archive)) as found:
            shown += [name.encode() + found.read(name) for name in found.namelist()]
    places = {"storage": stored_bytes(), "database": whole_database(), "log": caplog.text, "report": repr(upload.report)}
    assert {name: marks_in(content) for name, content in places.items()} == {name: [] for name in places}
    assert [marks_in(content) for content in shown] == [[]] * len(shown)


@pytest.mark.corpus
def test_a_person_planted_in_real_files_is_nowhere_afterwards(radiologist, corpus):
    files = []
    for path in [*sorted((corpus / "vendor_mr").rglob("*.dcm"))[:6], *sorted((corpus / "hip_mr").rglob("*.dcm"))[:2]]:
        dataset = dcmread(path)
        if dataset.get("Modality") == "MR" and dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1":
            dataset.decode()
            files.append(seed(dataset))
    assert len(files) >= 4
    upload = receive(radiologist, files)
    assert outcomes(upload).get("accepted", 0) + outcomes(upload).get("held", 0) >= 3, upload.report
    assert marks_in(stored_bytes()) == marks_in(whole_database()) == []


def test_the_report_counts_attributes_and_holds_no_value(radiologist, visit, client):
    upload = receive(radiologist, [seed(dcmread(io.BytesIO(content))) for content in stir_files()[:3]])
    report = DeidentificationReport.objects.get()
    assert (report.n_files, report.removed["PatientBirthDate"], report.replaced["PatientName"]) == (3, 3, 3)
    assert report.removed["private (0009,xxxx)"] == report.removed["private (0019,xxxx)"] == 3
    assert report.replaced["StudyInstanceUID"] == 3
    assert marks_in(repr((report.removed, report.replaced, report.method))) == []
    client.force_login(radiologist)
    assert client.get(f"/api/v1/studies/{upload.report[0]['study']}/").json()["deidentification"]["n_files"] == 3


def test_numbers_of_a_known_vendor_stay_and_the_method_says_so(radiologist, visit):
    files = []
    for content in stir_files()[:2]:
        dataset = dcmread(io.BytesIO(content))
        block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0C, "IS", 50)
        block.add_new(0x0E, "FD", [0.0, 1.0, 0.0])
        block.add_new(0x08, "CS", "ZEBULON")
        files.append(build.to_bytes(dataset))
    receive(radiologist, files, visit=visit)
    stored = dcmread(io.BytesIO(stored_file()))
    block = stored.private_block(0x0019, "SIEMENS MR HEADER")
    assert (block[0x0C].value, list(block[0x0E].value), 0x08 in block) == (50, [0.0, 1.0, 0.0], False)
    assert [item.CodeValue for item in stored.DeidentificationMethodCodeSequence] == ["113100", "113105", "113108", "113111"]


def stored_file() -> bytes:
    from hipapp.core.storage import read_content

    return read_content(Instance.objects.order_by("pk").first().path)


@pytest.mark.parametrize(
    ("tag", "vr", "value", "n"),
    [(0x60003000, "OW", b"\0\1" * 100, 1), (0x60003000, "OW", b"\0\0" * 100, 0), (0x00280301, "CS", "YES", 1)],
)
def test_overlays_and_burned_in_text_hold_the_study(radiologist, visit, tag, vr, value, n):
    files = []
    for content in stir_files():
        dataset = dcmread(io.BytesIO(content))
        dataset.add_new(tag, vr, value)
        files.append(build.to_bytes(dataset))
    receive(radiologist, files, visit=visit)
    study = Study.objects.get()
    assert (study.state, len(study.held_reasons)) == ("held" if n else "ready", n)
    assert b"\x00\x60\x00\x30" not in stored_file()


def test_a_study_whose_later_pictures_may_show_a_name_is_held_again(radiologist, visit):
    files = stir_files()
    receive(radiologist, files[:6], visit=visit)
    late = dcmread(io.BytesIO(files[6]))
    late.BurnedInAnnotation = "YES"
    upload = receive(radiologist, [build.to_bytes(late), *files[7:]], visit=visit)
    study = Study.objects.get()
    assert (study.state, study.visit, study.intended_visit, len(study.held_reasons)) == ("held", None, visit, 1)
    assert outcomes(upload) == {"held": 3}
    assert study.instances.count() == 9, "nothing is lost"
    again = receive(radiologist, [build.to_bytes(late)])
    assert outcomes(again) == {"duplicate": 1}


def test_nothing_of_the_original_is_kept_unless_the_centre_says_so(radiologist, visit, client):
    receive(radiologist, stir_files(), visit=visit)
    study = Study.objects.get()
    assert not OriginalFile.objects.exists()
    client.force_login(radiologist)
    assert client.get(reverse("imaging:originals", args=[study.pk])).status_code == 404


def test_kept_originals_are_encrypted_once_and_opened_by_radiologists_alone(
    radiologist, rheumatologist, visit, client, django_capture_on_commit_callbacks
):
    ImagingPolicy.objects.create(centre=visit.patient.centre, keeps_originals=True)
    files = stir_files()
    receive(radiologist, files, visit=visit)
    with django_capture_on_commit_callbacks(execute=True):
        receive(radiologist, files, visit=visit)  # duplicates leave nothing behind
    from hipapp.core.storage import read_content, stored_paths

    originals = [path for path in stored_paths() if path.startswith("originals/")]
    assert len(originals) == len(files) == OriginalFile.objects.count()
    assert not any(b"Plantedname" in read_content(path) for path in originals)
    study = Study.objects.get()
    with pytest.raises(ForbiddenError):
        returning.originals_zip(study, rheumatologist)
    client.force_login(radiologist)
    content = b"".join(client.get(reverse("imaging:originals", args=[study.pk])).streaming_content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert sorted(archive.read(name) for name in archive.namelist()) == sorted(files)
    assert AccessEvent.objects.filter(action="view-originals").count() == 1


def test_what_returns_has_the_scanners_uids_and_the_patients_name(radiologist, rheumatologist, coordinator, visit, client):
    set_identity(rheumatologist, visit.patient, Identity("Plantedname Ottokar", "REC-778899", BIRTH_ON))
    receive(radiologist, stir_files(FrameOfReferenceUID="1.2.3.4.99"), visit=visit)
    run_job(Job.objects.get(task="imaging.segment_series"))
    study = Study.objects.get()
    originals = returning.original_uids(study)
    assert {"1.2.3.4", "1.2.3.4.5", "1.2.3.4.99"} <= set(originals.values())
    client.force_login(radiologist)
    plain = dcmread(io.BytesIO(client.get(reverse("imaging:export-seg", args=[study.pk])).content))
    assert plain.StudyInstanceUID == study.study_uid
    back = dcmread(io.BytesIO(client.get(reverse("imaging:return-seg", args=[study.pk])).content))
    assert (back.StudyInstanceUID, str(back.PatientName), back.PatientID) == ("1.2.3.4", "Plantedname Ottokar", "REC-778899")
    (series,) = back.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == "1.2.3.4.5"
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} <= set(originals.values())
    assert AccessEvent.objects.filter(action="return-seg").count() == 1
    client.force_login(coordinator)
    assert client.get(reverse("imaging:return-seg", args=[study.pk])).status_code == 403


def test_a_changed_byte_in_the_storage_is_an_error_in_words_and_no_picture(radiologist, visit, client):
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage

    receive(radiologist, stir_files(), visit=visit)
    study = Study.objects.get()
    for instance in Instance.objects.all():
        content = bytearray(default_storage.open(instance.path).read())
        content[-1] ^= 1
        default_storage.delete(instance.path)
        default_storage.save(instance.path, ContentFile(bytes(content)))
    client.force_login(radiologist)
    answer = client.get(reverse("imaging:slice", args=[study.pk, study.chosen_series_id, 0]))
    assert (answer.status_code, b"damaged" in answer.content) == (409, True)
    assert answer["Content-Type"].startswith("text/html")
