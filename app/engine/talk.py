"""What is said between a workflow and a model, in our own shape: no library's classes are ever stored."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from app.engine.values import Value

Role = Literal["system", "user", "assistant", "tool"]
MODEL: Final = "model"  # the operation of an effect that asks one


MOST_MESSAGES: Final = 100  # of a transcript
MOST_BYTES: Final = 64 * 1024


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The model wants a tool to be called. `arguments`: an object; a text when the model wrote no JSON object; `misfits`:
    why they do not fit the tool's parameters."""

    id: str
    name: str
    arguments: Value = None
    misfits: tuple[str, ...] = ()


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message. `tool_calls`: of an assistant; `tool_call_id` and `tool_name`: what a tool's message answers;
    `opaque`: what the provider wants back unread with an assistant's message (signatures, reasoning)."""

    role: Role
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tool_name: str | None = None
    opaque: Value = None


def shortened(transcript: tuple[Message, ...]) -> tuple[Message, ...]:
    """The newest of it: 100 messages and 64 KiB at most; a longer one alone is cut."""
    kept: list[Message] = []
    left = MOST_BYTES
    for message in reversed(transcript[-MOST_MESSAGES:]):
        size = len(message.text.encode("utf-8", "replace"))
        if left <= 0 or (kept and size > left):
            break
        text = message.text if size <= left else message.text.encode("utf-8", "replace")[:left].decode(errors="ignore")
        kept.append(msgspec.structs.replace(message, text=text))
        left -= size
    return tuple(reversed(kept))


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
    """The result of a `model` effect: what the model said, and who it was. Where the call had a schema, `data` is the text
    as JSON and `misfits` say why it does not fit; none: it does. `streamed`: pieces of it were told."""

    text: str
    finish_reason: str
    usage: Usage
    provider: str
    model: str
    tool_calls: tuple[ToolCall, ...] = ()
    opaque: Value = None
    data: Value = None
    misfits: tuple[str, ...] = ()
    streamed: bool = False


class Spent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one model of one provider did for a run. Times in seconds, of its answered calls."""

    usage: Usage = Usage()
    calls: int = 0
    seconds: float = 0.0
    least_seconds: float = 0.0
    most_seconds: float = 0.0

    def plus(self, usage: Usage, seconds: float) -> Spent:
        """With one more call."""
        return Spent(
            usage=self.usage.plus(usage),
            calls=self.calls + 1,
            seconds=self.seconds + seconds,
            least_seconds=min(self.least_seconds, seconds) if self.calls else seconds,
            most_seconds=max(self.most_seconds, seconds),
        )
