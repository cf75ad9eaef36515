"""Workflows and their versions as they are stored, and their store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from app.ports.names import Id


class WorkflowHead(msgspec.Struct, frozen=True, kw_only=True):
    """The named thing people edit. `next_version`: the number the next version gets."""

    id: Id
    workspace: Id
    number: int
    handle: str
    name: str
    description: str = ""
    status: str = "active"
    active_version: int
    next_version: int
    max_concurrent_runs: int | None = None
    workspace_limit: int | None = None
    created_at: float
    updated_at: float
    deleted_at: float | None = None


class StoredVersion(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable graph. `source`: its JSON as saved; `graph_hash` None: it was kept with faults and cannot run."""

    workflow: Id
    number: int
    format: str
    source: bytes
    graph_hash: str | None
    name: str | None = None
    created_at: float


class WorkflowStore(Protocol):
    """Workflows and versions. Every method may raise StoreUnavailableError."""

    async def insert(self, head: WorkflowHead, version: StoredVersion) -> None:
        """The version first, then the head. Raises DuplicateError."""

    async def head(self, workflow_id: Id) -> WorkflowHead | None:
        """One find; the deleted ones included."""

    async def head_by_number(self, number: int) -> WorkflowHead | None: ...

    async def ids_named(self, workspace: Id, part: str, limit: int) -> Sequence[Id]:
        """The newest workflows with `part` in their name, whatever its case; the deleted ones included, they have runs."""

    async def update(self, workflow_id: Id, changes: dict[str, Any], *, active_version: int | None = None) -> bool:
        """Sets fields of the head; `active_version` given: only if that is the active one. False: no match."""

    async def list(self, workspace: Id, skip: int, limit: int) -> tuple[Sequence[WorkflowHead], int]: ...

    async def take_version_number(self, workflow_id: Id) -> int | None:
        """Raises `next_version` by one and returns the number that was free; None: no such workflow."""

    async def drop_versions(self, workflow_id: Id, keep: int) -> int:
        """Removes inactive versions beyond the newest `keep` that no run refers to; how many."""

    async def insert_version(self, version: StoredVersion) -> None: ...

    async def version(self, workflow_id: Id, number: int) -> StoredVersion | None: ...

    async def versions(self, workflow_id: Id, skip: int, limit: int) -> tuple[Sequence[StoredVersion], int]: ...

    async def rename_version(self, workflow_id: Id, number: int, name: str) -> bool: ...

    async def next_number(self) -> int: ...
