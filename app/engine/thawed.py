"""Visits and frames as they may change during one step."""

from __future__ import annotations

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
    """A Frame that may change; its dictionaries are its own copies. `graph` None: it can only be ended."""

    __slots__ = (
        "_frame",
        "_graph",
        "arrivals",
        "inputs",
        "last_node_id",
        "outputs",
        "path",
        "results",
        "transcript",
        "variables",
        "visits",
    )

    def __init__(self, frame: Frame, graph: Graph | None) -> None:
        self._frame = frame
        self._graph = graph
        self.path = frame.path
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
        )

    def remember(self, role: Role, text: str) -> None:
        """Adds to what was said between the user and the run; only the newest of it is kept."""
        if self._graph is not None and self._graph.remembers:
            self.transcript = shortened((*self.transcript, Message(role=role, text=text)))
