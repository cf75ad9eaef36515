"""Asks a model, once: text, or JSON that fits a schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

import msgspec

from app.engine.kind import Await, Claim, Context, Fail, Fault, Leave, Outcome, Reply, Succeeded
from app.engine.nodes.model import AsksModel, PromptMessage, answer_of, shown_usage
from app.engine.talk import Message, ModelAnswer, Usage
from app.engine.values import Value

SHOWN_MISFITS = 10  # that the model is told


class _Memo(msgspec.Struct, frozen=True):
    """Between the tries of a structured answer: what was asked so far, and what it cost."""

    messages: tuple[Message, ...]
    repairs: int = 0
    usage: Usage = Usage()


class Llm(AsksModel, frozen=True, kw_only=True):
    """Its output is `{text, data?, finish_reason, citations, usage, provider, model}`. An answer that does not fit the schema
    is shown to the model with what is wrong, `repair_attempts` times."""

    kind: ClassVar[str] = "llm"
    plain_texts: ClassVar[frozenset[str]] = frozenset({"schema"})

    prompt: str | None = None
    messages: tuple[PromptMessage, ...] | None = None
    schema: Value = None
    repair_attempts: Annotated[int, msgspec.Meta(ge=0, le=3)] = 1
    stream: bool = True
    say: bool = False

    def faults(self, path: str) -> Iterable[Fault]:
        yield from super().faults(path)
        if (self.prompt is None) == (not self.messages):
            yield Fault(path, "needs exactly one of prompt and messages")

    def claims(self, path: str) -> Iterable[Claim]:
        yield from super().claims(path)
        if self.schema is not None:
            yield Claim(f"{path}.schema", "schema", self.schema)

    def enter(self, ctx: Context) -> Outcome:
        asked = [Message(role=one.role, text=ctx.text(one.content)) for one in self.messages or ()]
        if self.prompt is not None:
            asked = [Message(role="user", text=ctx.text(self.prompt))]
        return self._ask(ctx, _Memo((*self.before_the_prompt(ctx), *asked)))

    def _ask(self, ctx: Context, memo: _Memo) -> Await:
        if self.schema is not None:  # only then it may be needed again
            ctx.memo = msgspec.to_builtins(memo)
        return self.call(ctx, memo.messages, schema=self.schema, stream=self.stream and self.schema is None)

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        if not isinstance(reply, Succeeded):
            return super().receive(ctx, reply)
        answer = answer_of(reply.result)
        memo = msgspec.convert(ctx.memo, _Memo) if ctx.memo is not None else _Memo(())
        usage = memo.usage.plus(answer.usage)
        ctx.replied(answer, say=self.say and not answer.misfits)
        if not answer.misfits:
            return Leave(self._output(answer, usage))
        if memo.repairs >= self.repair_attempts:
            return Fail("invalid_output", f"the model's answer does not fit the schema: {answer.misfits[0]}")
        messages = (*memo.messages, Message(role="assistant", text=answer.text), _complaint(answer))
        return self._ask(ctx, _Memo(messages, memo.repairs + 1, usage))

    def _output(self, answer: ModelAnswer, usage: Usage) -> dict[str, Value]:
        output: dict[str, Value] = {"text": answer.text}
        if self.schema is not None:
            output["data"] = answer.data
        return {
            **output,
            "finish_reason": answer.finish_reason,
            "citations": [],
            "usage": shown_usage(usage),
            "provider": answer.provider,
            "model": answer.model,
        }


def _complaint(answer: ModelAnswer) -> Message:
    wrong = "\n".join(f"- {misfit}" for misfit in answer.misfits[:SHOWN_MISFITS])
    return Message(
        role="user",
        text=f"That answer does not fit the schema:\n{wrong}\nAnswer again, with nothing but JSON that fits it.",
    )
