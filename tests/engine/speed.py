"""How fast the engine is: `python -m tests.engine.speed`, or the two functions, which a benchmark may call.

Both count processor time and take the best of several short rounds, so that a neighbour's work hardly counts.
"""

from __future__ import annotations

from time import process_time
from typing import Any

from app.engine.graph import Graph
from app.engine.messages import Answer, GivenAnswer, Start
from app.engine.state import Limits, decode, encode
from app.engine.step import step
from tests.engine.graphs import KEY, RUN, WORKFLOW, compiled, edge, line, node, source

ROUNDS = 7
UNBOUNDED = Limits(turn_executions=1_000_000, node_executions=1_000_000, events_bytes=1 << 40)


def chain(length: int = 480) -> Graph:
    """set, condition and no_op in turn, one after the other."""
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("set", {"values": {"count": "{{start.one}}", "text": "[[text]]"}}),
        ("condition", {"cases": [{"handle": "yes", "expression": "[[count]] == 1 and is_present(text?)"}]}),
        ("no_op", {"output": "as [[text]]"}),
    ]
    graph = line(*(node(f"n{number}", kinds[number % 3][0], **kinds[number % 3][1]) for number in range(length)))
    for one in graph["edges"]:
        if one["source"] != "start" and int(one["source"][1:]) % 3 == 1:
            one["source_handle"] = "else"
    return compiled(graph)


def cycle(rounds: int = 300) -> tuple[Graph, Limits]:
    """A circle of the same kinds, cut off by the turn's bound."""
    nodes = [
        node("start", "start"),
        node("set", "set", values={"count": "[[count]]"}),
        node("if", "condition", cases=[{"handle": "stop", "expression": "[[count]] > 1"}]),
        node("rest", "no_op", output="[[count]]"),
    ]
    edges = [edge("start", "set"), edge("set", "if"), edge("if", "rest", "else"), edge("rest", "set")]
    return compiled(source(nodes, edges)), Limits(turn_executions=3 * rounds, node_executions=1_000_000)


def node_executions_per_second() -> float:
    """Pure nodes in one step; the lower of a long chain and a circle."""
    circle, limits = cycle()
    return min(_rate(chain(), UNBOUNDED), _rate(circle, limits))


def _rate(graph: Graph, limits: Limits) -> float:
    values: dict[str, Any] = {"inputs": {"one": 1}, "variables": {"count": 1, "text": "x"}}
    start = Start(now=1.0, run_id=RUN, workflow_id=WORKFLOW, version=0, user=None, **values)
    best = 0.0
    for _ in range(ROUNDS):
        began = process_time()
        made = step({KEY: graph}, None, start, limits)
        best = max(best, made.state.executions / (process_time() - began))
    return best


def microseconds_per_turn(turns: int = 500) -> float:
    """A later turn of a small run: decode, answer, message, the next question, encode."""
    nodes = [node("start", "start"), node("ask", "ask", prompt="Who?", output="name")]
    nodes.append(node("say", "message", text="Hello, [[name]]!"))
    graph = compiled(source(nodes, [edge("start", "ask"), edge("ask", "say"), edge("say", "ask")]))
    start = Start(now=1.0, run_id=RUN, workflow_id=WORKFLOW, version=0, user=None, inputs={"a": 1})
    stored = encode(step({KEY: graph}, None, start).state)
    best = float("inf")
    for _ in range(ROUNDS):
        began = process_time()
        for _ in range(turns):
            state = decode(stored)
            answer = GivenAnswer(f"pause_{state.next_pause - 1}", "Ada", "Ada")
            stored = encode(step({KEY: graph}, state, Answer(now=2.0, answers=(answer,))).state)
        best = min(best, (process_time() - began) / turns * 1e6)
    return best


if __name__ == "__main__":
    print(f"{node_executions_per_second():,.0f} node executions/s")
    print(f"{microseconds_per_turn():.0f} µs a turn (decode, step, encode)")
