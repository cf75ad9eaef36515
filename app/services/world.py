"""What every service of runs works with, bundled once by bootstrap."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field

import msgspec

from app import ports
from app.engine.graph import Graph, graph_key
from app.engine.kind import NodeKind
from app.engine.nodes import CATALOGUE
from app.engine.state import Limits
from app.engine.validate import check
from app.services.facts import RenderReply
from app.services.follow import Follow
from app.services.texts import Texts


class GraphCache:
    """Compiled graphs by workflow and version. Versions never change, so nothing is ever stale."""

    def __init__(
        self, store: ports.WorkflowStore, catalogue: Mapping[str, type[NodeKind]] = CATALOGUE, size: int = 1_000
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._size = size
        self._graphs: OrderedDict[str, Graph] = OrderedDict()

    async def get(self, workflow_id: str, version: int) -> Graph | None:
        """None: no such version, or one that was kept with faults."""
        key = graph_key(workflow_id, version)
        if key in self._graphs:
            self._graphs.move_to_end(key)
            return self._graphs[key]
        stored = await self._store.version(workflow_id, version)
        if stored is None or stored.graph_hash is None:
            return None
        graph = check(msgspec.json.decode(stored.source), self._catalogue).graph
        if graph is not None:
            self._graphs[key] = graph
            while len(self._graphs) > self._size:
                self._graphs.popitem(last=False)
        return graph

    async def of(self, run: ports.Run) -> Mapping[str, Graph] | None:
        """The graphs that a run is pinned to. None: one is gone or no longer the one that it started with."""
        graphs = {}
        for pinned in run.pinned:
            graph = await self.get(pinned.workflow, pinned.version)
            if graph is None or graph.hash != pinned.graph_hash:
                return None
            graphs[graph_key(pinned.workflow, pinned.version)] = graph
        return graphs


@dataclass(frozen=True)
class World:
    """The ports, and what all services share. `process` names this process in leases."""

    runs: ports.RunStore
    workflows: ports.WorkflowStore
    slots: ports.SlotStore
    clock: ports.Clock
    ids: ports.Ids
    checker: ports.AnswerChecker
    code: ports.CodeRunner
    templates: ports.TemplateRenderer
    meter: ports.Meter
    performers: dict[str, ports.Performer]
    render: RenderReply
    limits: Limits
    process: str
    retention_seconds: float
    graphs: GraphCache
    follow: Follow
    texts: Texts = field(default_factory=Texts)
    archiving: set[str] = field(default_factory=set)  # runs
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def now(self) -> float:
        return self.clock.now()

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Work that outlives the request; `close` waits for what is left or cancels it."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def close(self, seconds: float = 1.0) -> None:
        """Ends the work under way: owners give their leases back, the rest is cancelled. Then `closing` is called."""
        self.draining.set()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=seconds)
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for close in self.closing:
            await close()
