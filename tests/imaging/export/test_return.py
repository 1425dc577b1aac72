"""SEG and SR of ours that come back through the door are known; what was changed, or made elsewhere, is told in words."""

import pytest

from hipapp.imaging.export.service import export_study
from hipapp.imaging.models import Segmentation, Study
from ml.dicom.parse import parse
from ml.dicom.seg_write import to_bytes
from tests.builders.rows import make_centre, make_user
from tests.imaging.studies import outcomes, receive, stir_files

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("kind", "name"), [("seg", "segmentation"), ("sr", "measurement report")])
def test_ours_is_known_again(study, radiologist, kind, name):
    content = export_study(study, radiologist, kind).content
    n_outlines = Segmentation.objects.count()
    upload = receive(radiologist, [content])
    assert upload.report[0]["outcome"] == "duplicate"
    assert upload.report[0]["reason"] == f"is the {name} that was made here of this study"
    assert upload.report[0]["study"] == str(study.pk)
    assert (Study.objects.count(), Segmentation.objects.count()) == (1, n_outlines)


@pytest.mark.parametrize("kind", ["seg", "sr"])
def test_ours_is_known_after_another_system_wrote_it(study, radiologist, kind):
    dataset = parse(export_study(study, radiologist, kind).content)
    dataset.PatientName, dataset.InstitutionName = "Plantedname^Ottokar", "Elsewhere"
    assert outcomes(receive(radiologist, [to_bytes(dataset)])) == {"duplicate": 1}


def test_a_changed_segmentation_under_our_uid_is_a_conflict(study, radiologist):
    dataset = parse(export_study(study, radiologist, "seg").content)
    pixels = bytearray(dataset.PixelData)
    pixels[7] ^= 255
    dataset.PixelData = bytes(pixels)
    upload = receive(radiologist, [to_bytes(dataset)])
    assert upload.report[0]["outcome"] == "conflict"
    assert "nothing was changed" in upload.report[0]["reason"]


def test_a_changed_report_under_our_uid_is_a_conflict(study, radiologist):
    dataset = parse(export_study(study, radiologist, "sr").content)
    dataset.ContentSequence[0].ConceptNameCodeSequence[0].CodeMeaning = "Something else"
    assert outcomes(receive(radiologist, [to_bytes(dataset)])) == {"conflict": 1}


@pytest.mark.parametrize("by_original_uid", [False, True])
def test_one_made_elsewhere_of_a_study_here_names_the_study(study, radiologist, by_original_uid):
    dataset = parse(export_study(study, radiologist, "seg").content)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.999"
    if by_original_uid:
        dataset.StudyInstanceUID = "1.2.3.4"
    upload = receive(radiologist, [to_bytes(dataset)])
    assert (upload.report[0]["outcome"], upload.report[0]["study"]) == ("refused", str(study.pk))
    assert "was made elsewhere" in upload.report[0]["reason"]


def test_another_centre_learns_nothing(study, radiologist):
    content = export_study(study, radiologist, "seg").content
    upload = receive(make_user("radiologist", make_centre()), [content])
    assert (upload.report[0]["outcome"], upload.report[0]["study"]) == ("refused", "")
    assert upload.report[0]["reason"] == "is a segmentation, not an MR image"


def test_images_beside_it_are_received_as_ever(study, radiologist, visit):
    files = stir_files(seed=3, study="1.2.3.44", series="1.2.3.44.5")
    upload = receive(radiologist, [*files, export_study(study, radiologist, "seg").content])
    assert outcomes(upload) == {"accepted": len(files), "duplicate": 1}
