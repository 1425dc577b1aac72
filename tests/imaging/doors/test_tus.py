"""tus 1.0: a file goes on where its connection broke off, and is what was sent."""

import base64
import hashlib
import http.client
import os
import socket
import time
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client
from rest_framework.authtoken.models import Token

from hipapp.imaging.models import Upload
from hipapp.imaging.receiving import spool
from hipapp.imaging.services import uploads
from tests.imaging.studies import SHAPE, outcomes, run_job, stir_files

TUS = {"Tus-Resumable": "1.0.0"}
OFFSETS = "application/offset+octet-stream"


@pytest.fixture
def client(radiologist) -> Client:
    return Client(headers={"Authorization": f"Token {Token.objects.create(user=radiologist).key}", **TUS})


@pytest.fixture
def upload(radiologist) -> Upload:
    return uploads.start_upload(radiologist)


@pytest.fixture
def files(upload) -> str:
    return f"/uploads/{upload.pk}/files/"


def created(client, files, length, **headers):
    answer = client.post(files, headers={"Upload-Length": str(length), **headers})
    assert answer.status_code == 201, answer.content
    return urlsplit(answer["Location"]).path


def patch(client, address, offset, content, **headers):
    return client.patch(address, content, content_type=OFFSETS, headers={"Upload-Offset": str(offset), **headers})


def content_of(upload, number=1) -> bytes:
    return (spool.folder_of(upload.pk) / f"{number:08d}").read_bytes()


@pytest.mark.django_db
def test_the_server_says_what_it_can(client, files):
    answer = client.options(files)
    assert (answer.status_code, answer["Tus-Version"], answer["Tus-Resumable"]) == (204, "1.0.0", "1.0.0")
    assert set(answer["Tus-Extension"].split(",")) >= {"creation", "termination", "expiration", "checksum"}
    assert int(answer["Tus-Max-Size"]) == settings.UPLOAD_MAX_BYTES
    assert "sha1" in answer["Tus-Checksum-Algorithm"]


@pytest.mark.django_db
def test_a_file_in_pieces(client, upload, files):
    address = created(client, files, 10)
    assert patch(client, address, 0, b"01234")["Upload-Offset"] == "5"
    head = client.head(address)
    assert (head["Upload-Offset"], head["Upload-Length"], head["Cache-Control"]) == ("5", "10", "no-store")
    assert "GMT" in head["Upload-Expires"]
    early = uploads.Upload.objects.get(pk=upload.pk)
    with pytest.raises(Exception, match="not complete"):
        uploads.finish_upload(early, upload.user)
    assert patch(client, address, 3, b"56789").status_code == 409
    last = patch(client, address, 5, b"56789")
    assert (last.status_code, last["Upload-Offset"], "Upload-Expires" in last) == (204, "10", False)
    assert content_of(upload) == b"0123456789"
    assert client.head(address)["Upload-Offset"] == "10"
    assert patch(client, address, 10, b"x").status_code == 409


@pytest.mark.django_db
def test_a_browser_sends_its_first_bytes_along_with_its_session_and_csrf_token(radiologist, upload, files):
    browser = Client(enforce_csrf_checks=True, headers=TUS)
    browser.force_login(radiologist)
    headers = {"Upload-Length": "6", "Upload-Offset": "0"}
    assert browser.post(files, b"abc", content_type=OFFSETS, headers=headers).status_code == 403
    browser.get("/uploads/")
    headers["X-CSRFToken"] = browser.cookies["csrftoken"].value
    answer = browser.post(files, b"abc", content_type=OFFSETS, headers=headers)
    assert (answer.status_code, answer["Upload-Offset"]) == (201, "3"), answer.content
    answer = patch(browser, urlsplit(answer["Location"]).path, 3, b"def", **headers | {"Upload-Offset": "3"})
    assert answer.status_code == 204, answer.content
    assert content_of(upload) == b"abcdef"


@pytest.mark.django_db
def test_files_get_the_next_number_or_the_one_they_ask_for(client, upload, files):
    for _ in range(2):
        created(client, files, 0)
    asked = created(client, files, 0, **{"Upload-Metadata": "filename eA==,number " + base64.b64encode(b"7").decode()})
    assert asked.endswith("/files/7")
    assert created(client, files, 0).endswith("/files/8")
    assert sorted(path.name for path in spool.folder_of(upload.pk).iterdir()) == [f"{n:08d}" for n in (1, 2, 7, 8)]


@pytest.mark.django_db
def test_what_is_no_tus_is_refused_in_words(client, files):
    address = created(client, files, 10)
    cases = [
        (client.post(files, headers={"Tus-Resumable": "0.2.2", "Upload-Length": "1"}), 412),
        (client.post(files), 400),
        (client.post(files, headers={"Upload-Length": "-5"}), 400),
        (client.post(files, headers={"Upload-Length": "5", "Upload-Metadata": "number %%"}), 400),
        (client.patch(address, b"x", content_type="text/plain", headers={"Upload-Offset": "0"}), 415),
        (client.patch(address, b"x", content_type=OFFSETS), 400),
        (patch(client, address, 0, b"x" * 11), 413),
        (patch(client, address, 0, b"x", **{"Upload-Checksum": "crc32 eA=="}), 400),
        (client.head(address.replace("/files/1", "/files/9")), 404),
    ]
    for answer, status in cases:
        assert answer.status_code == status, (answer.content, status)
        assert answer["Tus-Resumable"] == "1.0.0"
    assert cases[0][0]["Tus-Version"] == "1.0.0"
    assert client.head(address)["Upload-Offset"] == "0"


@pytest.mark.django_db
def test_a_checksum_is_kept_or_nothing_is(client, upload, files):
    address = created(client, files, 6)
    good = base64.b64encode(hashlib.sha1(b"abc").digest()).decode()
    assert patch(client, address, 0, b"abd", **{"Upload-Checksum": f"sha1 {good}"}).status_code == 460
    assert client.head(address)["Upload-Offset"] == "0"
    assert patch(client, address, 0, b"abc", **{"Upload-Checksum": f"sha1 {good}"}).status_code == 204
    sha256 = base64.b64encode(hashlib.sha256(b"def").digest()).decode()
    assert patch(client, address, 3, b"def", **{"Upload-Checksum": f"sha256 {sha256}"}).status_code == 204
    assert content_of(upload) == b"abcdef"


@pytest.mark.django_db
def test_a_file_can_be_thrown_away(client, upload, files):
    address = created(client, files, 6)
    patch(client, address, 0, b"abc")
    assert client.post(address, headers={"X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert client.head(address).status_code == 404
    assert spool.count(spool.folder_of(upload.pk))[:2] == (0, 0)


@pytest.mark.django_db
def test_what_nobody_goes_on_with_expires(client, upload, files):
    address = created(client, files, 6)
    folder = spool.folder_of(upload.pk)
    old = time.time() - spool.STALE_S - 10
    os.utime(folder, (old, old))
    uploads.sweep_stale()
    assert not folder.exists()
    assert client.head(address).status_code == 409  # its upload is over
    assert Upload.objects.get().state == "failed"


@pytest.mark.django_db
def test_a_program_begins_fills_and_finishes_a_delivery(client, radiologist, visit):
    begun = client.post("/api/v1/uploads/", {"visit": visit.pk, "complete": False}, content_type="application/json")
    assert begun.status_code == 201, begun.content
    delivery = begun.json()
    address = f"/api/v1/uploads/{delivery['id']}/"
    assert client.post(f"{address}finish/").json()["error"]["code"] == "no_files"
    for content in stir_files():
        sent = client.post(
            urlsplit(delivery["files_url"]).path, content, content_type=OFFSETS, headers={"Upload-Length": str(len(content))}
        )
        assert sent.status_code == 201
    assert client.post(f"{address}finish/").status_code == 202
    assert client.delete(address).status_code == 409
    upload = Upload.objects.get()
    run_job(upload.job)
    said = client.get(address).json()
    assert (said["state"], said["door"], said["n_files"]) == ("done", "api", SHAPE[0])
    assert {row["outcome"] for row in said["report"]} == {"accepted"}
    other = client.post("/api/v1/uploads/", {}, content_type="application/json").json()
    assert client.delete(f"/api/v1/uploads/{other['id']}/").status_code == 204


@pytest.mark.django_db(transaction=True)
def test_a_connection_cut_in_the_middle_costs_what_was_under_way(live_server, radiologist, visit):
    """A study sent by raw sockets: the first file's connection is cut after half of it, and it goes on from there."""
    token = Token.objects.create(user=radiologist).key
    upload = uploads.start_upload(radiologist, visit=visit)
    host, port = live_server.thread.host, live_server.thread.port
    common = {"Authorization": f"Token {token}", **TUS}

    def ask(method, path, body=b"", **headers):
        connection = http.client.HTTPConnection(host, port, timeout=20)
        connection.request(method, path, body, {**common, **headers})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    contents = stir_files(shape=(SHAPE[0], 512, 512))
    for number, content in enumerate(contents, start=1):
        metadata = "number " + base64.b64encode(str(number).encode()).decode()
        made = ask("POST", f"/uploads/{upload.pk}/files/", **{"Upload-Length": str(len(content)), "Upload-Metadata": metadata})
        path = urlsplit(made.headers["Location"]).path
        offset = 0
        if number == 1:
            half = len(content) // 2
            with socket.create_connection((host, port)) as raw:
                head = [f"PATCH {path} HTTP/1.1", f"Host: {host}", f"Content-Type: {OFFSETS}", "Upload-Offset: 0"]
                head += [f"{key}: {value}" for key, value in common.items()] + [f"Content-Length: {len(content)}", "", ""]
                raw.sendall("\r\n".join(head).encode() + content[:half])
            for _ in range(100):
                offset = int(ask("HEAD", path).headers["Upload-Offset"])
                if offset == half:
                    break
                time.sleep(0.05)
            assert offset == half  # nothing that arrived is sent again
        done = ask("PATCH", path, content[offset:], **{"Content-Type": OFFSETS, "Upload-Offset": str(offset)})
        assert (done.status, int(done.headers["Upload-Offset"])) == (204, len(content))
    assert content_of(upload) == contents[0]
    run_job(uploads.finish_upload(upload, radiologist))
    upload.refresh_from_db()
    assert outcomes(upload) == {"accepted": SHAPE[0]}
