"""Imaging without a broker and without a network: messages are recorded, the network's answer is a drawing."""

import json

import pytest

from hipapp.imaging import inference, registry
from hipapp.jobs import services as jobs
from tests.imaging.studies import fake_segment

FILES = {"hips.json": "c" * 64, "hips.safetensors": "b" * 64, "unet.safetensors": "a" * 64}


@pytest.fixture(autouse=True)
def messages(request, monkeypatch):
    """Messages that would have gone to the broker: (task, options); a test with a worker has the real broker."""
    sent = []
    if request.node.get_closest_marker("worker"):
        return sent
    monkeypatch.setattr(jobs.current_app, "send_task", lambda name, **options: sent.append((name, options)))
    return sent


@pytest.fixture(autouse=True)
def model_folder(monkeypatch, tmp_path):
    """A bundle's description without weights."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "bundle.json").write_text(json.dumps({"name": "unet", "version": "test", "files": FILES, "unet": {"settings": {}}}))
    monkeypatch.setattr(registry, "bundle_folder", lambda: folder)
    return folder


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """The network's answer is a drawing; gives the list of series it was asked about."""
    asked = []

    def segment(series, model, say):
        asked.append(series.pk)
        return fake_segment(series, model, say)

    monkeypatch.setattr(inference, "segment", segment)
    return asked
