"""A bundle in which two networks answer together goes every way that a bundle of one goes; small networks, never trained."""

import zipfile
from io import BytesIO

import pytest
import torch
from django.core.management import call_command

from hipapp.imaging import inference
from hipapp.imaging.bundles import BundleRefusedError, read_bundle
from hipapp.imaging.inference import segment  # before conftest replaces it
from hipapp.imaging.models import ModelVersion, Series
from hipapp.imaging.services import models
from ml.bundle import DEFAULT, add_finder, name_bundle, save_unet
from ml.join import join
from ml.networks import build
from ml.networks.ensemble import Ensemble
from tests.imaging.bundles import contents, zipped
from tests.imaging.studies import receive, stir_files

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not (DEFAULT / "hips.json").exists(), reason="the hip finder is not there"),
]


@pytest.fixture
def joined(tmp_path):
    """The folder of `unet 4`: a U-Net with a hip finder, joined with one that looks at the slices beside."""
    torch.manual_seed(0)
    for name, dice in (("unet", 0.7), ("unet25d", 0.8)):
        save_unet(tmp_path / name, build(name, base=2, levels=2), f"made as {name}", {"validation": {"bme": dice}})
    add_finder(tmp_path / "unet", DEFAULT)
    folder = tmp_path / "joined"
    join([tmp_path / "unet", tmp_path / "unet25d"], folder, "by the test")
    name_bundle(folder, "unet", "4")
    return folder


@pytest.fixture
def model(joined) -> ModelVersion:
    call_command("models", "import", str(joined))
    inference._bundle.cache_clear()
    return ModelVersion.objects.get()


def test_the_command_imports_it_tries_it_and_puts_it_in_force(model, capsys):
    assert (str(model), model.state) == ("unet 4", "ready")
    call_command("models", "promote", "unet 4", "--reason", "two say more than one")
    assert ModelVersion.objects.get(is_in_force=True) == model


def test_the_page_imports_it_as_a_zip(client, administrator, joined):
    client.force_login(administrator)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in joined.iterdir():
            archive.write(path, f"joined/{path.name}")
    packed.seek(0)
    packed.name = "joined.zip"
    answer = client.post("/models/import/", {"bundle": packed}, follow=True)
    models.check_model(ModelVersion.objects.get())
    text = client.get(answer.redirect_chain[-1][0]).content.decode()
    for words in ("unet 4, together", "unet25d 1", "2 networks answer", "members 2", "base 2, levels 2", "0.700", "0.800"):
        assert words in text


def test_a_study_is_scored_by_it_and_says_so(model, radiologist, visit, settings):
    settings.SCORE_INTERVALS = True
    receive(radiologist, stir_files(shape=(7, 96, 120)), visit=visit)
    outcome = segment(Series.objects.get(), model, lambda percent, said: None)
    assert [hip.side for hip in outcome.hips] == ["right", "left"]
    assert isinstance(inference._bundle(model.sha256).unet, Ensemble)
    assert outcome.warnings[-1].startswith("No interval: unet 4 holds no calibration")


def test_more_settings_than_any_network_has_are_refused():
    many = {"settings": {"members": [{"name": "unet", "base": 1}] * 200}}
    with pytest.raises(BundleRefusedError, match="more than 256 settings"):
        read_bundle(zipped(contents(unet=many)))
