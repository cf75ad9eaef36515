"""Secrets at rest: AES-GCM under the operator's keys. The id of the key stands in the ciphertext, so that keys rotate."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.ports import UnreadableSecretError

VERSION = b"\x01"
KEY_ID_BYTES, NONCE_BYTES = 4, 12


class Vault:
    """Implements ports.Vault. `keys`: the first encrypts, all decrypt; each is any text with enough chance in it."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("a vault needs a key")
        derived = [hashlib.sha256(b"antiphon secret key\0" + key.encode()).digest() for key in keys]
        self._keys = {hashlib.sha256(key).digest()[:KEY_ID_BYTES]: AESGCM(key) for key in derived}
        self._newest = hashlib.sha256(derived[0]).digest()[:KEY_ID_BYTES]

    def seal(self, label: str, text: str) -> bytes:
        """`label` names whose the secret is: sealed under one it does not open under another."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._keys[self._newest].encrypt(nonce, text.encode(), label.encode())
        return VERSION + self._newest + nonce + sealed

    def open(self, label: str, sealed: bytes) -> str:
        """Raises UnreadableSecretError: the key is gone, or the bytes are not ours."""
        key_id, rest = sealed[1 : 1 + KEY_ID_BYTES], sealed[1 + KEY_ID_BYTES :]
        key = self._keys.get(key_id)
        if sealed[:1] != VERSION or key is None:
            raise UnreadableSecretError("the key that it was encrypted under is not among ANTIPHON_SECRET_KEYS")
        try:
            return key.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], label.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise UnreadableSecretError("it cannot be decrypted") from error


def key_of_folder(data_dir: Path) -> str:
    """The key that lies in the data folder, made there (mode 600) when there is none. Raises ValueError when it is empty."""
    path = data_dir / "secret.key"
    if not path.exists():
        _make(path)
    path.chmod(0o600)
    key = path.read_text().strip()
    if not key:
        raise ValueError(f"{path} is empty: put the key back, or remove the file and set every secret anew")
    return key


def _make(path: Path) -> None:
    """All of it at once, so that a second process that starts now reads a whole key, and the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
