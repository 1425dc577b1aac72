"""Which model is in force: the shipped one at first, then whatever an administrator promoted."""

import pytest

from hipapp.imaging import registry
from hipapp.imaging.bundles import description_hash
from hipapp.imaging.models import ModelVersion, Promotion
from tests.imaging.bundles import contents, write_bundle

pytestmark = pytest.mark.django_db


def in_force() -> list[str]:
    return [str(model) for model in ModelVersion.objects.filter(is_in_force=True)]


def test_the_shipped_model_is_stored_and_put_in_force_once():
    first = registry.ensure_model_in_force()
    assert registry.ensure_model_in_force() == first
    assert (str(first), first.settings, first.metrics) == ("unet test", {"unet": {"base": 16}}, {"unet": {"bme": 0.8}})
    assert first.promoted_at is not None
    assert [(row.model_version, row.replaced, row.by) for row in Promotion.objects.all()] == [(first, None, None)]


def test_a_later_release_does_not_replace_the_model_in_force(model_folder):
    old = registry.ensure_model_in_force()
    write_bundle(model_folder, version="2", seed=5)
    assert registry.ensure_model_in_force() == old
    assert in_force() == ["unet test"]


def test_a_model_whose_files_were_never_kept_gives_way_to_the_shipped_one(model_folder):
    ModelVersion.objects.create(name="unet", version="0", sha256="0" * 64, is_in_force=True)
    assert str(registry.ensure_model_in_force()) == "unet test"
    assert in_force() == ["unet test"]


def test_the_shipped_model_of_a_row_without_files_gets_them():
    model = registry.ensure_model_in_force()
    ModelVersion.objects.filter(pk=model.pk).update(files={})
    again = registry.ensure_model_in_force()
    assert (again.pk, sorted(again.files)) == (model.pk, ["hips.json", "hips.safetensors", "unet.safetensors"])
    assert Promotion.objects.count() == 1


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"files": 1}', '{"files": {"a": "b"}}'])
def test_a_damaged_description_is_said_in_words(model_folder, content):
    (model_folder / "bundle.json").write_text(content)
    with pytest.raises(registry.NoModelError, match="No model is installed"):
        registry.ensure_model_in_force()


def test_a_worker_gets_the_files_from_the_storage(model_folder):
    model = registry.ensure_model_in_force()
    for path in model_folder.iterdir():
        path.unlink()
    folder = registry.model_folder(model)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "bundle.json"} == {
        name: content for name, content in contents().items() if name != "bundle.json"
    }
    assert registry.model_folder(model) == folder
    assert description_hash(model.description) == model.sha256


def test_files_that_the_storage_lost_are_said_in_words():
    model = registry.ensure_model_in_force()
    registry.forget_folder(model)
    ModelVersion.objects.filter(pk=model.pk).update(files={"unet.safetensors": "models/aa/" + "a" * 64 + ".safetensors"})
    model.refresh_from_db()
    with pytest.raises(registry.NoModelError, match="missing or damaged in the file storage"):
        registry.model_folder(model)
    assert [path.name for path in registry.model_folder_root().iterdir()] == []
