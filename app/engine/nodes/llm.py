"""Asks a model, once: text, or JSON that fits a schema."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from app.engine.kind import Await, Context, Leave, Outcome, Reply, Succeeded
from app.engine.nodes.model import answer_of
from app.engine.nodes.prompted import Prompted, answer_output
from app.engine.talk import Message, Usage
from app.engine.values import as_stored


class _Memo(msgspec.Struct, frozen=True):
    """Between the tries of a structured answer: what was asked so far, and what it cost."""

    messages: tuple[Message, ...]
    repairs: int = 0
    usage: Usage = Usage()


class Llm(Prompted, frozen=True, kw_only=True):
    """Its output is `{text, data?, finish_reason, citations, usage, provider, model}`. An answer that does not fit the schema
    is shown to the model with what is wrong, `repair_attempts` times."""

    kind: ClassVar[str] = "llm"

    def enter(self, ctx: Context) -> Outcome:
        return self._ask(ctx, _Memo(self.opening(ctx)))

    def _ask(self, ctx: Context, memo: _Memo) -> Await:
        if self.schema is not None:  # only then it may be needed again
            ctx.memo = as_stored(memo)
        return self.call(ctx, memo.messages, schema=self.schema, stream=self.streams())

    def receive(self, ctx: Context, reply: Reply) -> Outcome:
        if not isinstance(reply, Succeeded):
            return super().receive(ctx, reply)
        answer = answer_of(reply.result)
        memo = msgspec.convert(ctx.memo, _Memo) if ctx.memo is not None else _Memo(())
        usage = memo.usage.plus(answer.usage)
        ctx.replied(answer, say=self.say and not answer.misfits)
        if not answer.misfits:
            return Leave(answer_output(answer, usage, self.schema))
        if memo.repairs >= self.repair_attempts:
            return self.misfit(answer)
        return self._ask(ctx, _Memo((*memo.messages, *self.repair(answer)), memo.repairs + 1, usage))
