"""Graphs for tests, said shortly: `line(ask("q", "Who?"), end())`; and a bench that runs them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from app.engine.graph import Graph, graph_key
from app.engine.kind import NodeKind
from app.engine.messages import Answer, DeadlinePassed, EffectFailed, EffectSucceeded, GivenAnswer, Start
from app.engine.state import ExecutorState, Limits, effects, encode, questions, status
from app.engine.step import Step, step
from app.engine.validate import check
from tests.engine.probe import KINDS

WORKFLOW = "5eb7cf5a86d9755df3a6c593"
RUN = "66f2f9b0c2a4e1d3b5a69788"
KEY = graph_key(WORKFLOW, 0)
BEGIN = 1_000.0


def node(node_id: str, kind: str, /, **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": kind, "config": config}


def edge(source: str, target: str, handle: str = "out") -> dict[str, Any]:
    return {"source": source, "target": target, "source_handle": handle}


def source(nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> dict[str, Any]:
    return {"nodes": nodes, "edges": edges}


def line(*nodes: dict[str, Any]) -> dict[str, Any]:
    """The nodes one after the other, behind a start."""
    every = [node("start", "start"), *nodes]
    return source(every, [edge(one["id"], other["id"]) for one, other in pairwise(every)])


def fan(*nodes: dict[str, Any], then: dict[str, Any] | None = None) -> dict[str, Any]:
    """The nodes side by side behind a start, all of them before `then`."""
    last = [then] if then else []
    edges = [edge("start", one["id"]) for one in nodes]
    return source(
        [node("start", "start"), *nodes, *last], [*edges, *(edge(n["id"], t["id"]) for n in nodes for t in last)]
    )


def compiled(graph: dict[str, Any], kinds: Mapping[str, type[NodeKind]] = KINDS) -> Graph:
    checked = check(graph, kinds)
    assert checked.graph is not None, checked.faults
    return checked.graph


class Bench:
    """A run under test: keeps graphs, state and all events; time moves only by `now`."""

    def __init__(
        self,
        graph: dict[str, Any],
        limits: Limits | None = None,
        *,
        kinds: Mapping[str, type[NodeKind]] = KINDS,
        **start: Any,
    ) -> None:
        self.graphs = {KEY: compiled(graph, kinds)}
        self.limits = limits or Limits()
        self.now = BEGIN
        self.state: ExecutorState | None = None
        self.events: list[Any] = []
        start = {"user": None, "inputs": {}, **start}
        self.do(Start(now=self.now, run_id=RUN, workflow_id=WORKFLOW, version=0, **start))

    @property
    def at(self) -> ExecutorState:
        assert self.state is not None
        return self.state

    @property
    def status(self) -> str:
        return status(self.at)

    def do(self, command: Any) -> Step:
        stored = encode(self.at) if self.state else b""
        made = step(self.graphs, self.state, command, self.limits)
        assert self.state is None or encode(self.state) == stored, "a state was changed in its place"
        self.state = made.state
        self.events += made.events
        return made

    def answer(self, value: Any, which: int = 0) -> Step:
        question = questions(self.at)[which][2]
        return self.do(Answer(now=self.now, answers=(GivenAnswer(question.pause_id, value, str(value)),)))

    def succeed(self, result: Any = None, which: int = 0) -> Step:
        return self.do(EffectSucceeded(now=self.now, effect_id=effects(self.at)[which].id, result=result))

    def fail(self, error_type: str = "timeout", *, retryable: bool = True, which: int = 0) -> Step:
        effect = effects(self.at)[which]
        return self.do(
            EffectFailed(
                now=self.now,
                effect_id=effect.id,
                error_type=error_type,
                error_message=f"{error_type}!",
                retryable=retryable,
            )
        )

    def wait(self, seconds: float) -> Step:
        """Lets time go by and what is due fire."""
        self.now += seconds
        return self.do(DeadlinePassed(now=self.now))

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def those(self, kind: str) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if type(event).__name__ == kind]

    def texts(self) -> list[str]:
        """What was said to the user."""
        return [event.text for event in self.those("Said")]
