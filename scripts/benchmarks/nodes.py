"""Pure node executions a second: a circle of two cheap nodes in one step, against making the same values bare."""

import time
from typing import Any, Final

from msgspec.structs import replace

from app.engine import messages as said
from app.engine.graph import graph_key
from app.engine.messages import Start
from app.engine.nodes import CATALOGUE
from app.engine.state import ExecutorState, Limits
from app.engine.step import Step, step
from app.engine.validate import check
from scripts.benchmarks.taken import Rounds, Taken

EXECUTIONS: Final = 5_000
_id: Final = "0" * 24
_circle: Final[dict[str, Any]] = {
    "nodes": [
        {"id": "start", "type": "start", "config": {}},
        {"id": "set", "type": "set", "config": {"values": {"seen": "{{message}}"}}},
        {"id": "pass", "type": "no_op", "config": {}},
    ],
    "edges": [
        {"source": "start", "target": "set"},
        {"source": "set", "target": "pass"},
        {"source": "pass", "target": "set"},
    ],
}


def measure(rounds: int) -> Rounds:
    """Rounds of so many executions each."""
    graph = check(_circle, CATALOGUE).graph
    assert graph is not None
    graphs = {graph_key(_id, 0): graph}
    limits = Limits(turn_executions=EXECUTIONS, node_executions=EXECUTIONS)
    start = Start(now=1.0, run_id=_id, workflow_id=_id, version=0, user=None, inputs={}, message="hello")
    found = Rounds()
    for _ in range(rounds):
        began = time.perf_counter()
        made = step(graphs, None, start, limits)
        found.ours.append(_taken(time.perf_counter() - began, made.state.executions))
        began = time.perf_counter()
        _bare(made)
        found.theirs.append(_taken(time.perf_counter() - began, EXECUTIONS))
    return found


def _taken(seconds: float, executions: int) -> Taken:
    return Taken([seconds / executions] * executions, seconds)


def _bare(made: Step) -> list[Any]:
    """For every execution: three events, and the visit, its frame and the state copied once."""
    state: ExecutorState = made.state
    frame, events = state.frames[0], []
    for number in range(EXECUTIONS):
        where: dict[str, Any] = {"node_id": "pass", "node_name": "pass", "path": "pass", "visit": number}
        events.append(said.NodeStarted(seq=number, at=1.0, **where))
        events.append(said.NodeFinished(seq=number, at=1.0, output=None, handle="out", **where))
        events.append(replace(made.events[-4], seq=number))
        state = replace(state, frames=(replace(frame, last_node_id="pass"),), executions=number)
    return events
