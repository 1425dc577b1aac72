"""What tests of data sets share."""

import pytest

from ml.datasets import command
from tests.ml.datasets.cases import CENTRES


@pytest.fixture
def heads(monkeypatch):
    """What the hip finder sees, in place of the network."""
    seen = dict(CENTRES)
    monkeypatch.setattr(command, "_finder", lambda bundle: lambda volume: seen)
    return seen
