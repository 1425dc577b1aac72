"""Identities at rest."""

import pytest

from hipapp.core import crypto


def test_what_is_sealed_comes_back_and_is_not_readable():
    key = crypto.new_data_key()
    sealed = crypto.seal(key, {"name": "Müller, Änne", "birth_on": "1990-02-03"})
    assert b"ller" not in sealed
    assert crypto.unseal(key, sealed) == {"name": "Müller, Änne", "birth_on": "1990-02-03"}


def test_another_key_does_not_open_it():
    sealed = crypto.seal(crypto.new_data_key(), {"name": "A"})
    with pytest.raises(crypto.DecryptionError, match="key was destroyed"):
        crypto.unseal(crypto.new_data_key(), sealed)


def test_digests_are_stable_and_differ_by_purpose():
    assert crypto.keyed_digest("uid", "1.2.3") == crypto.keyed_digest("uid", "1.2.3")
    assert crypto.keyed_digest("uid", "1.2.3") != crypto.keyed_digest("record", "1.2.3")
