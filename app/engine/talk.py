"""What is said between a workflow and a model, in our own shape: no library's classes are ever stored."""

from __future__ import annotations

from typing import Literal

import msgspec

from app.engine.values import Value

Role = Literal["system", "user", "assistant", "tool"]


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The model wants a tool to be called. `arguments`: an object; a text when the model wrote no JSON object."""

    id: str
    name: str
    arguments: Value = None


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message. `tool_calls`: of an assistant; `tool_call_id` and `tool_name`: what a tool's message answers;
    `opaque`: what the provider wants back unread with an assistant's message (signatures, reasoning)."""

    role: Role
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tool_name: str | None = None
    opaque: Value = None


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """What a model may call. `parameters`: JSON Schema of an object."""

    name: str
    description: str = ""
    parameters: Value = None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens. `estimated`: the provider did not say, four characters were counted as one."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    estimated: bool = False

    def plus(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            estimated=self.estimated or other.estimated,
        )


class ModelCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The request of a `model` effect. `provider` None: the only one there is; `model` None: the provider's default;
    `schema`: JSON Schema that the text must fit; `params`: sent as they are; `stream`: deltas are wanted."""

    messages: tuple[Message, ...]
    provider: str | None = None
    model: str | None = None
    tools: tuple[Tool, ...] = ()
    parallel_tool_calls: bool = True
    schema: Value = None
    temperature: float | None = None
    max_tokens: int | None = None
    params: dict[str, Value] = {}
    stream: bool = False


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of a `model` effect: what the model said, and who it was."""

    text: str
    finish_reason: str
    usage: Usage
    provider: str
    model: str
    tool_calls: tuple[ToolCall, ...] = ()
    opaque: Value = None
