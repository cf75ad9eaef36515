"""Workflows that name each other, in two workspaces over one database, and their exports and imports."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from app.adapters.ids import SystemIds
from app.adapters.json_schema import SchemaChecker
from app.adapters.mongo.database import Database
from app.api.interactive.export_file import file_of, parse_file
from app.engine.nodes import CATALOGUE
from app.engine.validate import check
from app.ports import StoreUnavailableError, WorkflowHead
from app.services.checks import Checks
from app.services.exports import Exports
from app.services.imports import Imports
from app.services.workflows import Workflows
from tests.conformance.samples import NOW, SetClock
from tests.engine.graphs import edge, line, node, source
from tests.services.performing import OTHER, OURS
from tests.services.test_providers import House

Json = dict[str, Any]


class Failing:
    """A store that takes some heads, and then none."""

    def __init__(self, store: Any, heads: int) -> None:
        self._store = store
        self._heads = heads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def insert(self, *given: Any) -> None:
        if not self._heads:
            raise StoreUnavailableError("away")
        self._heads -= 1
        await self._store.insert(*given)


class Desk:
    """The services over one database."""

    def __init__(self, database: Database) -> None:
        self.store = database.workflows
        self.clock, self.ids = SetClock(NOW), SystemIds()
        none = cast(Any, None)  # no graph here has code or rich templates
        self.checks = Checks(SchemaChecker(), none, none, House(database).providers, self.store, searches_the_web=False)
        self.workflows = Workflows(self.store, self.clock, self.ids, self.checks)
        self.exports = Exports(self.store, self.checks)

    async def made(self, name: str, *graphs: Json, workspace: str = OURS) -> str:
        """With a version of each graph, the last one active."""
        record = await self.workflows.create(workspace, name, f"{name}!", graphs[0])
        for graph in graphs[1:]:
            await self.workflows.update(workspace, record.head.id, source=graph)
        return record.head.id

    async def file(self, workflow_id: str, version: int | None = None, workspace: str = OURS) -> Json:
        """As it is sent."""
        shown = file_of(await self.exports.export(workspace, workflow_id, version))
        found: Json = msgspec.json.decode(msgspec.json.encode(shown))
        return found

    async def taken(self, file: Json, store: Any = None) -> Json:
        """Into the other workspace; the graph of what was exported."""
        imports = Imports(store or self.store, self.clock, self.ids, self.checks)
        export, places = parse_file(file)
        return cast(Json, (await imports.take_in(OTHER, export, places)).source)

    async def theirs(self) -> dict[str, WorkflowHead]:
        """What the other workspace has, by name."""
        found, _ = await self.workflows.list(OTHER, 1, 100)
        return {record.head.name: record.head for record in found}

    async def graph(self, workflow_id: str, number: int) -> Json:
        return cast(Json, (await self.workflows.version(OTHER, workflow_id, number)).source)


def refers(*named: tuple[str, int | None], boxed: bool = False) -> Json:
    """A graph with these references, one after the other; boxed: in a body each."""
    nodes = []
    for at, (workflow_id, number) in enumerate(named):
        config = {"workflow_id": workflow_id} if number is None else {"workflow_id": workflow_id, "version": number}
        inner = node(f"n{at}", "workflow", **config)
        body = source(
            [inner, node("start", "start"), node("end", "end")], [edge("start", f"n{at}"), edge(f"n{at}", "end")]
        )
        nodes.append(node(f"b{at}", "iteration", items=[1], body=body) if boxed else inner)
    return line(*nodes)


def named_in(graph: Json) -> list[tuple[str, int | None]]:
    """Its references, in order."""
    return [tuple(claim.value) for claim in check(graph, CATALOGUE).claims if claim.about == "workflow"]  # type: ignore[misc]


def plain(text: str) -> Json:
    return line(node("say", "message", text=text))
