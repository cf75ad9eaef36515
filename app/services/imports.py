"""Taking in an export: every workflow in it is made anew in the workspace, and refers to the new ones."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import msgspec

from app.engine.validate import Checked, max_reported
from app.engine.values import Value, to_json
from app.ports import Clock, Ids, StoredVersion, StoreUnavailableError, WorkflowStore
from app.services.checks import Checks, Reference
from app.services.errors import Detail, ServiceError
from app.services.exported import Export, Exported, redirected, references
from app.services.workflows import FIRST_NAME, FORMAT, WorkflowRecord, new_head

Named = tuple[str, int]  # a graph: workflow and version, as the export calls them


class _Move(msgspec.Struct, frozen=True):
    """What becomes of a workflow: its new id, and its new version numbers by the old ones."""

    id: str
    workflow: Exported
    numbers: Mapping[int, int]


class _Graph(msgspec.Struct, frozen=True):
    """A graph with its new references."""

    source: Value
    stored: bytes
    hash: str


class Imports:
    """Raises ServiceError (invalid_graph), StoreUnavailableError."""

    def __init__(self, store: WorkflowStore, clock: Clock, ids: Ids, checks: Checks) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._checks = checks

    async def take_in(self, workspace: str, export: Export, places: Mapping[Named, str]) -> WorkflowRecord:
        """The exported workflow, new like all that came with it. Nothing is made unless no graph has a fault. The exported
        one is made last: a crash leaves at most some of its children. `places`: of the graphs in the file, for refusals."""
        checked = await self._checked(workspace, export, places)
        moves = {one.id: _Move(self._ids.object_id(), one, _numbers(one, export)) for one in export.workflows}
        graphs = {
            named: self._moved(source, found, export, moves, places[named])
            for (named, source), found in zip(export.graphs().items(), checked, strict=True)
        }
        made: list[str] = []
        try:
            for move in reversed(moves.values()):
                made.append(move.id)
                record = await self._insert(workspace, move, graphs)
        except BaseException:
            await self._take_back(made)
            raise
        return record

    async def _checked(self, workspace: str, export: Export, places: Mapping[Named, str]) -> list[Checked]:
        arriving = {one.id: one.graphs.keys() for one in export.workflows}
        graphs = export.graphs()
        found = await self._checks.check_together(workspace, list(graphs.values()), arriving)
        details = [
            _placed(places[named], fault.path, fault.message)
            for named, checked in zip(graphs, found, strict=True)
            for fault in checked.faults
        ]
        if details:
            raise ServiceError("invalid_graph", "a graph cannot be saved", details=details[:max_reported])
        return found

    def _moved(self, source: Value, checked: Checked, export: Export, moves: Mapping[str, _Move], place: str) -> _Graph:
        targets = {path: _target(named, export, moves) for path, named in references(checked.claims)}
        moved = redirected(source, targets)
        graph = self._checks.compiled(moved).graph
        if graph is None:  # another number beside an id can make it too large
            details = [Detail(place, "is too large with its new references")]
            raise ServiceError("invalid_graph", "a graph cannot be saved", details=details)
        return _Graph(moved, to_json(moved), graph.hash)

    async def _insert(self, workspace: str, move: _Move, graphs: Mapping[Named, _Graph]) -> WorkflowRecord:
        one, now = move.workflow, self._clock.now()
        versions = [
            StoredVersion(
                workflow=move.id,
                number=number,
                format=FORMAT,
                source=graphs[one.id, old].stored,
                graph_hash=graphs[one.id, old].hash,
                name=FIRST_NAME if number == 0 else None,
                created_at=now,
            )
            for old, number in move.numbers.items()
        ]
        first, *others = sorted(versions, key=lambda version: version.number)
        for version in others:
            await self._store.insert_version(version)
        head = new_head(workspace, move.id, await self._store.next_number(), one.name, one.description, now)
        head = msgspec.structs.replace(head, active_version=move.numbers[one.active], next_version=len(versions))
        await self._store.insert(head, first)
        return WorkflowRecord(head, graphs[one.id, one.active].source)

    async def _take_back(self, made: list[str]) -> None:
        """As far as the database lets us."""
        with suppress(StoreUnavailableError):
            for workflow_id in made:
                await self._store.update(workflow_id, {"deleted_at": self._clock.now(), "status": "deleted"})


def _numbers(one: Exported, export: Export) -> dict[int, int]:
    """From 0 without gaps; what was exported is version 0."""
    first = one.active if one is export.root else None
    return {old: number for number, old in enumerate(sorted(one.graphs, key=lambda old: (old != first, old)))}


def _target(named: Reference, export: Export, moves: Mapping[str, _Move]) -> Reference:
    workflow_id, version = named
    move = moves[workflow_id]
    if version is None and move.workflow is export.root:
        version = export.meant  # None unless the active one is now another than it was
    return move.id, None if version is None else move.numbers[version]


def _placed(place: str, path: str, message: str) -> Detail:
    return Detail(f"{place}.{path}" if path else place, message)
