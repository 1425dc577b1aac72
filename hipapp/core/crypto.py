"""Encryption at rest: one master key from the settings, one data key per patient, study or file wrapped by it."""

import base64
import functools
import hashlib
import hmac
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from hipapp.core.errors import DomainError

_NONCE_BYTES = 12


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
    return _fernet(bytes(data_key), settings.IDENTITY_KEY).encrypt(json.dumps(values).encode())


@functools.lru_cache(maxsize=1)
def _fernet(data_key: bytes, master_key: str) -> Fernet:
    """Of a wrapped data key; the last one is kept, since a study seals a few hundred UIDs under its key."""
    return Fernet(Fernet(master_key).decrypt(data_key))


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


def seal_bytes(data_key: bytes, content: bytes) -> bytes:
    """Ciphertext of a file (AES-256-GCM, its nonce in front), as long as the file and 28 bytes."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(data_key).encrypt(nonce, content, None)


def unseal_bytes(data_key: bytes, ciphertext: bytes) -> bytes:
    """The file again; raises DecryptionError where the key is gone or the ciphertext was changed."""
    try:
        return _cipher(data_key).decrypt(ciphertext[:_NONCE_BYTES], ciphertext[_NONCE_BYTES:], None)
    except (InvalidTag, InvalidToken, ValueError) as error:
        raise DecryptionError(
            "The file can't be read: its key was destroyed or belongs to another installation.", code="key_gone"
        ) from error


def _cipher(data_key: bytes) -> AESGCM:
    return AESGCM(base64.urlsafe_b64decode(_master().decrypt(bytes(data_key))))


def keyed_digest(purpose: str, value: str) -> bytes:
    """HMAC-SHA-256 under the master key, for identifiers that must stay stable but not be reversible."""
    return hmac.new(settings.IDENTITY_KEY.encode() + purpose.encode(), value.encode(), hashlib.sha256).digest()
