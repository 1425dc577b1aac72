"""The schema of the API: valid, without a warning, and with every door for programs in it."""

import pytest
import yaml
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver

PLACES = {"api/v1/", "dicomweb/", "uploads/<uuid:pk>/files/"}


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    file = tmp_path_factory.mktemp("schema") / "schema.yml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    return yaml.safe_load(file.read_text())


def routes(patterns=None, before=""):
    for entry in patterns if patterns is not None else get_resolver().url_patterns:
        here = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, here)
        elif isinstance(entry, URLPattern) and "<drf_format_suffix" not in here:
            yield here


def test_dicomweb_and_tus_are_described_resource_by_resource(schema):
    described = {path.count("/") for path in schema["paths"] if path.startswith("/dicomweb/")}
    assert described
    n_dicomweb = sum(route.startswith("dicomweb/") for route in routes())
    assert n_dicomweb == sum(path.startswith("/dicomweb/") for path in schema["paths"]) == 17
    store = schema["paths"]["/dicomweb/studies"]["post"]
    assert 'multipart/related; type="application/dicom"' in store["requestBody"]["content"]
    assert set(store["responses"]) == {"200", "202", "409"}
    tus = {path: set(operations) for path, operations in schema["paths"].items() if path.startswith("/uploads/")}
    assert tus == {
        "/uploads/{id}/files/": {"post", "options"},
        "/uploads/{id}/files/{number}": {"patch", "delete", "head", "options"},
    }
    head = schema["paths"]["/uploads/{id}/files/{number}"]["head"]
    assert {row["name"] for row in head["parameters"]} == {"id", "number", "Tus-Resumable"}


def test_every_operation_has_its_own_name_says_what_it_does_and_wants_a_token(schema):
    found = [operation for operations in schema["paths"].values() for operation in operations.values()]
    names = [operation["operationId"] for operation in found]
    assert len(names) == len(set(names))
    for operation in found:
        if operation["operationId"].startswith(("dicomweb", "uploads_by")):
            assert operation["description"]
        assert {"tokenAuth": []} in operation["security"]
