"""The one place that chooses a device."""

import numpy as np
import pytest
import torch

from ml import device


def test_a_gpu_is_taken_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.choose() == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.choose() == torch.device("cpu")


def test_a_name_is_taken_as_it_is():
    assert device.choose("cpu") == torch.device("cpu")
    assert device.choose(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize(("name", "words"), [("gpu", "'gpu' is no device"), ("meta", "'meta' can't be used")])
def test_other_names_are_refused_in_words(name, words):
    with pytest.raises(device.DeviceError, match=words):
        device.choose(name)


def test_a_gpu_that_is_not_there_is_not_replaced_silently(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(device.DeviceError, match="sees no CUDA device"):
        device.choose("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device.choose("cuda:0") == torch.device("cuda:0")
    with pytest.raises(device.DeviceError, match="only 1 CUDA"):
        device.choose("cuda:1")


def test_tf32_is_off_inside_and_as_before_outside():
    switches = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)
    before = [switch.fp32_precision for switch in switches]
    with device.full_precision():
        assert [switch.fp32_precision for switch in switches] == ["ieee", "ieee"]
    assert [switch.fp32_precision for switch in switches] == before


def test_what_is_sent_comes_back_in_order():
    arrays = [np.full((n, 2), n, np.float32) for n in (1, 3)]
    fetched = device.fetch(device.send(array, device.CPU) for array in arrays)
    np.testing.assert_array_equal(fetched, np.concatenate(arrays))
    assert fetched.dtype == np.float32
