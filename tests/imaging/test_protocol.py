"""A centre's protocol: deviations in words, some of which forbid a score until a radiologist decides otherwise."""

import pytest
from django.urls import reverse

from hipapp.accounts.models import AccessEvent
from hipapp.core.errors import ConflictError, DomainError, ForbiddenError
from hipapp.imaging.models import ImagingPolicy, Score, Series, Study
from hipapp.imaging.policy import policy_of
from hipapp.imaging.protocol import ITEMS, check, clean_template, rows_of
from hipapp.imaging.services.policies import save_policy
from hipapp.imaging.services.scores import order_scoring
from hipapp.imaging.services.studies import override_protocol
from hipapp.jobs.models import Job
from tests.imaging.studies import SHAPE, receive, run_job, stir_files

ARTICLE = {
    "plane": "coronal", "fat_suppressed": True, "is_inversion": True, "tr_ms": 3550.0, "te_ms": 51.0, "ti_ms": 145.0,
    "slice_thickness_mm": 4.0, "gap_mm": 0.4, "fov_short_mm": 400.0, "fov_long_mm": 400.0, "matrix_frequency": 512,
    "matrix_phase": 256, "n_slices": 22, "hip_slices": 15,
}  # fmt: skip


def test_the_articles_own_acquisition_meets_the_default():
    found = check(ARTICLE, {})
    assert (found.is_met, found.unknown) == (True, ())


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("plane", "axial", "plane axial (coronal expected)"),
        ("fat_suppressed", False, "fat suppression no (yes expected)"),
        ("tr_ms", 600.0, "repetition time 600 ms (2500 to 6500 ms expected)"),
        ("te_ms", 12.0, "echo time 12 ms (30 to 80 ms expected)"),
        ("ti_ms", 2200.0, "inversion time 2200 ms (120 to 260 ms expected)"),
        ("slice_thickness_mm", 7.0, "slice thickness 7.0 mm (3 to 5 mm expected)"),
        ("gap_mm", 3.0, "gap between slices 3.0 mm (0 to 1.5 mm expected)"),
        ("fov_short_mm", 180.0, "field of view, short side 180 mm (280 to 450 mm expected)"),
        ("fov_long_mm", 600.0, "field of view, long side 600 mm (320 to 480 mm expected)"),
        ("matrix_frequency", 128, "acquisition matrix, frequency 128 (256 to 1024 expected)"),
        ("matrix_phase", 64, "acquisition matrix, phase 64 (192 to 1024 expected)"),
        ("n_slices", 9, "slices of the stack 9 (15 to 80 expected)"),
        ("hip_slices", 3, "slices through each hip, of 15 3 (5 to 15 expected)"),
    ],
)
def test_each_item_deviates_by_itself(key, value, words):
    (deviation,) = check({**ARTICLE, key: value}, {}).deviations
    assert (deviation.key, deviation.words) == (key, words)


def test_what_the_header_does_not_tell_is_said_and_no_deviation():
    found = check({**ARTICLE, "matrix_phase": None, "tr_ms": None}, {})
    assert (found.is_met, found.unknown) == (True, ("Repetition time", "Acquisition matrix, phase"))
    without_inversion = {key: value for key, value in ARTICLE.items() if key not in ("ti_ms", "is_inversion")}
    assert check(without_inversion, {}).unknown == ()


def test_a_value_shown_as_the_bound_is_within_it():
    assert check({**ARTICLE, "slice_thickness_mm": 5.04}, {}).is_met
    assert not check({**ARTICLE, "slice_thickness_mm": 5.06}, {}).is_met


def test_a_template_replaces_bounds_and_may_leave_them_open():
    template = clean_template({"te_ms": {"low": "40,5", "high": "", "forbids": True}, "tr_ms": {"low": "", "high": ""}})
    assert template["te_ms"] == {"low": 40.5, "high": None, "forbids": True}
    (deviation,) = check({**ARTICLE, "te_ms": 30.0, "tr_ms": 9.0}, template).deviations
    assert (deviation.expected, deviation.forbids) == ("at least 40.5 ms", True)
    assert {row.item.key: row.expected for row in rows_of(template)}["tr_ms"] == "any"


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"te_ms": {"low": "many"}}, "te_ms-low"),
        ({"te_ms": {"high": "nan"}}, "te_ms-high"),
        ({"te_ms": {"low": "-1"}}, "te_ms-low"),
        ({"te_ms": {"low": "80", "high": "30"}}, "te_ms-high"),
        ({"field": {"low": "1"}}, "field"),
        ({"plane": {"forbids": False}}, "plane"),
    ],
)
def test_a_bound_that_cannot_be_is_refused_at_its_field(said, field):
    with pytest.raises(DomainError) as error:
        clean_template(said)
    assert error.value.field == field


THICK = {"protocol": {"slice_thickness_mm": {"low": "1", "high": "3", "forbids": True}}}
REST = {"keeps_originals": False, "needs_second_person": False}
pages = pytest.mark.django_db


@pages
def test_values_come_from_the_files(radiologist, visit):
    receive(radiologist, stir_files(AcquisitionMatrix=[0, 512, 256, 0]), visit=visit)
    tags = Series.objects.get().tags
    assert (tags["matrix_frequency"], tags["matrix_phase"], tags["gap_mm"], tags["slice_thickness_mm"]) == (512, 256, 0.4, 4.0)
    assert (tags["fov_short_mm"], tags["fov_long_mm"], tags["is_inversion"]) == (SHAPE[1] * 4.0, SHAPE[2] * 4.0, True)


@pages
def test_a_forbidding_deviation_stores_and_shows_the_study_but_scores_it_not(radiologist, administrator, centre, visit, client):
    save_policy(administrator, centre, **THICK, **REST)
    receive(radiologist, stir_files(), visit=visit)
    study = Study.objects.get()
    assert (study.state, study.visit, study.refused_code) == ("ready", visit, "protocol")
    assert "slice thickness 4.0 mm (1 to 3 mm expected)" in study.refused_message
    assert not Job.objects.filter(task="imaging.segment_series").exists()
    client.force_login(radiologist)
    page = client.get(reverse("imaging:study", args=[study.pk])).content.decode()
    assert "forbids a score" in page
    assert "Have it scored in spite of the protocol" in page


@pages
def test_a_radiologist_overrides_with_a_reason_that_is_kept(radiologist, rheumatologist, administrator, centre, visit, network):
    save_policy(administrator, centre, **THICK, **REST)
    receive(radiologist, stir_files(), visit=visit)
    study = Study.objects.get()
    with pytest.raises(ForbiddenError):
        override_protocol(study, rheumatologist, reason="it looks well enough")
    with pytest.raises(DomainError, match="in a few words"):
        override_protocol(study, radiologist, reason=" ")
    override_protocol(study, radiologist, reason="it looks well enough")
    study.refresh_from_db()
    assert (study.refused_code, study.protocol_decision, study.protocol_decided_by) == ("", "it looks well enough", radiologist)
    assert AccessEvent.objects.filter(action="override-protocol", subject_id=str(study.pk)).count() == 1
    assert run_job(Job.objects.get(task="imaging.segment_series")).state == "succeeded"
    assert Score.objects.filter(refused_code="").count() == 2
    with pytest.raises(ConflictError):
        override_protocol(study, radiologist, reason="once more")


@pages
def test_too_few_slices_through_a_hip_are_seen_when_it_is_outlined(radiologist, administrator, centre, visit):
    save_policy(administrator, centre, protocol={"hip_slices": {"low": "12", "high": "15", "forbids": True}}, **REST)
    receive(radiologist, stir_files(), visit=visit)
    run_job(Job.objects.get(task="imaging.segment_series"))
    assert set(Score.objects.values_list("refused_code", "unet_score")) == {("protocol", None)}
    study = Study.objects.get()
    override_protocol(study, radiologist, reason="a narrow pelvis")
    run_job(Job.objects.filter(task="imaging.segment_series").order_by("-created_at").first())
    assert Score.objects.filter(refused_code="", unet_score__isnull=False).count() == 2


@pages
def test_a_wider_protocol_lets_the_score_be_ordered(radiologist, administrator, centre, visit):
    save_policy(administrator, centre, **THICK, **REST)
    receive(radiologist, stir_files(), visit=visit)
    save_policy(administrator, centre, protocol={}, **REST)
    study = Study.objects.get()
    assert order_scoring(study, radiologist) is not None
    study.refresh_from_db()
    assert (study.refused_code, study.refused_message) == ("", "")


@pages
def test_the_administrator_sets_the_policy_on_a_page(administrator, radiologist, centre, client):
    client.force_login(administrator)
    address = reverse("imaging:policy", args=[centre.pk])
    assert client.get(address).status_code == 200
    form = {f"{item.key}-{side}": getattr(item, side) for item in ITEMS if item.is_number for side in ("low", "high")}
    wrong = client.post(address, {**form, "te_ms-low": "a lot", "keeps_originals": "1"})
    assert (wrong.status_code, ImagingPolicy.objects.count()) == (400, 0)
    assert b'value="a lot"' in wrong.content
    assert client.post(address, {**form, "te_ms-low": "45", "te_ms-forbids": "1", "needs_second_person": "1"}).status_code == 302
    policy = policy_of(centre)
    assert (policy.protocol["te_ms"], policy.needs_second_person, policy.keeps_originals) == (
        {"low": 45.0, "high": 80.0, "forbids": True},
        True,
        False,
    )
    with pytest.raises(ForbiddenError):
        save_policy(radiologist, centre, protocol={}, **REST)
