"""DICOMweb: what goes in by STOW-RS is found by QIDO-RS and comes out by WADO-RS, for those who may see it."""

import io
import json

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import JPEGLSLossless, RLELossless
from rest_framework.authtoken.models import Token

from hipapp.accounts.models import AccessEvent
from hipapp.imaging.models import Instance, Study, Upload
from hipapp.imaging.services.reviews import review_hip
from hipapp.jobs.models import Job
from tests.builders import rows
from tests.imaging.studies import PERSON, SHAPE, receive, run_job, stir_files

pytestmark = pytest.mark.django_db
N = SHAPE[0]
JSON = "application/dicom+json"
DICOM_PARTS = 'multipart/related; type="application/dicom"'


def api(user) -> Client:
    return Client(headers={"Authorization": f"Token {Token.objects.get_or_create(user=user)[0].key}"})


def parts_of(files: list[bytes], boundary: str = "cut-here") -> bytes:
    body = b"".join(b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (boundary.encode(), file) for file in files)
    return body + b"--%s--\r\n" % boundary.encode()


def stow(client: Client, files: list[bytes], address: str = "/dicomweb/studies", **options):
    kind = f"{DICOM_PARTS}; boundary=cut-here"
    return client.post(address, parts_of(files), content_type=kind, headers={"Accept": JSON}, **options)


def split(answer) -> list[tuple[str, bytes]]:
    """(headers, content) of the parts of a multipart answer."""
    boundary = answer["Content-Type"].split("boundary=")[1].encode()
    body = answer.getvalue() if not answer.streaming else b"".join(answer.streaming_content)
    parts = body.split(b"--" + boundary)
    assert parts[-1].strip() == b"--"
    return [tuple(part.removeprefix(b"\r\n").removesuffix(b"\r\n").split(b"\r\n\r\n", 1)) for part in parts[1:-1]]


@pytest.fixture
def stored(radiologist, visit):
    receive(radiologist, stir_files(InstanceNumber=None), visit=visit)
    return Study.objects.get()


def value(row, tag):
    return row[tag].get("Value", [None])[0]


def test_a_stored_study_is_answered_for_file_by_file(radiologist):
    files = stir_files()
    answer = stow(api(radiologist), files)
    assert answer.status_code == 200, answer.content
    said = Dataset.from_json(answer.json())
    assert [item.ReferencedSOPInstanceUID for item in said.ReferencedSOPSequence] == [
        dcmread(io.BytesIO(file)).SOPInstanceUID for file in files
    ]
    assert "FailedSOPSequence" not in said
    study = Study.objects.get()
    assert said.RetrieveURL == f"http://testserver/dicomweb/studies/{study.study_uid}"
    assert (study.visit, study.scoring_due_at is not None, study.instances.count()) == (None, True, N)
    upload = Upload.objects.get()
    assert (upload.door, upload.state, upload.is_whole) == ("dicomweb", "done", False)
    again = stow(api(radiologist), files)
    assert (again.status_code, Instance.objects.count()) == (200, N)
    first = api(radiologist).get(said.ReferencedSOPSequence[0].RetrieveURL, headers={"Accept": "application/dicom"})
    assert dcmread(io.BytesIO(first.content)).SOPInstanceUID == Instance.objects.order_by("pk").first().sop_uid


def test_what_is_refused_says_why(radiologist):
    files = stir_files()
    ct = dcmread(io.BytesIO(files[1]))
    ct.SOPClassUID = ct.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ct.Modality = "CT"
    stream = io.BytesIO()
    ct.save_as(stream)
    answer = stow(api(radiologist), [files[0], stream.getvalue(), b"Dear colleague", files[2][:1000]])
    assert answer.status_code == 202
    said = Dataset.from_json(answer.json())
    assert len(said.ReferencedSOPSequence) == 1
    assert [item.FailureReason for item in said.FailedSOPSequence] == [0x0122, 0xC000]
    assert said.FailedSOPSequence[0].ReferencedSOPInstanceUID == ct.SOPInstanceUID
    assert [item.FailureReason for item in said.OtherFailuresSequence] == [0xC000]
    assert "is no MR image" in answer["Warning"]
    nothing = stow(api(radiologist), [b"Dear colleague"])
    assert (nothing.status_code, Study.objects.count()) == (409, 1)


def test_files_of_another_study_than_the_address_names_are_refused(radiologist):
    mixed = [*stir_files()[:2], *stir_files(study="1.2.9", series="1.2.9.1")[:1]]
    answer = stow(api(radiologist), mixed, "/dicomweb/studies/1.2.3.4")
    said = Dataset.from_json(answer.json())
    assert answer.status_code == 202
    assert len(said.ReferencedSOPSequence) == 2
    assert [item.FailureReason for item in said.FailedSOPSequence] == [0xA900]
    assert Study.objects.count() == 1


def test_the_same_uid_with_other_pixels_is_told_as_a_duplicate(radiologist):
    stow(api(radiologist), stir_files())
    answer = stow(api(radiologist), stir_files(seed=1)[:1])
    assert answer.status_code == 409
    assert Dataset.from_json(answer.json()).FailedSOPSequence[0].FailureReason == 0x0111


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ('multipart/related; type="application/dicom+json"; boundary=x', b"--x--\r\n", 415),
        (DICOM_PARTS, b"x", 400),
        (f"{DICOM_PARTS}; boundary=cut-here", b"--cut-here--\r\n", 400),
        (f"{DICOM_PARTS}; boundary=cut-here", parts_of([b"x"])[:-20], 400),
        (f"{DICOM_PARTS}; boundary=cut-here", b"--cut-here\r\nContent-Type: text/plain\r\n\r\nx\r\n--cut-here--\r\n", 415),
        (f"{DICOM_PARTS}; boundary=cut-here", b"nonsense", 400),
    ],
)
def test_a_request_that_is_no_stow_is_refused_in_words(radiologist, settings, kind, body, status):
    answer = api(radiologist).post("/dicomweb/studies", body, content_type=kind)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert not list(settings.SPOOL_DIR.glob("*"))
    assert not Upload.objects.exclude(state="failed").exists()


def test_a_single_file_may_come_bare(radiologist):
    answer = api(radiologist).post("/dicomweb/studies", stir_files()[0], content_type="application/dicom")
    assert (answer.status_code, Instance.objects.count()) == (200, 1)


def test_studies_are_found(radiologist, visit, stored):
    client = api(radiologist)
    (row,) = client.get("/dicomweb/studies", headers={"Accept": JSON}).json()
    assert value(row, "0020000D") == stored.study_uid
    assert row["00100010"]["Value"] == [{"Alphabetic": visit.patient.study_code}]
    assert value(row, "00100020") == visit.patient.study_code
    assert (value(row, "00080020"), value(row, "00080030"), row["00080061"]["Value"]) == ("20260302", "101500", ["MR"])
    assert (value(row, "00201206"), value(row, "00201208")) == (1, N)
    for query in (
        f"PatientID={visit.patient.study_code}",
        f"PatientName={visit.patient.study_code[:2]}*",
        f"00100020=*{visit.patient.study_code[-3:]}",
        "StudyDate=20260302",
        "StudyDate=20260101-20261231",
        "StudyDate=-20260302",
        "StudyDate=20260302-",
        "StudyTime=10-11",
        "ModalitiesInStudy=MR",
        "Modality=MR",
        f"StudyInstanceUID={stored.study_uid},1.2.3",
        "StudyInstanceUID=1.2.3.4",  # as the scanner knows it
        "limit=1",
        "AccessionNumber=",
        "includefield=all",
    ):
        assert len(client.get(f"/dicomweb/studies?{query}").json()) == 1, query
    for query in ("PatientID=nobody", "StudyDate=20250101", "ModalitiesInStudy=CT", "offset=1", "AccessionNumber=ACC4711"):
        assert client.get(f"/dicomweb/studies?{query}").status_code == 204, query
    fuzzy = client.get("/dicomweb/studies?fuzzymatching=true")
    assert "fuzzymatching" in fuzzy["Warning"]
    text = client.get("/dicomweb/studies").content.decode()
    assert not [word for word in PERSON.values() if word in text and word not in ("20260302", "101500", "M")]


def test_a_search_that_cannot_be_is_refused(radiologist):
    for query in ("Nonsense=1", "limit=x", "StudyDate=yesterday", "offset=-1"):
        answer = api(radiologist).get(f"/dicomweb/studies?{query}")
        assert answer.status_code == 400, query
        assert answer.json()["error"]["message"]


def test_results_come_in_pages(radiologist):
    for k in range(3):
        receive(radiologist, stir_files(study=f"1.2.{k}", series=f"1.2.{k}.1")[:1])
    client = api(radiologist)
    first = client.get("/dicomweb/studies?limit=2")
    rest = client.get("/dicomweb/studies?limit=2&offset=2")
    assert (len(first.json()), len(rest.json())) == (2, 1)
    assert "more results" in first["Warning"]
    assert "Warning" not in rest
    assert len({value(row, "0020000D") for row in first.json() + rest.json()}) == 3
    assert len(client.get("/dicomweb/series").json()) == len(client.get("/dicomweb/instances").json()) == 3


def test_series_and_instances_are_found(radiologist, stored):
    client = api(radiologist)
    (series,) = client.get(f"/dicomweb/studies/{stored.study_uid}/series").json()
    assert (value(series, "00080060"), value(series, "00201209")) == ("MR", N)
    instances = client.get(f"/dicomweb/studies/{stored.study_uid}/series/{value(series, '0020000E')}/instances").json()
    assert len(instances) == N
    assert (value(instances[0], "00280010"), value(instances[0], "00280011")) == SHAPE[1:]
    assert {value(row, "00080018") for row in instances} == set(stored.instances.values_list("sop_uid", flat=True))
    one = client.get(f"/dicomweb/studies/{stored.study_uid}/instances?SOPInstanceUID={value(instances[3], '00080018')}")
    assert len(one.json()) == 1
    assert value(one.json()[0], "00081190").startswith("http://testserver/dicomweb/studies/")


def addresses(study) -> list[str]:
    """One of each resource of a study."""
    row = study.instances.order_by("pk").first()
    base = f"/dicomweb/studies/{study.study_uid}"
    series, instance = f"{base}/series/{row.series_uid}", f"{base}/series/{row.series_uid}/instances/{row.sop_uid}"
    return [
        base, f"{base}/metadata", series, f"{series}/metadata", instance, f"{instance}/metadata", f"{instance}/rendered",
        f"{instance}/frames/1", f"{instance}/frames/1/rendered", f"{instance}/bulkdata/7FE00010", f"{instance}/thumbnail",
    ]  # fmt: skip


def test_only_those_who_may_see_the_study_get_anything(stored, other_centre, administrator):
    strangers = [rows.make_user("radiologist", other_centre), administrator]
    for address in addresses(stored):
        assert Client().get(address).status_code == 401
        assert Client(headers={"Authorization": "Bearer wrong"}).get(address).status_code == 401
        for stranger in strangers:
            assert api(stranger).get(address).status_code == 404, address
    for stranger in strangers:
        for level in ("studies", "series", "instances"):
            assert api(stranger).get(f"/dicomweb/{level}").status_code == 204
        assert api(stranger).get(f"/dicomweb/studies/{stored.study_uid}/instances").status_code == 204
    assert stow(api(administrator), stir_files()).status_code == 403
    assert Client().post("/dicomweb/studies", b"", content_type=DICOM_PARTS).status_code == 401
    signed_in = Client(enforce_csrf_checks=True)
    signed_in.force_login(rows.make_user("radiologist", stored.centre))
    assert signed_in.get(addresses(stored)[1]).status_code == 200
    assert stow(signed_in, stir_files()).status_code == 403  # a session needs the CSRF token
    assert AccessEvent.objects.filter(action="retrieve", subject_id=str(stored.pk)).exists()


def test_pictures_of_a_held_study_are_for_care_roles(radiologist, coordinator, visit, stored):
    Study.objects.filter(pk=stored.pk).update(state="held", visit=None)
    assert api(radiologist).get(addresses(stored)[0]).status_code == 200
    assert api(coordinator).get("/dicomweb/studies").status_code == 204
    for address in addresses(stored):
        assert api(coordinator).get(address).status_code == 404


def test_files_come_back_whole_and_without_the_person(radiologist, visit, stored):
    answer = api(radiologist).get(f"/dicomweb/studies/{stored.study_uid}", headers={"Accept": DICOM_PARTS})
    parts = split(answer)
    assert len(parts) == N
    assert parts[0][0] == b"Content-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    sent = {tuple(dcmread(io.BytesIO(file)).ImagePositionPatient): dcmread(io.BytesIO(file)) for file in stir_files()}
    for _, content in parts:
        back = dcmread(io.BytesIO(content))
        assert np.array_equal(back.pixel_array, sent[tuple(back.ImagePositionPatient)].pixel_array)
        assert (back.PatientID, str(back.PatientName)) == (visit.patient.study_code,) * 2
    body = b"".join(content for _, content in parts)
    assert not [word for word in PERSON.values() if len(word) > 2 and word.encode() in body]


def test_metadata_refer_to_bulk_data_that_can_be_had(radiologist, stored):
    client = api(radiologist)
    items = json.loads(b"".join(client.get(f"/dicomweb/studies/{stored.study_uid}/metadata").streaming_content))
    assert len(items) == N
    item = items[0]
    uri = item["7FE00010"]["BulkDataURI"]
    assert "Value" not in item["7FE00010"]
    plain = client.get(uri, headers={"Accept": "application/octet-stream"})
    assert plain["Content-Type"] == "application/octet-stream"
    row = Instance.objects.get(sop_uid=value(item, "00080018"))
    from hipapp.core.storage import read_content

    assert plain.content == dcmread(io.BytesIO(read_content(row.path))).PixelData
    assert len(split(client.get(uri, headers={"Accept": 'multipart/related; type="application/octet-stream"'}))) == 1
    assert client.get(uri.replace("7FE00010", "00100010")).status_code == 404


def compressed_file(syntax) -> tuple[bytes, np.ndarray]:
    """A slice of the study in a compressed transfer syntax, and its pixels."""
    dataset = dcmread(io.BytesIO(stir_files()[0]))
    pixels = dataset.pixel_array
    dataset.compress(syntax, generate_instance_uid=False)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue(), pixels


@pytest.mark.parametrize(("syntax", "media"), [(RLELossless, "image/dicom-rle"), (JPEGLSLossless, "image/jls")])
def test_frames_as_raw_pixels_and_as_they_are_stored(radiologist, syntax, media):
    content, pixels = compressed_file(syntax)
    receive(radiologist, [content])
    client = api(radiologist)
    address = next(a for a in addresses(Study.objects.get()) if a.endswith("frames/1"))

    def frame(accept):
        answer = client.get(address, headers={"Accept": accept})
        assert answer.status_code == 200, (accept, answer.content)
        return (
            split(answer)[0]
            if answer["Content-Type"].startswith("multipart")
            else (answer["Content-Type"].encode(), answer.content)
        )

    raw = pixels.astype("<u2").tobytes()
    octets = 'multipart/related; type="application/octet-stream"'
    for accept in (octets, f"{octets}; transfer-syntax=1.2.840.10008.1.2.1", "*/*", "application/octet-stream"):
        head, body = frame(accept)
        assert body == raw, accept
        assert b"application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1" in head
    for accept in (
        f"{octets}; transfer-syntax=*", f'multipart/related; type="{media}"', f"{octets}; transfer-syntax={syntax}", media,
    ):  # fmt: skip
        head, body = frame(accept)
        assert f"transfer-syntax={syntax}".encode() in head, accept
        assert body != raw
        assert len(body) < len(raw) * 1.2
    whole = client.get(address.removesuffix("/frames/1"), headers={"Accept": "application/dicom"})
    assert dcmread(io.BytesIO(whole.content)).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert np.array_equal(dcmread(io.BytesIO(whole.content)).pixel_array, pixels)
    kept = client.get(address.removesuffix("/frames/1"), headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert dcmread(io.BytesIO(kept.content)).file_meta.TransferSyntaxUID == syntax


def test_what_cannot_be_given_is_406_in_words(radiologist, stored):
    study, _, _, _, instance, metadata, rendered, frame, *_ = addresses(stored)
    client = api(radiologist)
    for address, accept in (
        (study, "application/zip"),
        (study, f"{DICOM_PARTS}; transfer-syntax=1.2.840.10008.1.2.4.90"),
        (metadata, "application/dicom+xml"),
        (frame, "image/jpeg"),
        (rendered, "image/gif"),
        ("/dicomweb/studies", "application/dicom+xml"),
        (instance, "text/html;q=0.9, */*;q=0"),
    ):
        answer = client.get(address, headers={"Accept": accept})
        assert answer.status_code == 406, (address, accept)
        assert "is given as" in answer.json()["error"]["message"]
    for number in ("0", "2", "x", "1,2"):
        assert client.get(frame.replace("frames/1", f"frames/{number}")).status_code == 404


def test_rendered_frames_have_the_window_that_is_asked_for(radiologist, stored):
    address = next(a for a in addresses(stored) if a.endswith("/rendered"))
    client = api(radiologist)
    default = client.get(address)
    assert default["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(default.content)).size == SHAPE[2:0:-1]
    png = client.get(f"{address}?window=550,900,linear", headers={"Accept": "image/png"})
    row = stored.instances.order_by("pk").first()
    from hipapp.core.storage import read_content

    pixels = dcmread(io.BytesIO(read_content(row.path))).pixel_array.astype(float)
    shown = np.asarray(Image.open(io.BytesIO(png.content)))
    assert np.array_equal(shown, (np.clip((pixels - 100) / 900, 0, 1) * 255).astype(np.uint8))
    small = client.get(f"{address}?viewport=40,40&window=550,900,sigmoid&quality=50")
    assert max(Image.open(io.BytesIO(small.content)).size) == 40
    for query in ("window=1", "window=1,0", "window=1,2,odd", "window=nan,1", "viewport=0,1", "viewport=x", "quality=0"):
        assert client.get(f"{address}?{query}").status_code == 400, query


def test_a_viewer_of_another_address_may_ask_where_the_settings_name_it(radiologist, settings):
    settings.CORS_ALLOWED_ORIGINS = ["https://viewer.example.org"]
    asked = {"Origin": "https://viewer.example.org", "Access-Control-Request-Method": "GET"}
    assert Client().options("/dicomweb/studies", headers=asked)["Access-Control-Allow-Origin"] == "https://viewer.example.org"
    assert "Access-Control-Allow-Origin" not in Client().options("/studies/", headers=asked)
    other = api(radiologist).get("/dicomweb/studies", headers={"Origin": "https://elsewhere.example.org"})
    assert "Access-Control-Allow-Origin" not in other


def test_a_retrieval_is_noted_once_for_a_while(radiologist, stored):
    client = api(radiologist)
    for address in addresses(stored):
        client.get(address)
    events = AccessEvent.objects.filter(action="retrieve", subject_id=str(stored.pk))
    assert events.count() == 1
    events.update(at=timezone.now() - timezone.timedelta(hours=1))
    client.get(addresses(stored)[0])
    assert events.count() == 2


def test_outlines_and_scores_are_there_as_seg_and_sr(radiologist, stored):
    run_job(Job.objects.get(task="imaging.segment_series"))
    client = api(radiologist)
    base = f"/dicomweb/studies/{stored.study_uid}"
    series = {value(row, "00080060"): value(row, "0020000E") for row in client.get(f"{base}/series").json()}
    assert set(series) == {"MR", "SEG", "SR"}
    items = json.loads(b"".join(client.get(f"{base}/series/{series['SEG']}/metadata").streaming_content))
    assert value(items[0], "00280008") > 1
    (part,) = split(client.get(f"{base}/series/{series['SEG']}"))
    seg = dcmread(io.BytesIO(part[1]))
    assert {item.SegmentDescription if "SegmentDescription" in item else item.SegmentLabel for item in seg.SegmentSequence}
    bulk = client.get(items[0]["7FE00010"]["BulkDataURI"], headers={"Accept": "application/octet-stream"})
    assert bulk.content == seg.PixelData
    (part,) = split(client.get(f"{base}/series/{series['SR']}"))
    assert dcmread(io.BytesIO(part[1])).Modality == "SR"
    (row,) = client.get("/dicomweb/studies").json()
    assert row["00080061"]["Value"] == ["MR", "SEG", "SR"]
    before = set(stored.instances.values_list("pk", flat=True))
    client.get(f"{base}/series")
    assert set(stored.instances.values_list("pk", flat=True)) == before  # made once
    review_hip(stored.chosen_series, "right", "accept", radiologist)
    client.get(f"{base}/series")
    derived = stored.instances.filter(state="derived")
    assert derived.count() == 2
    assert not before >= set(derived.values_list("pk", flat=True))
    assert stored.instances.filter(state="current").count() == N
    sent_back = stow(client, [part[1]])
    assert sent_back.status_code in (200, 409)
    assert Study.objects.count() == 1
