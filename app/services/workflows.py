"""Workflows and their versions: a version is immutable, editing a graph makes and activates a new one."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.engine.validate import Checked
from app.engine.values import UnstorableValueError, Value, to_json
from app.ports import Clock, Ids, StoredVersion, WorkflowHead, WorkflowStore
from app.services.checks import Checks
from app.services.differences import Differences, compare
from app.services.errors import Detail, ServiceError

FORMAT = "graph"
FIRST_NAME = "Initial Version"
LONGEST_NAME = 200  # characters
KEPT_VERSIONS = 50  # newest inactive ones that no run refers to; editors autosave


class WorkflowRecord(msgspec.Struct, frozen=True):
    """A workflow with the graph of its active version (None in lists)."""

    head: WorkflowHead
    source: Value = None


class VersionRecord(msgspec.Struct, frozen=True):
    """A version; `source` None in lists."""

    version: StoredVersion
    source: Value
    active: bool


class VersionDiff(msgspec.Struct, frozen=True):
    """From one version to another. `is_equivalent`: they do the same; `is_cut`: there is more than is told."""

    workflow_id: str
    before: int
    after: int
    differences: Differences
    is_equivalent: bool
    is_cut: bool


def new_head(workspace: str, workflow_id: str, number: int, name: str, description: str, now: float) -> WorkflowHead:
    """Of a workflow whose version 0 is the active one, and the only one."""
    return WorkflowHead(
        id=workflow_id,
        workspace=workspace,
        number=number,
        handle=f"wf_{workflow_id}",
        name=name,
        description=description,
        active_version=0,
        next_version=1,
        created_at=now,
        updated_at=now,
    )


class Workflows:
    """Every method raises ServiceError (not_found, invalid_graph, version_conflict) and StoreUnavailableError."""

    def __init__(self, store: WorkflowStore, clock: Clock, ids: Ids, checks: Checks) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._checks = checks

    async def check(self, workspace: str, source: Value) -> Checked:
        """Every fault and warning of a graph."""
        return await self._checks.check(workspace, source)

    async def create(self, workspace: str, name: str, description: str, source: Value) -> WorkflowRecord:
        """With version 0, active."""
        workflow_id, now = self._ids.object_id(), self._clock.now()
        version = await self._version(workspace, workflow_id, source, FIRST_NAME)
        head = new_head(workspace, workflow_id, await self._store.next_number(), name, description, now)
        await self._store.insert(head, version)
        return WorkflowRecord(head, source)

    async def clone(self, workspace: str, workflow_id: str, name: str | None) -> WorkflowRecord:
        """A new workflow: the active version as it was saved is its version 0, its limit is the same. What the graph refers
        to stays what it is."""
        head, now = await self._head(workspace, workflow_id), self._clock.now()
        active = await self._stored(head, head.active_version)
        shown = name or f"Copy of {head.name}"[:LONGEST_NAME]
        number, clone_id = await self._store.next_number(), self._ids.object_id()
        made = new_head(workspace, clone_id, number, shown, head.description, now)
        made = msgspec.structs.replace(made, max_concurrent_runs=head.max_concurrent_runs)
        first = {"workflow": clone_id, "number": 0, "name": FIRST_NAME, "created_at": now}
        await self._store.insert(made, msgspec.structs.replace(active, **first))
        return WorkflowRecord(made, msgspec.json.decode(active.source))

    async def _version(self, workspace: str, workflow_id: str, source: Value, name: str | None) -> StoredVersion:
        """Number 0 until it gets one: a graph that is refused shall take none."""
        checked = await self._checks.check(workspace, source)
        if checked.graph is None:
            details = [Detail(fault.path, fault.message) for fault in checked.faults]
            raise ServiceError("invalid_graph", "the graph cannot be saved", details=details)
        try:
            stored = to_json(source)
        except (UnstorableValueError, UnicodeEncodeError) as error:
            raise ServiceError("invalid_graph", "the graph has text that cannot be stored") from error
        return StoredVersion(
            workflow=workflow_id,
            number=0,
            format=FORMAT,
            source=stored,
            graph_hash=checked.graph.hash,
            name=name,
            created_at=self._clock.now(),
        )

    async def _head(self, workspace: str, workflow_id: str) -> WorkflowHead:
        head = await self._store.head(workflow_id)
        if head is None or head.deleted_at or head.workspace != workspace:
            raise ServiceError("not_found", "no such workflow")
        return head

    async def id_of_number(self, workspace: str, number: int) -> str:
        """The ObjectId of a workflow's integer number. Raises not_found."""
        head = await self._store.head_by_number(number)
        if head is None or head.deleted_at or head.workspace != workspace:
            raise ServiceError("not_found", "no such workflow")
        return head.id

    async def get(self, workspace: str, workflow_id: str) -> WorkflowRecord:
        """With the graph of the active version."""
        head = await self._head(workspace, workflow_id)
        active = await self._stored(head, head.active_version)
        return WorkflowRecord(head, msgspec.json.decode(active.source))

    async def list(self, workspace: str, page: int, size: int) -> tuple[Sequence[WorkflowRecord], int]:
        """A page (from 1), and the total."""
        heads, total = await self._store.list(workspace, (page - 1) * size, size)
        return [WorkflowRecord(head) for head in heads], total

    async def update(
        self,
        workspace: str,
        workflow_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        source: Value = None,
        if_match: int | None = None,
    ) -> WorkflowRecord:
        """A new graph is a new active version. `if_match`: only if that version is the active one."""
        head = await self._head(workspace, workflow_id)
        if if_match is not None and head.active_version != if_match:
            raise _conflict(head)
        changes: dict[str, object] = {"updated_at": self._clock.now()}
        changes |= {key: value for key, value in (("name", name), ("description", description)) if value is not None}
        if source is not None:
            changes["active_version"] = await self._add(await self._version(workspace, workflow_id, source, None))
        if not await self._store.update(workflow_id, changes, active_version=if_match):
            raise _conflict(head)
        return await self.get(workspace, workflow_id)

    async def delete(self, workspace: str, workflow_id: str) -> None:
        """No starts from now on; its runs go on."""
        await self._head(workspace, workflow_id)
        await self._store.update(workflow_id, {"deleted_at": self._clock.now(), "status": "deleted"})

    async def set_limit(self, workspace: str, workflow_id: str, max_concurrent_runs: int | None) -> WorkflowRecord:
        """How many runs may have work in progress at once; None: any number."""
        await self._head(workspace, workflow_id)
        await self._store.update(
            workflow_id, {"max_concurrent_runs": max_concurrent_runs, "updated_at": self._clock.now()}
        )
        return WorkflowRecord(await self._head(workspace, workflow_id))

    # ---- versions

    async def _stored(self, head: WorkflowHead, number: int) -> StoredVersion:
        stored = await self._store.version(head.id, number)
        if stored is None:
            raise ServiceError("not_found", f"no version {number} of this workflow")
        return stored

    async def _add(self, version: StoredVersion) -> int:
        """Its number."""
        number = await self._store.take_version_number(version.workflow)
        if number is None:
            raise ServiceError("not_found", "no such workflow")
        await self._store.insert_version(msgspec.structs.replace(version, number=number))
        if number > KEPT_VERSIONS:
            await self._store.drop_versions(version.workflow, KEPT_VERSIONS)
        return number

    async def create_version(
        self,
        workspace: str,
        workflow_id: str,
        *,
        source: Value = None,
        source_version_number: int | None = None,
        name: str | None = None,
        mark_as_active: bool = False,
    ) -> VersionRecord:
        """From a graph, or from another version (default: the active one)."""
        head = await self._head(workspace, workflow_id)
        if source is None:
            number = head.active_version if source_version_number is None else source_version_number
            source = msgspec.json.decode((await self._stored(head, number)).source)
        number = await self._add(await self._version(workspace, workflow_id, source, name))
        if mark_as_active:
            return await self.activate(workspace, workflow_id, number)
        return await self.version(workspace, workflow_id, number)

    async def versions(
        self, workspace: str, workflow_id: str, page: int, size: int
    ) -> tuple[Sequence[VersionRecord], int]:
        """A page (from 1), and the total."""
        head = await self._head(workspace, workflow_id)
        found, total = await self._store.versions(workflow_id, (page - 1) * size, size)
        return [VersionRecord(version, None, version.number == head.active_version) for version in found], total

    async def version(self, workspace: str, workflow_id: str, number: int) -> VersionRecord:
        head = await self._head(workspace, workflow_id)
        stored = await self._stored(head, number)
        return VersionRecord(stored, msgspec.json.decode(stored.source), number == head.active_version)

    async def diff(self, workspace: str, workflow_id: str, before: int, after: int) -> VersionDiff:
        """What one version has otherwise than another, older or newer."""
        head = await self._head(workspace, workflow_id)
        old, new = [await self._stored(head, number) for number in (before, after)]
        found, is_cut = compare(msgspec.json.decode(old.source), msgspec.json.decode(new.source))
        is_equivalent = old.graph_hash is not None and old.graph_hash == new.graph_hash
        return VersionDiff(head.id, before, after, found, is_equivalent, is_cut)

    async def rename_version(self, workspace: str, workflow_id: str, number: int, name: str) -> VersionRecord:
        head = await self._head(workspace, workflow_id)
        await self._stored(head, number)
        await self._store.rename_version(workflow_id, number, name)
        return await self.version(workspace, workflow_id, number)

    async def activate(self, workspace: str, workflow_id: str, number: int) -> VersionRecord:
        """Holds for every start that begins after this returns, in every process."""
        head = await self._head(workspace, workflow_id)
        await self._stored(head, number)
        await self._store.update(workflow_id, {"active_version": number, "updated_at": self._clock.now()})
        return await self.version(workspace, workflow_id, number)


def _conflict(head: WorkflowHead) -> ServiceError:
    return ServiceError("version_conflict", f"version {head.active_version} is the active one now")
