"""SEG, SR, NIfTI and panels of a study: what the rows say, on the same pixels, without the person."""

import io
import zipfile

import nibabel as nib
import numpy as np
import pytest
from django.test import Client
from PIL import Image
from rest_framework.authtoken.models import Token

from hipapp.accounts.models import AccessEvent
from hipapp.imaging.dicom.derived import kind_of
from hipapp.imaging.dicom.sr import read_sr
from hipapp.imaging.drawing import unpack_mask
from hipapp.imaging.export.contents import NothingToExportError, contents_of
from hipapp.imaging.export.service import KINDS, export_study
from hipapp.imaging.models import DerivedObject, Score, Segmentation
from hipapp.imaging.services import reviews
from hipapp.imaging.stacks import load_volume
from ml.dicom.parse import parse
from ml.dicom.seg import from_bytes
from ml.labels import BITS, LABELS
from tests.builders.rows import make_centre, make_user
from tests.imaging.test_receiving import PLANTED

pytestmark = pytest.mark.django_db


def masks(study) -> dict[str, np.ndarray]:
    return {row.side: unpack_mask(row) for row in Segmentation.objects.filter(series=study.chosen_series)}


def moments(dataset) -> list[str]:
    """Every date and time of a data set, nested ones too."""
    return [str(element.value) for element in dataset.iterall() if element.VR in ("DA", "TM", "DT")]


def corrected(study, radiologist, accept):
    """A correction of the right hip: its row and score, as an editor would store them."""
    old = accept(study, "right").segmentation
    mask = unpack_mask(old).copy()
    mask[:, :5] = 0
    mask[3, 30:34, 20:24] |= BITS["bme"]
    import zlib

    row = Segmentation.objects.create(
        series=old.series, side="right", author=radiologist, supersedes=old, shape=old.shape, mask=zlib.compress(mask.tobytes())
    )
    score = old.score
    score.pk, score.model_version, score.segmentation = None, None, row
    score.save()
    return mask


def test_the_segmentation_has_a_segment_for_each_label_of_each_hip(study, radiologist, dciodvfy):
    file = export_study(study, radiologist, "seg")
    seg, (volume, _) = from_bytes(file.content), load_volume(study.chosen_series)
    assert [(s.label, s.side) for s in seg.segments] == [(label, side) for side in ("right", "left") for label in LABELS]
    assert {s.algorithm_type for s in seg.segments} == {"AUTOMATIC"}
    for segment in seg.segments:
        truth = (masks(study)[segment.side] & BITS[segment.label]) > 0
        np.testing.assert_array_equal(seg.mask_of(segment, volume), truth)
    assert seg.source_uids == set(volume.uids)
    dataset = parse(file.content)
    named = dataset.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert (named.AlgorithmName, named.AlgorithmVersion) == ("unet", "test")
    assert dataset.SegmentSequence[0].TrackingUID != dataset.SegmentSequence[1].TrackingUID
    assert dciodvfy(file.content) == []


def test_a_correction_is_named_as_one_and_gets_another_uid(study, radiologist, accept, dciodvfy):
    before = parse(export_study(study, radiologist, "seg").content)
    mask = corrected(study, radiologist, accept)
    file = export_study(study, radiologist, "seg")
    after, (volume, _) = parse(file.content), load_volume(study.chosen_series)
    assert before.SOPInstanceUID != after.SOPInstanceUID
    assert [item.SegmentAlgorithmType for item in after.SegmentSequence] == ["SEMIAUTOMATIC"] * 4 + ["AUTOMATIC"] * 4
    seg = from_bytes(file.content)
    bme = next(s for s in seg.segments if (s.label, s.side) == ("bme", "right"))
    np.testing.assert_array_equal(seg.mask_of(bme, volume), (mask & BITS["bme"]) > 0)
    assert "radiologist" not in str(after)
    assert dciodvfy(file.content) == []
    assert parse(export_study(study, radiologist, "seg").content).SOPInstanceUID == after.SOPInstanceUID
    assert DerivedObject.objects.filter(study=study, kind="seg").count() == 2


def test_the_report_tells_scores_parts_himriss_and_volumes(study, radiologist, accept, dciodvfy):
    score = accept(study, "right")
    file = export_study(study, radiologist, "sr")
    dataset = parse(file.content)
    assert kind_of(dataset) == "sr"
    told = read_sr(dataset)
    for key in ("unet_score", "bme_femoral", "bme_acetabular", "synovitis", "mean_per_slice", "n_role_slices"):
        assert told["right"][key] == pytest.approx(getattr(score, key), rel=1e-9)
    voxel_ml = float(np.prod(load_volume(study.chosen_series)[0].spacing_mm)) / 1000
    assert told["left"]["bme_ml"] == pytest.approx(((masks(study)["left"] & BITS["bme"]) > 0).sum() * voxel_ml, abs=1e-3)
    assert 0 <= told["right"]["himriss_total"] <= 65
    assert dciodvfy(file.content) == []
    text = str(dataset)
    assert "Accepted by a radiologist" in text
    assert "Not reviewed by a person" in text


def test_report_and_panels_tell_the_interval_where_there_is_one(study, radiologist, dciodvfy):
    Score.objects.filter(side="right").update(interval_low=0.4, interval_high=0.9, interval_level=0.9, interval_method="by hand")
    report = export_study(study, radiologist, "sr").content
    assert not dciodvfy(report)
    told = read_sr(parse(report))
    assert [told["right"][key] for key in ("interval_low", "interval_high", "interval_level")] == [0.4, 0.9, 0.9]
    assert "interval_low" not in told["left"]
    with zipfile.ZipFile(io.BytesIO(export_study(study, radiologist, "panels").content)) as archive:
        words = archive.read("README.txt").decode()
    assert words.count("90 % interval 0.4000 to 0.9000") == 1


def test_the_report_points_at_the_segmentation(study, radiologist):
    seg, report = (parse(export_study(study, radiologist, kind).content) for kind in ("seg", "sr"))
    assert str(seg.SOPInstanceUID) in str(report)
    assert seg.StudyInstanceUID == report.StudyInstanceUID == study.study_uid


def test_nifti_lies_where_the_dicom_lies(study, radiologist):
    with zipfile.ZipFile(io.BytesIO(export_study(study, radiologist, "nifti").content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert set(files) == {"image.nii.gz", *(f"{label}.nii.gz" for label in LABELS), "README.txt"}
    assert b"Research use only" in files["README.txt"]
    image, bme = (nib.Nifti1Image.from_bytes(__import__("gzip").decompress(files[n])) for n in ("image.nii.gz", "bme.nii.gz"))
    volume, _ = load_volume(study.chosen_series)
    for index in [(0, 0, 0), (3, 10, 20), (8, 63, 79)]:
        s, r, c = index
        assert image.dataobj[c, r, s] == volume.pixels[index]
        ras = image.affine @ (c, r, s, 1)
        np.testing.assert_allclose(ras[:3] * (-1, -1, 1), volume.to_lps(index), atol=1e-3)
    both = masks(study)["right"] | masks(study)["left"]
    np.testing.assert_array_equal(np.asarray(bme.dataobj).transpose(2, 1, 0) > 0, (both & BITS["bme"]) > 0)


def test_panels_show_what_was_accepted_beside_the_prediction(study, radiologist, accept):
    accept(study, "right")
    with zipfile.ZipFile(io.BytesIO(export_study(study, radiologist, "panels").content)) as archive:
        pictures = {name: archive.read(name) for name in archive.namelist() if name.endswith(".jpg")}
    assert {"right_sheet.jpg", "left_sheet.jpg", "right/slice_01.jpg", "left/slice_09.jpg"} <= set(pictures)
    right, left = (Image.open(io.BytesIO(pictures[f"{side}/slice_05.jpg"])) for side in ("right", "left"))
    assert (right.format, round(right.width / left.width, 1)) == ("JPEG", 1.5)  # three columns against two


def test_the_same_outlines_make_the_same_file(study, radiologist):
    for kind in KINDS:
        assert export_study(study, radiologist, kind).content == export_study(study, radiologist, kind).content


def test_nothing_of_the_person_leaves(study, radiologist, caplog):
    for kind in KINDS:
        file = export_study(study, radiologist, kind)
        content = file.content + file.name.encode() + caplog.text.encode()
        if file.name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
                content += b"".join(archive.read(name) for name in archive.namelist())
        assert [word for word in PLANTED if word in content and word != b"1.2.3.4"] == []
        if kind in ("seg", "sr"):
            assert set(moments(parse(file.content))) <= {"", "19000101", "000000"}
    assert AccessEvent.objects.filter(action__startswith="export-", subject_id=str(study.pk)).count() == len(KINDS)


def test_a_study_without_outlines_is_told_so(study, radiologist):
    for side in ("right", "left"):
        reviews.review_hip(study.chosen_series, side, "reject", radiologist)
    with pytest.raises(NothingToExportError, match="no outlines"):
        contents_of(study)


@pytest.mark.parametrize("kind", KINDS)
def test_page_and_api_give_the_same_file_to_those_who_may(kind, study, radiologist):
    client = Client()
    client.force_login(radiologist)
    page = client.get(f"/studies/{study.pk}/export/{kind}/")
    token = Token.objects.create(user=radiologist).key
    headers = {"Authorization": f"Token {token}", "Accept": KINDS[kind].content_type}
    answer = Client(headers=headers).get(f"/api/v1/studies/{study.pk}/{kind}/")
    assert page.status_code == answer.status_code == 200
    assert page.content == answer.content
    assert answer["Content-Type"] == KINDS[kind].content_type
    assert "Plantedname" not in page["Content-Disposition"]
    stranger = Token.objects.create(user=make_user("radiologist", make_centre())).key
    assert Client(headers={"Authorization": f"Token {stranger}"}).get(f"/api/v1/studies/{study.pk}/{kind}/").status_code == 404


def test_the_page_offers_what_there_is(study, radiologist):
    client = Client()
    client.force_login(radiologist)
    text = client.get(f"/studies/{study.pk}/").content.decode()
    for kind in KINDS:
        assert f'href="/studies/{study.pk}/export/{kind}/"' in text
    for side in ("right", "left"):
        reviews.review_hip(study.chosen_series, side, "reject", radiologist)
    assert "/export/seg/" not in client.get(f"/studies/{study.pk}/").content.decode()
