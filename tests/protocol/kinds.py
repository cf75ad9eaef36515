"""Scenarios of the kinds that work outside: requests, code, rich templates, models that are asked again, and agents."""

from __future__ import annotations

from typing import Any

from tests.engine.graphs import edge, line, node, source
from tests.protocol.posts import WORKFLOW, Post
from tests.protocol.scenarios import (
    FIRST,
    KEYED,
    LAST,
    NEXT,
    PAUSE,
    RESUME,
    START,
    STOP,
    Scenario,
    ask,
    between,
    effect,
    vote,
)

Json = dict[str, Any]
ONE_NUMBER = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}

REQUEST = between((node("call", "http", url="https://there.example/{{q1}}", method="POST", body="{{q1}}"),))
CODE = between((node("sum", "code", code="output = q1", inputs={"q1": "{{q1}}"}),))
RICH = between((node("say", "template", template="{% if q1 %}{{ q1|upper }}{% endif %}"),))
STRUCTURED = between((node("it", "llm", prompt="one number for {{q1}}", schema=ONE_NUMBER, repair_attempts=1),))
STREAMED = line(
    node("it", "llm", prompt="hi", retry={"max_attempts": 3, "delay_seconds": 1}, say=True),
    node("end", "end", outputs={"it": "{{it.text}}"}),
)
SIDE_BY_SIDE = between(
    (node("left", "llm", prompt="left"), node("sum", "code", code="output = 1")),
    (node("right", "llm", prompt="right", schema=ONE_NUMBER),),
)


def acting(**config: Any) -> Json:
    """The model's first answer calls both tools: one at once, the other when a person has approved."""
    tools: list[Json] = [
        {"name": "order", "type": "http", "request": {"url": "https://shop.example/{{args.q}}", "method": "POST"}},
        {"name": "pay", "type": "code", "code": "output = q", "needs_approval": True},
    ]
    return line(node("it", "agent", prompt="go", tools=tools, **config), node("end", "end", outputs={"it": "{{it}}"}))


def items() -> Json:
    """Two at a time, each with an effect."""
    body = line(effect("e"), node("end", "end", outputs={"it": "{{item}} {{e}}"}))
    return between((node("each", "iteration", items=["a", "b", "c"], body=body, parallel=2),))


def rounds() -> Json:
    """Each asks, and has an effect."""
    body = line(ask("q"), effect("e"), node("set", "set", values={"said": "[[said]] {{q}}"}))
    condition = {"while": "length(vars.said) >= 0"}
    loop = node("loop", "loop", body=body, variables={"said": ""}, max_count=2, **condition)
    return line(loop, node("end", "end", outputs={"said": "{{loop.variables.said}}"}))


def family() -> Json:
    """It runs itself once more, a level down; there it asks, works and asks."""
    cases = [{"handle": "deep", "expression": "is_present(deep?)"}]
    child = node("sub", "workflow", workflow_id=WORKFLOW, inputs={"deep": True})
    ends = [
        node("end", "end", outputs={"it": "{{sub.outputs}}"}),
        node("out", "end", outputs={"q": "{{q1}} {{e}} {{q2}}"}),
    ]
    nodes = [
        node("start", "start"),
        node("is", "condition", cases=cases),
        child,
        ask("q1"),
        effect("e"),
        ask("q2"),
        *ends,
    ]
    edges = [edge("start", "is"), edge("is", "sub", "else"), edge("sub", "end"), edge("is", "q1", "deep")]
    return source(nodes, [*edges, edge("q1", "e"), edge("e", "q2"), edge("q2", "out")])


def _played(name: str, graph: Json, **more: Any) -> Scenario:
    return Scenario(name=name, graph=graph, started=False, scripts=((START, FIRST, LAST),), **more)


# Played in order and cut at every operation, as those of `scenarios.PLAYED`.
PLAYED_KINDS = [
    _played("http", REQUEST),
    _played("code", CODE),
    _played("rich template", RICH),
    _played("model with a repair", STRUCTURED),
    _played("items", items()),
    _played("rounds", rounds()),
    _played("family", family()),
    Scenario(
        name="model with retries",
        graph=STREAMED,
        started=False,
        scripts=((START,),),
        failures=1,
        heard=True,
    ),
    Scenario(name="agent", graph=acting(), started=False, scripts=((START, vote("ann", expected=2, wait_seconds=60)),)),
]
# Walked by chance.
WALKED_KINDS = [
    Scenario(name="families", graph=family(), scripts=((KEYED, NEXT), (STOP,), (PAUSE, RESUME)), fails=True, ticks=6),
    Scenario(name="batches", graph=items(), scripts=((KEYED, NEXT), (PAUSE, RESUME)), fails=True, ticks=8),
    Scenario(name="models", graph=SIDE_BY_SIDE, scripts=((KEYED, NEXT), (STOP,)), fails=True, ticks=8),
    Scenario(
        name="agents",
        graph=acting(approval_expires_in_seconds=12),
        started=False,
        fails=True,
        ticks=8,
        scripts=((START, vote("ann"), Post("vote of bob", key="k-bob", voter="bob", named="pause_1")), (PAUSE, RESUME)),
    ),
]
