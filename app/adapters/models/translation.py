"""Our messages in the library's shapes, and its answers in ours. Imported at the first request only.

What only the provider understands travels in `opaque`: {"reasoning": [{"field", "text"}], "calls": {call's id: extra content}}.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from app.adapters.models.refusal import unreadable
from app.engine.talk import Message, ModelAnswer, ModelCall, ToolCall, Usage
from app.engine.values import UnstorableValueError, Value, as_stored, measure, storable_text, to_json
from app.ports import EffectError, Endpoint
from app.ports.models import estimated

MOST_CALLS: Final = 128  # in one answer
MOST_CHARACTERS: Final = 256  # of a name or an id
MOST_TOKENS: Final = 10**12
PROVIDER: Final = "openai"  # the library's name for all of them; it sends back only what has the same


def to_library(messages: Iterable[Message]) -> list[ModelMessage]:
    """The same in the same order."""
    return [_response(message) if message.role == "assistant" else _request(message) for message in messages]


def _request(message: Message) -> ModelRequest:
    part: ModelRequestPart
    if message.role == "system":
        part = SystemPromptPart(content=message.text)
    elif message.role == "tool":
        part = ToolReturnPart(
            tool_name=message.tool_name or "", content=message.text, tool_call_id=message.tool_call_id or ""
        )
    else:
        part = UserPromptPart(content=message.text)
    return ModelRequest(parts=[part])


def _response(message: Message) -> ModelResponse:
    reasoning, extras = _opaque_parts(message.opaque)
    parts: list[ModelResponsePart] = [
        ThinkingPart(id=field, content=text, provider_name=PROVIDER) for field, text in reasoning
    ]
    if message.text or not message.tool_calls:
        parts.append(TextPart(content=message.text))
    for call in message.tool_calls:
        extra = extras.get(call.id)
        parts.append(
            ToolCallPart(
                tool_name=call.name,
                args=call.arguments if isinstance(call.arguments, str) else to_json(call.arguments).decode(),
                tool_call_id=call.id,
                provider_name=PROVIDER if extra is not None else None,
                provider_details={"extra_content": extra} if extra is not None else None,
            )
        )
    return ModelResponse(parts=parts, provider_name=PROVIDER, canonical_system=PROVIDER)


def _opaque_parts(opaque: Value) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Of another shape (another version wrote it): nothing."""
    if not isinstance(opaque, dict):
        return [], {}
    listed, extras = opaque.get("reasoning"), opaque.get("calls")
    reasoning = [
        (item["field"], item["text"])
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, dict) and isinstance(item.get("field"), str) and isinstance(item.get("text"), str)
    ]
    return reasoning, extras if isinstance(extras, dict) else {}


def answer(response: ModelResponse, text: str, endpoint: Endpoint, call: ModelCall) -> ModelAnswer:
    """Raises EffectError when it is none: cut off, refused, or of a form that cannot be kept."""
    made_calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
    if len(made_calls) > MOST_CALLS:
        raise EffectError("provider_error", f"the model made {len(made_calls)} calls at once")
    calls = tuple(_call(part) for part in made_calls)
    made = ModelAnswer(
        text=text,
        finish_reason=_finish_reason(response, text, calls, call.stream),
        usage=_usage(response) or estimated(call, text, calls),
        provider=endpoint.name,
        model=_word(response.model_name or call.model or endpoint.model),
        tool_calls=calls,
        opaque=_opaque(response),
    )
    try:
        measure(as_stored(made))
    except UnstorableValueError as error:
        raise unreadable(str(error)) from error
    return made


def _finish_reason(response: ModelResponse, text: str, calls: tuple[ToolCall, ...], streamed: bool) -> str:
    details = response.provider_details or {}
    if isinstance(refusal := details.get("refusal"), str):
        raise EffectError("provider_error", "the model refused to answer", details={"body": storable_text(refusal)})
    reason = details.get("finish_reason")
    if isinstance(reason, str) and reason:
        if reason == "content_filter" and not text and not calls:
            raise EffectError("provider_error", "the provider's content filter stopped the answer")
        return _word(reason)
    if streamed:  # the last thing but the usage that a stream has: without it nobody knows what is missing
        raise EffectError("http_connection", "the reply ended before the answer did", retryable=True)
    return "tool_calls" if calls else "stop"


def _call(part: ToolCallPart) -> ToolCall:
    if not part.tool_name:
        raise unreadable("a call names no tool")
    arguments = part.args if part.args is not None else ""
    text = arguments if isinstance(arguments, str) else to_json(arguments).decode()
    return ToolCall(id=_word(part.tool_call_id), name=_word(part.tool_name), arguments=_arguments(text))


def _word(text: str) -> str:
    """A name of the provider's; nobody needs a long one."""
    return storable_text(text[:MOST_CHARACTERS])


def _arguments(text: str) -> Value:
    """None at all is an empty object, as models leave them out for tools without parameters."""
    try:
        found: Value = msgspec.json.decode(text or "{}")
        measure(found)
    except (msgspec.DecodeError, RecursionError, UnstorableValueError, UnicodeEncodeError):
        return storable_text(text)
    return found if isinstance(found, dict) else storable_text(text)


def _usage(response: ModelResponse) -> Usage | None:
    counts = response.usage.input_tokens, response.usage.output_tokens
    asked, answered = (min(max(0, count), MOST_TOKENS) for count in counts)
    if not asked and not answered:
        return None
    return Usage(input_tokens=asked, output_tokens=answered, total_tokens=asked + answered)


def _opaque(response: ModelResponse) -> Value:
    reasoning = [
        {"field": part.id, "text": storable_text(part.content)}
        for part in response.parts
        if isinstance(part, ThinkingPart) and part.id and part.content
    ]
    extras = {
        _word(part.tool_call_id): part.provider_details["extra_content"]
        for part in response.parts
        if isinstance(part, ToolCallPart) and part.provider_details and "extra_content" in part.provider_details
    }
    found: dict[str, Value] = {}
    if reasoning:
        found["reasoning"] = list(reasoning)
    if extras:
        found["calls"] = extras
    return found or None
