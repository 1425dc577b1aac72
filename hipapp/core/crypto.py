"""Encryption at rest: one master key from the settings, one data key per patient or study wrapped by it."""

import hashlib
import hmac
import json

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from hipapp.core.errors import DomainError


class DecryptionError(DomainError):
    """The stored secret cannot be read: the key was destroyed (erasure) or the master key changed."""

    status = 410


def _master() -> Fernet:
    return Fernet(settings.IDENTITY_KEY)


def new_data_key() -> bytes:
    """A fresh data key, wrapped by the master key, to be stored beside what it protects."""
    return _master().encrypt(Fernet.generate_key())


def seal(data_key: bytes, values: dict[str, str]) -> bytes:
    """Ciphertext of a small dictionary of strings."""
    return Fernet(_master().decrypt(bytes(data_key))).encrypt(json.dumps(values).encode())


def unseal(data_key: bytes, ciphertext: bytes) -> dict[str, str]:
    """The dictionary again; raises DecryptionError where the key is gone."""
    try:
        plain = Fernet(_master().decrypt(bytes(data_key))).decrypt(bytes(ciphertext))
    except (InvalidToken, ValueError) as error:
        raise DecryptionError(
            "The identity can't be read: its key was destroyed or belongs to another installation.", code="key_gone"
        ) from error
    values: dict[str, str] = json.loads(plain)
    return values


def keyed_digest(purpose: str, value: str) -> bytes:
    """HMAC-SHA-256 under the master key, for identifiers that must stay stable but not be reversible."""
    return hmac.new(settings.IDENTITY_KEY.encode() + purpose.encode(), value.encode(), hashlib.sha256).digest()
