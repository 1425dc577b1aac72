"""Comparisons of networks: imported once, refused in words, shown with their numbers to those whom they concern."""

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse

from hipapp.demo.management.commands.demo import COMPARISONS
from hipapp.imaging.models import CrossValidation
from tests.builders.cross_validation import CASES, make_cross_validation, make_result, write_result
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
        ({"cases": "none"}, "cases is no list"),
        ({"cases": [{"case": "P1"}]}, "KeyError"),
        ({"cases": []}, "cases.csv is of other hips"),
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


def test_a_result_of_an_earlier_version_says_what_to_do(tmp_path):
    result = {key: value for key, value in make_result().items() if key != "cases"}
    (write_result(tmp_path) / "result.json").write_text(json.dumps(result))
    with pytest.raises(CommandError, match="was written by an earlier version"):
        call_command("import_crossval", str(tmp_path))


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (None, r"has no cases\.csv"),
        ("a,b\n1,2\n", "is no per-case table"),
        (CASES.replace("P1", "P9"), "other hips"),
        ("\xff", "no"),
    ],
)
def test_a_result_without_its_per_case_table_is_refused(tmp_path, table, why):
    path = write_result(tmp_path) / "cases.csv"
    path.unlink()
    if table is not None:
        path.write_text(table, encoding="latin-1")
    with pytest.raises(CommandError, match=why):
        call_command("import_crossval", str(tmp_path))


def test_every_hip_is_there_to_look_at_to_find_and_to_take_away(coordinator, tmp_path):
    call_command("import_crossval", str(write_result(tmp_path)))
    row = CrossValidation.objects.get()
    addresses = [reverse(f"imaging:cross-validation-{name}", args=[row.pk]) for name in ("hips", "csv")]
    page = coordinator.get(reverse("imaging:cross-validation", args=[row.pk])).content.decode()
    assert all(address in page for address in addresses)
    hips = coordinator.get(addresses[0]).content.decode()
    assert hips.index("P2_V1_left") < hips.index("P1_V1_right") < hips.index("P3_V1_right")
    for words in ("12.0", "70.0", "30.0", "95.3", "Lesion", "Femoral head", "HRNet"):
        assert words in hips, words
    assert "None" not in hips
    found = coordinator.get(addresses[0], {"q": "p1_"}).content.decode()
    assert "P1_V1_right" in found
    assert "P2_V1_left" not in found
    assert "No hip matches" in coordinator.get(addresses[0], {"q": "nobody"}).content.decode()
    answer = coordinator.get(addresses[1])
    assert answer.content.decode() == CASES
    assert answer["Content-Disposition"] == f'attachment; filename="cases-{row.pk}.csv"'
    assert answer["Content-Type"].startswith("text/csv")


def test_many_hips_come_in_pages(coordinator):
    result = make_result()
    first = result["cases"][0]
    result["cases"] = [first | {"case": f"H{number:03}"} for number in range(120)]
    row = make_cross_validation(result=result)
    address = reverse("imaging:cross-validation-hips", args=[row.pk])
    assert "H049" in coordinator.get(address).content.decode()
    last = coordinator.get(address, {"page": 3, "q": "h"}).content.decode()
    assert "H119" in last
    assert "H050" not in last


def test_a_comparison_that_was_imported_without_its_hips_has_no_doors_to_them(coordinator):
    result = make_result()
    del result["cases"]
    row = make_cross_validation(result=result, cases="")
    page = coordinator.get(reverse("imaging:cross-validation", args=[row.pk])).content.decode()
    for name in ("hips", "csv"):
        address = reverse(f"imaging:cross-validation-{name}", args=[row.pk])
        assert address not in page
        assert coordinator.get(address).status_code == 404


def test_the_results_that_the_demo_shows_are_complete(coordinator):
    for folder in COMPARISONS:
        call_command("import_crossval", str(folder))
    page = coordinator.get(reverse("imaging:cross-validations")).content.decode()
    assert page.count("/models/comparisons/") >= len(COMPARISONS)
    newest = CrossValidation.objects.order_by("-pk").first()
    detail = coordinator.get(reverse("imaging:cross-validation", args=[newest.pk])).content.decode()
    assert "Pseudo-3D U-Net, started from a bundle" in detail
    assert "learning rate 0.0002, loss small-lesions" in detail
    hips = coordinator.get(reverse("imaging:cross-validation-hips", args=[newest.pk])).content.decode()
    assert "1–50 of 230" in hips


def test_an_unfinished_result_is_marked(coordinator, tmp_path):
    call_command("import_crossval", str(write_result(tmp_path, is_complete=False, missing=["hrnet fold 2"])), "--incomplete")
    page = coordinator.get(reverse("imaging:cross-validation", args=[CrossValidation.objects.get().pk])).content.decode()
    assert "Folds are missing: hrnet fold 2" in page


def test_the_page_shows_the_tables(coordinator):
    row = make_cross_validation()
    page = coordinator.get(reverse("imaging:cross-validation", args=[row.pk])).content.decode()
    for words in (
        "U-Net",
        "HRNet",
        "81.0",
        "79.0 to 83.0",
        "88.5",
        "+5.0",
        "0.012",
        ">88<",
        "−0.40",
        "0.031",
        "1.90",
        "5 minutes a fold, loss of HRNet",
        "95 % interval over hips",
        "91.0 to 95.0",
    ):
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
