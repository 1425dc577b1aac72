"""The private storage by setting: a folder, or a bucket of an S3 service. Reads no settings and starts nothing."""

import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ImproperlyConfigured

KNOWN = {"endpoint", "region", "encryption"}


def private_storage(place: str) -> dict[str, Any]:
    """Django's storage entry for `/folder` or `s3://bucket/prefix?endpoint=URL&region=NAME&encryption=aws:kms`.

    Notes
    -----
    Credentials of S3 come the usual ways of boto3 (AWS_ACCESS_KEY_ID …, a profile, the machine's role), never from the address.
    Objects are private, asked for by the application only, and never overwritten by other content, since a content's path is its
    SHA-256. `storages` and `boto3` are imported where S3 is set only.
    """
    if not place.startswith("s3://"):
        if "://" in place:
            raise ImproperlyConfigured("HIPAPP_STORAGE is a folder, or s3://bucket/prefix?endpoint=…&region=…")
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": os.path.abspath(place)}}
    parts = urlsplit(place)
    asked = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    if not parts.netloc or "@" in parts.netloc or set(asked) - KNOWN:
        raise ImproperlyConfigured(
            f"HIPAPP_STORAGE is s3://bucket/prefix with {', '.join(sorted(KNOWN))} as its only parameters, without credentials."
        )
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": parts.netloc,
            "location": parts.path.strip("/"),
            "endpoint_url": asked.get("endpoint"),
            "region_name": asked.get("region"),
            "default_acl": None,  # the bucket's own rule, which has to be private
            "file_overwrite": True,
            "querystring_auth": True,
            "object_parameters": {"ServerSideEncryption": asked["encryption"]} if "encryption" in asked else {},
        },
    }
