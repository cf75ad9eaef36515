"""What llm and agent have in common: how they begin, what their answer must be, and how it is repaired."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

import msgspec

from app.engine.kind import Claim, Context, Fail, Fault
from app.engine.nodes.model import AsksModel, PromptMessage, shown_usage
from app.engine.talk import Message, ModelAnswer, Usage
from app.engine.values import Value

SHOWN_MISFITS = 10  # that the model is told


class Prompted(AsksModel, frozen=True, kw_only=True):
    """Base of kinds with a prompt. `schema`: JSON Schema that the answer must fit; `repair_attempts`: how often one that does
    not is shown to the model with what is wrong; `say`: the answer is said to the user."""

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

    def streams(self) -> bool:
        """What must fit a schema is not told before it does."""
        return self.stream and self.schema is None

    def opening(self, ctx: Context) -> tuple[Message, ...]:
        """The messages of the first request. Raises NodeError."""
        asked = [Message(role=one.role, text=ctx.text(one.content)) for one in self.messages or ()]
        if self.prompt is not None:
            asked = [Message(role="user", text=ctx.text(self.prompt))]
        return (*self.before_the_prompt(ctx), *asked)

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


def answer_output(answer: ModelAnswer, usage: Usage, schema: Value) -> dict[str, Value]:
    """`{text, data?, finish_reason, citations, usage, provider, model}`."""
    output: dict[str, Value] = {"text": answer.text}
    if schema is not None:
        output["data"] = answer.data
    return {
        **output,
        "finish_reason": answer.finish_reason,
        "citations": [],
        "usage": shown_usage(usage),
        "provider": answer.provider,
        "model": answer.model,
    }
