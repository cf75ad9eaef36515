"""Providers of models: where a workspace's own ones are, with their keys encrypted, and their store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from app.ports.names import Id


class StoredProvider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider of a workspace. `base_url` keeps its references to secrets; `sealed`: the encrypted API key; `last4`:
    what is shown of the key, which may be nothing."""

    workspace: Id
    name: str
    base_url: str
    sealed: bytes
    last4: str
    default_model: str | None = None
    embedding_model: str | None = None
    created_at: float
    updated_at: float


class ProviderStore(Protocol):
    """Providers of workspaces. Every method may raise StoreUnavailableError."""

    async def put(self, provider: StoredProvider) -> StoredProvider:
        """Stores or replaces it. As it is stored: one that was there keeps its `created_at`."""

    async def delete(self, workspace: Id, name: str) -> bool: ...

    async def list(self, workspace: Id) -> Sequence[StoredProvider]:
        """By name."""

    async def read(self, workspace: Id, name: str) -> StoredProvider | None: ...
