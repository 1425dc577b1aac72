"""Which model is in force, told from the bundle's description alone."""

import json

import pytest

from hipapp.imaging import registry
from hipapp.imaging.models import ModelVersion
from tests.imaging.conftest import FILES

pytestmark = pytest.mark.django_db


def describe(folder, **values):
    content = {"name": "unet", "version": "test", "files": FILES, "unet": {"settings": {"base": 16}, "metrics": {"bme": 0.8}}}
    (folder / "bundle.json").write_text(json.dumps({**content, **values}))


def test_the_hash_is_the_one_that_the_bundle_gives_itself():
    from ml.bundle import bundle_hash

    assert registry.description_hash({"files": FILES}) == bundle_hash({"files": FILES})


def test_a_model_is_registered_once_with_settings_and_metrics(model_folder):
    describe(model_folder)
    first = registry.register_model()
    assert registry.register_model() == first
    assert (str(first), first.settings, first.metrics) == ("unet test", {"unet": {"base": 16}}, {"unet": {"bme": 0.8}})


def test_a_new_bundle_takes_over_and_an_old_one_can_come_back(model_folder):
    old = registry.register_model()
    describe(model_folder, version="2", files={**FILES, "unet.safetensors": "d" * 64})
    new = registry.register_model()
    assert list(ModelVersion.objects.filter(is_in_force=True)) == [new]
    describe(model_folder)
    assert registry.register_model() == old
    assert list(ModelVersion.objects.filter(is_in_force=True)) == [old]


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"files": 1}', '{"files": {"a": "b"}}'])
def test_a_damaged_description_is_said_in_words(model_folder, content):
    (model_folder / "bundle.json").write_text(content)
    with pytest.raises(registry.NoModelError, match="No model is installed"):
        registry.register_model()
