"""Workspaces, API keys and the places of concurrency limits, and their stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from app.ports.names import Id, Scope


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of a workspace; only its SHA-256 is stored."""

    id: Id
    workspace: Id
    name: str
    prefix: str
    digest: str
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant. `max_concurrent_runs` None: no limit. `allowed_hosts`: inner addresses that its workflows may reach."""

    id: Id
    name: str
    created_at: float
    max_concurrent_runs: int | None = None
    allowed_hosts: tuple[str, ...] = ()


class AccountStore(Protocol):
    """Workspaces and keys."""

    async def insert_workspace(self, workspace: Workspace) -> None:
        """Raises DuplicateError (`name`)."""

    async def workspace(self, workspace_id: Id) -> Workspace | None: ...

    async def workspace_by_name(self, name: str) -> Workspace | None: ...

    async def update_workspace(self, workspace: Workspace) -> None:
        """Its name and its limit; the limit is also written into the heads of its workflows, where starts read it.
        Raises DuplicateError (`name`)."""

    async def insert_key(self, key: ApiKey) -> None:
        """Raises DuplicateError (`digest`)."""

    async def key_by_digest(self, digest: str) -> ApiKey | None: ...

    async def keys(self, workspace_id: Id) -> Sequence[ApiKey]: ...

    async def revoke_key(self, key_id: Id, now: float) -> bool: ...


class StoredSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret of a workspace, encrypted."""

    workspace: Id
    name: str
    sealed: bytes
    updated_at: float


class SecretStore(Protocol):
    """Secrets of workspaces. Every method may raise StoreUnavailableError."""

    async def put(self, secret: StoredSecret) -> None:
        """Stores or replaces it."""

    async def delete(self, workspace: Id, name: str) -> bool: ...

    async def list(self, workspace: Id) -> Sequence[StoredSecret]:
        """By name."""

    async def read(self, workspace: Id, names: Sequence[str]) -> dict[str, bytes]:
        """The sealed values of those that there are."""


class SlotStore(Protocol):
    """Concurrency limits: numbered places of a scope, each held by one run, for one turn, until a time."""

    async def take(self, scope: str, places: int, run_id: Id, turn: int, until: float, now: float) -> bool:
        """A free or lapsed place for the run, or the one it has, from now on for this turn. False: all are taken."""

    async def extend(self, run_id: Id, turn: int, until: float) -> None:
        """Every place that the run holds for this turn; a later time stays."""

    async def release(self, run_id: Id, turn: int) -> None:
        """Every place that the run holds for this turn; never those of its next one, however late this comes."""
