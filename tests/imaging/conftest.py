"""Imaging without a broker and without a network: messages are recorded, the network's answer is a drawing."""

import pytest

from hipapp.imaging import inference, registry
from hipapp.jobs import services as jobs
from tests.imaging.bundles import write_bundle
from tests.imaging.studies import fake_segment


@pytest.fixture(autouse=True)
def messages(request, monkeypatch):
    """Messages that would have gone to the broker: (task, options); a test with a worker has the real broker."""
    sent = []
    if request.node.get_closest_marker("worker"):
        return sent
    monkeypatch.setattr(jobs.current_app, "send_task", lambda name, **options: sent.append((name, options)))
    return sent


@pytest.fixture(autouse=True)
def model_folder(monkeypatch, tmp_path, settings):
    """A small bundle stands for the one that the release ships; fetched models lie in a folder of the test."""
    settings.VAR_DIR = tmp_path
    folder = write_bundle(tmp_path / "bundle")
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
