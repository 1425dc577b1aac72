"""A bundle is what its description says, or it is refused."""

import json
import shutil

import pytest
import safetensors.torch
import torch
from torch import nn

from ml import bundle, calibrate_command, evaluate, interval_command, train_command
from ml.__main__ import main
from ml.hips import load_finder
from ml.networks.unet import UNet
from tests.ml.test_crossval import make_data

pytestmark = pytest.mark.skipif(not bundle.DEFAULT.joinpath("hips.json").exists(), reason="the hip finder is not there")


@pytest.fixture
def copy(tmp_path):
    """The default bundle, to be damaged."""
    return shutil.copytree(bundle.DEFAULT, tmp_path / "bundle")


def test_the_default_bundle_loads_and_says_where_it_comes_from():
    loaded = bundle.load()
    assert not loaded.unet.training
    assert loaded.description["unet"]["command"].startswith("python -m ml ")
    metrics = loaded.description["unet"]["metrics"]
    members = metrics.get("members", [loaded.description])
    assert all(member["unet"]["command"].startswith("python -m ml train ") for member in members)
    assert metrics["first_generator"]["femoral_head"]["dice"] > 0.9
    assert metrics["second_generator"]["femoral_head"]["dice"] > 0.85
    assert len(loaded.sha256) == 64
    n_bytes = sum(path.stat().st_size for path in bundle.DEFAULT.iterdir())
    assert n_bytes <= bundle.MAX_BYTES


def test_the_hip_finder_is_folded_and_says_the_same():
    net, alone = bundle.load().finder.net, load_finder(bundle.DEFAULT).net
    image = torch.rand(2, 2, 64, 96, generator=torch.Generator().manual_seed(1))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    with torch.no_grad():
        torch.testing.assert_close(net(image).softmax(1), alone(image).softmax(1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", bundle.REQUIRED_FILES)
def test_weights_that_were_tampered_with_are_refused(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[-1] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(bundle.BundleError, match=rf"{name} is not the file .* SHA-256 differs"):
        bundle.load(copy)


@pytest.mark.parametrize("name", bundle.REQUIRED_FILES)
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(bundle.BundleError, match=f"{name} is missing"):
        bundle.load(copy)


def test_a_folder_without_description_is_no_bundle(tmp_path):
    with pytest.raises(bundle.BundleError, match=r"no bundle: it has no bundle\.json"):
        bundle.load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{not json", '{"name": "unet"}'])
def test_a_damaged_description_is_refused(copy, text):
    (copy / "bundle.json").write_text(text)
    with pytest.raises(bundle.BundleError):
        bundle.load(copy)


def test_settings_of_another_network_are_refused(copy):
    description = json.loads((copy / "bundle.json").read_text())
    settings = description["unet"]["settings"]
    settings.get("members", [settings])[0]["base"] += 4
    (copy / "bundle.json").write_text(json.dumps(description))
    with pytest.raises(bundle.BundleError, match="do not fit"):
        bundle.load(copy)


def test_weights_come_back_as_they_were_saved(tmp_path):
    torch.manual_seed(0)
    network = UNet(base=4, levels=2).eval()
    image = torch.randn(1, 1, 32, 32)
    bundle.save_unet(tmp_path, network, "python -m ml train --seed 0", {"steps": 1})
    loaded = bundle.load_unet(tmp_path, bundle.describe(tmp_path))
    torch.testing.assert_close(loaded(image), network(image), atol=5e-3, rtol=5e-3)


def changed(copy, **values):
    description = json.loads((copy / "bundle.json").read_text()) | values
    (copy / "bundle.json").write_text(json.dumps(description))
    return bundle.describe(copy)


def test_the_network_alone_is_checked_too(copy):
    """As `join` and `--start` read it: without the hip finder."""
    content = bytearray((copy / bundle.UNET_WEIGHTS).read_bytes())
    content[-1] ^= 1
    (copy / bundle.UNET_WEIGHTS).write_bytes(content)
    with pytest.raises(bundle.BundleError, match="SHA-256 differs"):
        bundle.load_unet(copy, bundle.describe(copy))
    (copy / bundle.UNET_WEIGHTS).unlink()
    with pytest.raises(bundle.BundleError, match=r"unet\.safetensors is missing"):
        bundle.load_unet(copy, bundle.describe(copy))


@pytest.mark.parametrize(
    ("values", "why"),
    [({"files": None}, "names no files"), ({"unet": {}}, "describes no segmentation network"), ({"unet": []}, "no settings")],
)
def test_a_description_without_files_or_network_is_refused(copy, values, why):
    with pytest.raises(bundle.BundleError, match=why):
        bundle.load_unet(copy, changed(copy, **values))


def test_weights_that_are_none_are_refused_although_they_were_sealed(copy):
    (copy / bundle.UNET_WEIGHTS).write_bytes(b"no weights")
    bundle.seal(copy)
    with pytest.raises(bundle.BundleError, match="can't be read"):
        bundle.load_unet(copy, bundle.describe(copy))


def test_figures_are_recorded_without_a_change_of_the_hash(copy):
    before = bundle.load(copy).sha256
    bundle.record(copy, "some_figures", {"dice": 0.5})
    again = bundle.load(copy)
    assert again.sha256 == before
    assert again.description["unet"]["metrics"]["some_figures"] == {"dice": 0.5}


def test_sealing_again_changes_the_hash_with_the_files_alone(copy):
    first = bundle.seal(copy)
    assert bundle.seal(copy) == first == bundle.load(copy).sha256
    (copy / "hips.json").write_text((copy / "hips.json").read_text() + "\n")
    assert bundle.seal(copy) != first
    assert bundle.load(copy).sha256 == bundle.bundle_hash(bundle.describe(copy))


@pytest.mark.parametrize("chosen", [{"base": 4096}, {"base": 4096, "levels": 8}, {"base": 8}])
@pytest.mark.parametrize("is_empty", [True, False])
def test_settings_far_larger_than_the_weights_are_refused_before_memory_is_taken(chosen, is_empty):
    state = {} if is_empty else UNet(base=4).state_dict()
    with pytest.raises(bundle.BundleError, match="do not fit a unet"):
        bundle.unet_of(state, chosen)


def test_settings_that_no_network_has_are_refused():
    for settings in ({"widths": 3}, {"base": "many"}):
        with pytest.raises(bundle.BundleError, match="there is no unet"):
            bundle.unet_of({}, settings)


def test_a_bundle_made_before_networks_were_sure_lowers_nothing(tmp_path):
    network = UNet(base=4).eval()
    bundle.save_unet(tmp_path, network, "a test", {})
    state = safetensors.torch.load_file(tmp_path / bundle.UNET_WEIGHTS)
    del state["sure"]
    safetensors.torch.save_file(state, tmp_path / bundle.UNET_WEIGHTS)
    bundle.seal(tmp_path)
    assert not bundle.load_unet(tmp_path, bundle.describe(tmp_path)).sure.any()


@pytest.fixture
def measured(monkeypatch):
    """`make_sure` as it would be with enough hips: it keeps what it is given and says 7.5."""
    seen = []

    def made_sure(network, hips):
        seen.extend(hips)
        network.sure[3] = 7.5
        return {"synovitis": 7.5}

    monkeypatch.setattr(calibrate_command, "make_sure", made_sure)
    return seen


def test_calibrate_makes_a_bundle_sure_and_forgets_what_was_measured_before(tmp_path, monkeypatch, capsys, measured):
    bundle.save_unet(tmp_path, UNet(base=4).eval(), "a test", {"steps": 3, "first_generator": {"old": 1}})
    before = bundle.bundle_hash(bundle.describe(tmp_path))
    monkeypatch.setattr(calibrate_command, "synthetic_hips", list)
    assert main(["calibrate", str(tmp_path), "--patients", "2", "--version", "9"]) == 0
    assert measured == [15_000, 15_001]
    about = bundle.describe(tmp_path)
    assert about["version"] == "9"
    origin = {"name": "2 synthetic patients", "first_seed": 15_000, "n_hips": 2}
    assert about["unet"]["metrics"] == {"steps": 3, "sure": {"synovitis": 7.5}, "sure_measured_on": origin}
    assert about["unet"]["command"] == f"a test && python -m ml calibrate {tmp_path} --patients 2 --version 9"
    assert bundle.load_unet(tmp_path, about).sure.tolist() == [0, 0, 0, 7.5]
    assert bundle.bundle_hash(about) != before
    assert bundle.bundle_hash(about) in capsys.readouterr().out


def test_calibrate_takes_a_data_set_that_the_bundle_never_saw(tmp_path, capsys, measured):
    data = make_data(tmp_path / "data")
    for folder, fingerprint in (("fresh", "other"), ("seen", data.fingerprint)):
        bundle.save_unet(tmp_path / folder, UNet(base=4).eval(), "a test", {"data": {"fingerprint": fingerprint}})
    arguments = ["--dataset", str(tmp_path / "data"), "--version", "2"]
    assert main(["calibrate", str(tmp_path / "seen"), *arguments]) == 2
    assert "was made with this very data set" in capsys.readouterr().err
    assert measured == []
    assert main(["calibrate", str(tmp_path / "fresh"), *arguments]) == 0
    assert len(measured) == 4
    said = bundle.describe(tmp_path / "fresh")["unet"]["metrics"]["sure_measured_on"]
    assert said == {"name": "toys", "fingerprint": data.fingerprint, "n_hips": 4}


def test_calibrate_refuses_too_few_hips(tmp_path, capsys):
    make_data(tmp_path / "data")
    bundle.save_unet(tmp_path / "bundle", UNet(base=4).eval(), "a test", {})
    arguments = [str(tmp_path / "bundle"), "--dataset", str(tmp_path / "data"), "--version", "2"]
    assert main(["calibrate", *arguments]) == 2
    assert "too few" in capsys.readouterr().err


def test_what_calibrates_is_apart_from_what_validates_and_tests():
    calibrating = range(calibrate_command.FIRST_SEED, calibrate_command.FIRST_SEED + calibrate_command.MAX_PATIENTS)
    assert interval_command.VALIDATION_SEED + 1000 < calibrating.start > train_command.VALIDATION_SEEDS.stop
    assert calibrating.stop <= evaluate.FIRST_TEST_SEED


@pytest.mark.parametrize("sure", [float("nan"), float("inf"), -1.0, 31.0])
def test_a_bundle_that_must_be_sure_beyond_all_measure_is_refused(tmp_path, sure):
    network = UNet(base=4).eval()
    network.sure[3] = sure
    bundle.save_unet(tmp_path, network, "a test", {})
    with pytest.raises(bundle.BundleError, match="each must be a logit of 0 to 30"):
        bundle.load_unet(tmp_path, bundle.describe(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere"], "is no bundle"),
        (["{bundle}", "--dataset", "nowhere"], "nowhere"),
        (["{bundle}", "--device", "abacus"], "abacus"),
    ],
)
def test_what_can_t_be_calibrated_is_refused_in_one_line(tmp_path, capsys, arguments, why):
    bundle.save_unet(tmp_path, UNet(base=4).eval(), "a test", {})
    before = (tmp_path / bundle.UNET_WEIGHTS).read_bytes()
    assert main(["calibrate", "--version", "2", *(word.format(bundle=tmp_path) for word in arguments)]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1
    assert (tmp_path / bundle.UNET_WEIGHTS).read_bytes() == before


@pytest.mark.parametrize("n", ["0", "-3", "10001"])
def test_calibrate_takes_patients_for_validation_alone(tmp_path, n):
    with pytest.raises(SystemExit):
        main(["calibrate", str(tmp_path), "--version", "2", "--patients", n])
