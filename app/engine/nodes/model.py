"""What the kinds that ask a model have in common: whom they ask, and how."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final, Literal

import msgspec

from app.engine import template
from app.engine.kind import Await, Claim, Context, Fail, Fault, NodeError, NodeKind
from app.engine.talk import MODEL, Message, ModelAnswer, ModelCall, Tool, Usage
from app.engine.values import Value, as_stored

MOST_TOKENS: Final = 10**13  # of one answer: the state keeps their sums
OWN_PARAMS: Final = frozenset({"model", "messages", "tools", "stream"})
SHOWN_MISFITS: Final = 10  # that the model is told


class Memory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`window`: how many of the last messages between the user and the run stand before the prompt."""

    window: Annotated[int, msgspec.Meta(ge=0, le=50)] = 0


class PromptMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message as the author wrote it."""

    role: Literal["system", "user", "assistant"]
    content: str


class AsksModel(NodeKind, frozen=True, kw_only=True):
    """Base of the kinds that ask a model. `provider` None: the only one there is; `model` None: the provider's default;
    `repair_attempts`: how often an answer that does not fit what is wanted is shown to the model with what is wrong."""

    may_retry: ClassVar[bool] = True

    provider: str | None = None
    model: str | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    params: dict[str, Value] = msgspec.field(default_factory=dict)
    memory: Memory = Memory()
    repair_attempts: Annotated[int, msgspec.Meta(ge=0, le=3)] = 1
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=3_600)] = 120

    def faults(self, path: str) -> Iterable[Fault]:
        for name in sorted(OWN_PARAMS & self.params.keys()):
            yield Fault(f"{path}.params.{name}", "is not for params: the node has its own words for it")

    def claims(self, path: str) -> Iterable[Claim]:
        """Names that are known before the run are checked before it."""
        wanted = [name if name is None or template.is_literal(name) else "" for name in (self.provider, self.model)]
        if "" not in wanted:
            yield Claim(path if self.provider is None else f"{path}.provider", "model", wanted)

    def remembers(self) -> bool:
        return self.memory.window > 0

    def call(
        self,
        ctx: Context,
        messages: Iterable[Message],
        *,
        schema: Value = None,
        tools: tuple[Tool, ...] = (),
        parallel: bool = True,
        stream: bool = False,
    ) -> Await:
        """One request. Raises NodeError."""
        params = ctx.value(self.params)
        if not isinstance(params, dict):
            raise NodeError("invalid_value", "params must be an object")
        call = ModelCall(
            messages=tuple(messages),
            provider=None if self.provider is None else ctx.text(self.provider),
            model=None if self.model is None else ctx.text(self.model),
            tools=tools,
            parallel_tool_calls=parallel,
            schema=schema,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            params=params,
            stream=stream,
        )
        request = as_stored(call)
        return Await(MODEL, request, once=True, timeout_seconds=self.timeout_seconds, streamed=stream)

    def before_the_prompt(self, ctx: Context, system: str | None) -> list[Message]:
        """The system's message, and what was said before."""
        told = [Message(role="system", text=system)] if system is not None else []
        return [*told, *ctx.transcript(self.memory.window)]

    def repair(self, answer: ModelAnswer) -> tuple[Message, ...]:
        """What is added to the messages for another try."""
        wrong = "\n".join(f"- {misfit}" for misfit in answer.misfits[:SHOWN_MISFITS])
        complaint = f"That answer does not fit the schema:\n{wrong}\nAnswer again, with nothing but JSON that fits it."
        return (
            Message(role="assistant", text=answer.text, opaque=answer.opaque),
            Message(role="user", text=complaint),
        )

    def misfit(self, answer: ModelAnswer) -> Fail:
        """There are no tries left."""
        return Fail("invalid_output", f"the model's answer does not fit the schema: {answer.misfits[0]}")


def answer_of(result: Value) -> ModelAnswer:
    """Of the result of a `model` effect. Raises NodeError for what no performer of ours makes."""
    try:
        answer = msgspec.convert(result, ModelAnswer)
    except msgspec.ValidationError as error:
        raise NodeError("invalid_output", f"the model's answer cannot be read: {error}") from error
    usage = answer.usage
    if not all(0 <= count <= MOST_TOKENS for count in (usage.input_tokens, usage.output_tokens, usage.total_tokens)):
        raise NodeError("invalid_output", "the model's answer has impossible numbers of tokens")
    return answer


def shown_usage(usage: Usage) -> dict[str, Value]:
    """As it stands in outputs."""
    return msgspec.structs.asdict(usage)
