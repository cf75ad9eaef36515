"""What the outside world may bring to an effect of any kind: what was hoped for, and what no performer of ours makes."""

from __future__ import annotations

from typing import Any

from app.engine.state import Effect
from app.engine.talk import ModelAnswer, ToolCall, Usage
from app.engine.values import as_stored
from app.services.performing.smallest import smallest
from tests.engine.probe import AGAIN

Json = dict[str, Any]
CALLED = [  # by the models, over and over; not all of them are there
    ("look", "shy"),
    ("shy", "shy", "srv__drop"),
    ("add",),
    ("look", "gone", "srv__find"),
    ("pay", "look", "add"),
    ("web", "book"),
    ("shy",),
]
LISTED = [{"name": name, "description": name, "parameters": {"type": "object"}} for name in ("find", "drop")]


def result_of(effect: Effect, outcome: str | None, which: int) -> Any:
    """`outcome`: AGAIN, of a model that it calls tools; None: nothing good; else the best."""
    match effect.operation:
        case "probe":
            return outcome
        case "model":
            return _rubbish(which) if outcome is None and which > 2 else _said(effect, outcome, which)
        case "http":
            return {"status_code": 200, "body": outcome, "sent": None}
        case "code":
            return {"output": outcome, "printed": "printed"}
        case "web_search" | "search":
            return {
                "results": [{"title": f"{outcome}", "url": f"https://x.example/{which}", "snippet": ""}],
                "count": 1,
            }
        case "render":
            texts = effect.request["texts"]
            return [outcome for _ in texts[: None if outcome else which]]
        case "mcp_list":
            return {"tools": LISTED} if outcome else _rubbish(which)
        case "mcp_call":
            return {"result": outcome}
        case _:
            raise AssertionError(effect.operation)


def _said(effect: Effect, outcome: str | None, which: int) -> Any:
    """Calls of tools, an answer that does not fit (None), or one that does."""
    schema = effect.request.get("schema") or {}
    answer = ModelAnswer(
        text=f"{outcome}",
        finish_reason="stop",
        usage=Usage(input_tokens=2, output_tokens=which, total_tokens=2 + which),
        provider="p",
        model=f"m{which % 2}",
        tool_calls=_calls(effect, which) if outcome == AGAIN and effect.request.get("tools") else (),
        opaque={"sig": which} if which % 2 else None,
        data=smallest(schema) if "properties" in schema and which % 3 else {"n": which},
        misfits=("n: is missing",) if outcome is None else (),
        streamed=effect.request.get("stream", False),
    )
    return as_stored(answer)


def _calls(effect: Effect, which: int) -> tuple[ToolCall, ...]:
    """Under ids that no other call has. Some without the argument that a tool needs, or with none that can be read."""
    arguments: list[Any] = [{"q": which}, {"q": "x", "query": "x"}, {}, "{"]
    return tuple(
        ToolCall(id=f"{effect.id}/{at}", name=name, arguments=arguments[(which * which + at) % 4])
        for at, name in enumerate(CALLED[which % len(CALLED)])
    )


def _rubbish(which: int) -> Any:
    return [None, {"tools": [{}]}, {"text": 1}, ["x"], "x", 10**30][which % 6]
