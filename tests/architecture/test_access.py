"""Every address × every role × own and other centre. An address without a row here fails the test."""

from dataclasses import dataclass
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from rest_framework.authtoken.models import Token

from hipapp.accounts.models import Membership
from hipapp.clinic.models import Assessment, HipExamination, TreatmentPeriod
from hipapp.imaging.models import Erasure, Instance, ModelVersion, Rescoring, Score, Sender, Series, Study, Upload
from hipapp.reading.models import Read
from tests.builders.cross_validation import make_cross_validation
from tests.builders.rows import make_centre, make_job, make_patient, make_user, make_visit

pytestmark = pytest.mark.django_db

ROLES = ("radiologist", "rheumatologist", "coordinator", "administrator")
CARE = ("radiologist", "rheumatologist")
CLINICAL = (*CARE, "coordinator")
CLINIC_EDITORS = ("rheumatologist", "coordinator")
COHORT = ("rheumatologist", "coordinator")


@dataclass(frozen=True)
class Door:
    """Who may find what is behind an address. `rows` names the thing of each URL argument; a list has none."""

    roles: tuple[str, ...]
    rows: tuple[tuple[str, str], ...] = ()
    method: str = "get"
    names_series: bool = False  # the form has to name the study's series


def door(*roles: str, method: str = "get", names_series: bool = False, **rows: str) -> Door:
    return Door(roles, tuple(rows.items()), method, names_series)


OPEN = {"healthz", "accounts:sign-in", "api:schema"}
ADMINISTRATOR = ("administrator",)
DOORS = {
    "home:start": door(*ROLES),
    "accounts:sign-out": door(*ROLES, method="post"),
    "accounts:password": door(*ROLES),
    "accounts:token": door(*ROLES),
    "accounts:people": door(*ADMINISTRATOR),
    "accounts:person-new": door(*ADMINISTRATOR),
    "accounts:person": door(*ADMINISTRATOR, pk="user"),
    "accounts:person-active": door(*ADMINISTRATOR, method="post", pk="user"),
    "accounts:person-password": door(*ADMINISTRATOR, method="post", pk="user"),
    "accounts:role-take": door(*ADMINISTRATOR, method="post", pk="membership"),
    "accounts:centres": door(*ADMINISTRATOR),
    "accounts:centre-edit": door(*ADMINISTRATOR, pk="centre"),
    "accounts:access-log": door(*ADMINISTRATOR),
    "jobs:list": door(*ROLES),
    "jobs:detail": door(*CLINICAL, pk="job"),
    "jobs:cancel": door(*CLINICAL, method="post", pk="job"),
    "jobs:retry": door(*CLINICAL, method="post", pk="job"),
    "clinic:patients": door(*ROLES),
    "clinic:patient-new": door(*CLINIC_EDITORS),
    "clinic:patient-edit": door(*CLINICAL, pk="patient"),
    "clinic:patient-delete": door(*CLINIC_EDITORS, pk="patient"),
    "clinic:treatments": door(*CLINICAL, pk="patient"),
    "clinic:visit-new": door(*CLINIC_EDITORS, pk="patient"),
    "clinic:preview": door(*ROLES, method="post"),
    "clinic:visit": door(*CLINICAL, pk="visit"),
    "clinic:visit-edit": door(*CLINIC_EDITORS, pk="visit"),
    "clinic:visit-delete": door(*CLINIC_EDITORS, pk="visit"),
    "clinic:treatment-edit": door(*CLINIC_EDITORS, pk="treatment"),
    "clinic:treatment-end": door(*CLINIC_EDITORS, method="post", pk="treatment"),
    "clinic:treatment-delete": door(*CLINIC_EDITORS, pk="treatment"),
    "followup:patient": door(*CLINICAL, pk="patient"),
    "reading:list": door(*ROLES),
    "reading:visit": door("radiologist", visit_pk="visit"),
    "reading:withdraw": door(*COHORT, method="post", pk="read"),  # another reader's read is not there for a radiologist
    "cohort:cohort": door(*COHORT),
    "cohort:missing": door(*COHORT),
    "cohort:correlations-csv": door(*COHORT),
    "cohort:long-csv": door(*COHORT),
    "cohort:dictionary-csv": door(*COHORT),
    "imaging:studies": door(*ROLES),
    "imaging:unassigned": door(*ROLES),
    "imaging:pick-patient": door(*ROLES),
    "imaging:study": door(*CLINICAL, pk="study"),
    "imaging:policy": door(*ADMINISTRATOR, pk="centre"),
    "imaging:override-protocol": door(*CLINICAL, method="post", pk="study"),
    "imaging:deidentification": door(*CLINICAL, pk="study"),
    "imaging:originals": door(pk="study"),  # there are none of this study; tested with real files elsewhere
    "imaging:return-seg": door(*CARE, pk="study"),
    "imaging:return-sr": door(*CARE, pk="study"),
    "imaging:study-erase": door(*CLINICAL, pk="study"),
    "imaging:patient-erase": door(*CLINICAL, pk="patient"),
    "imaging:attach": door(*CLINICAL, pk="study"),
    "imaging:detach": door(*CLINICAL, method="post", pk="study"),
    "imaging:release": door(*CLINICAL, method="post", pk="study"),
    "imaging:review": door(*CLINICAL, method="post", names_series=True, pk="study"),
    "imaging:choose-series": door(*CLINICAL, method="post", names_series=True, pk="study"),
    "imaging:score": door(*CLINICAL, method="post", pk="study"),
    "imaging:export-seg": door(*CLINICAL, pk="study"),
    "imaging:export-sr": door(*CLINICAL, pk="study"),
    "imaging:export-nifti": door(*CLINICAL, pk="study"),
    "imaging:export-panels": door(*CLINICAL, pk="study"),
    "imaging:models": door(*ADMINISTRATOR),
    "imaging:cross-validations": door("coordinator", *ADMINISTRATOR),
    "imaging:cross-validation": door("coordinator", *ADMINISTRATOR, pk="cross_validation"),
    "imaging:cross-validation-hips": door("coordinator", *ADMINISTRATOR, pk="cross_validation"),
    "imaging:cross-validation-csv": door("coordinator", *ADMINISTRATOR, pk="cross_validation"),
    "imaging:model-import": door(*ADMINISTRATOR, method="post"),
    "imaging:model-rollback": door(*ADMINISTRATOR, method="post"),
    "imaging:model": door(*ADMINISTRATOR, pk="model"),
    "imaging:model-rescore": door(*ADMINISTRATOR, method="post", pk="model"),
    "imaging:model-promote": door(*ADMINISTRATOR, method="post", pk="model"),
    "imaging:rescoring": door(*ADMINISTRATOR, pk="rescoring"),
    "imaging:upload": door(*CLINICAL),
    "imaging:upload-start": door(*CLINICAL, method="post"),
    "imaging:upload-result": door(*CLINICAL, pk="upload"),
    "imaging:conflict": door(*CLINICAL, pk="study"),
    "imaging:senders": door(*ADMINISTRATOR),
    "imaging:sender-edit": door(*ADMINISTRATOR, pk="sender"),
    "imaging:upload-finish": door(*CLINICAL, method="post", pk="upload"),
    "imaging:upload-cancel": door(*CLINICAL, method="post", pk="upload"),
}
# Pictures of a series: the row exists, the file does not, so even those who may look get a 404; tested with real files elsewhere.
PICTURES = {"imaging:slice", "imaging:outlines", "imaging:instance", "imaging:thumbnail"}
# Protocols for programs, by token: 401 without one; DICOMweb answers a search of what one may not see with nothing (204).
TUS = {"imaging:tus", "imaging:tus-file"}
DICOMWEB_SEARCHES = {
    "dicomweb:studies", "dicomweb:all-series", "dicomweb:all-instances", "dicomweb:study-series", "dicomweb:study-instances",
    "dicomweb:series-instances",
}  # fmt: skip
DICOMWEB_FILES = {
    "dicomweb:study", "dicomweb:study-metadata", "dicomweb:series", "dicomweb:series-metadata", "dicomweb:instance",
    "dicomweb:instance-metadata", "dicomweb:rendered", "dicomweb:thumbnail", "dicomweb:frames", "dicomweb:frame-rendered",
    "dicomweb:bulkdata",
}  # fmt: skip
PROTOCOLS = TUS | DICOMWEB_SEARCHES | DICOMWEB_FILES
SHARED = {"model", "cross_validation"}  # things of the whole installation, the same for the administrators of every centre
API_LISTS = {
    "patients": "patient", "visits": "visit", "assessments": "assessment", "hip-examinations": "examination",
    "treatments": "treatment", "studies": "study", "jobs": "job", "scores": "score", "reads": "read",
    "uploads": "upload", "erasures": "erasure", "policies": "centre",
}  # fmt: skip
# Who finds the lists of the API; CLINICAL where nothing is said.
API_ROLES = {"erasures": ROLES, "policies": ADMINISTRATOR}


def addresses(patterns=None, namespace=""):
    """Names of all addresses outside the API's router."""
    for entry in patterns if patterns is not None else get_resolver().url_patterns:
        if isinstance(entry, URLResolver):
            inner = ":".join(filter(None, (namespace, entry.namespace)))
            yield from addresses(entry.url_patterns, inner)
        elif isinstance(entry, URLPattern):
            yield f"{namespace}:{entry.name}" if namespace else entry.name


def is_api(name: str) -> bool:
    return name.startswith("api:") and name not in OPEN


def test_every_address_has_a_row():
    names = {name for name in addresses() if not is_api(name)}
    assert names - set(DOORS) - OPEN - PICTURES - PROTOCOLS == set(), "addresses that nobody said who may open"
    assert (set(DOORS) | PROTOCOLS) - names == set(), "rows for addresses that are gone"


def make_things(centre):
    """One thing of each kind at a centre."""
    patient = make_patient(centre)
    visit = make_visit(patient)
    radiologist = make_user("radiologist", centre)
    study = Study.objects.create(centre=centre, visit=visit, study_uid=f"2.25.{centre.pk}", acquired_at=timezone.now())
    series = Series.objects.create(study=study, series_uid=f"2.25.{centre.pk}.1", plane="coronal", n_slices=20)
    model = ModelVersion.objects.create(name="unet", version=f"{centre.pk}", sha256=f"{centre.pk:064d}")
    rescoring = Rescoring.objects.create(model_version=model)
    rescoring.centres.add(centre)
    return {
        "centre": centre,
        "patient": patient,
        "visit": visit,
        "study": study,
        "series": series,
        "model": model,
        "cross_validation": make_cross_validation(),
        "rescoring": rescoring,
        "user": radiologist,
        "membership": Membership.objects.get(user=radiologist),
        "job": make_job(centre=centre),
        "sender": Sender.objects.create(ae_title=f"AE{centre.pk}", centre=centre),
        "upload": Upload.objects.create(centre=centre, user=radiologist),
        "assessment": Assessment.objects.create(visit=visit),
        "examination": HipExamination.objects.create(visit=visit, side="right"),
        "treatment": TreatmentPeriod.objects.create(patient=patient, drug="etanercept", started_on="2026-01-01"),
        "erasure": Erasure.objects.create(
            centre=centre, kind="study", subject_id=str(study.pk), reason="a test", asked_by=radiologist
        ),
        "score": Score.objects.create(series=series, side="right", refused_code="no_hips"),
        "read": Read.objects.create(
            visit=visit, side="right", reader=radiologist, femoral_bme=1, acetabular_bme=1, effusion=1, total=3
        ),
    }


@pytest.fixture
def things():
    return make_things(make_centre())


def ask(client: Client, name: str, row: Door, things) -> int:
    address = reverse(name, kwargs={argument: things[kind].pk for argument, kind in row.rows})
    data = {"series": things["series"].pk} if row.names_series else {}
    return getattr(client, row.method)(address, data).status_code


@pytest.mark.parametrize("name", sorted(DOORS))
def test_nobody_comes_in_without_signing_in(client, name, things):
    row = DOORS[name]
    address = reverse(name, kwargs={argument: things[kind].pk for argument, kind in row.rows})
    answer = getattr(client, row.method)(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/sign-in/")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", sorted(DOORS))
def test_at_the_own_centre(name, role, things):
    client = Client(raise_request_exception=True)
    client.force_login(make_user(role, things["centre"]))
    status = ask(client, name, DOORS[name], things)
    if role in DOORS[name].roles:
        assert status not in (404, 500), f"{role} should find {name}"
    else:
        assert status in (403, 404), f"{role} should not find {name}"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", sorted(name for name, row in DOORS.items() if {kind for _, kind in row.rows} - SHARED))
def test_things_of_another_centre_are_not_there(name, role, things):
    client = Client()
    client.force_login(make_user(role, make_centre()))
    assert ask(client, name, DOORS[name], things) == 404


@pytest.mark.parametrize("name", sorted(PICTURES))
@pytest.mark.parametrize("role", ROLES)
def test_pictures_of_another_centre_are_not_there(name, role, things):
    client = Client()
    client.force_login(make_user(role, make_centre()))
    keys = {"imaging:instance": {"instance_id": 1}, "imaging:thumbnail": {"side": "right"}}
    keys = keys.get(name, {"series_id": things["series"].pk, "index": 0})
    address = reverse(name, kwargs={"pk": things["study"].pk, **keys})
    assert client.get(address).status_code == 404


def address_of(name: str, things) -> str:
    """Address of a protocol's resource: of the upload, or of the study with an image in it."""
    if name in TUS:
        return reverse(name, args=[things["upload"].pk, *([1] if name == "imaging:tus-file" else [])])
    study, series = things["study"], things["series"]
    Instance.objects.get_or_create(
        study=study, series_uid=series.series_uid, sop_uid="2.25.77", pixel_sha256="0", path="dicom/00/gone.dcm", n_bytes=1
    )
    route = next(p for p in get_resolver().namespace_dict["dicomweb"][1].url_patterns if f"dicomweb:{p.name}" == name)
    values = {"study": study.study_uid, "series": series.series_uid, "instance": "2.25.77", "frames": "1", "tag": "7FE00010"}
    return reverse(name, kwargs={key: values[key] for key in route.pattern.converters})


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_protocols_need_a_token_or_a_session(name, things):
    address = address_of(name, things)
    for method in ("patch", "delete", "head") if name == "imaging:tus-file" else ("post",) if name in TUS else ("get",):
        assert getattr(Client(), method)(address).status_code == 401


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_protocols_show_nothing_of_another_centre(name, role, things):
    address, tus = address_of(name, things), {"Tus-Resumable": "1.0.0", "Upload-Length": "1", "Upload-Offset": "0"}
    for centre in (make_centre(), *([things["centre"]] if role not in CLINICAL else [])):
        client = api(role, centre)
        if name in TUS:
            method = client.patch if name == "imaging:tus-file" else client.post
            status = method(address, b"x", content_type="application/offset+octet-stream", headers=tus).status_code
        else:
            status = client.get(address).status_code
        assert status == (204 if name in DICOMWEB_SEARCHES else 404)


def api(role, centre) -> Client:
    key = Token.objects.create(user=make_user(role, centre)).key
    return Client(headers={"Authorization": f"Token {key}"})


def test_the_api_serves_exactly_these_lists():
    names = {name.removeprefix("api:") for name in addresses() if is_api(name)}
    lists = {reverse(f"api:{name}") for name in names if name.endswith("-list")}
    assert lists == {f"/api/v1/{resource}/" for resource in API_LISTS}
    for resource in API_LISTS:
        assert Client().get(f"/api/v1/{resource}/").status_code == 401


@pytest.mark.parametrize("resource", sorted(API_LISTS))
@pytest.mark.parametrize("role", ROLES)
def test_the_api_shows_a_centre_only_to_its_own_roles(resource, role, things):
    elsewhere = make_centre()
    mine, theirs = api(role, things["centre"]), api(role, elsewhere)
    thing = things[API_LISTS[resource]]
    detail = f"/api/v1/{resource}/{thing.code if resource == 'policies' else thing.pk}/"
    is_hidden_read = resource == "reads" and role == "radiologist"  # another reader's read
    if role in API_ROLES.get(resource, CLINICAL) and not is_hidden_read:
        assert mine.get(f"/api/v1/{resource}/").json()["count"] == 1
        assert mine.get(detail).status_code == 200
    else:
        assert mine.get(f"/api/v1/{resource}/").json()["count"] == 0
        assert mine.get(detail).status_code == 404
    own = [row.get("centre") for row in theirs.get(f"/api/v1/{resource}/").json()["results"]]
    assert own == ([elsewhere.code] if resource == "policies" and role in ADMINISTRATOR else [])
    assert theirs.get(detail).status_code == 404


def test_absent_and_not_yours_answer_alike(things):
    client = Client()
    client.force_login(make_user("rheumatologist", make_centre()))
    absent = client.get(f"/studies/{uuid4()}/")
    not_yours = client.get(f"/studies/{things['study'].pk}/")
    assert absent.status_code == not_yours.status_code == 404
    assert len(absent.content) == len(not_yours.content)
