"""Agents on a bench: their tools, what their models say, what people vote."""

from __future__ import annotations

from typing import Any

import msgspec

from app.engine.messages import Answer, GivenAnswer
from app.engine.state import Limits, decode, effects, encode, questions
from app.engine.talk import ModelAnswer, ModelCall, ToolCall, Usage
from tests.engine.graphs import Bench, line, node

CODE = {"name": "add", "type": "code", "code": "def main(a): return a", "description": "adds"}
HTTP = {
    "name": "look",
    "type": "http",
    "request": {"url": "https://x.example/{{args.q}}", "headers": {"A": "{{secret.k}}"}},
    "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
}
SHY = {**CODE, "name": "shy", "needs_approval": True}
MCP = {"name": "crm", "type": "mcp", "url": "https://mcp.example/{{city}}", "headers": {"T": "{{secret.t}}"}}


def bench(*tools: dict[str, Any], limits: Limits | None = None, **config: Any) -> Bench:
    agent = node("it", "agent", prompt="go", tools=list(tools), **config)
    return Bench(line(agent, node("end", "end", outputs={"it": "{{it}}"})), limits, inputs={"city": "Bern"})


def says(text: str = "done", *calls: ToolCall, tokens: int = 3, **more: Any) -> Any:
    usage = Usage(input_tokens=tokens - 1, output_tokens=1, total_tokens=tokens)
    reason = "tool_calls" if calls else "stop"
    made = ModelAnswer(
        text=text, finish_reason=reason, usage=usage, provider="p", model="m", tool_calls=tuple(calls), **more
    )
    return msgspec.to_builtins(made)


def calls(name: str, number: int = 1, **arguments: Any) -> ToolCall:
    return ToolCall(id=f"c{number}", name=name, arguments=arguments)


def asked(run: Bench) -> ModelCall:
    (effect,) = [one for one in effects(run.at) if one.operation == "model"]
    return msgspec.convert(effect.request, ModelCall)


def ids(run: Bench) -> list[tuple[str, str]]:
    return [(effect.operation, effect.id) for effect in effects(run.at)]


def restart(run: Bench) -> None:
    run.state = decode(encode(run.at))


def vote(run: Bench, action: str, which: int = 0, **more: Any) -> None:
    pause = questions(run.at)[which][2].pause_id
    value = {"action": action, **more}
    run.do(Answer(now=run.now, answers=(GivenAnswer(pause, value, action, "ada"),)))


def output(run: Bench) -> Any:
    assert run.status == "completed", run.at.error
    return run.at.outputs["it"]
