"""Signatures of what is handed out and must be known again when it comes back: HMAC-SHA256 under a key of its own purpose."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAC_BYTES = 32


class Signatures:
    """Implements ports.Signer. `keys`: the first signs, any verifies; each is any text with enough chance in it. `purpose`
    keeps the signatures of different things apart."""

    def __init__(self, keys: Sequence[str], purpose: str) -> None:
        if not keys:
            raise ValueError("a signature needs a key")
        self._keys = [_derived(key, purpose) for key in keys]

    def sign(self, message: bytes) -> bytes:
        return hmac.digest(self._keys[0], message, "sha256")

    def verify(self, message: bytes, mac: bytes) -> bool:
        """In a time that tells nothing of the right one."""
        found = [hmac.compare_digest(hmac.digest(key, message, "sha256"), mac) for key in self._keys]
        return any(found)


def _derived(key: str, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=MAC_BYTES, salt=None, info=f"antiphon {purpose}".encode()).derive(
        key.encode()
    )
