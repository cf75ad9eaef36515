"""The provider that is always there: no model, no network, the same answer each time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from app.engine.talk import Message, ModelAnswer, ModelCall, ToolCall
from app.engine.values import Value, to_json
from app.ports.models import estimated
from app.services.performing.smallest import smallest

NAME: Final = "echo"

_asks_for_call: Final = re.compile(r"call\s+(\S+)(?:\s+(\{.*\}))?\s*", re.S)


class Echo:
    """Answers as ports.Models does, from the request alone. Raises nothing."""

    async def complete(self, call: ModelCall, on_text: Callable[[str], None] | None = None) -> ModelAnswer:
        """`on_text` gets word after word, when `call.stream`."""
        made = _wanted_call(call)
        text = "" if made else _text(call)
        calls = (made,) if made else ()
        if call.stream and on_text is not None:
            for word in re.findall(r"\s*\S+\s*\Z|\s*\S+|\s+", text):
                on_text(word)
        return ModelAnswer(
            text=text,
            finish_reason="tool_calls" if made else "stop",
            usage=estimated(call, text, calls),
            provider=NAME,
            model=NAME,
            tool_calls=calls,
        )


def _text(call: ModelCall) -> str:
    if call.schema is not None:
        return to_json(smallest(call.schema)).decode()
    return f"echo: {_last(call).text}"


def _last(call: ModelCall) -> Message:
    """What it answers: the last that a user said or a tool gave."""
    heard = (message for message in reversed(call.messages) if message.role in ("user", "tool"))
    return next(heard, Message(role="user"))


def _wanted_call(call: ModelCall) -> ToolCall | None:
    """`call <tool> {json}` by the user, of a tool that is offered. Only when nobody has answered it."""
    last = _last(call)
    found = _asks_for_call.fullmatch(last.text.strip()) if last.role == "user" else None
    if found is None or found[1] not in {tool.name for tool in call.tools}:
        return None
    before = sum(len(message.tool_calls) for message in call.messages)
    return ToolCall(id=f"call_{before + 1}", name=found[1], arguments=_arguments(found[2] or "{}"))


def _arguments(text: str) -> Value:
    try:
        found: Value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    return found
