"""Comparisons of networks: imported once, refused in words, shown with their numbers to those whom they concern."""

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse

from hipapp.demo.management.commands.demo import COMPARISONS
from hipapp.imaging.models import CrossValidation
from tests.builders.cross_validation import make_cross_validation, make_result, write_result
from tests.builders.rows import make_centre, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def coordinator(client):
    client.force_login(make_user("coordinator", make_centre()))
    return client


def test_a_result_is_imported_once(tmp_path, capsys):
    folder = write_result(tmp_path)
    call_command("import_crossval", str(folder))
    call_command("import_crossval", str(folder))
    row = CrossValidation.objects.get()
    assert (row.data_set, row.n_patients, row.n_hips, row.n_folds, row.is_complete) == ("phantoms", 4, 8, 2, True)
    out = capsys.readouterr().out
    assert f"imported: /models/comparisons/{row.pk}/" in out
    assert "was here already" in out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 7}, "format is 7"),
        ({"splits_sha256": "short"}, "no SHA-256"),
        ({"overall": None}, "overall is no list"),
        ({"data_set": {}}, "KeyError"),
        ({"is_complete": False, "missing": ["hrnet fold 2"]}, "hrnet fold 2"),
    ],
)
def test_what_is_no_finished_result_is_refused(tmp_path, changes, words):
    with pytest.raises(CommandError, match=words):
        call_command("import_crossval", str(write_result(tmp_path, **changes)))
    assert not CrossValidation.objects.exists()


def test_a_folder_without_a_result_or_with_rubbish_is_refused(tmp_path):
    with pytest.raises(CommandError, match=r"has no result\.json"):
        call_command("import_crossval", str(tmp_path))
    (tmp_path / "result.json").write_text("[1]")
    with pytest.raises(CommandError, match="can't be read"):
        call_command("import_crossval", str(tmp_path))


def test_the_results_that_the_demo_shows_are_complete(coordinator):
    for folder in COMPARISONS:
        call_command("import_crossval", str(folder))
    page = coordinator.get(reverse("imaging:cross-validations")).content.decode()
    assert page.count("/models/comparisons/") >= len(COMPARISONS)
    newest = CrossValidation.objects.order_by("-pk").first()
    detail = coordinator.get(reverse("imaging:cross-validation", args=[newest.pk])).content.decode()
    assert "U-Net, started from a bundle" in detail
    assert "3D U-Net" in detail


def test_an_unfinished_result_is_marked(coordinator, tmp_path):
    call_command("import_crossval", str(write_result(tmp_path, is_complete=False, missing=["hrnet fold 2"])), "--incomplete")
    page = coordinator.get(reverse("imaging:cross-validation", args=[CrossValidation.objects.get().pk])).content.decode()
    assert "Folds are missing: hrnet fold 2" in page


def test_the_page_shows_the_tables(coordinator):
    row = make_cross_validation()
    page = coordinator.get(reverse("imaging:cross-validation", args=[row.pk])).content.decode()
    for words in ("U-Net", "HRNet", "81.0", "79.0 to 83.0", "88.5", "+5.0", "0.012", ">88<", "−0.40", "0.031", "1.90"):
        assert words in page, words
    assert "None" not in page
    listed = coordinator.get(reverse("imaging:cross-validations")).content.decode()
    assert reverse("imaging:cross-validation", args=[row.pk]) in listed


def test_names_from_a_file_are_text_on_the_page(coordinator):
    result = make_result()
    result["notes"] = ["<script>alert(1)</script>"]
    row = make_cross_validation(data_set="<b>x</b>", result=json.loads(json.dumps(result)))
    page = coordinator.get(reverse("imaging:cross-validation", args=[row.pk])).content.decode()
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page


def test_without_a_comparison_the_page_says_how_to_make_one(coordinator):
    assert "python -m ml crossval" in coordinator.get(reverse("imaging:cross-validations")).content.decode()
