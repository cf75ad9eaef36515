"""A version of a workflow as one document, with every version of a workflow that it can reach."""

from __future__ import annotations

import asyncio

import msgspec

from app.engine.kind import Claim
from app.engine.values import Value
from app.ports import WorkflowHead, WorkflowStore
from app.services.checks import NO_WORKFLOW, Checks, no_version
from app.services.errors import Detail, ServiceError
from app.services.exported import (
    MOST_BYTES,
    MOST_VERSIONS,
    MOST_WORKFLOWS,
    Export,
    Exported,
    needs_of,
    references,
)

Place = tuple[str, str]  # a graph that refers to something, and where in it


class Exports:
    """Raises ServiceError (not_found, invalid_graph, too_large), StoreUnavailableError."""

    def __init__(self, store: WorkflowStore, checks: Checks) -> None:
        self._store = store
        self._checks = checks

    async def export(self, workspace: str, workflow_id: str, version: int | None) -> Export:
        """A version; None: the active one. Raises invalid_graph where it refers to something that is gone."""
        return await _Exporting(self._store, self._checks, workspace).run(workflow_id, version)


class _Exporting:
    """One export: a walk from graph to graph. Every head is read once, so that one version is the active one."""

    def __init__(self, store: WorkflowStore, checks: Checks, workspace: str) -> None:
        self._store = store
        self._checks = checks
        self._workspace = workspace
        self._heads: dict[str, WorkflowHead] = {}
        self._graphs: dict[str, dict[int, Value]] = {}
        self._claims: list[Claim] = []
        self._bytes = 0
        self._versions = 0
        self._meant: set[str] = set()  # workflows that are referred to without a version

    async def run(self, workflow_id: str, version: int | None) -> Export:
        head = await self._head(workflow_id)
        number = head.active_version if version is None else version
        waiting = await self._take(head, number, None)
        while waiting:
            place, child_id, wanted = waiting.pop()
            child = await self._head(child_id, place)
            if wanted is None:
                self._meant.add(child_id)
            wanted = child.active_version if wanted is None else wanted
            if wanted not in self._graphs.get(child_id, {}):
                waiting += await self._take(child, wanted, place)
                await asyncio.sleep(0)  # others have a turn
        graphs = [graph for graphs in self._graphs.values() for graph in graphs.values()]
        return Export(
            root=self._exported(workflow_id, number),
            meant=head.active_version if workflow_id in self._meant and head.active_version != number else None,
            children=tuple(self._exported(child_id) for child_id in self._graphs if child_id != workflow_id),
            needs=needs_of(graphs, self._claims),
        )

    async def _head(self, workflow_id: str, place: Place | None = None) -> WorkflowHead:
        if workflow_id not in self._heads:
            head = await self._store.head(workflow_id)
            if head is None or head.deleted_at or head.workspace != self._workspace:
                raise _gone(NO_WORKFLOW, place)
            if len(self._heads) == MOST_WORKFLOWS:
                raise ServiceError("too_large", f"an export has at most {MOST_WORKFLOWS} workflows")
            self._heads[workflow_id] = head
        return self._heads[workflow_id]

    async def _take(self, head: WorkflowHead, number: int, place: Place | None) -> list[tuple[Place, str, int | None]]:
        """Puts a version in; what it refers to."""
        stored = await self._store.version(head.id, number)
        if stored is None:
            raise _gone(no_version(number), place)
        self._bytes += len(stored.source)
        self._versions += 1
        if self._bytes > MOST_BYTES or self._versions > MOST_VERSIONS:
            raise ServiceError(
                "too_large", f"an export has at most {MOST_VERSIONS} graphs and {MOST_BYTES} bytes of them"
            )
        source = self._graphs.setdefault(head.id, {})[number] = msgspec.json.decode(stored.source)
        claims = self._checks.compiled(source).claims
        self._claims += claims
        graph = f"{head.id}.versions[{number}].graph"
        return [((graph, path), *named) for path, named in references(claims)]

    def _exported(self, workflow_id: str, active: int | None = None) -> Exported:
        """`active` None: the active one, or when nobody means that, the newest of the others."""
        head, graphs = self._heads[workflow_id], self._graphs[workflow_id]
        if active is None:
            active = head.active_version if head.active_version in graphs else max(graphs)
        return Exported(
            id=head.id,
            name=head.name,
            description=head.description,
            active=active,
            graphs=dict(sorted(graphs.items())),
        )


def _gone(message: str, place: Place | None) -> ServiceError:
    """Of what was asked for, or of what something in it refers to."""
    if place is None:
        return ServiceError("not_found", message)
    details = [Detail(".".join(place), message)]
    return ServiceError("invalid_graph", "the workflow refers to something that is not there", details=details)
