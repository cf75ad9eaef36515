"""What llm and agent have in common: how they begin, what their answer must be, and what they leave with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from app.engine.kind import Claim, Context, Fault
from app.engine.nodes.model import AsksModel, PromptMessage, shown_usage
from app.engine.talk import Message, ModelAnswer, Usage
from app.engine.values import Value


class Prompted(AsksModel, frozen=True, kw_only=True):
    """Base of kinds with a prompt. `schema`: JSON Schema that the answer must fit; `say`: the answer is said to the user."""

    plain_texts: ClassVar[frozenset[str]] = frozenset({"schema"})

    system: str | None = None
    prompt: str | None = None
    messages: tuple[PromptMessage, ...] | None = None
    schema: Value = None
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
        system = None if self.system is None else ctx.text(self.system)
        return (*self.before_the_prompt(ctx, system), *asked)

    def cited(self, ctx: Context) -> tuple[str, ...]:
        """Addresses of what the node's texts refer to."""
        return ctx.cited(self.texts())

    def texts(self) -> list[Value]:
        """What the model is given, in its order, as the author wrote it."""
        return [self.system, *(one.content for one in self.messages or ()), self.prompt, self.params]


def answer_output(answer: ModelAnswer, usage: Usage, schema: Value, citations: Iterable[str]) -> dict[str, Value]:
    """`{text, data?, finish_reason, citations, usage, provider, model}`."""
    output: dict[str, Value] = {"text": answer.text}
    if schema is not None:
        output["data"] = answer.data
    return {
        **output,
        "finish_reason": answer.finish_reason,
        "citations": list(citations),
        "usage": shown_usage(usage),
        "provider": answer.provider,
        "model": answer.model,
    }
