"""Stored contents: once each, verified on read, on a file system and on S3 alike."""

import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from hipapp.core.storage import (
    DamagedFileError,
    MissingFileError,
    delete_content,
    digest_of,
    path_fields,
    put_content,
    read_content,
    stored_paths,
)
from hipapp.core.storage_setting import private_storage

CONTENT = b"a slice of somebody" * 100


@pytest.fixture(params=["folder", "s3"])
def storage(request, settings, monkeypatch):
    """The default storage, as a folder (the test's own) or as a bucket of an S3 service in this process."""
    if request.param == "folder":
        yield default_storage
        return
    moto = pytest.importorskip("moto")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        import boto3

        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="hips")
        settings.STORAGES = {**settings.STORAGES, "default": private_storage("s3://hips/private?region=us-east-1")}
        yield default_storage


def test_a_content_is_stored_once_under_its_hash_and_read_back(storage):
    path = put_content(CONTENT, "dicom", ".dcm")
    assert put_content(CONTENT, "dicom", ".dcm") == path
    assert list(stored_paths()) == [path]
    assert read_content(path) == CONTENT
    assert path == f"dicom/{digest_of(path)[:2]}/{digest_of(path)}.dcm"


def test_a_changed_byte_is_an_error_in_words(storage):
    path = put_content(CONTENT, "dicom", ".dcm")
    storage.delete(path)
    storage.save(path, ContentFile(CONTENT[:-1] + b"X"))
    with pytest.raises(DamagedFileError, match="its bytes are not those that were stored"):
        read_content(path)


def test_what_an_interrupted_write_left_is_replaced(storage):
    path = put_content(CONTENT, "dicom", ".dcm")
    storage.delete(path)
    storage.save(path, ContentFile(CONTENT[:7]))
    assert put_content(CONTENT, "dicom", ".dcm") == path
    assert read_content(path) == CONTENT


def test_a_missing_file_is_an_error_in_words_and_deleting_it_again_is_none(storage):
    path = put_content(CONTENT, "dicom", ".dcm")
    delete_content(path)
    delete_content(path)
    with pytest.raises(MissingFileError, match="missing"):
        read_content(path)


def test_an_empty_storage_has_no_paths(storage):
    assert list(stored_paths()) == []


def test_the_place_is_a_folder_or_a_bucket():
    assert private_storage("/data/private")["OPTIONS"] == {"location": "/data/private"}
    options = private_storage("s3://hips/a/b/?endpoint=http://127.0.0.1:9000&encryption=aws:kms")["OPTIONS"]
    assert (options["bucket_name"], options["location"], options["endpoint_url"]) == ("hips", "a/b", "http://127.0.0.1:9000")
    assert options["object_parameters"] == {"ServerSideEncryption": "aws:kms"}
    assert options["default_acl"] is None


@pytest.mark.parametrize("place", ["ftp://x", "s3:///prefix", "s3://key:secret@bucket", "s3://bucket?secret=1"])
def test_another_place_is_refused_in_words(place):
    with pytest.raises(ImproperlyConfigured, match="HIPAPP_STORAGE"):
        private_storage(place)


def test_the_libraries_of_s3_are_imported_where_it_is_set_only():
    code = (
        "import django, sys; django.setup(); from django.core.files.storage import default_storage as s; s.exists('x'); "
        "print(sorted({'boto3', 'storages', 'botocore'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_row_that_names_a_content_is_known():
    found = {(model._meta.label, field.name) for model, field in path_fields()}
    assert {("imaging.Instance", "path"), ("imaging.OriginalFile", "path"), ("imaging.ModelVersion", "files")} <= found
