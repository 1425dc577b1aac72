"""Networks that answer together, and the bundle that `python -m ml join` makes of several."""

import json
import shutil

import pytest
import torch

from ml import bundle, join
from ml.__main__ import main
from ml.networks import build
from ml.networks.ensemble import Ensemble
from ml.networks.network import as_slices


def member(name, seed, **settings):
    torch.manual_seed(seed)
    return build(name, base=4, levels=2, **settings).eval()


@pytest.fixture
def pair():
    """A network of slices and one of stacks, which do not say the same."""
    return [member("unet", 1), member("unet25d", 2)]


def test_its_logits_are_the_mean_of_its_members(pair):
    images = torch.randn(2, 1, 5, 32, 48, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        together = Ensemble(pair)(images)
        alone, beside = pair[0](as_slices(images)), as_slices(pair[1](images))
    torch.testing.assert_close(as_slices(together), (alone + beside) / 2, atol=1e-6, rtol=0)
    assert not torch.allclose(alone, beside, atol=1e-2)


def test_slices_without_a_stack_are_stacks_of_one(pair):
    images = torch.randn(3, 1, 32, 32)
    network = Ensemble(pair)
    with torch.no_grad():
        torch.testing.assert_close(network(images), network(images[:, :, None])[:, :, 0])


def test_each_member_is_laid_out_as_is_fastest_for_it(pair, tmp_path):
    """A U-Net whose weights lie as those of a network of stacks takes half as long again."""
    bundle.save_unet(tmp_path, Ensemble(pair), "a test", {})
    again = bundle.load_unet(tmp_path, bundle.describe(tmp_path))
    for member in again.each:
        assert member.encoder[1][0].weight.is_contiguous(memory_format=member.memory_format)
    assert again.each[0].memory_format == torch.channels_last


def test_a_shift_moves_the_mean_by_itself(pair):
    network, images = Ensemble(pair), torch.randn(1, 1, 3, 32, 32)
    with torch.no_grad():
        before = network(images)
        network.shift_logits([1.0, 0.0, -2.0, 0.5])
        moved = (network(images) - before).mean(dim=(0, 2, 3, 4))
    torch.testing.assert_close(moved, torch.tensor([1.0, 0.0, -2.0, 0.5]), atol=1e-5, rtol=0)


def test_its_settings_build_it_again(pair):
    network = Ensemble(pair)
    again = build("ensemble", **json.loads(json.dumps(network.settings)))
    again.load_state_dict(network.state_dict())
    images = torch.randn(1, 1, 2, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(images), network(images))


@pytest.mark.parametrize(
    "wrong",
    [{}, {"members": []}, {"members": [{"name": "unet"}]}, {"members": "unet"}, {"members": ["unet", "unet"]}, {"members": 3},
     {"members": [{"name": "ensemble", "members": []}, {"name": "unet"}]}, {"members": [{"name": "unet"}] * 2, "base": 4},
     {"members": [{"name": "unet", "widths": 3}, {"name": "unet"}]}],
)  # fmt: skip
def test_what_is_no_ensemble_is_refused(wrong):
    with pytest.raises(ValueError, match=r"ensemble|can't be built"):
        build("ensemble", **wrong)
    with pytest.raises(bundle.BundleError, match="there is no ensemble"):
        bundle.unet_of({}, wrong, "ensemble")


def save(folder, network):
    bundle.save_unet(folder, network, "python -m ml train --seed 1", {"steps": 1})
    return str(folder)


def test_join_makes_one_bundle_that_says_what_it_is_made_of(tmp_path, pair, capsys):
    first, second = (save(tmp_path / network.name, network) for network in pair)
    for name in bundle.FINDER_FILES:
        shutil.copy(bundle.DEFAULT / name, first)
    bundle.seal(tmp_path / "unet")
    out = tmp_path / "joined"
    assert main(["join", first, second, "--out", str(out)]) == 0
    loaded = bundle.load(out)
    assert loaded.sha256 == capsys.readouterr().out.strip()
    assert isinstance(loaded.unet, Ensemble)
    about = loaded.description["unet"]
    assert about["command"] == f"python -m ml join {first} {second} --out {out}"
    assert [one["unet"]["network"] for one in about["metrics"]["members"]] == ["unet", "unet25d"]
    images = torch.randn(1, 1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded.unet(images), Ensemble(pair)(images), atol=5e-3, rtol=5e-3)


def test_join_refuses_what_it_cannot_join(tmp_path, pair, capsys):
    first, second = (save(tmp_path / network.name, network) for network in pair)

    def refused(*arguments):
        assert main(["join", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    assert "has no bundle.json" in refused(first, tmp_path / "nothing", "--out", tmp_path / "a")
    assert "two or more members" in refused(first, "--out", tmp_path / "b")
    assert "is not empty" in refused(first, second, "--out", first)
    join.join([tmp_path / "unet", tmp_path / "unet25d"], tmp_path / "c", "test")
    assert "none of them is an ensemble" in refused(first, tmp_path / "c", "--out", tmp_path / "d")
    assert "hold the same weights" in refused(first, second, shutil.copytree(first, tmp_path / "copy"), "--out", tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_join_refuses_damaged_weights_and_a_file_in_the_place_of_the_folder(tmp_path, pair, capsys):
    first, second = (save(tmp_path / network.name, network) for network in pair)
    (tmp_path / "file").write_text("a file")
    assert main(["join", first, second, "--out", str(tmp_path / "file")]) == 2
    assert "can't be used as a folder" in capsys.readouterr().err
    (tmp_path / "unet25d" / bundle.UNET_WEIGHTS).write_bytes(b"no weights")
    bundle.seal(tmp_path / "unet25d")
    assert main(["join", first, second, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "unet.safetensors can't be read" in said
    assert said.count("\n") == 1


def test_join_refuses_a_hip_finder_that_is_not_the_one_described(tmp_path, pair, capsys):
    first, second = (save(tmp_path / network.name, network) for network in pair)
    for name in bundle.FINDER_FILES:
        shutil.copy(bundle.DEFAULT / name, first)
    bundle.seal(tmp_path / "unet")
    (tmp_path / "unet" / "hips.json").write_text("{}")
    assert main(["join", first, second, "--out", str(tmp_path / "out")]) == 2
    assert "hips.json is not the file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
