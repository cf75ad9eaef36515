"""Visits and frames as they may change during one step."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from app.engine.graph import Graph, Node
from app.engine.state import Frame, Visit
from app.engine.talk import Message, Role, shortened


class OpenVisit:
    """A Visit that may change."""

    __slots__ = ("effects", "failures", "holder", "memo", "node", "number", "part", "rendered", "wait")

    def __init__(self, node: Node, visit: Visit) -> None:
        self.node = node
        self.number = visit.number
        self.wait = visit.wait
        self.failures = visit.failures
        self.effects = visit.effects
        self.rendered = visit.rendered
        self.memo = visit.memo
        self.holder = visit.holder
        self.part = visit.part

    def freeze(self) -> Visit:
        return Visit(
            node_id=self.node.id,
            number=self.number,
            wait=self.wait,
            failures=self.failures,
            effects=self.effects,
            rendered=self.rendered,
            memo=self.memo,
            holder=self.holder,
            part=self.part,
        )


class OpenFrame:
    """A Frame that may change; its dictionaries are its own copies. `graph` None: it can only be ended. `outer` and `holder`:
    the frame in which it is, and there the side visit that waits for it."""

    __slots__ = (
        "_frame",
        "_graph",
        "arrivals",
        "executions",
        "holder",
        "index",
        "inputs",
        "last_node_id",
        "outer",
        "outputs",
        "path",
        "results",
        "transcript",
        "values",
        "variables",
        "visits",
    )

    def __init__(self, frame: Frame, graph: Graph | None) -> None:
        self._frame = frame
        self._graph = graph
        self.path = frame.path
        self.index = frame.index
        self.values = frame.values
        self.executions = frame.executions
        self.outer: OpenFrame | None = None
        self.holder: OpenVisit | None = None
        self.inputs = frame.inputs
        self.variables = dict(frame.variables)
        self.outputs = dict(frame.outputs)
        self.arrivals = dict(frame.arrivals)
        self.results = dict(frame.results)
        self.last_node_id = frame.last_node_id
        self.transcript = frame.transcript
        self.visits: list[OpenVisit] = []
        if graph is not None:
            self.visits += [OpenVisit(graph.nodes[visit.node_id], visit) for visit in frame.visits]

    @property
    def graph(self) -> Graph:
        assert self._graph is not None, "nothing moves in a frame whose graph is gone"
        return self._graph

    @property
    def key(self) -> str:
        """Its graph's among the run's graphs."""
        return self._frame.graph

    @property
    def parent(self) -> int | None:
        return self._frame.parent

    def within(self, outer: OpenFrame, holder: OpenVisit) -> None:
        self.outer, self.holder = outer, holder

    def sight(self) -> Iterator[OpenFrame]:
        """The frames whose values can be read in it: its own, then those around the bodies that it lies in."""
        frame: OpenFrame | None = self
        while frame is not None:
            yield frame
            frame = frame.outer if frame.index is not None else None

    def freeze(self) -> Frame:
        return msgspec.structs.replace(
            self._frame,
            variables=self.variables,
            outputs=self.outputs,
            visits=tuple([visit.freeze() for visit in self.visits]),
            arrivals=self.arrivals,
            results=self.results,
            last_node_id=self.last_node_id,
            transcript=self.transcript,
            executions=self.executions,
        )

    def remember(self, role: Role, text: str) -> None:
        """Adds to what was said between the user and the run; only the newest of it is kept."""
        if self._graph is not None and self._graph.remembers:
            self.transcript = shortened((*self.transcript, Message(role=role, text=text)))
