"""Scenarios of the kinds that work outside: requests, code, rich templates, models that are asked again, and agents."""

from __future__ import annotations

from typing import Any

from tests.engine.graphs import line, node
from tests.protocol.posts import Post
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
    between,
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


def _played(name: str, graph: Json, **more: Any) -> Scenario:
    return Scenario(name=name, graph=graph, started=False, scripts=((START, FIRST, LAST),), **more)


# Played in order and cut at every operation, as those of `scenarios.PLAYED`.
PLAYED_KINDS = [
    _played("http", REQUEST),
    _played("code", CODE),
    _played("rich template", RICH),
    _played("model with a repair", STRUCTURED),
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
