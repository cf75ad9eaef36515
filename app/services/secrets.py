"""Secrets of a workspace: written once, shown never, put into an effect's request by whoever performs it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.ports import Clock, EffectError, SecretStore, StoredSecret, UnreadableSecretError, Vault
from app.services.errors import Detail, ServiceError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
MOST_BYTES = 16 * 1024


class Secrets:
    """Raises ServiceError (invalid_value, not_found), StoreUnavailableError."""

    def __init__(self, store: SecretStore, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock

    async def put(self, workspace: str, name: str, value: str) -> StoredSecret:
        """Sets or replaces it."""
        if not NAME.fullmatch(name):
            message = "must be a letter or _, then letters, digits, _ or -, 64 at most"
            raise ServiceError("invalid_value", "the name cannot be used", details=[Detail("name", message)])
        if not value or len(value.encode(errors="surrogatepass")) > MOST_BYTES:
            detail = Detail("value", f"must have 1 to {MOST_BYTES} bytes")
            raise ServiceError("invalid_value", "the value cannot be used", details=[detail])
        try:
            sealed = self._vault.seal(_label(workspace, name), value)
        except UnicodeEncodeError:
            detail = Detail("value", "has half a surrogate pair")
            raise ServiceError("invalid_value", "the value cannot be used", details=[detail]) from None
        secret = StoredSecret(workspace=workspace, name=name, sealed=sealed, updated_at=self._clock.now())
        await self._store.put(secret)
        return secret

    async def delete(self, workspace: str, name: str) -> None:
        if not await self._store.delete(workspace, name):
            raise ServiceError("not_found", "no such secret")

    async def list(self, workspace: str) -> Sequence[StoredSecret]:
        """By name; their values stay sealed."""
        return await self._store.list(workspace)

    async def reveal(self, workspace: str, names: Sequence[str]) -> dict[str, str]:
        """For performers only. Raises EffectError invalid_reference when one is missing or cannot be read."""
        sealed = await self._store.read(workspace, names) if names else {}
        opened = {}
        for name in names:
            if name not in sealed:
                raise EffectError("invalid_reference", f"there is no secret {name!r}")
            try:
                opened[name] = self._vault.open(_label(workspace, name), sealed[name])
            except UnreadableSecretError as error:
                raise EffectError("invalid_reference", f"the secret {name!r} cannot be read: {error}") from error
        return opened


def _label(workspace: str, name: str) -> str:
    return f"{workspace}/{name}"
